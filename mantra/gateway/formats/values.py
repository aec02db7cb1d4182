"""The canonical form of values, which every format writes in its own syntax.

A canonical value is None, bool, int, a finite float, str, a list or dict of those, or the result of ``Style.exact`` for
a number (or a JSON document) that must be written digit for digit. Dates and times are ISO 8601 text, bytes are base64,
not-a-number and the infinities are the words "NaN", "Infinity", "-Infinity", decimals never have an exponent. Values
are converted by column: a column that is canonical already is returned unchanged.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson

from registry.results import Column, Row

Values = Sequence[Any]

#: The number of values from which conversion by column is faster than value by value.
FEW = 4


@dataclass(frozen=True, slots=True)
class Style:
    """The notation of values in a family of formats."""

    #: Wraps the text of a number that must be written digit for digit.
    exact: Callable[[str], Any] = str
    #: Converts the text of a JSON document.
    document: Callable[[str], Any] = str
    #: True if lists and dicts nest in the format, False if they are written as JSON text.
    nested: bool = False
    #: Classes that the format's encoder writes in the canonical form.
    native: frozenset[type] = frozenset()
    true: str = "true"
    false: str = "false"
    #: The separator between a date and its time of day.
    separator: str = "T"
    #: True if a duration is written as a clock (26:03:04), False for ISO 8601 (P1DT2H3M4S).
    clock: bool = False


TEXT = Style()
JSON = Style(
    exact=orjson.Fragment, document=orjson.Fragment, nested=True, native=frozenset((date, datetime, UUID))
)  # fmt: skip

_SURROGATES = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
#: Also with zeros before it, as MySQL's year 0000.
_DIGITS = re.compile(r"-?[0-9]+", re.ASCII)
#: At most three digits of exponent: otherwise a short text could become megabytes of zeros.
_LOOSE_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_DATETIME = re.compile(
    r"([0-9]{4,}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?) ?(Z|[+-][0-9:]{2,8})?", re.ASCII
)
_CLOCK = re.compile(r"([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?) ?(Z|[+-][0-9:]{2,8})", re.ASCII)
_WORDS = {
    "nan": "NaN", "-nan": "NaN", "inf": "Infinity", "+inf": "Infinity", "-inf": "-Infinity",
    "infinity": "Infinity", "+infinity": "Infinity", "-infinity": "-Infinity",
}  # fmt: skip
_BOOLEANS: dict[Any, bool] = {
    0: False, 1: True, "0": False, "1": True, "f": False, "t": True, "false": False, "true": True,
    "F": False, "T": True, "FALSE": False, "TRUE": True, b"\x00": False, b"\x01": True,
}  # fmt: skip


def unique_names(columns: Sequence[Column]) -> list[str]:
    """Return the columns' names as unique keys: the second of equal names gets the suffix _2, and so on."""
    names = [column.name for column in columns]
    if not "".join(names).isascii():
        names = [clean(name) for name in names]
    taken = set(names)
    if len(taken) == len(names):
        return names
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            number = 2
            while f"{name}_{number}" in taken:
                number += 1
            names[index] = f"{name}_{number}"
            taken.add(names[index])
        seen.add(name)
    return names


def clean(text: str) -> str:
    """Return the text with U+FFFD for each lone surrogate, which UTF-8 cannot encode."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def utf8(text: str) -> bytes:
    """Return the text in UTF-8. Lone surrogates become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text).encode()


# Conversion value by value.


def _number(text: str, style: Style) -> Any:
    if _NUMBER.fullmatch(text):
        return style.exact(text)
    if _LOOSE_NUMBER.fullmatch(text):
        return style.exact(format(Decimal(text), "f"))
    return _WORDS.get(text.lower(), text)


def _integer(text: str, style: Style) -> Any:
    if len(text) < 19 and _DIGITS.fullmatch(text):
        return int(text)
    return _number(text, style)


def _float(text: str, style: Style) -> Any:
    if _LOOSE_NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
        return value
    return _number(text, style)


def _boolean(text: str, style: Style) -> Any:
    return _BOOLEANS.get(text, text)


