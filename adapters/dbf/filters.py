"""Selects the records of a block for which a comparison may hold.

Texts are compared byte by byte: a byte of all records at once, as a slice with the record's width as its step. Other
values are read by the parsers of the copies and compared then.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from adapters.dbf.cells import DOUBLE_DIGITS
from adapters.dbf.comparisons import Comparison, Interval
from adapters.dbf.header import Field, Header
from adapters.dbf.records import Reader, RecordBlock, single_byte

Filter = Callable[[RecordBlock], RecordBlock]

#: An offset in the record, and a table of 256 bytes: 1 for each byte that may be there.
Place = tuple[int, bytes]

_PADDING = b" \0"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FRACTION = 1e-12

#: The bytes of numbers that a column surely stores without a change, if there are not too many.
_WHOLE, _DECIMAL, _ZEROS = b"0123456789+- \0", b"0123456789+-. \0", b"0+- \0"
_WHOLE_DIGITS = 18


def filters(comparisons: Iterable[Comparison], reader: Reader) -> list[Filter]:
    """Return the filters of all comparisons, the quickest first."""
    by_name = {field.name: field for field in reader.header.fields}
    quick, slow = [], []
    for comparison in comparisons:
        field = by_name[comparison.column]
        by_bytes = _by_bytes(comparison, field, reader.header)
        by_digits = _by_digits(comparison, field)
        quick += [each for each in (by_bytes, by_digits) if each is not None]
        # The bytes of a single value leave nothing to compare.
        if by_bytes is None or (not comparison.prefix and len(comparison.intervals) > 1):
            slow.append(_by_values(comparison, field, reader))
    return quick + slow


def _by_bytes(comparison: Comparison, field: Field, header: Header) -> Filter | None:
    """Return a filter of the bytes of a field that is compared with values or a prefix; None where that cannot be."""
    if any(low != high for low, high in comparison.intervals):
        return None
    values = [comparison.prefix] if comparison.prefix else [low for low, _ in comparison.intervals]
    encoded = [_cell(value, field, header) for value in values]
    cells = [cell for cell in encoded if cell is not None]
    if len(cells) < len(encoded):
        return None
    fitting = [cell for cell in cells if len(cell) <= field.width]
    places = list(_places(field, fitting, bool(comparison.prefix)))
    return lambda block: _with_bytes(block, places) if fitting else block.only([])


def _cell(value: Any, field: Field, header: Header) -> bytes | None:
    """Return the only bytes, without padding, that a field has for a value; None if it may have others."""
    if field.kind == "text":
        return _encoded(value, header.encoding)
    if field.kind == "date" and _DATE.fullmatch(value):
        return bytes(value.replace("-", ""), "ascii")
    if field.type in "I+" and not header.level7 and type(value) is int and -(2**31) <= value < 2**31:
        return value.to_bytes(4, "little", signed=True)
    return None


def _by_digits(comparison: Comparison, field: Field) -> Filter | None:
    """Return a filter for one number in digits. It keeps all numbers that are not written as programs do: with all
    decimals, at the right end of the field."""
    if field.type not in "NF" or len(comparison.intervals) != 1:
        return None
    low, high = comparison.intervals[0]
    if low is None or low != high or len(text := f"{abs(low):.{field.decimals}f}") > min(field.width, DOUBLE_DIGITS):
        return None
    digits, usual = list(_digit_places(field, text)), _usual_places(field)

    def number(block: RecordBlock) -> RecordBlock:
        if not are_short(field, block):
            return block
        return _marked(block, _marks(block, digits) | ~_marks(block, usual))

    return number


def _digit_places(field: Field, text: str) -> Iterator[Place]:
    """Return what each byte of the field is for a number, the last one first."""
    end = field.offset + field.width
    # The zero before the point may be missing.
    digits = (text.lstrip("0") if field.decimals else text).encode()
    for at in range(1, field.width + 1):
        yield end - at, _table(digits[-at : len(digits) - at + 1] if at <= len(digits) else _ZEROS)


def _usual_places(field: Field) -> list[Place]:
    end = field.offset + field.width
    point = [(end - field.decimals - 1, _table(b"."))] if field.decimals else []
    return [(end - 1, _table(b"0123456789")), *point]


def are_short(field: Field, block: RecordBlock) -> bool:
    """Return True if all numbers of the block are plain digits, few enough to be stored without a change."""
    allowed, digits = (_DECIMAL, DOUBLE_DIGITS) if field.decimals else (_WHOLE, _WHOLE_DIGITS)
    for at in range(field.width):
        column = block.data[field.offset + at :: block.width]
        if column.translate(None, allowed if at >= field.width - digits else _ZEROS):
            return False
    return True


def _places(field: Field, cells: list[bytes], prefix: bool) -> Iterator[Place]:
    """Return what each byte of the field may be. The last ones come first: they differ most among numbers."""
    if not cells:
        return
    for at in reversed(range(min(max(map(len, cells)) + 1, field.width))):
        allowed = _allowed(cells, at, prefix, padded=field.length_bit is None)
        if allowed is not None:
            yield field.offset + at, _table(allowed)


def _allowed(cells: list[bytes], at: int, prefix: bool, padded: bool) -> set[int] | None:
    """Return the bytes that may be at a place; None for any."""
    allowed: set[int] = set()
    for cell in cells:
        if at < len(cell):
            byte = cell[at : at + 1]
            allowed.update(byte.lower() + byte.upper() if prefix else byte)
        elif at == len(cell) and padded and not prefix:
            allowed.update(_PADDING)
        else:
            return None
    return allowed


def _table(allowed: Container[int]) -> bytes:
    return bytes([byte in allowed for byte in range(256)])


def _with_bytes(block: RecordBlock, places: Sequence[Place]) -> RecordBlock:
    """Return the records that have allowed bytes at all places."""
    return _marked(block, _marks(block, places))


def _marks(block: RecordBlock, places: Sequence[Place]) -> int:
    """Return a number with a byte for each record, the first one lowest: 1 if it has allowed bytes at all places."""
    marks = int.from_bytes(b"\1" * len(block.numbers), "little")
    for offset, table in places:
        marks &= int.from_bytes(block.data[offset :: block.width].translate(table), "little")
        if not marks:
            break
    return marks


def _marked(block: RecordBlock, marks: int) -> RecordBlock:
    """Return the records with an odd byte among their marks."""
    count = len(block.numbers)
    whole = marks & int.from_bytes(b"\1" * count, "little")
    texts, found, at = whole.to_bytes(count, "little"), [], -1
    while (at := texts.find(1, at + 1)) >= 0:
        found.append(at)
    return block.only(found)


def _by_values(comparison: Comparison, field: Field, reader: Reader) -> Filter:
    """Return a filter of the values."""
    if comparison.prefix:
        return lambda block: block.only(_beginning(reader.values(field, block), comparison.prefix))
    of_cells = _as_cells(comparison.intervals, field, reader.header.encoding)
    if of_cells is not None:
        within_cells = _within(of_cells)
        return lambda block: block.only(within_cells([cell.rstrip(_PADDING) for cell in block.column(field)]))
    within = _within([(_widened(low, -1), _widened(high, 1)) for low, high in comparison.intervals])
    return lambda block: block.only(within(reader.values(field, block)))


def _widened(value: Any, direction: int) -> Any:
    """Return a number that is a little lower or higher: SQLite may read a double's digits differently."""
    return value + direction * abs(value) * _FRACTION if isinstance(value, float) else value


