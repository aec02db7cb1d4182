"""Decoders of responses: JSON, XML, PHP's serialize(), CSV, JSON lines. They have limits, and never run code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxyservices.decoders.json import decode_json
from proxyservices.decoders.limits import DecodeError
from proxyservices.decoders.php import decode_php
from proxyservices.decoders.table import decode_csv, decode_ndjson
from proxyservices.decoders.xml import decode_xml

DECODERS: dict[str, Callable[[bytes], Any]] = {
    "json": decode_json,
    "xml": decode_xml,
    "php": decode_php,
    "csv": decode_csv,
    "ndjson": decode_ndjson,
}
_TYPES = {
    "application/json": "json", "text/json": "json", "application/xml": "xml", "text/xml": "xml", "text/csv": "csv",
    "application/csv": "csv", "application/x-ndjson": "ndjson", "application/ndjson": "ndjson",
    "application/jsonl": "ndjson", "application/vnd.php.serialized": "php", "application/x-php-array": "phpa",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}  # fmt: skip
#: Media types that do not name a format: the beginning of the body shows it.
_VAGUE = frozenset(("", "text/plain", "application/octet-stream", "text/html"))


def kind_of(content_type: str) -> str:
    """Return the format that a Content-Type names: "" if it names none, "?" if the bus does not know it."""
    media_type = content_type.partition(";")[0].strip().lower()
    kind = _TYPES.get(media_type)
    if kind is not None:
        return kind
    if media_type.endswith("+json"):
        return "json"
    if media_type.endswith("+xml"):
        return "xml"
    return "" if media_type in _VAGUE else "?"


def is_soap(content_type: str) -> bool:
    """Return True if a response may be a SOAP envelope: SOAP faults come with statuses of failures."""
    return content_type.partition(";")[0].strip().lower() in ("text/xml", "application/soap+xml")


def decode(body: bytes, kind: str) -> Any:
    """Return a body's content: None if empty, a Table for CSV and JSON lines. Raises DecodeError.

    ``kind`` is a format as kind_of() returns it; for "" the beginning of the body decides.
    """
    if not body.strip():
        return None
    decoder = DECODERS.get(kind) if kind else _sniff(body.lstrip()[:5])
    if decoder is None:
        raise DecodeError("kind")
    return decoder(body)


def _sniff(start: bytes) -> Callable[[bytes], Any] | None:
    if start[:1] in (b"{", b"["):
        return decode_json
    if start == b"<?xml":
        return decode_xml
    return decode_php if start[:2] in (b"a:", b"s:", b"i:", b"d:", b"b:", b"N;") else None


def decode_legacy(body: bytes) -> Any:
    """Return a body's content. Raises DecodeError.

    Its beginning and end decide between JSON, XML and PHP, as in the stock client of 1.99x.
    """
    text = body.strip()
    if text.startswith(b"{") and text.endswith(b"}"):
        return decode_json(text)
    if text.startswith(b"<?xml"):
        return decode_xml(text, attributes=False)
    return decode_php(text)
