"""JSON: ``{"data":[{"column":value,…},…],"count":N,"truncated":false}``.

``count`` and ``truncated`` come last because they are known last. Decimals are numbers with the
source's own digits, integers are numbers of any length, not-a-number and the infinities are strings,
a column of type json is nested. An operation that writes answers ``{"affected":N}``, with null where
the source does not say; a proxy's document is written as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import orjson

from mantra.gateway.formats.values import (
    FEW,
    JSON,
    batches_ahead,
    canonical,
    canonical_column,
    columns_of,
    json_safe,
    unique_names,
)
from registry.calls import Affected, Column, Document, Row, Rows

#: Types whose values orjson writes canonically as they come, be they text or Python's own.
_DIRECT = ("text", "date", "uuid")


class RowEncoder:
    """Encodes batches of one table's rows as the inside of a JSON list of objects."""

    __slots__ = ("columns", "names", "typed")

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.names = unique_names(columns)
        self.typed = [(place, column.type) for place, column in enumerate(columns) if column.type not in _DIRECT]

    def encode(self, batch: list[Row]) -> bytes:
        """``[{…},{…}]`` of a batch."""
        try:
            return orjson.dumps(list(map(dict, self._pairs(batch))))
        except TypeError:
            return orjson.dumps(self._safe(batch))

    def encode_each(self, batch: list[Row]) -> list[bytes]:
        """One ``{…}`` for each row of a batch."""
        try:
            return list(map(orjson.dumps, map(dict, self._pairs(batch))))
        except TypeError:
            return [orjson.dumps(row) for row in self._safe(batch)]

    def _pairs(self, batch: list[Row]) -> Iterator[Iterator[tuple[str, Any]]]:
        """The (name, value) pairs of each row."""
        rows: Iterable[Row] = batch
        if not self.typed:
            pass
        elif len(batch) < FEW:
            rows = [self._canonical(row) for row in batch]
        else:
            columns = columns_of(batch)
            for place, kind in self.typed:
                columns[place] = canonical_column(columns[place], kind, JSON)
            rows = zip(*columns, strict=True)
        return map(zip, repeat(self.names), rows)

    def _canonical(self, row: Row) -> Row:
        values = list(row)
        for place, kind in self.typed:
            if (value := values[place]) is not None:
                values[place] = canonical(value, kind, JSON)
        return tuple(values)

    def _safe(self, batch: list[Row]) -> list[dict[str, Any]]:
        """A batch in which orjson refused something: lone surrogates, long integers, a class of a driver's own."""
        kinds = [column.type for column in self.columns]
        return [
            {
                name: json_safe(canonical(value, kind, JSON))
                for name, value, kind in zip(self.names, row, kinds, strict=True)
            }
            for row in batch
        ]


class Json:
    name = "json"
    media_type = "application/json"
    suffix = "json"

    def render(self, rows: Rows, operation_name: str = "") -> Iterator[bytes]:
        encoder = RowEncoder(rows.columns)
        lead, count = b'{"data":[', 0
        for batch, last in batches_ahead(rows.batches):
            count += len(batch)
            inside = encoder.encode(batch)[1:-1]
            if last:
                truncated = b"true" if rows.truncated else b"false"
                yield b'%b%b],"count":%d,"truncated":%b}' % (lead, inside, count, truncated)
            else:
                yield lead + inside
                lead = b","

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        return orjson.dumps({"affected": affected.count if affected.count >= 0 else None})

    def render_document(self, document: Document) -> bytes:
        return orjson.dumps(json_safe(canonical(document.value, None, JSON)))


FORMAT = Json()