def _beginning(values: Iterable[Any], prefix: str) -> list[int]:
    # bytes.lower() changes ASCII letters only, as LIKE does.
    wanted = prefix.encode().lower()
    return [at for at, value in enumerate(values) if value is not None and value.encode().lower().startswith(wanted)]


def _as_cells(intervals: Sequence[Interval], field: Field, encoding: str) -> list[Interval] | None:
    """Return the intervals as bytes, if the bytes of a cell are in the order of the characters; else None."""
    if field.kind != "text" or field.length_bit is not None:
        return None
    ends = [end for interval in intervals for end in interval if end is not None]
    # Among the characters beyond ASCII a code page has an order of its own.
    if _codes(encoding) is None or not (_is_utf8(encoding) or all(map(str.isascii, ends))):
        return None
    return [tuple(None if end is None else end.encode() for end in interval) for interval in intervals]  # type: ignore[misc]


def _within(intervals: Sequence[Interval]) -> Callable[[Iterable[Any]], list[int]]:
    """Return a function that returns the places of the values within one of the intervals."""
    if not intervals:
        return lambda values: []
    if len(intervals) == 1:
        return _within_one(*intervals[0])
    # Several come from IN: their lowest and highest values are known.
    ordered = sorted(intervals)
    lows, highs = [low for low, _ in ordered], [high for _, high in ordered]

    def inside(value: Any) -> bool:
        at = bisect_right(lows, value) - 1
        return at >= 0 and bool(value <= highs[at])

    return lambda values: [at for at, value in enumerate(values) if value is not None and inside(value)]


def _within_one(low: Any, high: Any) -> Callable[[Iterable[Any]], list[int]]:
    if high is None:
        return lambda values: [at for at, value in enumerate(values) if value is not None and value >= low]
    if low is None:
        return lambda values: [at for at, value in enumerate(values) if value is not None and value <= high]
    return lambda values: [at for at, value in enumerate(values) if value is not None and low <= value <= high]


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "utf-8"


def _encoded(text: str, encoding: str) -> bytes | None:
    """Return the only bytes that are this text; None if there may be others, or none."""
    codes = _codes(encoding)
    if codes is None:
        return None
    if not codes:
        return text.encode()
    found = [codes.get(character) for character in text]
    return None if None in found else bytes([byte for byte in found if byte is not None])


@lru_cache(8)
def _codes(encoding: str) -> dict[str, int] | None:
    """Return the byte of each character that has only one; none for UTF-8, None for other code pages of several bytes.

    None also if a byte beyond ASCII is an ASCII character.
    """
    if _is_utf8(encoding):
        return {}
    if not single_byte(encoding):
        return None
    characters = [bytes((byte,)).decode(encoding, "replace") for byte in range(256)]
    if any(map(str.isascii, characters[128:])):
        return None
    return {character: byte for byte, character in enumerate(characters) if characters.count(character) == 1}
