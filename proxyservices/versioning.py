"""What of proxy operations is versioned."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from proxyservices.models import (
    BackendServer,
    ParameterMapping,
    ProxyOperation,
    ServiceDescription,
    undeclared_message,
)
from registry.models.changes import read_once
from registry.secret_rules import server_of
from registry.versions import ChildList, VersionedKind

_LIMITS = (
    "timeout_ms", "connect_timeout_ms", "read_timeout_ms", "max_body_bytes", "max_concurrent_calls", "retries",
    "forward_credentials",
)  # fmt: skip


def _problems(row: ProxyOperation) -> Collection[str]:
    """Return why the operation cannot be called with its stored rows."""
    names = list(row.parameters.values_list("name", flat=True))
    found = undeclared_message(row, names, row.mappings.all())
    return [str(found)] if found else []


def _destinations(label: str, row: Any, columns: Mapping[str, Any]) -> frozenset[str]:
    """Return where a row's secrets are sent: a mapping's to the servers of the operation's backend."""
    if label != "mappings":
        return frozenset()
    backend = (columns.get("backend") or {}).get("id")
    servers = read_once(
        "backend",
        ("servers", backend),
        lambda: list(BackendServer.objects.filter(backend=backend).values_list("url", flat=True)),
    )
    return frozenset(json.dumps(each) for each in (*row.secret_destinations(), *map(server_of, servers)))


KIND = VersionedKind(
    model=ProxyOperation,
    lists={
        "mappings": ChildList(ParameterMapping, ("location", "name"), "request"),
        "descriptions": ChildList(ServiceDescription, ("url",), "request"),
    },
    sections={"backend": "backend", **dict.fromkeys(_LIMITS, "limits"), "stale_if_error_seconds": "caching"},
    related=("backend__agency",),
    problems=_problems,
    destinations=_destinations,
)
