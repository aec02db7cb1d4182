"""JSON: ``{"data":[{"column":value,…},…],"count":N,"truncated":false}``.

``count`` and ``truncated`` come last because they are known last. Decimals are numbers with the source's own digits,
integers are numbers of any length, not-a-number and the infinities are strings, a column of type json is nested. The
response of a writing operation is ``{"affected":N}``, with null if the source does not say. The document of a proxy
operation is written unchanged.
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

#: Types of values that orjson writes in the canonical form, as text or as Python's own class.
_DIRECT = ("text", "date", "uuid")

#: Classes of values that are unchanged in a column without a type.
_PLAIN = {str, int, bool, type(None)}


@lru_cache(maxsize=256)
def _object_maker(names: tuple[str, ...]) -> Callable[[Iterable[Row]], list[dict[str, Any]]]:
    """Return a function that makes objects with these names from rows.

    It is compiled for the names, as collections.namedtuple does: twice as fast as dict(zip(names, row)).
    """
    values = "".join(f"v{index}, " for index in range(len(names)))
    pairs = ", ".join(f"{name!r}: v{index}" for index, name in enumerate(names))
    text = f"lambda rows: [{{{pairs}}} for {values} in rows]" if names else "lambda rows: [{} for _ in rows]"
    make_objects: Callable[[Iterable[Row]], list[dict[str, Any]]] = eval(text, {"__builtins__": {}})  # noqa: S307 (names are quoted)
    return make_objects


class RowEncoder:
    """Encodes batches of one table's rows as JSON objects."""

    __slots__ = ("columns", "names", "plain", "typed")

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.names = unique_names(columns)
        self.typed = [(index, column.type) for index, column in enumerate(columns) if column.type not in _DIRECT]
        #: True while no column has a type that requires conversion, and no value so far needed it.
        self.plain = all(kind is None for _, kind in self.typed)

    def encode(self, batch: list[Row]) -> bytes:
        """Return a batch as ``[{…},{…}]``."""
        try:
            return orjson.dumps(self._objects(batch))
        except TypeError:
            return orjson.dumps(self._safe(batch))

    def encode_each(self, batch: list[Row]) -> list[bytes]:
        """Return one ``{…}`` for each row of a batch."""
        try:
            return list(map(orjson.dumps, self._objects(batch)))
        except TypeError:
            return [orjson.dumps(row) for row in self._safe(batch)]

    def _objects(self, batch: list[Row]) -> list[dict[str, Any]]:
        """Return the rows as objects with the columns' names."""
        rows: Iterable[Row] = batch
        self.plain = self.plain and (not self.typed or set(map(type, chain.from_iterable(batch))) <= _PLAIN)
        if self.plain:
            pass
        elif len(batch) < FEW:
            rows = [self._canonical(row) for row in batch]
        else:
            columns = columns_of(batch)
            for index, kind in self.typed:
                columns[index] = canonical_column(columns[index], kind, JSON)
            rows = zip(*columns, strict=True)
        return _object_maker(tuple(self.names))(rows)

    def _canonical(self, row: Row) -> Row:
        values = list(row)
        for index, kind in self.typed:
            if (value := values[index]) is not None:
                values[index] = canonical(value, kind, JSON)
        return tuple(values)

    def _safe(self, batch: list[Row]) -> list[dict[str, Any]]:
        """Return the objects of a batch that orjson refuses: for lone surrogates, long integers or a driver's class."""
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
            objects = encoder.encode(batch)[1:-1]
            if last:
                truncated = b"true" if rows.truncated else b"false"
                yield b'%b%b],"count":%d,"truncated":%b}' % (lead, objects, count, truncated)
            else:
                yield lead + objects
                lead = b","

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        return orjson.dumps({"affected": affected.count if affected.count >= 0 else None})

    def render_document(self, document: Document) -> bytes:
        return orjson.dumps(json_safe(canonical(document.value, None, JSON)))


FORMAT = Json()
