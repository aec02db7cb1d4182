"""JSON: ``{"data":[{"column":value,…},…],"count":N,"truncated":false}``.

``count`` and ``truncated`` come last because they are known last. Decimals are numbers with the
source's own digits, integers are numbers of any length, not-a-number and the infinities are strings,
a column of type json is nested. An operation that writes answers ``{"affected":N}``, with null where
the source does not say; a proxy's document is written as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
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
from registry.results import Affected, Column, Document, Row, Rows

#: Types whose values orjson writes canonically as they come, be they text or Python's own.
_DIRECT = ("text", "date", "uuid")

#: Classes whose values stay as they are in a column of no type.
_PLAIN = {str, int, bool, type(None)}


@lru_cache(maxsize=256)
def _maker(names: tuple[str, ...]) -> Callable[[Iterable[Row]], list[dict[str, Any]]]:
    """Makes an object of each row, all of these names.

    Compiled for them, as collections.namedtuple is for its own: twice as fast as dict(zip(names, row)).
    """
    values = "".join(f"v{place}, " for place in range(len(names)))
    pairs = ", ".join(f"{name!r}: v{place}" for place, name in enumerate(names))
    text = f"lambda rows: [{{{pairs}}} for {values} in rows]" if names else "lambda rows: [{} for _ in rows]"
    made: Callable[[Iterable[Row]], list[dict[str, Any]]] = eval(text, {"__builtins__": {}})  # noqa: S307 (names are quoted)
    return made


class RowEncoder:
    """Encodes batches of one table's rows as the inside of a JSON list of objects."""

    __slots__ = ("columns", "names", "plain", "typed")

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.names = unique_names(columns)
        self.typed = [(place, column.type) for place, column in enumerate(columns) if column.type not in _DIRECT]
        #: No column has a type that means anything, and no value so far wanted a look of its own.
        self.plain = all(kind is None for _, kind in self.typed)

    def encode(self, batch: list[Row]) -> bytes:
        """``[{…},{…}]`` of a batch."""
        try:
            return orjson.dumps(self._objects(batch))
        except TypeError:
            return orjson.dumps(self._safe(batch))

    def encode_each(self, batch: list[Row]) -> list[bytes]:
        """One ``{…}`` for each row of a batch."""
        try:
            return list(map(orjson.dumps, self._objects(batch)))
        except TypeError:
            return [orjson.dumps(row) for row in self._safe(batch)]

    def _objects(self, batch: list[Row]) -> list[dict[str, Any]]:
        """Each row by its columns' names."""
        rows: Iterable[Row] = batch
        self.plain = self.plain and (not self.typed or set(map(type, chain.from_iterable(batch))) <= _PLAIN)
        if self.plain:
            pass
        elif len(batch) < FEW:
            rows = [self._canonical(row) for row in batch]
        else:
            columns = columns_of(batch)
            for place, kind in self.typed:
                columns[place] = canonical_column(columns[place], kind, JSON)
            rows = zip(*columns, strict=True)
        return _maker(tuple(self.names))(rows)

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