def _offset(text: str) -> str:
    """Return an offset from UTC in the extended form of ISO 8601: +07 becomes +07:00, +0730 becomes +07:30."""
    if text in ("", "Z") or ":" in text:
        return text
    return text[:3] + ":" + (text[3:5] or "00")


def _datetime(text: str, style: Style) -> Any:
    if len(text) == 19 and text[10] in " T" and text[13] == text[16] == ":":
        return f"{text[:10]}{style.separator}{text[11:]}"
    if match := _DATETIME.fullmatch(text):
        day, clock, offset = match.groups("")
        return f"{day}{style.separator}{clock}{_offset(offset)}"
    return text


def _clock(text: str, style: Style) -> Any:
    match = _CLOCK.fullmatch(text)
    return match[1] + _offset(match[2]) if match else text


def _document(text: str, style: Style) -> Any:
    """Return a JSON document as its source wrote it, on one line. Text that is not JSON stays plain text."""
    try:
        orjson.loads(text)
    except ValueError:
        return text
    # A line break can only be white space: it is not allowed in JSON's strings.
    return style.document(text.replace("\r", " ").replace("\n", " "))


_PARSERS: dict[str | None, Callable[[str, Style], Any]] = {
    "integer": _integer,
    "decimal": _number,
    "float": _float,
    "boolean": _boolean,
    "datetime": _datetime,
    "time": _clock,
    "json": _document,
}


def _from_decimal(value: Decimal, kind: str | None, style: Style) -> Any:
    if value.is_finite():
        return style.exact(format(value, "f"))
    return "NaN" if value.is_nan() else ("-Infinity" if value < 0 else "Infinity")


def _from_float(value: float, kind: str | None, style: Style) -> Any:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("-Infinity" if value < 0 else "Infinity")
    return _from_decimal(Decimal(repr(value)), kind, style) if kind == "decimal" else value


def _from_integer(value: int, kind: str | None, style: Style) -> Any:
    return _BOOLEANS.get(value, value) if kind == "boolean" else value


def _from_boolean(value: bool, kind: str | None, style: Style) -> Any:
    return int(value) if kind == "integer" else value


def _from_datetime(value: datetime, kind: str | None, style: Style) -> str:
    return value.isoformat(style.separator)


def _from_date(value: date | time, kind: str | None, style: Style) -> str:
    return value.isoformat()


def _from_duration(value: timedelta, kind: str | None, style: Style) -> str:
    sign = "-" if value < timedelta() else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    if kind == "time" or style.clock:
        return f"{sign}{value.days * 24 + hours:02}:{minutes:02}:{seconds:02}{fraction}"
    clock = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes)
    if seconds or fraction:
        clock += f"{seconds}{fraction.rstrip('0')}S"
    days = f"{value.days}D" * bool(value.days)
    return f"{sign}P{days}T{clock}" if clock else f"{sign}P{days or 'T0S'}"


def _from_bytes(value: bytes | bytearray | memoryview, kind: str | None, style: Style) -> Any:
    # MySQL's BIT(1) is a byte.
    if kind == "boolean" and bytes(value) in _BOOLEANS:
        return _BOOLEANS[bytes(value)]
    return base64.b64encode(value).decode()


def _from_dict(value: dict[Any, Any], kind: str | None, style: Style) -> Any:
    if not style.nested:
        return json_text(_from_dict(value, kind, JSON))
    return {str(name): canonical(member, None, style) for name, member in value.items()}


def _from_list(value: list[Any] | tuple[Any, ...], kind: str | None, style: Style) -> Any:
    if not style.nested:
        return json_text(_from_list(value, kind, JSON))
    return [canonical(item, None, style) for item in value]


_CONVERTERS: dict[type, Callable[[Any, str | None, Style], Any]] = {
    bool: _from_boolean,
    int: _from_integer,
    float: _from_float,
    Decimal: _from_decimal,
    datetime: _from_datetime,
    date: _from_date,
    time: _from_date,
    timedelta: _from_duration,
    bytes: _from_bytes,
    bytearray: _from_bytes,
    memoryview: _from_bytes,
    dict: _from_dict,
    list: _from_list,
    tuple: _from_list,
}


