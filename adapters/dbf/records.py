"""The records of a DBF file as rows for SQLite, up to 4,096 at a time and column by column."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, BinaryIO

from adapters.dbf import cells
from adapters.dbf.cells import BadCell
from adapters.dbf.header import Field, Header
from adapters.dbf.memo import BadMemo, MemoFile, looks_binary

#: Bytes and records that are converted together at most.
_BLOCK_BYTES = 1024 * 1024
_BLOCK_RECORDS = 4096

#: Warnings with a record number for one field; further ones are only counted.
_PER_FIELD = 20

_LIVE, _DELETED, _END = b" *\x1a"


@dataclass
class Warnings:
    """The warnings of a reading. Cells are named by record and field, never by their value."""

    lines: list[str] = field(default_factory=list)
    _cells: Counter[str] = field(default_factory=Counter)

    def cell(self, record: int, name: str, text: str) -> None:
        """Add a cell that became NULL. Records count from 1, deleted ones included, as in dBase."""
        self._cells[name] += 1
        if self._cells[name] <= _PER_FIELD:
            self.lines.append(f"record {record}, field {name}: {text}; returned as NULL")

    def all(self) -> list[str]:
        more = [
            f"field {name}: {count - _PER_FIELD} more cells are returned as NULL"
            for name, count in self._cells.items()
            if count > _PER_FIELD
        ]
        return [*dict.fromkeys(self.lines), *more]


@dataclass(slots=True)
class RecordBlock:
    """Records that are not deleted, one after another, and their numbers in the file.

    ``encoding`` is their code page, if each byte is a character in it.
    """

    data: bytes
    numbers: Sequence[int]
    width: int
    encoding: str | None
    _text: str | None = None

    def column(self, field: Field) -> Sequence[bytes]:
        return self._slices(self.data, field.offset, field.width)

    def texts(self, field: Field) -> Sequence[str]:
        assert self.encoding is not None
        if self._text is None:
            self._text = self.data.decode(self.encoding, "replace")
        return self._slices(self._text, field.offset, field.width)

    def only(self, places: Sequence[int]) -> RecordBlock:
        """Return the records at these places."""
        if len(places) == len(self.numbers):
            return self
        width = self.width
        data = b"".join([self.data[place * width : (place + 1) * width] for place in places])
        return RecordBlock(data, [self.numbers[place] for place in places], width, self.encoding)

    def _slices(self, whole: Any, offset: int, width: int) -> Sequence[Any]:
        end = len(self.numbers) * self.width
        if len(self.numbers) < 2:
            return [whole[offset : offset + width]] if end else []
        slices: Sequence[Any] = itemgetter(*[slice(start, start + width) for start in range(offset, end, self.width)])(
            whole
        )
        return slices


class Reader:
    """Reads a file's records. ``exact`` names the columns that store numbers as text.

    ``progress`` is called with the number of records read. Raises cells.Inexact (with the field's name as its
    argument) for a number that its column cannot store.
    """

    def __init__(
        self,
        file: BinaryIO,
        header: Header,
        memo: MemoFile | None,
        exact: Iterable[str] = (),
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.header = header
        self.warnings = Warnings(list(header.warnings))
        self.mixed: set[str] = set()
        self._file = file
        self._memo = memo
        self._progress = progress
        self._at_once = single_byte(header.encoding)
        self._certain = not header.assumed
        self._maybe_utf8 = codecs.lookup(header.encoding).name != "utf-8"
        self._seems_utf8 = False
        named = frozenset(exact)
        self._parsers = {
            column.name: cells.parsers(column, header, column.name in named)
            for column in header.fields
            if not column.memo and column.kind != "text"
        }

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if self._memo is None:
            for column in self.header.fields:
                if column.memo:
                    self.warnings.lines.append(f"the memo file is missing: field {column.name} is returned as NULL")
        for chunk in self.blocks():
            yield from zip(*self._columns(chunk), strict=True)
        if self._maybe_utf8 and self._seems_utf8:
            self.warnings.lines.append(
                f"the text looks like UTF-8, but was read as {self.header.encoding}: set the source's encoding"
            )

    def blocks(self) -> Iterator[RecordBlock]:
        """Read the records that are not deleted."""
        header = self.header
        at_once = max(1, min(_BLOCK_RECORDS, _BLOCK_BYTES // header.width))
        self._file.seek(header.length)
        for first in range(0, header.records, at_once):
            count = min(at_once, header.records - first)
            data = self._file.read(count * header.width)
            chunk, ended = self._live(data, first, count)
            yield chunk
            if ended:
                return
            self._progress(first + count)
        behind = self._file.read(header.width)
        if len(behind) == header.width and behind[0] in (_LIVE, _DELETED):
            self.warnings.lines.append(
                f"the file has more data after the {header.records} records that its header states: ignored"
            )

    def _live(self, data: bytes, first: int, count: int) -> tuple[RecordBlock, bool]:
        """Return the records that are not deleted, and whether the file ended with them."""
        width = self.header.width
        whole = len(data) // width
        marks = data[0 : whole * width : width]
        end = marks.find(_END)
        whole = whole if end < 0 else end
        marks = marks[:whole]
        if whole < count:
            self.warnings.lines.append(
                f"the file ends after {first + whole} records, but its header states {self.header.records}"
            )
        numbers: Sequence[int] = range(first + 1, first + whole + 1)
        if marks.count(_LIVE) < whole:
            places = [place for place in range(whole) if marks[place] != _DELETED]
            for place in places:
                if marks[place] != _LIVE:
                    self.warnings.lines.append(
                        f"record {first + place + 1} is marked neither as deleted nor as not deleted: returned"
                    )
            data = b"".join([data[place * width : (place + 1) * width] for place in places])
            numbers = [first + place + 1 for place in places]
        else:
            data = data[: whole * width]
        encoding = self.header.encoding if self._at_once else None
        return RecordBlock(data, numbers, width, encoding), whole < count

    def _columns(self, chunk: RecordBlock) -> list[Iterable[Any]]:
        flags = self._flags(chunk)
        return [self._column(column, chunk, flags) for column in self.header.fields]

    def values(self, field: Field, block: RecordBlock) -> Iterable[Any]:
        """Return the values of one field, in the order of the records."""
        return self._column(field, block, self._flags(block))

    def _flags(self, chunk: RecordBlock) -> list[int] | None:
        """Return each record's null flags as a number, or None when no bit is set in any."""
        offset, width = self.header.flags
        if not width:
            return None
        flags = [int.from_bytes(chunk.data[at : at + width], "little") for at in _starts(chunk, offset)]
        return flags if any(flags) else None

    def _column(self, field: Field, chunk: RecordBlock, flags: list[int] | None) -> Iterable[Any]:
        nulls = None
        if flags is not None and field.null_bit is not None:
            bit = 1 << field.null_bit
            nulls = [bool(flag & bit) for flag in flags]
        if field.memo:
            return self._memos(field, chunk, nulls)
        if field.length_bit is not None:
            return self._varying(field, chunk, flags, nulls)
        if field.kind == "text":
            return self._with_nulls(self._texts(field, chunk, nulls), nulls)
        raw = chunk.column(field)
        column, cell = self._parsers[field.name]
        try:
            return self._with_nulls(column(raw), nulls)
        except cells.Inexact:
            raise cells.Inexact(field.name) from None
        except ValueError:
            return self._cell_by_cell(field, raw, cell, chunk, nulls)

    def _with_nulls(self, values: Sequence[Any], nulls: list[bool] | None) -> Sequence[Any]:
        if nulls is None:
            return values
        return [None if null else value for value, null in zip(values, nulls, strict=True)]

    def _cell_by_cell(
        self, field: Field, raw: Iterable[Any], cell: Callable[[Any], Any], chunk: RecordBlock, nulls: list[bool] | None
    ) -> Iterator[Any]:
        """Convert cell by cell: a bad one becomes NULL and a warning."""
        out = []
        for place, value in enumerate(raw):
            out.append(None if nulls and nulls[place] else self._convert_cell(field, value, cell, chunk.numbers[place]))
        return iter(out)

    def _convert_cell(self, field: Field, raw: Any, cell: Callable[[Any], Any], number: int) -> Any:
        try:
            return cell(raw)
        except cells.Inexact:
            raise cells.Inexact(field.name) from None
        except (BadCell, BadMemo) as error:
            self.warnings.cell(number, field.name, str(error))
        except UnicodeDecodeError:
            self.warnings.cell(number, field.name, f"not valid {self.header.encoding} text")
        return None

    def _texts(self, field: Field, chunk: RecordBlock, nulls: list[bool] | None) -> Sequence[str | None]:
        if chunk.encoding is None:
            return list(self._cell_by_cell(field, chunk.column(field), self._text, chunk, nulls))
        padded = chunk.texts(field)
        values = list(map(str.rstrip, padded))
        whole, short = "".join(padded), "".join(values)
        if not whole.isascii():
            self._check_encoding(b"".join(chunk.column(field)))
        if "\ufffd" in whole or "\0" in short:
            return list(self._cell_by_cell(field, chunk.column(field), self._text, chunk, nulls))
        # str.rstrip() is three times as fast as rstrip(" "), but takes more than blanks.
        if len(whole) - len(short) != whole.count(" ") - short.count(" "):
            return [value.rstrip(" ") for value in padded]
        return values

    def _text(self, raw: bytes) -> str:
        return self._decoded(raw.rstrip(b" \0"))

    def _decoded(self, raw: bytes) -> str:
        if b"\0" in raw:
            raise BadCell("the text contains a NUL")
        if not raw.isascii():
            self._check_encoding(raw)
        return raw.decode(self.header.encoding)

    def _check_encoding(self, raw: bytes) -> None:
        """Note a warning if text is not ASCII and the code page is assumed, or the text looks like UTF-8."""
        if not self._certain:
            self._certain = True
            self.warnings.lines.append(
                f"the file states no code page: it was read as {self.header.encoding};"
                " set the source's encoding if that is wrong"
            )
        if self._maybe_utf8:
            try:
                raw.decode()
            except UnicodeDecodeError:
                self._maybe_utf8 = False
            else:
                self._seems_utf8 = True

    def _varying(
        self, field: Field, chunk: RecordBlock, flags: list[int] | None, nulls: list[bool] | None
    ) -> Iterable[Any]:
        """Varchar and Varbinary: with its bit set, the last byte is the length of the value."""
        assert field.length_bit is not None
        bit = 1 << field.length_bit
        short = [bool(flag & bit) for flag in flags] if flags else [False] * len(chunk.numbers)

        def cell(pair: tuple[bytes, bool]) -> Any:
            raw, counted = pair
            if counted:
                if raw[-1] >= field.width:
                    raise BadCell("the length exceeds the field")
                raw = raw[: raw[-1]]
            return self._decoded(raw) if field.kind == "text" else raw

        return self._cell_by_cell(field, zip(chunk.column(field), short, strict=True), cell, chunk, nulls)

    def _memos(self, field: Field, chunk: RecordBlock, nulls: list[bool] | None) -> Iterator[Any]:
        """Read memos one at a time as SQLite takes the rows: several thousand images would not fit in memory."""
        memo = self._memo
        for place, raw in enumerate(chunk.column(field)):
            if memo is None or (nulls and nulls[place]):
                yield None
            else:
                yield self._convert_cell(
                    field, raw, lambda raw: self._memo_value(field, memo, raw), chunk.numbers[place]
                )

    def _memo_value(self, field: Field, memo: MemoFile, raw: bytes) -> str | bytes | None:
        block = _block(raw)
        if not block:
            return None
        data = memo.read(block)
        if field.kind == "bytes":
            if memo.text_ends:
                raise BadMemo("this type of memo file does not state where binary data ends")
            return data
        if looks_binary(data.rstrip(b"\0")):
            if field.name not in self.mixed:
                self.mixed.add(field.name)
                self.warnings.lines.append(f"field {field.name} has binary data besides text: returned as bytes")
            return data
        if self._at_once and memo.wrapped:
            # 8Dh 0Ah is a line wrap of dBase's editor, not a character of a code page.
            data = data.replace(b"\x8d\n", b"\r\n")
        return self._decoded(data.rstrip(b"\0"))


def _starts(chunk: RecordBlock, offset: int) -> range:
    return range(offset, len(chunk.numbers) * chunk.width, chunk.width)


def _block(raw: bytes) -> int:
    if len(raw) == 4:
        return int.from_bytes(raw, "little")
    text = raw.strip(b" \0")
    if not text:
        return 0
    if not text.isdigit():
        raise BadCell("it does not point into the memo file")
    return int(text)


def single_byte(encoding: str) -> bool:
    """Return True if each byte is a character in this code page: then many fields can be decoded at once."""
    alone = 0
    for byte in range(128, 256):
        if len(bytes((byte, 0x41)).decode(encoding, "replace")) != 2:
            return False
        alone += "\ufffd" not in bytes((byte,)).decode(encoding, "replace")
    return alone > 0
