"""What the rules of publishing need to know of proxy operations."""

from __future__ import annotations

from typing import Any

from proxyservices.models import ProxyOperation
from proxyservices.models.operations import grant_value
from registry.publishing import PublishedKind
from registry.versions import Definition
from registry.versions.definition import plain


def _origins(definition: Definition) -> frozenset[str]:
    backend = definition["columns"]["backend"]
    return frozenset() if backend is None else frozenset({backend["label"]})


def _query(definition: Definition) -> str:
    """Return what is sent to the backend, without secrets: path, method and mappings."""
    columns = definition["columns"]
    methods = columns["allowed_methods"] if columns["style"] == ProxyOperation.Style.PASS_THROUGH else columns["method"]
    mappings = sorted(_mapping(row) for row in definition["lists"]["mappings"])
    return "\n".join((columns["style"], methods, columns["path"], *mappings))


def _mapping(row: dict[str, Any]) -> str:
    constant = "" if row["secret"] or row["parameter"] else str(plain(row["value"]))
    return f"{row['location']} {row['name']} {row['parameter']}{constant}"


def _words(definition: Definition) -> list[str]:
    """Return the names of what callers give: who asks by NIK gets data of that person."""
    lists = definition["lists"]
    rows = [*lists["parameters"], *(row for row in lists["mappings"] if not grant_value(row["parameter"]))]
    return [row["name"] for row in rows]


def _restricts(definition: Definition) -> bool:
    return bool(definition["columns"]["style"] != ProxyOperation.Style.PASS_THROUGH)


def _forwards(definition: Definition) -> bool:
    return not _restricts(definition) and bool(definition["columns"]["forward_credentials"])


def _grant_values(definition: Definition) -> frozenset[str]:
    return frozenset(filter(None, (grant_value(row["parameter"]) for row in definition["lists"]["mappings"])))


KIND = PublishedKind(
    limits=("max_body_bytes",),
    origins=_origins,
    query=_query,
    restricts=_restricts,
    forwards=_forwards,
    grant_values=_grant_values,
    words=_words,
)