def canonical(value: Any, kind: str | None, style: Style) -> Any:
    """Return the canonical form of one value of a column of the type ``kind``."""
    if value is None:
        return None
    if isinstance(value, str):
        parser = _PARSERS.get(kind)
        return parser(value, style) if parser else value
    converter = _CONVERTERS.get(type(value)) or _inherited(type(value))
    return converter(value, kind, style) if converter else str(value)


def _inherited(cls: type) -> Callable[[Any, str | None, Style], Any] | None:
    """Return the converter of a driver's own class, by the class it is derived from."""
    return next((_CONVERTERS[base] for base in cls.__mro__ if base in _CONVERTERS), None)


# Conversion column by column. Each function gets values of one class, and returns None if it cannot convert all of
# them: they are then converted one by one.


def _unchanged(values: Values, style: Style) -> Values | None:
    return values


def _numbers(values: Values, style: Style) -> Values | None:
    joined = ",".join(values)
    try:
        # Without this test one empty text would pass as an empty list.
        if not joined or joined.encode().translate(None, b"0123456789.,-") or joined.count(",") != len(values) - 1:
            return None
        # The parser proves that each is a plain JSON number, several times faster than a regular expression.
        orjson.loads(f"[{joined}]")
    except ValueError:
        return None
    return values if style.exact is str else list(map(style.exact, values))


def _decimals(values: Values, style: Style) -> Values | None:
    # Words and exponents are refused there.
    return _numbers(list(map(str, values)), style)


def _integers(values: Values, style: Style) -> Values | None:
    joined = "".join(values)
    if "_" in joined or not joined.isascii():
        return None
    try:
        return list(map(int, values))
    except ValueError:
        return None


def _booleans(values: Values, style: Style) -> Values | None:
    try:
        return list(map(_BOOLEANS.__getitem__, values))
    except KeyError:
        return None


def _floats(values: Values, style: Style) -> Values | None:
    return values if math.isfinite(sum(values)) else None


def _floats_of_texts(values: Values, style: Style) -> Values | None:
    try:
        return _floats(list(map(float, values)), style)
    except ValueError:
        return None


def _datetimes(values: Values, style: Style) -> Values | None:
    joined = "\n".join(values)
    # Two hyphens in each and no plus: no value has an offset from UTC, which may lack its colon.
    if "+" in joined or joined.count("-") != 2 * len(values):
        return None
    if (" " if style.separator == "T" else "T") not in joined:
        return values
    if style.separator != "T" or joined.count(" ") != len(values) or joined.lower() != joined.upper():
        return None
    parts = joined.replace(" ", "T").split("\n")
    return parts if len(parts) == len(values) else None


def _native_datetimes(values: Values, style: Style) -> Values | None:
    if datetime in style.native and not any(map(attrgetter("tzinfo"), values)):
        return values
    return [value.isoformat(style.separator) for value in values]


def _dates(values: Values, style: Style) -> Values | None:
    return values if date in style.native else [value.isoformat() for value in values]


def _uuids(values: Values, style: Style) -> Values | None:
    return values if UUID in style.native else list(map(str, values))


_COLUMNS: dict[tuple[str | None, type], Callable[[Values, Style], Values | None]] = {
    (None, str): _unchanged,
    (None, int): _unchanged,
    (None, bool): _unchanged,
    (None, float): _floats,
    (None, datetime): _native_datetimes,
    (None, date): _dates,
    (None, UUID): _uuids,
    ("text", str): _unchanged,
    ("integer", int): _unchanged,
    ("integer", str): _integers,
    ("decimal", str): _numbers,
    ("decimal", int): _unchanged,
    ("decimal", Decimal): _decimals,
    (None, Decimal): _decimals,
    ("float", float): _floats,
    ("float", int): _unchanged,
    ("float", str): _floats_of_texts,
    ("boolean", bool): _unchanged,
    ("boolean", int): _booleans,
    ("boolean", str): _booleans,
    ("date", str): _unchanged,
    ("date", date): _dates,
    ("datetime", str): _datetimes,
    ("datetime", datetime): _native_datetimes,
    ("interval", str): _unchanged,
    ("bytes", str): _unchanged,
    ("uuid", str): _unchanged,
    ("uuid", UUID): _uuids,
}
#: Types that most sources give as text: that is tried before the classes of the values are determined.
_TEXT_FIRST = {"decimal": _numbers, "datetime": _datetimes}
_NULL = type(None)


