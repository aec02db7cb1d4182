"""The ways from a number of the statistics to the calls that it counts."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from registry.statistics.reading import Period

_DAY, _HOUR, _TICK = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)


def history(filters: dict[str, str] | None, period: Period, **more: str) -> str:
    """Return the address of the call history with the calls of a period; "" if no query has them."""
    return _history(filters, _midnight(period.first), _midnight(period.last + _DAY), **more)


def at(filters: dict[str, str] | None, start: date, step: str) -> str:
    """Return the address of the calls of an hour, a day or a month that begins at ``start``."""
    if step == "hour":
        assert isinstance(start, datetime)
        return _history(filters, start, start + _HOUR)
    first = start.date() if isinstance(start, datetime) else start
    after = first + _DAY if step == "day" else (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    return _history(filters, _midnight(first), _midnight(after))


def latest(filters: dict[str, str] | None, period: Period, weekday: int, hour: int) -> str:
    """Return the address of the calls in the last hour of a period that is at this time of the week; "" without one."""
    day = period.last - timedelta(days=(period.last.weekday() - weekday) % 7)
    if day < period.first:
        return ""
    start = _midnight(day) + hour * _HOUR
    return _history(filters, start, start + _HOUR)


def _history(filters: dict[str, str] | None, start: datetime, end: datetime, **more: str) -> str:
    if filters is None:
        return ""
    times = {"started_at__gte": _text(start), "started_at__lte": _text(end - _TICK)}
    query: dict[str, Any] = {**filters, **more, **times, "trials": "without"}
    return f"{reverse('admin:registry_callrecord_changelist')}?{urlencode(query)}"


def _text(moment: datetime) -> str:
    return timezone.localtime(moment).isoformat()


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
