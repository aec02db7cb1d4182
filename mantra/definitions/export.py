"""The book as a bundle: the same shape as apply takes, in one order, without a secret."""

from __future__ import annotations

from typing import Any

import yaml
from django.db.models import Model

from dataservices.models import DataOperation, DataSource
from mantra.definitions import schema
from mantra.definitions.reading import escaped
from mantra.definitions.schema import Shape
from proxyservices.models import Mapping, ProxyOperation, Upstream
from registry.models import AccessKey, Agency, Application, Operation, Service

_HEAD = """\
# Definitions of MANTRA. Secrets are not in this file: give each source its password (env:NAME or
# file:PATH), each upstream its credential and each secret mapping its value before it is applied to another bus.
"""


class _Sql(str):
    """Text that is written as a block, so that it reads as its author wrote it."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def analyze_scalar(self, scalar: str) -> Any:
        # PyYAML puts any text with a tab into quotes; YAML itself allows tabs in a block.
        analysis = super().analyze_scalar(scalar.replace("\t", " ") if "\n" in scalar else scalar)  # type: ignore[no-untyped-call]
        analysis.scalar = scalar
        return analysis


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text or isinstance(text, _Sql) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_Sql, _text)


def export(agency: Agency | None = None) -> str:
    """The whole book, or what one agency keeps."""
    document = {
        "agencies": [_agency(row) for row in _of(Agency, agency, "pk")],
        "sources": [_source(row) for row in _of(DataSource, agency, "agency")],
        "services": [_service(row) for row in _of(Service, agency, "agency")],
        "applications": [_application(row) for row in _of(Application, agency, "agency")],
    }
    body = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return _HEAD + _keys_left_out(agency) + body


def _of(model: type[Model], agency: Agency | None, path: str) -> list[Any]:
    rows = model._default_manager.all()
    return list(rows if agency is None else rows.filter(**{path: agency.pk}))


def _keys_left_out(agency: Agency | None) -> str:
    keys = AccessKey.objects.all() if agency is None else AccessKey.objects.filter(application__agency=agency)
    return f"# {keys.count()} access keys are left out: the book holds their digests only.\n"


def _values(row: Model, of: Shape) -> dict[str, Any]:
    """Every value of the row, blank ones too: applying the export takes back what was set since."""
    return {key.name: key.write(getattr(row, key.name)) for key in of.keys if not key.secret}


def _short(row: Model, of: Shape) -> dict[str, Any]:
    """The values that are not the model's defaults: of lists that are replaced as a whole, that is enough."""
    found = {}
    for key in of.keys:
        value = getattr(row, key.name)
        if not key.secret and value != row._meta.get_field(key.name).get_default():  # type: ignore[union-attr]
            found[key.name] = key.write(value)
    return found


def _agency(row: Agency) -> dict[str, Any]:
    return {"code": row.code, **_values(row, schema.AGENCY), "parent": row.parent.code if row.parent else None}


def _source(row: DataSource) -> dict[str, Any]:
    return {"agency": row.agency.code, "code": row.code, **_values(row, schema.SOURCE)}


def _service(row: Service) -> dict[str, Any]:
    return {
        "agency": row.agency.code,
        "code": row.code,
        **_values(row, schema.SERVICE),
        "operations": [_operation(operation) for operation in row.operations.order_by("code")],
    }


def _operation(row: Operation) -> dict[str, Any]:
    head: dict[str, Any] = {"code": row.code, "kind": row.kind}
    lists = {
        "parameters": [_short(each, schema.PARAMETER) for each in row.parameters.all()],
        "fields": [_short(each, schema.FIELD) for each in row.fields.all()],
    }
    of = schema.OPERATIONS[row.kind]
    if row.kind == Operation.Kind.DATA:
        data = DataOperation.objects.select_related("source").get(pk=row.pk)
        values = _values(data, of)
        values["sql"] = _Sql(values["sql"])
        return {**head, "source": data.source.code, **values, **lists}
    proxy = ProxyOperation.objects.get(pk=row.pk)
    more = {
        "upstreams": [_upstream(each) for each in proxy.upstreams.all()],
        "mappings": [_mapping(each) for each in proxy.mappings.all()],
        "contracts": [_short(each, schema.CONTRACT) for each in proxy.contracts.all()],
    }
    return {**head, **_values(proxy, of), **more, **lists}


def _upstream(row: Upstream) -> dict[str, Any]:
    # Several may share a priority, which their order in the file could not tell.
    return {"url": "", "position": row.position, **_short(row, schema.UPSTREAM)}


def _mapping(row: Mapping) -> dict[str, Any]:
    constant = {} if row.secret or not row.value else {"value": escaped(str(row.value))}
    return {"place": row.place, **_short(row, schema.MAPPING), **constant}


def _application(row: Application) -> dict[str, Any]:
    grants = row.grants.select_related("operation__service__agency")
    return {
        "agency": row.agency.code,
        "code": row.code,
        **_values(row, schema.APPLICATION),
        "grants": [
            {"operation": str(grant.operation), **_values(grant, schema.GRANT)}
            for grant in sorted(grants, key=lambda grant: str(grant.operation))
        ],
    }