def canonical_column(values: Values, kind: str | None, style: Style) -> Values:
    """Return the canonical form of a column's values, in the same order. Values may be None."""
    if len(values) < FEW:
        return [canonical(value, kind, style) for value in values]
    if kind in _TEXT_FIRST:
        with suppress(TypeError):
            if (texts := _TEXT_FIRST[kind](values, style)) is not None:
                return texts
    types = set(map(type, values))
    nulls = _NULL in types
    if nulls:
        types.discard(_NULL)
        if not types:
            return values
    convert = _COLUMNS.get((kind, types.pop())) if len(types) == 1 else None
    if convert is _unchanged:
        return values
    present = [value for value in values if value is not None] if nulls else values
    converted = convert(present, style) if convert else None
    if converted is None:
        return [canonical(value, kind, style) for value in values]
    if converted is present:
        return values
    if not nulls:
        return converted
    following = iter(converted)
    return [None if value is None else next(following) for value in values]


# For formats of text only.


def text_of(value: Any, style: Style) -> str:
    """Return the text of a canonical value other than None."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return style.true if value else style.false
    return json_text(value) if isinstance(value, float) else str(value)


def json_text(value: Any) -> str:
    """Return a canonical value as JSON."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return orjson.dumps(json_safe(value)).decode()


def json_safe(value: Any) -> Any:
    """Return a canonical value that orjson accepts, with any text and integers of any length."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return orjson.Fragment(str(value))
    if isinstance(value, dict):
        return {clean(name): json_safe(member) for name, member in value.items()}
    if isinstance(value, list):
        return [json_safe(item) for item in value]
    return value


_TEXTUAL = {str, _NULL}
_WHOLE = {int}
_UNCHANGED_TEXT = {kind for kind, cls in _COLUMNS if cls is str and _COLUMNS[kind, cls] is _unchanged}


def _text(value: Any, kind: str | None, style: Style) -> str | None:
    if value is None or (isinstance(value, str) and kind in _UNCHANGED_TEXT):
        return value
    return text_of(canonical(value, kind, style), style)


def text_column(values: Values, kind: str | None, style: Style) -> Values:
    """Return the canonical texts of a column's values. None stays None."""
    if len(values) < FEW:
        return [_text(value, kind, style) for value in values]
    if kind in _UNCHANGED_TEXT and set(map(type, values)) <= _TEXTUAL:
        return values
    values = canonical_column(values, kind, style)
    types = set(map(type, values))
    if types <= _TEXTUAL:
        return values
    if types == _WHOLE:
        return list(map(str, values))
    return [None if value is None else text_of(value, style) for value in values]


def batches_ahead(batches: Iterator[list[Row]]) -> Iterator[tuple[list[Row], bool]]:
    """Yield (batch, True if it is the last) for each batch with rows; one empty batch if there are no rows.

    One batch is read ahead, so that a response with one batch can be sent as one chunk.
    """
    batch: list[Row] = []
    for following in batches:
        if following:
            if batch:
                yield batch, False
            batch = following
    yield batch, True


def columns_of(batch: list[Row]) -> list[Values]:
    """Return the columns of a batch of rows."""
    return list(zip(*batch, strict=True))


def weave(pieces: Sequence[str], columns: Sequence[Sequence[str]], rows: int) -> str:
    """Return the text of ``rows`` rows, with a column's value between each two pieces: p0 a p1 b p2, p0 a p1 b p2, …"""
    lanes: list[Sequence[str]] = [[pieces[0]] * rows]
    for column, piece in zip(columns, pieces[1:], strict=True):
        lanes.append(column)
        lanes.append([piece] * rows)
    return "".join(chain.from_iterable(zip(*lanes, strict=True)))
