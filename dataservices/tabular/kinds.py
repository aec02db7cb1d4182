"""What a cell may be: which kinds its value fits, and its value as a kind stores it.

A kind is a type and, for texts, the way in which it is written: ``decimal-id`` is 1.234,56 and ``decimal-en`` is
1,234.56; ``date`` has the day first and ``date-us`` the month. Cells that a workbook stores as numbers or dates fit
both ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from dataservices.tabular.shapes import Cell

#: By kind: the bit of a value that fits it. In the order of preference: what Indonesians write comes first.
FITS = {
    "boolean": 1,
    "integer": 2,
    "integer-id": 4,
    "decimal-id": 8,
    "integer-en": 16,
    "decimal-en": 32,
    "date": 64,
    "date-us": 128,
    "datetime": 256,
    "datetime-us": 512,
    "date-serial": 1024,
}
KINDS = ("text", *FITS)

#: Excel has rounded the number; a number of more than 15 digits; a leading zero; a text for "no value"; a saved error;
#: a number or date that means something else when it is written in the other way; a text, not a number of a workbook.
ROUNDED, LONG, ZERO, ABSENT, ERROR, AMBIGUOUS, WRITTEN = (1 << bit for bit in range(12, 19))

#: What whole numbers fit.
NUMBER = sum(FITS[kind] for kind in ("integer", "integer-id", "decimal-id", "integer-en", "decimal-en"))
_FRACTION = FITS["decimal-id"] | FITS["decimal-en"]
_DAY = FITS["date"] | FITS["date-us"] | FITS["datetime"] | FITS["datetime-us"]
_MOMENT = FITS["datetime"] | FITS["datetime-us"]

_ERRORS = frozenset(("#N/A", "#NAME?", "#DIV/0!", "#REF!", "#VALUE!", "#NUM!", "#NULL!", "#GETTING_DATA", "#SPILL!"))
_ABSENT = frozenset(("-", "–", "—", "n/a", "na", "null", "nihil"))
_BOOLEANS = {
    "ya": 1, "tidak": 0, "yes": 1, "no": 0, "true": 1, "false": 0, "benar": 1, "salah": 0,
}  # fmt: skip

#: Excel keeps 15 digits of a number.
DIGITS = 15
_ROUND_FROM = 10.0**DIGITS
#: The day numbers of 1 January 1900 and 31 December 9999.
_FIRST_DAY, _LAST_DAY = 1, 2_958_465
_DAY_ZERO, _DAY_ZERO_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)

_AMOUNT = re.compile(r"(?:Rp\.?\s*)?(-?\d[\d.,]*\d|-?\d)(?:,-)?", re.IGNORECASE)
_PLAIN = re.compile(r"-?\d+")
_GROUPED = {".": re.compile(r"-?[1-9]\d{0,2}(\.\d{3})+"), ",": re.compile(r"-?[1-9]\d{0,2}(,\d{3})+")}
_POINTED = {
    ",": re.compile(r"-?(?:0|[1-9]\d*|[1-9]\d{0,2}(?:\.\d{3})+),\d+"),
    ".": re.compile(r"-?(?:0|[1-9]\d*|[1-9]\d{0,2}(?:,\d{3})+)\.\d+"),
}
_SCIENTIFIC = re.compile(r"-?\d(?:[.,]\d+)?E\+\d+", re.IGNORECASE)
_CLOCK = r"(?:[T ]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:\.\d+)?)?)?"
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _CLOCK)
_DIGITS_DATE = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4})" + _CLOCK)
_NAMED_DATE = re.compile(r"(?:[A-Za-z']+, *)?(\d{1,2})[-/. ]+([A-Za-z]+)\.?[-/., ]+(\d{4})" + _CLOCK)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "januari january jan", "februari february pebruari feb peb", "maret march mar", "april apr", "mei may",
            "juni june jun", "juli july jul", "agustus august agu agt ags aug", "september sept sep",
            "oktober october okt oct", "november nopember nov nop", "desember december des dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip


class Unfit(Exception):
    """The value does not fit the kind."""


def fits(value: Cell) -> int:
    """Return the bits of the kinds that a cell fits, and of its peculiarities. Every cell fits "text"."""
    if isinstance(value, str):
        return _text_fits(value)
    if isinstance(value, bool):
        return FITS["boolean"]
    if isinstance(value, int | float):
        return _number_fits(value)
    if isinstance(value, datetime):
        return _MOMENT if value.time() != time() else _DAY
    return _DAY if isinstance(value, date) else 0


def _number_fits(value: float) -> int:
    if abs(value) >= _ROUND_FROM:
        return ROUNDED | LONG
    serial = FITS["date-serial"] if _FIRST_DAY <= value < _LAST_DAY + 1 else 0
    return serial | (NUMBER if value == int(value) else _FRACTION)


def _text_fits(text: str) -> int:
    if text in _ERRORS:
        return ERROR
    low = text.lower()
    if low in _ABSENT:
        return ABSENT
    if low in _BOOLEANS:
        return FITS["boolean"]
    if len(text) > 60 or not any(letter.isdigit() for letter in text):
        return 0
    if _SCIENTIFIC.fullmatch(text):
        return ROUNDED
    amount = _AMOUNT.fullmatch(text)
    found = _amount_fits(amount[1]) if amount else 0
    return found or _date_fits(text)


def _amount_fits(text: str) -> int:
    digits = sum(map(str.isdigit, text))
    if _PLAIN.fullmatch(text):
        if len(text.lstrip("-")) > 1 and text.lstrip("-")[0] == "0":
            return ZERO
        return LONG if digits > DIGITS else WRITTEN | NUMBER
    id = _style_fits(text, "id", ".", ",")
    en = _style_fits(text, "en", ",", ".")
    if not id | en:
        return 0
    return LONG if digits > DIGITS else WRITTEN | id | en | (AMBIGUOUS if id and en else 0)


def _style_fits(text: str, style: str, group: str, point: str) -> int:
    if _GROUPED[group].fullmatch(text):
        return FITS[f"integer-{style}"] | FITS[f"decimal-{style}"]
    return FITS[f"decimal-{style}"] if _POINTED[point].fullmatch(text) else 0


def _date_fits(text: str) -> int:
    first, us = _moment(text, False), _moment(text, True)
    found = 0
    for moment, day_kind, moment_kind in ((first, "date", "datetime"), (us, "date-us", "datetime-us")):
        if moment is not None:
            found |= FITS[moment_kind] | (FITS[day_kind] if moment.time() == time() else 0)
    return found | (AMBIGUOUS if first and us and first != us else 0)


def _moment(text: str, month_first: bool) -> datetime | None:
    """Return the moment that a text states, None if it states none."""
    try:
        if match := _ISO.fullmatch(text):
            return _at(int(match[1]), int(match[2]), int(match[3]), match.groups()[3:])
        if match := _DIGITS_DATE.fullmatch(text):
            first, second = int(match[1]), int(match[2])
            day, month = (second, first) if month_first else (first, second)
            return _at(int(match[3]), month, day, match.groups()[3:])
        if match := _NAMED_DATE.fullmatch(text):
            return _at(int(match[3]), _MONTHS.get(match[2].lower(), 0), int(match[1]), match.groups()[3:])
    except ValueError:
        pass
    return None


def _at(year: int, month: int, day: int, clock: tuple[str | None, ...]) -> datetime:
    hour, minute, second = (int(part or 0) for part in clock)
    return datetime(year, month, day, hour, minute, second)


# ------------------------------------------------------------------------------ values as they are stored


def as_text(value: Cell) -> str:
    """Return a cell as a text: a number with its digits, a date in ISO's form."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, datetime):
        return _seconds(value).isoformat(" ")
    if isinstance(value, timedelta):
        return str(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _seconds(value: datetime) -> datetime:
    """Return a moment rounded to its second: a workbook's fractions of days are not exact."""
    return (value + timedelta(microseconds=500_000)).replace(microsecond=0)


def _integer(style: str) -> Callable[[Cell], int]:
    def convert(value: Cell) -> int:
        if not isinstance(value, str):
            return int(value)
        return int(_digits(value, "." if style == "id" else ","))

    return convert


def _decimal(style: str) -> Callable[[Cell], float]:
    group, point = (".", ",") if style == "id" else (",", ".")

    def convert(value: Cell) -> float:
        if not isinstance(value, str):
            return float(value)
        return float(_digits(value, group).replace(point, "."))

    return convert


def _digits(text: str, group: str) -> str:
    match = _AMOUNT.fullmatch(text)
    assert match is not None
    return match[1].replace(group, "")


def _boolean(value: Cell) -> int:
    return int(value) if isinstance(value, bool) else _BOOLEANS[value.lower()]


def _as_moment(value: Cell, month_first: bool) -> datetime:
    if isinstance(value, str):
        moment = _moment(value, month_first)
        assert moment is not None
        return moment
    return _seconds(value) if isinstance(value, datetime) else datetime(value.year, value.month, value.day)


def _day(month_first: bool) -> Callable[[Cell], str]:
    return lambda value: _as_moment(value, month_first).date().isoformat()


def _day_and_time(month_first: bool) -> Callable[[Cell], str]:
    return lambda value: _as_moment(value, month_first).isoformat(" ")


def _day_number(zero: datetime) -> Callable[[Cell], str]:
    return lambda value: (zero + timedelta(days=int(value))).date().isoformat()


def converter(kind: str, from_1904: bool = False) -> Callable[[Cell], Any]:
    """Return the conversion of a cell that is not empty to what SQLite stores for a kind; None for "no value".

    It raises Unfit. ``from_1904``: the workbook counts days from 1904.
    """
    if kind == "text":
        return lambda value: None if value in _ERRORS else as_text(value)
    bit = FITS[kind]
    convert = {
        "boolean": _boolean,
        "integer": _integer("id"),
        "integer-id": _integer("id"),
        "integer-en": _integer("en"),
        "decimal-id": _decimal("id"),
        "decimal-en": _decimal("en"),
        "date": _day(False),
        "date-us": _day(True),
        "datetime": _day_and_time(False),
        "datetime-us": _day_and_time(True),
        "date-serial": _day_number(_DAY_ZERO_1904 if from_1904 else _DAY_ZERO),
    }[kind]

    def checked(value: Cell) -> Any:
        found = fits(value)
        if found & bit:
            return convert(value)
        if found & (ABSENT | ERROR):
            return None
        raise Unfit

    return checked


def type_of(kind: str) -> str:
    """Return the bus's name of a kind's type: text, boolean, integer, decimal, date or datetime."""
    return kind.partition("-")[0]
