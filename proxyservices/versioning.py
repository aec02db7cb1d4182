"""What of proxy operations is versioned."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from proxyservices.models import (
    ParameterMapping,
    ProxyOperation,
    ServiceDescription,
    Upstream,
    missing_upstream,
    undeclared_message,
)
from registry.versions import ChildList, VersionedKind

_LIMITS = (
    "timeout_ms", "connect_timeout_ms", "read_timeout_ms", "max_body_bytes", "max_concurrent_calls", "retries",
    "forward_credentials",
)  # fmt: skip


def _problems(row: ProxyOperation) -> Collection[str]:
    """Return why the operation cannot be called with its stored rows."""
    names = list(row.parameters.values_list("name", flat=True))
    found = (missing_upstream(row, list(row.upstreams.all())), undeclared_message(row, names, row.mappings.all()))
    return [str(each) for each in found if each]


def _destinations(label: str, row: Any, lists: Mapping[str, Sequence[Any]]) -> frozenset[str]:
    """Return where a row's secrets are sent: a mapping's to the servers of all upstreams."""
    if label not in ("upstreams", "mappings"):
        return frozenset()
    found = {json.dumps(each) for each in row.secret_destinations()}
    if label == "mappings":
        found |= {json.dumps(upstream.server()) for upstream in lists["upstreams"]}
    return frozenset(found)


KIND = VersionedKind(
    model=ProxyOperation,
    lists={
        "upstreams": ChildList(Upstream, ("url",), "upstreams", near=Upstream.server),
        "mappings": ChildList(ParameterMapping, ("location", "name"), "request"),
        "descriptions": ChildList(ServiceDescription, ("url",), "request"),
    },
    sections={**dict.fromkeys(_LIMITS, "limits"), "stale_if_error_seconds": "caching"},
    problems=_problems,
    destinations=_destinations,
)
