"""Export the registry as a bundle that apply() accepts: in a fixed order, without secrets."""

from __future__ import annotations

from typing import Any

import yaml
from django.db.models import Model

from dataservices.models import DataOperation, DataSource
from mantra.definitions import schema
from mantra.definitions.reading import escaped
from mantra.definitions.schema import Schema
from mantra.verification.models import VerificationOperation
from proxyservices.models import Backend, BackendServer, ParameterMapping, ProxyOperation
from registry.models import AccessKey, Agency, Application, Operation, Service

_HEAD = """\
# Definitions of MANTRA. Secrets are not in this file: give each source its password (env:NAME or
# file:PATH), each backend its credential and each secret mapping its value before it is applied to another bus.
"""


class _Sql(str):
    """Text that is written as a YAML block, so that its lines stay as its author wrote them."""


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
    """Return the whole registry, or the definitions of one agency, as YAML."""
    document = {
        "agencies": [_agency(row) for row in _rows(Agency, agency, "pk")],
        "sources": [_source(row) for row in _rows(DataSource, agency, "agency")],
        "backends": [_backend(row) for row in _rows(Backend, agency, "agency")],
        "services": [_service(row) for row in _rows(Service, agency, "agency")],
        "applications": [_application(row) for row in _rows(Application, agency, "agency")],
    }
    body = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return _HEAD + _omitted_keys(agency) + body


def _rows(model: type[Model], agency: Agency | None, path: str) -> list[Any]:
    rows = model._default_manager.all()
    return list(rows if agency is None else rows.filter(**{path: agency.pk}))


def _omitted_keys(agency: Agency | None) -> str:
    keys = AccessKey.objects.all() if agency is None else AccessKey.objects.filter(application__agency=agency)
    return f"# {keys.count()} access keys are not exported: the registry has only their digests.\n"


def _values(row: Model, spec: Schema) -> dict[str, Any]:
    """Return every value of the row, blank ones too: applying the export resets later changes."""
    return {key.name: key.write(getattr(row, key.name)) for key in spec.keys if not key.secret}


def _non_default_values(row: Model, spec: Schema) -> dict[str, Any]:
    """Return the values that differ from the model's defaults: enough in lists that are replaced as a whole."""
    values = {}
    for key in spec.keys:
        value = getattr(row, key.name)
        if not key.secret and value != row._meta.get_field(key.name).get_default():  # type: ignore[union-attr]
            values[key.name] = key.write(value)
    return values


def _agency(row: Agency) -> dict[str, Any]:
    return {"code": row.code, **_values(row, schema.AGENCY), "parent": row.parent.code if row.parent else None}


def _source(row: DataSource) -> dict[str, Any]:
    return {"agency": row.agency.code, "code": row.code, **_values(row, schema.SOURCE)}


def _backend(row: Backend) -> dict[str, Any]:
    servers = [_server(server) for server in row.servers.all()]
    return {"agency": row.agency.code, "code": row.code, **_values(row, schema.BACKEND), "servers": servers}


def _server(row: BackendServer) -> dict[str, Any]:
    # Servers may have the same priority, which their order in the file could not express.
    return {"url": "", "priority": row.priority, **_non_default_values(row, schema.SERVER)}


def _service(row: Service) -> dict[str, Any]:
    return {
        "agency": row.agency.code,
        "code": row.code,
        **_values(row, schema.SERVICE),
        "operations": [_operation(operation) for operation in row.operations.listed().order_by("code")],
    }


def _operation(row: Operation) -> dict[str, Any]:
    head: dict[str, Any] = {"code": row.code, "kind": row.kind}
    if row.kind == Operation.Kind.VERIFICATION:
        return {**head, **_verification(VerificationOperation.objects.select_related("base").get(pk=row.pk))}
    lists = {
        "parameters": [_non_default_values(child, schema.PARAMETER) for child in row.parameters.all()],
        "fields": [_non_default_values(child, schema.FIELD) for child in row.fields.all()],
    }
    spec = schema.OPERATIONS[row.kind]
    if row.kind == Operation.Kind.DATA:
        data = DataOperation.objects.select_related("source").get(pk=row.pk)
        values = _values(data, spec)
        values["sql"] = _Sql(values["sql"])
        return {**head, "source": data.source.code, **values, **lists}
    proxy = ProxyOperation.objects.select_related("backend").get(pk=row.pk)
    backend = {"backend": proxy.backend.code if proxy.backend else None}
    proxy_lists = {
        "mappings": [_mapping(child) for child in proxy.mappings.all()],
        "descriptions": [_non_default_values(child, schema.DESCRIPTION) for child in proxy.descriptions.all()],
    }
    return {**head, **backend, **_values(proxy, spec), **proxy_lists, **lists}


def _verification(row: VerificationOperation) -> dict[str, Any]:
    fields = [_non_default_values(child, schema.VERIFIED_FIELD) for child in row.verified_fields.all()]
    values = _values(row, schema.OPERATIONS[row.kind])
    return {"base": row.base.address, **values, "verified_fields": fields}


def _mapping(row: ParameterMapping) -> dict[str, Any]:
    constant = {} if row.secret or not row.value else {"value": escaped(str(row.value))}
    return {"location": row.location, **_non_default_values(row, schema.MAPPING), **constant}


def _application(row: Application) -> dict[str, Any]:
    grants = row.grants.select_related("operation__service__agency")
    return {
        "agency": row.agency.code,
        "code": row.code,
        **_values(row, schema.APPLICATION),
        # What is revoked or has expired opens nothing, and no bus would take it.
        "certificates": [
            _values(each, schema.CERTIFICATE)
            for each in row.certificates.order_by("application", "thumbprint")
            if each.is_active
        ],
        "grants": [
            {"operation": str(grant.operation), **_values(grant, schema.GRANT)}
            for grant in sorted(grants, key=lambda grant: str(grant.operation))
        ],
    }
