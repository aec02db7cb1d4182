"""The upstreams of each operation become the servers of a backend, which operations with the same upstreams share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

#: The settings that a backend's servers share.
SETTINGS = (
    "credential_kind", "credential_name", "credential", "token_url", "scope", "client_certificate", "ca_certificate",
    "probe_interval_seconds", "probe_method", "probe_path", "probe_expected_statuses", "probe_expected_text",
)  # fmt: skip
SOAP_STYLES = ("soap", "legacy-soap")


def group(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give each operation the backend that its upstreams make, in the order of the aliases."""
    operations = apps.get_model("proxyservices", "ProxyOperation").objects.select_related("service__agency")
    made: dict[tuple[Any, ...], Any] = {}
    codes: dict[int, set[str]] = {}
    for operation in operations.order_by("service__agency__code", "service__code", "code"):
        rows = list(operation.upstreams.order_by("priority", "id"))
        if not rows:
            continue
        for row in rows:
            _write_out_probe(row, operation.style)
        key = (operation.service.agency_id, *(_identity(row) for row in rows))
        if key in made:
            _merge(apps, rows, made[key])
        else:
            made[key] = _backend(apps, operation, rows, codes.setdefault(operation.service.agency_id, set()))
        # Without the signals and the change log of the models of today: the bus is not running.
        operations.model.objects.filter(pk=operation.pk).update(backend=made[key])
    _rename_history(apps)
    _name_backends(apps)


def _write_out_probe(row: Any, style: str) -> None:
    """Write out the path that the probe of a SOAP upstream without one had: that of its description."""
    if style in SOAP_STYLES and not row.probe_path and "?" not in row.url:
        row.probe_path = "?wsdl"


def _settings(row: Any) -> tuple[Any, ...]:
    """Return the settings of a row as values that are equal for equal settings, also for secrets no key opens."""
    values = (getattr(row, name) for name in SETTINGS)
    return tuple(getattr(value, "token", None) or (value if isinstance(value, int) else str(value)) for value in values)


def _identity(row: Any) -> tuple[Any, ...]:
    return (row.url, row.priority, row.weight, row.active, *_settings(row))


def _backend(apps: Apps, operation: Any, rows: Sequence[Any], codes: set[str]) -> Any:
    """Return a new backend with these rows as its servers: what they share is its own, what differs is theirs."""
    first = rows[0]
    backend = apps.get_model("proxyservices", "Backend").objects.create(
        agency=operation.service.agency,
        code=_code(operation, codes),
        title=operation.service.title,
        contact=operation.service.contact,
        **{name: getattr(first, name) for name in SETTINGS},
    )
    for row in rows:
        row.backend, row.operation = backend, None
        row.own_settings = _settings(row) != _settings(first)
        if not row.own_settings:
            for name in SETTINGS:
                setattr(row, name, row._meta.get_field(name).get_default())
        row.save()
    return backend


def _code(operation: Any, codes: set[str]) -> str:
    """Return the service's code, with the operation's or a number if it is taken."""
    service, own = (re.sub(r"[^A-Za-z0-9_\-]+", "_", each.code) for each in (operation.service, operation))
    candidates = [service[:63], f"{service}_{own}"[:63], *(f"{service[:57]}_{number}" for number in range(2, 100_000))]
    code = next(each for each in candidates if each.lower() not in codes)
    codes.add(code.lower())
    return code


def _merge(apps: Apps, rows: Sequence[Any], backend: Any) -> None:
    """Give the history of rows to the backend's servers, which are equal to them, and delete the rows."""
    changes = apps.get_model("proxyservices", "AddressChange").objects
    servers = backend.servers.order_by("priority", "id")
    for row, server in zip(rows, servers, strict=True):
        changes.filter(server=row).update(server=server)
        row.delete()


def _rename_history(apps: Apps) -> None:
    """Tell of each address change to which backend it belongs now."""
    changes = apps.get_model("proxyservices", "AddressChange").objects
    backends = apps.get_model("proxyservices", "Backend").objects.select_related("agency")
    for backend in backends:
        name = f"{backend.agency.code}/{backend.code}"
        operations = list(backend.operations.values_list("pk", flat=True))
        changes.filter(operation_ref__in=operations).update(backend=name, backend_ref=backend.pk)


def _name_backends(apps: Apps) -> None:
    """Let the versions of operations name the backend in place of upstreams: all of them the present one."""
    named = {}
    for operation in apps.get_model("proxyservices", "ProxyOperation").objects.select_related("backend__agency"):
        backend = operation.backend
        label = {"id": backend.pk, "label": f"{backend.agency.code}/{backend.code}"} if backend else None
        named[operation.pk] = label
    versions = apps.get_model("registry", "OperationVersion").objects
    for version in versions.filter(operation__in=named).iterator(100):
        if version.definition["lists"].pop("upstreams", None) is not None:
            version.definition["columns"]["backend"] = named[version.operation_id]
            version.save()


def separate(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give each operation upstreams of its own again. Its versions get none back."""
    for backend in apps.get_model("proxyservices", "Backend").objects.all():
        servers = list(backend.servers.order_by("priority", "id"))
        for row in servers:
            if not row.own_settings:
                for name in SETTINGS:
                    setattr(row, name, getattr(backend, name))
        for number, operation in enumerate(backend.operations.order_by("pk")):
            for row in servers:
                row.operation, row.backend, row.own_settings = operation, None, False
                if operation.style in SOAP_STYLES and row.probe_path == "?wsdl":
                    row.probe_path = ""
                if number:
                    row.pk, row._state.adding = None, True
                row.save()
        backend.operations.update(backend=None)
        backend.delete()


class Migration(migrations.Migration):
    dependencies = [("proxyservices", "0010_backends")]

    operations = [migrations.RunPython(group, separate)]
