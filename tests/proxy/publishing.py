"""Proxy operations for tests, published and granted."""

from __future__ import annotations

from typing import Any

from proxyservices.models import ParameterMapping, ProxyOperation, Upstream
from registry.models import Field, Grant, Parameter
from registry.snapshot import holder
from tests.cast import Cast

Parameters = tuple[str | dict[str, Any], ...]


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
    """An operation of the cast's service with these upstreams, granted to its application (fields in ``grant``)."""
    operation = ProxyOperation(service=cast.service, code=code, state="published", style=style, **more)
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
    for priority, url in enumerate(urls):
        row = Upstream(
            operation=operation, priority=priority, url=url, **{"credential_kind": "none"} | (upstream or {})
        )
        row.full_clean()
        row.save()
    Grant.objects.create(application=cast.application, operation=operation, purpose="uji", fields=grant)
    holder.refresh()
    return operation
