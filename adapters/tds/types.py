"""Columns and values: the bus's name of each type, and the exact text of what pyodbc would round."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any

from adapters.base import (
    Row,
)
from adapters.floats import single

#: The bus's names of pyodbc's Python types of columns.
TYPES: dict[type, str] = {
    int: "integer",
    bool: "boolean",
    float: "float",
    Decimal: "decimal",
    str: "text",
    bytes: "bytes",
    bytearray: "bytes",
    date: "date",
    clock: "time",
    datetime: "datetime",
}

#: The bus's names of the types in the catalogues. Every other type is text.
KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint", "intn", "uintn"), "integer"),
    **dict.fromkeys(("usmallint", "unsigned smallint", "uint", "unsigned int"), "integer"),
    **dict.fromkeys(("ubigint", "unsigned bigint"), "integer"),
    **dict.fromkeys(("decimal", "numeric", "money", "smallmoney", "decimaln", "numericn", "moneyn"), "decimal"),
    **dict.fromkeys(("float", "real", "floatn"), "float"),
    **dict.fromkeys(("binary", "varbinary", "image", "timestamp", "rowversion"), "bytes"),
    **dict.fromkeys(("datetime", "datetime2", "smalldatetime", "datetimeoffset"), "datetime"),
    **dict.fromkeys(("datetimn", "bigdatetime"), "datetime"),
    "bit": "boolean",
    "date": "date",
    "time": "time",
    "bigtime": "time",
    "uniqueidentifier": "uuid",
}  # fmt: skip


def columns_of(cursor: Any) -> tuple[tuple[str, str | None], ...]:
    """Return names and types. datetimeoffset arrives as bytes with a scale; for scale 0 see with_datetimeoffset."""
    return tuple(
        [
            (column[0], "datetime" if column[1] is bytearray and column[5] else TYPES.get(column[1], "text"))
            for column in cursor.description
        ]
    )


def with_datetimeoffset(
    columns: tuple[tuple[str, str | None], ...], rows: list[Row]
) -> tuple[tuple[str, str | None], ...]:
    """Return the columns, corrected by their values: bytes whose values are text are datetimeoffset(0)."""
    if not any(type_ == "bytes" for _, type_ in columns):
        return columns
    corrected = []
    for place, (name, type_) in enumerate(columns):
        texts = type_ == "bytes" and any(isinstance(row[place], str) for row in rows)
        corrected.append((name, "datetime" if texts else type_))
    return tuple(corrected)


_NUMERIC = struct.Struct("<xBBQQ")
_REAL = struct.Struct("<f")
_DATE = struct.Struct("<hHH")
_TIME = struct.Struct("<HHHxxI")
_STAMP = struct.Struct("<hHHHHHI")
_OFFSET = struct.Struct("<hHHHHHIhh")
_DATETIME = struct.Struct("<iI")
_SMALLDATETIME = struct.Struct("<HH")
_1900 = date(1900, 1, 1).toordinal()


def _decimal(data: bytes) -> str:
    """Return the digits of a SQL_NUMERIC_STRUCT, or of money in the server's own bytes."""
    if len(data) == 19:
        scale, positive, low, high = _NUMERIC.unpack(data)
        number = low + (high << 64)
        negative = not positive and number
    else:
        high, low = struct.unpack("<iI", data) if len(data) == 8 else (0, 0)
        number = (high << 32) + low if len(data) == 8 else struct.unpack("<i", data)[0]
        negative, number, scale = number < 0, abs(number), 4
    digits = str(number)
    if scale:
        if len(digits) <= scale:
            digits = digits.rjust(scale + 1, "0")
        digits = f"{digits[:-scale]}.{digits[-scale:]}"
    return f"-{digits}" if negative else digits


def _fraction(nanoseconds: int) -> str:
    return f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""


def _real(data: bytes) -> float:
    return single(_REAL.unpack(data)[0])


def _date(data: bytes) -> str:
    return str(date(*_DATE.unpack(data)))


def _time(data: bytes) -> str:
    hour, minute, second, nanoseconds = _TIME.unpack(data)
    return f"{hour:02}:{minute:02}:{second:02}{_fraction(nanoseconds)}"


def _moment(data: bytes) -> str:
    """Return the text of a timestamp structure, or of datetime and smalldatetime in the server's own bytes."""
    if len(data) == 16:
        return _written(*_STAMP.unpack(data))
    if len(data) == 8:
        days, ticks = _DATETIME.unpack(data)
        # A tick is 1/300 of a second; the server shows it in milliseconds that end in 0, 3 and 7.
        seconds, milliseconds = divmod((ticks * 10 + 1) // 3, 1000)
    else:
        days, minutes = _SMALLDATETIME.unpack(data)
        seconds, milliseconds = minutes * 60, 0
    day = date.fromordinal(_1900 + days)
    return f"{day} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" + _fraction(milliseconds * 1_000_000)


def _moment_with_offset(data: bytes) -> str:
    *parts, hours, minutes = _OFFSET.unpack(data)
    sign = "-" if hours < 0 or minutes < 0 else "+"
    offset = f"{sign}{abs(hours):02}:{abs(minutes):02}"
    return _written(*parts) + offset


def _written(year: int, month: int, day: int, hour: int, minute: int, second: int, nanoseconds: int) -> str:
    # str() takes half the time of a format string.
    moment = str(datetime(year, month, day, hour, minute, second))
    return moment + _fraction(nanoseconds) if nanoseconds else moment


_CONVERTERS: dict[int, Callable[[bytes], Any]] = {
    2: _decimal,
    3: _decimal,
    7: _real,
    91: _date,
    92: _time,
    93: _moment,
    -154: _time,
    -155: _moment_with_offset,
}


def set_converters(raw: Any) -> None:
    """Set the output converters. Only after a statement's columns are described: a converter changes their type."""
    for code, converter in _CONVERTERS.items():
        raw.add_output_converter(code, converter)


def precision_and_scale(value: Decimal) -> tuple[int, int]:
    """Return the precision and scale that the digits need. Raises ValueError if no server has such a number."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("no finite number")
    scale = max(0, -exponent)
    precision = max(len(digits) + max(0, exponent), scale, 1)
    if precision > 38:
        raise ValueError("more than 38 digits")
    return precision, scale
