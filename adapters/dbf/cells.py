"""Parsers from the bytes of a field to values that SQLite stores exactly.

Every parser comes in two forms. The fast one takes a whole column and accepts only plain values; the slow one takes
a cell, and raises BadCell with what is wrong with it.

Numbers written in digits are stored as 64-bit integers or as doubles of at most 15 digits, from which the digits can
be restored. A column with a number that is neither raises Inexact: it is then stored as text with a numeric
collation.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from adapters.dbf.header import Field, Header

#: Decimal digits that every double preserves.
DOUBLE_DIGITS = 15

_INT64 = 2**63
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
#: Days between day 0 of the Julian count and the day before 0001-01-01.
_JULIAN = 1721425
_MAX_DICT = 50_000


class BadCell(ValueError):
    """A cell without a value of its type. The text says what is wrong, without the value."""


class Inexact(Exception):
    """A number that the column's storage would change."""


Parse = Callable[[bytes], Any]
ParseAll = Callable[[Sequence[bytes]], list[Any]]


def parsers(field: Field, header: Header, exact: bool) -> tuple[ParseAll, Parse]:
    """Return the two parsers of a field that is not a memo: for a column at once, and for one cell."""
    if field.type in "NF":
        return _numbers(field, exact)
    if field.kind == "date":
        return _cached(_date)
    if field.kind == "boolean":
        return _cached(_boolean)
    if field.type in "I+":
        return _each(_integer7) if header.level7 else (_integers, _integer)
    if field.type == "Y":
        return _each(_currency_exact if exact else _currency)
    if field.kind == "float":
        return _each(_double7 if header.level7 else _double)
    if field.kind == "datetime":
        return _each({"T": _datetime, "7": _datetime_ms, "@": _datetime7}[field.type])
    return list, bytes


def _each(cell: Parse) -> tuple[ParseAll, Parse]:
    return lambda cells: list(map(cell, cells)), cell


def _cached(cell: Parse) -> tuple[ParseAll, Parse]:
    """For fields with few different values: each value is parsed once."""
    known: dict[bytes, Any] = {}

    def column(cells: Sequence[bytes]) -> list[Any]:
        if len(known) > _MAX_DICT:
            known.clear()
        try:
            return list(map(known.__getitem__, cells))
        except KeyError:
            for raw in set(cells).difference(known):
                known[raw] = cell(raw)
            return list(map(known.__getitem__, cells))

    return column, cell


def _numbers(field: Field, exact: bool) -> tuple[ParseAll, Parse]:
    if exact:
        return _each(lambda raw: _digits(raw, field.decimals))
    if field.decimals:
        return _doubles(field.width), _decimal
    return _wholes(field.width), _whole


def _only(cells: Sequence[bytes], allowed: bytes) -> None:
    if b"".join(cells).translate(None, allowed):
        raise BadCell


def _wholes(width: int) -> ParseAll:
    blanks = (b" " * width, b"\0" * width)

    def column(cells: Sequence[bytes]) -> list[int | None]:
        # int() accepts more notations than dBase writes.
        _only(cells, b"0123456789+- \0")
        try:
            values: list[int | None] = list(map(int, cells))
        except ValueError:
            values = [None if raw in blanks else int(raw) for raw in cells]
        if width > 18 and any(value is not None and not -_INT64 <= value < _INT64 for value in values):
            raise Inexact
        return values

    return column


def _whole(raw: bytes) -> int | None:
    value = _number(raw)
    if value is None:
        return None
    if value != value.to_integral_value() or not -_INT64 <= value < _INT64:
        raise Inexact
    return int(value)


def _doubles(width: int) -> ParseAll:
    blanks = (b" " * width, b"\0" * width)

    def column(cells: Sequence[bytes]) -> list[float | None]:
        _only(cells, b"0123456789+-. \0")
        # In a long one the significant zeros must be counted.
        if width > DOUBLE_DIGITS and any(len(raw.strip(b" 0-+")) > DOUBLE_DIGITS for raw in cells):
            return [_decimal(raw) for raw in cells]
        try:
            return list(map(float, cells))
        except ValueError:
            return [None if raw in blanks else float(raw) for raw in cells]

    return column


