"""The formats that an answer can have. Each is a few facts and how to write it:

``name``, ``media_type``, ``suffix``; ``render(rows, operation_name)``, an iterator of bytes, one piece
for an answer of one batch and about one piece a batch beyond; ``render_affected(affected,
operation_name)`` and ``render_document(document)``, bytes. What a format cannot write is
Fault(OUTPUT_FORMAT). What the rows' source raises while they stream passes through, and nothing that
looks like an end is written after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mantra.gateway.formats import csv, json, legacy, ndjson, php_array, php_serialize, xlsx, xml
from registry.results import Affected, Document, Rows


class Format(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def suffix(self) -> str: ...

    def render(self, rows: Rows, operation_name: str) -> Iterator[bytes]: ...
    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes: ...
    def render_document(self, document: Document) -> bytes: ...


class LegacyFormat(Format, Protocol):
    def render_fault(self, code: int, message: str) -> bytes: ...


#: By name, which is also the suffix in an address.
FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        json.FORMAT, xml.FORMAT, csv.FORMAT, ndjson.FORMAT, php_serialize.FORMAT, php_array.FORMAT, xlsx.FORMAT,
    )
}  # fmt: skip

LEGACY: dict[str, LegacyFormat] = {each.name: each for each in (legacy.JSON, legacy.XML, legacy.PHP)}
