"""Values of tables as people read them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry import moments
from registry.models import Field

NOTHING = "–"
#: Unit → its name beside plain values, which lack it.
UNIT_NAMES: dict[str, Any] = {"percent": "%", "ms": "ms", "bytes": gettext_lazy("bytes")}
_SECOND = 1000

#: Classification of the columns that left → its name. The empty one: nothing left, or it is unknown.
CLASSIFICATIONS: dict[str, Any] = {**dict(Field.Classification.choices), "": gettext_lazy("not classified")}


def text_of(value: Any, unit: str) -> str:
    """Return a value of a column in words. ``unit``: one of UNITS."""
    return NOTHING if value is None else UNITS[unit](value)


def number_of(value: float, decimals: int) -> str:
    """Return a number with its thousands apart."""
    return number_format(round(value, decimals), decimals, force_grouping=True)  # it cuts, and does not round


def number(value: float) -> str:
    return number_of(value, 0)


def figure(value: float) -> str:
    """Return a number of a column that has whole ones and others."""
    return number_of(value, 0 if value == int(value) else 2)


def percent(value: float) -> str:
    """Return a share with one decimal. One that is not quite all or nothing does not look so."""
    decimals = 2 if 99.9 < value < 100 or 0 < value < 0.1 else 1
    return f"{number_of(value, 0 if value in (0, 100) else decimals)} %"


def milliseconds(value: float) -> str:
    if value >= _SECOND:
        return f"{number_of(value / _SECOND, 1)} s"
    return f"{number_of(value, 0 if value >= 10 else 1)} ms"


def _moment(value: datetime) -> datetime:
    return timezone.localtime(value) if timezone.is_aware(value) else value


def hour(value: datetime) -> str:
    return hour_of_day(_moment(value).hour)


def day(value: date) -> str:
    return f"{WEEKDAYS_ABBR[value.weekday()]} {moments.day(value)}"


def weekday(value: int) -> str:
    return str(WEEKDAYS_ABBR[value])


def hour_of_day(value: int) -> str:
    return f"{value:02d}–{value + 1:02d}"


def classification(value: str) -> str:
    return str(CLASSIFICATIONS.get(value, value))


def agency(value: str) -> str:
    return value or _("(without a key)")


#: How the values of a column are written.
UNITS: dict[str, Any] = {
    "text": str, "code": str, "number": number, "figure": figure, "percent": percent, "ms": milliseconds,
    "bytes": filesizeformat, "hour": hour, "day": day, "month": moments.month, "hour_of_day": hour_of_day,
    "classification": classification, "agency": agency,
}  # fmt: skip
#: The units of numbers, which are aligned at the right.
NUMBERS = frozenset(("number", "figure", "percent", "ms", "bytes"))
