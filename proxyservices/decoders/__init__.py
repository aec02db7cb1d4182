"""Reads what upstreams answer: JSON, XML, PHP's serialize(), CSV, JSON lines. Bounded, and never more than data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxyservices.decoders.json import from_json
from proxyservices.decoders.limits import Unreadable
from proxyservices.decoders.php import from_php
from proxyservices.decoders.table import from_csv, from_ndjson
from proxyservices.decoders.xml import from_xml

# -------------------------------------------------------------------------------------- which it is

READERS: dict[str, Callable[[bytes], Any]] = {
    "json": from_json,
    "xml": from_xml,
    "php": from_php,
    "csv": from_csv,
    "ndjson": from_ndjson,
}
_TYPES = {
    "application/json": "json", "text/json": "json", "application/xml": "xml", "text/xml": "xml", "text/csv": "csv",
    "application/csv": "csv", "application/x-ndjson": "ndjson", "application/ndjson": "ndjson",
    "application/jsonl": "ndjson", "application/vnd.php.serialized": "php", "application/x-php-array": "phpa",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}  # fmt: skip
#: Media types that say nothing: the beginning of the body must.
_VAGUE = frozenset(("", "text/plain", "application/octet-stream", "text/html"))


def kind_of(content_type: str) -> str:
    """The format that a Content-Type names; "" for one that names none, "?" for what the bus does not know."""
    media_type = content_type.partition(";")[0].strip().lower()
    found = _TYPES.get(media_type)
    if found is not None:
        return found
    if media_type.endswith("+json"):
        return "json"
    if media_type.endswith("+xml"):
        return "xml"
    return "" if media_type in _VAGUE else "?"


def is_soap(content_type: str) -> bool:
    """Whether an answer may be a SOAP envelope: its faults come under the statuses of failures."""
    return content_type.partition(";")[0].strip().lower() in ("text/xml", "application/soap+xml")


def read(body: bytes, kind: str) -> Any:
    """A document of a kind; "" is told by how it begins. A Table for CSV and JSON lines. Raises Unreadable."""
    if not body.strip():
        return None
    reader = READERS.get(kind) if kind else _sniffed(body.lstrip()[:5])
    if reader is None:
        raise Unreadable("kind")
    return reader(body)


def _sniffed(start: bytes) -> Callable[[bytes], Any] | None:
    if start[:1] in (b"{", b"["):
        return from_json
    if start == b"<?xml":
        return from_xml
    return from_php if start[:2] in (b"a:", b"s:", b"i:", b"d:", b"b:", b"N;") else None


def read_legacy(body: bytes) -> Any:
    """An answer, told apart by how it begins and ends as the stock client of 1.99x does. Raises Unreadable."""
    text = body.strip()
    if text.startswith(b"{") and text.endswith(b"}"):
        return from_json(text)
    if text.startswith(b"<?xml"):
        return from_xml(text, attributes=False)
    return from_php(text)
