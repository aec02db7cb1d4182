"""PHP serialize() text of the same structure as in JSON: data (a list of rows), count, truncated.

Integers are i: (strings beyond 64 bits), floats d: with the shortest digits that are read as the same float, decimals
s: digit for digit, booleans b:, NULL N. A column of type json nests. The response of a writing operation is an array
with the one key ``affected``; the document of a proxy operation is written unchanged. serialize() needs the number of
rows before the rows, so that a response with more than one batch is spooled: in memory up to SPOOL bytes, then on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from tempfile import SpooledTemporaryFile

from mantra.gateway.formats.php import MAX_INTEGER, MIN_INTEGER, STYLE, key, serialize
from mantra.gateway.formats.values import (
    Style,
    Values,
    batches_ahead,
    canonical,
    canonical_column,
    columns_of,
    unique_names,
    weave,
)
from registry.results import Affected, Column, Document, Row, Rows

SPOOL = 4 * 1024 * 1024
CHUNK = 128 * 1024

#: Converts a column's values: (values, type, style).
Prepare = Callable[[Values, str | None, Style], Values]

_HEADS = tuple(f's:{length}:"' for length in range(512))


def _strings(values: Values) -> list[Sequence[str]] | None:
    """Return the prefixes (s:length:") and the texts of a column of str, None if a text is too long or not UTF-8."""
    joined = "".join(values)
    try:
        if joined.isascii():
            return [[_HEADS[length] for length in map(len, values)], values]
        return [[_HEADS[len(value.encode())] for value in values], values]
    except (IndexError, UnicodeEncodeError):
        return None


@lru_cache(4096)
def key_text(name: str) -> str:
    """Return an array's key as serialize() writes it."""
    return serialize(key(name))


class RowSerializer:
    """Writes batches of rows as the elements of a PHP array, numbered from 0 over all batches."""

    __slots__ = ("columns", "count", "keys", "prepare", "style")

    def __init__(self, columns: Sequence[Column], style: Style, prepare: Prepare = canonical_column) -> None:
        self.columns = columns
        self.keys = [key_text(name) for name in unique_names(columns)]
        self.style = style
        #: Makes the values that are written out of a column's.
        self.prepare = prepare
        self.count = 0

    def write(self, batch: list[Row]) -> bytes:
        if not batch:
            return b""
        numbers = [str(number) for number in range(self.count, self.count + len(batch))]
        self.count += len(batch)
        pieces = ["i:", f";a:{len(self.columns)}:{{"]
        cells: list[Sequence[str]] = [numbers]
        for values, column, name in zip(columns_of(batch), self.columns, self.keys, strict=True):
            pieces[-1] += name
            texts = self._cells(values, column)
            cells += texts
            pieces += ["", '";'] if len(texts) == 2 else [""]
        pieces[-1] += "}"
        return weave(pieces, cells, len(batch)).encode("utf-8", "surrogateescape")

    def _cells(self, values: Values, column: Column) -> list[Sequence[str]]:
        values = self.prepare(values, column.type, self.style)
        types = set(map(type, values))
        if types == {str} and (strings := _strings(values)):
            return strings
        if types == {int} and min(values) >= MIN_INTEGER and max(values) <= MAX_INTEGER:
            return [[f"i:{value};" for value in values]]
        return [[serialize(value) for value in values]]


def spooled(rows: Rows, writer: RowSerializer, before: bytes, after: Callable[[], bytes]) -> Iterator[bytes]:
    """Yield ``before``, the rows as one array, and the result of ``after``, which is called after the last row.

    Rows in one batch are one chunk.
    """
    batches = batches_ahead(rows.batches)
    batch, last = next(batches)
    body = writer.write(batch)
    if last:
        yield b"%ba:%d:{%b}%b" % (before, writer.count, body, after())
        return
    with SpooledTemporaryFile(SPOOL) as spool:
        spool.write(body)
        for batch, _ in batches:
            spool.write(writer.write(batch))
        spool.seek(0)
        yield b"%ba:%d:{" % (before, writer.count)
        yield from iter(lambda: spool.read(CHUNK), b"")
    yield b"}" + after()


class PhpSerialize:
    name = "php"
    media_type = "application/vnd.php.serialized"
    suffix = "php"

    def render(self, rows: Rows, operation_name: str = "") -> Iterator[bytes]:
        writer = RowSerializer(rows.columns, STYLE)

        def after() -> bytes:
            return f"{serialize('count')}i:{writer.count};{serialize('truncated')}b:{rows.truncated:d};}}".encode()

        return spooled(rows, writer, b'a:3:{s:4:"data";', after)

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        return serialize({"affected": affected.count if affected.count >= 0 else None}).encode()

    def render_document(self, document: Document) -> bytes:
        return serialize(canonical(document.value, None, STYLE)).encode()


FORMAT = PhpSerialize()
