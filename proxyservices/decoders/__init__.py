"""Decoders of responses: JSON, XML, PHP's serialize(), CSV, JSON lines. They have limits, and never run code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from proxyservices.decoders.charset import beginning, charset_of, text_of
from proxyservices.decoders.json import decode_json
from proxyservices.decoders.limits import DecodeError
from proxyservices.decoders.php import decode_php
from proxyservices.decoders.table import decode_csv, decode_ndjson
from proxyservices.decoders.xml import decode_xml

Decoder = Callable[[bytes, str], Any]
DECODERS: dict[str, Decoder] = {
    "json": decode_json,
    "xml": decode_xml,
    "php": decode_php,
    "csv": decode_csv,
    "ndjson": decode_ndjson,
}
_TYPES = {
    "application/json": "json", "text/json": "json", "application/xml": "xml", "text/xml": "xml", "text/csv": "csv",
    "application/csv": "csv", "text/tab-separated-values": "csv", "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson", "application/jsonl": "ndjson", "application/vnd.php.serialized": "php",
    "application/x-php-array": "phpa",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}  # fmt: skip
#: Media types that do not name a format: the beginning of the body shows it.
_VAGUE = frozenset((
    "", "text/plain", "application/octet-stream", "text/html", "text/javascript", "application/javascript",
    "application/x-javascript",
))  # fmt: skip
_PHP = re.compile(r"[asidb]:|N;")


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
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in ("text/xml", "application/soap+xml", "multipart/related")


def decode(body: bytes, content_type: str) -> Any:
    """Return a body's content: None if empty, a Table for CSV and JSON lines. Raises DecodeError.

    If the Content-Type names no format, the beginning of the body decides.
    """
    if not body.strip():
        return None
    kind, charset = kind_of(content_type), charset_of(content_type)
    decoder = DECODERS.get(kind) if kind else _sniff(body, charset)
    if decoder is None:
        raise DecodeError("kind")
    return decoder(body, charset)


def _sniff(body: bytes, charset: str) -> Decoder | None:
    start = beginning(body, charset)
    if start.startswith(("{", "[")):
        return decode_json
    if start.startswith("<"):
        return _decode_unnamed_xml
    return decode_php if _PHP.match(start) else None


def _decode_unnamed_xml(body: bytes, charset: str) -> Any:
    """Return XML's content. Raises DecodeError for a page: well-formed HTML can be parsed, but is no document."""
    document = decode_xml(body, charset)
    if "html" in map(str.lower, document):
        raise DecodeError("html")
    return document


def readable_text(body: bytes, content_type: str) -> str:
    """Return a body of any format as text; bytes that are no text become U+FFFD."""
    try:
        return text_of(body, charset_of(content_type))
    except DecodeError:
        return body.decode(errors="replace")
