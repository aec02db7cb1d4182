"""Values on their way into a column of a table: as that column holds them, so that equal values compare equal."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from adapters.base import ColumnInfo, local_time

_ARGUMENTS = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?(?:char|byte)?\s*\)", re.I)
_TRUE = frozenset(("t", "true", "1", "y", "yes", "ya", "on"))
_FALSE = frozenset(("f", "false", "0", "n", "no", "tidak", "off"))
#: The largest number of digits behind the point that a value is rounded to.
_MAX_SCALE = 100

Convert = Callable[[Any], Any]


class Unfit(Exception):
    """A value cannot be a value of its column."""


def converter(column: ColumnInfo, engine: str, zone: tzinfo | None) -> Convert:
    """Return what makes of a value, from an operation or from the table, the value that the column holds.

    The function raises Unfit. What it returns can be bound, and is equal for values that the column holds as equal.
    """
    declared = column.type.lower()
    convert = _of_kind(column.kind or "text", declared, engine, zone)
    empty_is_null = engine == "oracle" and column.kind in (None, "text")

    def converted(value: Any) -> Any:
        if value is None or (empty_is_null and value == ""):
            return None
        try:
            return convert(value)
        except (ValueError, TypeError, OverflowError, ArithmeticError, struct.error):
            raise Unfit from None

    return converted


def _of_kind(kind: str, declared: str, engine: str, zone: tzinfo | None) -> Convert:
    first, second = _arguments(declared)
    if kind == "integer":
        return _integer
    if kind == "boolean":
        return _boolean
    if kind == "decimal":
        scale = _scale(declared, first, second)
        return lambda value: _decimal(value, scale)
    if kind == "float":
        return _single if _is_single(declared, engine, first) else _float
    if kind == "date":
        return _date
    if kind == "time":
        digits = _second_digits(declared, engine, first)
        return lambda value: _time(value, digits)
    if kind == "datetime":
        return _datetime_converter(declared, engine, zone, first)
    if kind == "bytes":
        return _bytes
    if kind == "json":
        return _json
    if kind == "uuid":
        return lambda value: str(uuid.UUID(str(value)))
    return _text_converter(declared, engine, first)


def _arguments(declared: str) -> tuple[int | None, int | None]:
    """Return the numbers in the brackets of a type: numeric(12, 2) has 12 and 2."""
    match = _ARGUMENTS.search(declared)
    if match is None:
        return None, None
    return int(match[1]), int(match[2]) if match[2] else None


# ------------------------------------------------------------------------------------------- texts


def as_text(value: Any) -> str:
    """Return a value as a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, dict | list):
        return _json(value)
    return str(value)


def _text_converter(declared: str, engine: str, length: int | None) -> Convert:
    #: SQLite holds texts of any length, whatever the type says.
    most = length if length is not None and engine != "sqlite" and "char" in declared else None
    is_padded = re.match(r"(?:national )?(?:char|character|nchar|bpchar|unichar)\b(?! varying)", declared) is not None

    def convert(value: Any) -> str:
        text = as_text(value)
        if is_padded:
            text = text.rstrip(" ")
        if most is not None and len(text) > most:
            raise ValueError
        return text

    return convert


def _json(value: Any) -> str:
    parsed = json.loads(value) if isinstance(value, str) else value
    return json.dumps(parsed, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=as_text)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError from None
    return bytes(value)


# ----------------------------------------------------------------------------------------- numbers


def _integer(value: Any) -> int:
    number = _plain_decimal(value)
    if number != number.to_integral_value():
        raise ValueError
    return int(number)


def _plain_decimal(value: Any) -> Decimal:
    if isinstance(value, bool):
        return Decimal(int(value))
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError from None
    if not number.is_finite() or number.adjusted() > 1000:
        raise ValueError
    return number


def _scale(declared: str, first: int | None, second: int | None) -> int | None:
    """Return the digits behind the point that a type keeps; None for all of them."""
    if "money" in declared:
        return 4
    if first is None:
        return None
    return min(second or 0, _MAX_SCALE)


def _decimal(value: Any, scale: int | None) -> Decimal:
    number = _plain_decimal(value)
    if scale is None:
        # 1.50 and 1.5 are the same number: without a scale a column keeps either.
        return number.normalize() + 0
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError


def _float(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _single(value: Any) -> float:
    number: float = struct.unpack("f", struct.pack("f", _float(value)))[0]
    # As servers write such a number: the shortest text that means it.
    return float(f"{number:.7g}") if struct.pack("f", float(f"{number:.7g}")) == struct.pack("f", number) else number


def _is_single(declared: str, engine: str, first: int | None) -> bool:
    if engine == "sqlite":
        return False
    if declared.startswith(("real", "float4")):
        return True
    return (
        declared.startswith("float")
        and not declared.startswith("float8")
        and ((engine == "mysql" and (first is None or first <= 24)) or (first is not None and first <= 24))
    )


# ------------------------------------------------------------------------------------ dates and times


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    return date.fromisoformat(str(value).strip()[:10])


def _second_digits(declared: str, engine: str, first: int | None) -> int:
    """Return the digits of a second that a type of times or datetimes keeps."""
    if engine == "mysql":
        return min(first or 0, 6)
    if declared.startswith("smalldatetime") or (engine == "oracle" and declared.startswith("date")):
        return 0
    return 6 if first is None else min(first, 6)


def _rounded(value: datetime, digits: int) -> datetime:
    step = 10 ** (6 - digits)
    over = value.microsecond % step
    if not over:
        return value
    return value - timedelta(microseconds=over) + (timedelta(microseconds=step) if 2 * over >= step else timedelta())


def _time(value: Any, digits: int) -> time:
    if isinstance(value, timedelta):
        value = (datetime.min + value).time()
    elif isinstance(value, datetime):
        value = value.time()
    elif not isinstance(value, time):
        value = time.fromisoformat(str(value).strip())
    return _rounded(datetime.combine(date(2000, 1, 1), value), digits).time()


def _datetime_converter(declared: str, engine: str, zone: tzinfo | None, first: int | None) -> Convert:
    digits = _second_digits(declared, engine, first)
    has_zone = any(word in declared for word in ("with time zone", "timestamptz", "datetimeoffset", "with local"))
    #: SQL Server's older type counts in parts of 1/300 of a second; what it holds ends in 0, 3 or 7 milliseconds.
    in_ticks = (
        engine in ("sqlserver", "sybase")
        and declared.startswith("datetime")
        and (not declared.startswith(("datetime2", "datetimeoffset")))
    )
    to_minute = declared.startswith("smalldatetime")

    def convert(value: Any) -> datetime:
        moment = _datetime(value)
        if has_zone:
            # As an instant: sessions and servers may have other zones.
            aware = moment if moment.tzinfo is not None else _aware(moment, zone)
            return _rounded(aware.astimezone(UTC), digits)
        moment = _rounded(local_time(moment, zone), digits)
        if to_minute:
            return (moment + timedelta(seconds=30)).replace(second=0, microsecond=0)
        if in_ticks:
            whole = moment.replace(microsecond=0)
            ticks = (moment.microsecond * 3 + 5000) // 10000
            return whole + timedelta(milliseconds=(ticks * 10 + 1) // 3)
        return moment

    return convert


def _aware(moment: datetime, zone: tzinfo | None) -> datetime:
    return moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()


def _datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    return datetime.fromisoformat(re.sub(r"([+-]\d\d)$", r"\1:00", str(value).strip()))
