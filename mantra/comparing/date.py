"""Dates in the forms in which people write them. Day first, as Indonesians do."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

from mantra.comparing.comparison import MAX_TEXT, Rule, composed, digest, plain, text_of

#: Two-digit years from here on are of the 1900s, those before of the 2000s.
PIVOT = 30
#: Years of dates that are written as eight digits. With these, the two orders of eight digits cannot be confused.
_FIRST_YEAR, _LAST_YEAR = 1800, 2199

_MONTHS = (
    "januari january", "februari february pebruari", "maret march", "april", "mei may", "juni june", "juli july",
    "agustus august", "september", "oktober october", "november nopember", "desember december",
)  # fmt: skip
_MONTH_NUMBERS = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_MONTH_NUMBERS |= {name[:3]: number for name, number in tuple(_MONTH_NUMBERS.items())}
_MONTH_NUMBERS |= {"agst": 8, "agt": 8, "ags": 8, "sept": 9, "juli": 7, "mrt": 3}
_DAYS = "senin selasa rabu kamis jumat sabtu minggu monday tuesday wednesday thursday friday saturday sunday"

_TIME = r"(?:[t ]\d{1,2}[:.]?\d{2}(?:[:.]?\d{2}(?:[.,]\d{1,9})?)?(?:\s?(?:z|[+-]\d{2}:?\d{2}|wib|wita|wit|am|pm))?)?"
_SEPARATOR = r"(?:\s?[-/. ]\s?)"
_YEAR_FIRST = re.compile(rf"(\d{{4}}){_SEPARATOR}(\d{{1,2}}){_SEPARATOR}(\d{{1,2}}){_TIME}\Z", re.ASCII)
_DAY_FIRST = re.compile(rf"(\d{{1,2}}){_SEPARATOR}(\d{{1,2}}){_SEPARATOR}(\d{{4}}|\d{{2}}){_TIME}\Z", re.ASCII)
_DIGITS = re.compile(rf"(\d{{4}})(\d{{2}})(\d{{2}}){_TIME}\Z", re.ASCII)
_DAY_AND_NAME = re.compile(rf"(\d{{1,2}})[-/. ]{{0,2}}([a-z]{{3,9}})[-/., ]{{0,2}}(\d{{4}}|\d{{2}}){_TIME}\Z", re.ASCII)
_NAME_FIRST = re.compile(rf"([a-z]{{3,9}})\.? (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}}){_TIME}\Z", re.ASCII)
_WEEKDAY = re.compile(rf"(?:{'|'.join(_DAYS.split())}),? ")
#: No form is longer.
_LONGEST = 60


def _date(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _full(year: str) -> int:
    number = int(year)
    return number if len(year) == 4 else number + (2000 if number < PIVOT else 1900)


def _read(text: str) -> str | None:
    """Return a written date as ISO 8601 has it; None for anything else."""
    if len(text) > _LONGEST:
        return None
    if len(text) == 10 and text[4] == text[7] == "-" and text.isascii():
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            return None
    text = " ".join(plain(text).split())
    if text[:1].isalpha():
        text = _WEEKDAY.sub("", text, count=1)
    if match := _YEAR_FIRST.match(text):
        return _date(int(match[1]), int(match[2]), int(match[3]))
    if match := _DAY_FIRST.match(text):
        return _date(_full(match[3]), int(match[2]), int(match[1]))
    if match := _DIGITS.match(text):
        return _eight_digits(match[1], match[2], match[3])
    if match := _DAY_AND_NAME.match(text):
        month = _MONTH_NUMBERS.get(match[2])
        return _date(_full(match[3]), month, int(match[1])) if month else None
    if match := _NAME_FIRST.match(text):
        month = _MONTH_NUMBERS.get(match[1])
        return _date(int(match[3]), month, int(match[2])) if month else None
    return None


def _eight_digits(first: str, second: str, third: str) -> str | None:
    if _FIRST_YEAR <= int(first) <= _LAST_YEAR and (found := _date(int(first), int(second), int(third))):
        return found
    year = int(second + third)
    return _date(year, int(first[2:]), int(first[:2])) if _FIRST_YEAR <= year <= _LAST_YEAR else None


def normalised(value: Any) -> str | None:
    """Return a date as ISO 8601 has it, without its time. What is no date stays as it is, with a mark."""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = text_of(value)
    if not text:
        return None
    return _read(text) or "?" + (composed(text) if len(text) <= MAX_TEXT else digest(text))


def is_readable(given: str) -> bool:
    return _read(text_of(given)) is not None


def equal(stored: Any, given: str) -> bool:
    one = normalised(stored)
    return one is not None and one == normalised(given)


RULE = Rule("date", normalised, is_readable, equal=equal)
