"""The formats of responses. Each has the interface of Format:

``name``, ``media_type``, ``suffix``; ``render(rows, operation_name)``, an iterator of bytes, one chunk for rows in one
batch and about one chunk a batch for more; ``render_affected(affected, operation_name)`` and
``render_document(document)``, bytes. They raise Fault FORMAT_IMPOSSIBLE for a result that the format cannot express.
An exception of the rows' source while they stream passes through, and nothing that looks like a regular end is written
after it.
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


#: Name, which is also the suffix in a path → format.
FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        json.FORMAT, xml.FORMAT, csv.FORMAT, ndjson.FORMAT, php_serialize.FORMAT, php_array.FORMAT, xlsx.FORMAT,
    )
}  # fmt: skip

LEGACY: dict[str, LegacyFormat] = {format.name: format for format in (legacy.JSON, legacy.XML, legacy.PHP)}
