"""Proxy operations for tests, published and granted."""

from __future__ import annotations

from typing import Any

from proxyservices.models import Backend, BackendServer, ParameterMapping, ProxyOperation
from proxyservices.models.backends import SETTINGS
from registry.models import Field, Grant, Parameter
from registry.snapshot import holder
from tests.cast import Cast

Parameters = tuple[str | dict[str, Any], ...]


def add_server(operation: ProxyOperation, url: str, **values: Any) -> BackendServer:
    """Give an operation a server with these settings. The first one makes its backend, which has them."""
    settings = {name: values.pop(name) for name in list(values) if name in SETTINGS}
    if operation.backend is None:
        codes = (operation.code, f"{operation.code}-{operation.pk}")
        code = next(each for each in codes if not Backend.objects.filter(code=each).exists())
        operation.backend = Backend.objects.create(agency=operation.service.agency, code=code, **settings)
        operation.save()
    backend = operation.backend
    same = all(getattr(backend, name) == value for name, value in settings.items())
    own = {} if same else {"own_settings": True, **settings}
    return BackendServer.objects.create(backend=backend, url=url, **values, **own)


def publish_proxy(
    cast: Cast,
    *urls: str,
    style: str = "pass-through",
    code: str = "alias",
    parameters: Parameters = (),
    mappings: tuple[dict[str, Any], ...] = (),
    fields: tuple[str, ...] = (),
    grant: str = "",
    upstream: dict[str, Any] | None = None,
    **more: Any,
) -> ProxyOperation:
    """An operation of the cast's service with these servers, granted to its application (fields in ``grant``).

    ``upstream``: settings of its backend, and of each of its servers.
    """
    operation = ProxyOperation(service=cast.service, code=code, style=style, **more)
    operation.save()
    for priority, url in enumerate(urls):
        row = add_server(operation, url, **{"priority": priority, "credential_kind": "none"} | (upstream or {}))
        row.backend.full_clean()
        row.full_clean()
    operation.state = "published"
    operation.full_clean()
    operation.save()
    for position, each in enumerate(parameters):
        given = {"name": each} if isinstance(each, str) else each
        Parameter.objects.create(operation=operation, position=position, **given)
    for position, each in enumerate(mappings):
        mapping = ParameterMapping(operation=operation, position=position, **each)
        mapping.full_clean()
        mapping.save()
    for position, name in enumerate(fields):
        Field.objects.create(operation=operation, position=position, name=name, type="text")
    Grant.objects.create(application=cast.application, operation=operation, purpose="uji", fields=grant)
    holder.refresh()
    return operation