def _decimal(raw: bytes) -> float | None:
    value = _number(raw)
    if value is None:
        return None
    if len(value.normalize().as_tuple().digits) > DOUBLE_DIGITS or abs(value.adjusted()) > 300:
        raise Inexact
    return float(value)


def _digits(raw: bytes, scale: int) -> str | None:
    value = _number(raw)
    return None if value is None else format(value, f".{max(scale, -int(value.as_tuple().exponent))}f")


def _number(raw: bytes) -> Decimal | None:
    text = raw.strip(b" \0")
    if not text:
        return None
    if b"*" in text:
        raise BadCell("the number did not fit into its field and is lost")
    # A comma may be a decimal point or a separator of thousands: it is refused.
    if not _NUMBER.fullmatch(text):
        raise BadCell("not a number")
    return Decimal(text.decode())


def number(text: str) -> Decimal:
    """Return the number of a text. float() accepts more notations than the copies contain."""
    return Decimal(text.strip())


def _date(raw: bytes) -> str | None:
    if not raw.strip(b" 0\0"):
        return None
    if not raw.isdigit():
        raise BadCell("not a date")
    try:
        return date(int(raw[:4]), int(raw[4:6]), int(raw[6:])).isoformat()
    except ValueError:
        raise BadCell("the date does not exist") from None


def _boolean(raw: bytes) -> int | None:
    if raw in (b"T", b"t", b"Y", b"y"):
        return 1
    if raw in (b"F", b"f", b"N", b"n"):
        return 0
    if raw in (b"?", b" ", b"\0"):
        return None
    raise BadCell("neither true nor false")


def _integers(cells: Sequence[bytes]) -> list[int]:
    return list(struct.unpack(f"<{len(cells)}i", b"".join(cells)))


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _integer7(raw: bytes) -> int | None:
    """dBase 7 inverts the sign bit, so that bytes sort as numbers; all zero is blank."""
    return int.from_bytes(raw, "big") - 2**31 if any(raw) else None


def _currency(raw: bytes) -> float:
    value = int.from_bytes(raw, "little", signed=True)
    if abs(value) >= 10**DOUBLE_DIGITS:
        raise Inexact
    return value / 10_000


def _currency_exact(raw: bytes) -> str:
    return format(Decimal(int.from_bytes(raw, "little", signed=True)).scaleb(-4), "f")


def _double(raw: bytes) -> float:
    value: float = struct.unpack("<d", raw)[0]
    if not math.isfinite(value):
        raise BadCell("not a number")
    return value


def _double7(raw: bytes) -> float | None:
    """A positive number has its sign bit inverted, a negative one all of its bits; all zero is blank."""
    if not any(raw):
        return None
    bits = int.from_bytes(raw, "big")
    bits ^= 2**63 if bits & 2**63 else 2**64 - 1
    return _double(bits.to_bytes(8, "little"))


def _datetime(raw: bytes) -> str | None:
    """FoxPro stores the milliseconds of some whole seconds one too low: 59.999 means the next minute."""
    return _instant(raw, lambda ms: ms + 1 if ms % 1000 == 999 else ms)


def _datetime_ms(raw: bytes) -> str | None:
    return _instant(raw, lambda ms: ms)


def _instant(raw: bytes, rounded: Callable[[int], int]) -> str | None:
    day, ms = struct.unpack("<Ii", raw)
    if not day or not raw.strip(b" "):
        return None
    if not 0 <= ms < 86_400_000:
        raise BadCell("the time of day does not exist")
    return _isoformat(day - _JULIAN, rounded(ms))


def _datetime7(raw: bytes) -> str | None:
    """dBase 7 counts milliseconds in a double; the first day is 0001-01-01."""
    if not any(raw):
        return None
    ms: float = struct.unpack(">d", raw)[0]
    if not math.isfinite(ms):
        raise BadCell("not a date")
    return _isoformat(0, round(ms))


def _isoformat(day: int, ms: int) -> str:
    """``day`` 1 is 0001-01-01."""
    try:
        value = datetime(1, 1, 1) + timedelta(days=day - 1, milliseconds=ms)
    except OverflowError:
        raise BadCell("the date does not exist") from None
    return value.isoformat(" ")
