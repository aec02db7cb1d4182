"""PHP var_export() text (``array (…)``, no ``<?php``) of the same array as in PHP serialize() text.

Integers are bare (quoted beyond 64 bits), floats have a point, decimals are quoted digit for digit, booleans are true
and false, null is NULL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from mantra.gateway.formats.php import STYLE, entry, entry_start, key, quoted, var_export
from mantra.gateway.formats.values import (
    Values,
    batches_ahead,
    canonical,
    canonical_column,
    columns_of,
    unique_names,
    weave,
)
from registry.results import Affected, Column, Document, Row, Rows

_ROW = "    "


def _quoted_column(values: Values) -> list[str]:
    joined = "".join(values)
    if joined.isascii() and not ("\\" in joined or "'" in joined or "\0" in joined):
        return [f"'{value}'" for value in values]
    return [quoted(value) for value in values]


@lru_cache(4096)
def _start(name: int | str) -> str:
    return entry_start(name, _ROW)


class RowExporter:
    """Writes batches of rows as entries of the array ``data``, numbered from 0 over all batches."""

    __slots__ = ("columns", "count", "names")

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.names = [key(name) for name in unique_names(columns)]
        self.count = 0

    def write(self, batch: list[Row]) -> str:
        if not batch:
            return ""
        numbers = [f"{_ROW}{number} => \n{_ROW}array (\n" for number in range(self.count, self.count + len(batch))]
        self.count += len(batch)
        pieces = ["", ""]
        cells = [numbers]
        for raw, column, name in zip(columns_of(batch), self.columns, self.names, strict=True):
            values = canonical_column(raw, column.type, STYLE)
            if set(map(type, values)) == {str}:
                pieces[-1] += _start(name)
                cells.append(_quoted_column(values))
                pieces.append(",\n")
            else:
                cells.append([entry(name, value, _ROW) for value in values])
                pieces.append("")
        pieces[-1] += f"{_ROW}),\n"
        return weave(pieces, cells, len(batch))


class PhpArray:
    name = "phpa"
    media_type = "application/x-php-array"
    suffix = "phpa"

    def render(self, rows: Rows, operation_name: str = "") -> Iterator[bytes]:
        exporter = RowExporter(rows.columns)
        lead = f"array (\n{entry_start('data', '', True)}array (\n"
        for batch, last in batches_ahead(rows.batches):
            text = lead + exporter.write(batch)
            lead = ""
            if last:
                text += f"  ),\n{entry('count', exporter.count, '')}{entry('truncated', rows.truncated, '')})"
            yield text.encode()

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        return var_export({"affected": affected.count if affected.count >= 0 else None}).encode()

    def render_document(self, document: Document) -> bytes:
        return var_export(canonical(document.value, None, STYLE)).encode()


FORMAT = PhpArray()
