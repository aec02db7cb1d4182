"""Counts days again from the records of the history: after an upgrade, or when a count is in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Min, Sum
from django.utils import timezone

from registry.models import CallDay, CallGroup, CallHour, CallMonth, CallRecord, SubjectDay
from registry.outcomes import CLASSES, COUNTED
from registry.statistics import rollups
from registry.statistics.rollups import Batch, EndedCall

Kind = CallGroup.Kind

_COLUMNS = EndedCall._fields
_MEASURES = ("calls", "rows", "bytes", "duration_us", *(f"d{number}" for number in range(CLASSES)))


def first_day() -> date:
    """Return the first day of which the history has all records: that of the oldest one, if none was pruned yet."""
    kept = timezone.localdate() - timedelta(days=settings.HISTORY_DAYS - 1)
    oldest = CallRecord.objects.aggregate(oldest=Min("started_at"))["oldest"]
    return max(kept, timezone.localdate(oldest)) if oldest else kept


def rebuild(first: date, last: date) -> Iterator[tuple[date, int]]:
    """Count the days from ``first`` to ``last`` again. Yield each with the number of its calls when it is done.

    The shipping may go on meanwhile: a day is counted while nobody else writes roll-ups.
    """
    day = first
    while day <= last:
        yield day, _rebuild_day(day)
        day += timedelta(days=1)
    for month in sorted({(first + timedelta(days=each)).replace(day=1) for each in range((last - first).days + 1)}):
        _rebuild_month(month)


@transaction.atomic
def _rebuild_day(day: date) -> int:
    rollups.lock()
    for model in (CallHour, CallDay, SubjectDay):
        model._default_manager.filter(day=day).delete()
    batch, zone = Batch(), timezone.get_default_timezone()
    begin, end = (datetime.combine(each, time(), zone) for each in (day, day + timedelta(days=1)))
    records = CallRecord.objects.filter(started_at__gte=begin, started_at__lt=end, protocol__in=COUNTED)
    number = 0
    for *columns, subjects in records.exclude(outcome=0).values_list(*_COLUMNS).iterator(5000):
        batch.add(EndedCall._make([*columns, tuple(subjects.split(", ")) if subjects else ()]), zone)
        number += 1
    batch.write(months=False)
    return number


@transaction.atomic
def _rebuild_month(month: date) -> None:
    """Add up the days of a month."""
    rollups.lock()
    CallMonth.objects.filter(day=month).delete()
    following = (month + timedelta(days=32)).replace(day=1)
    kinds = (Kind.PAIR, Kind.OPERATION, Kind.APPLICATION)
    days = CallDay.objects.filter(day__gte=month, day__lt=following, group__kind__in=kinds).order_by()
    sums: dict[str, Any] = {f"sum_{name}": Sum(name) for name in _MEASURES}
    rows = days.values_list("group_id").annotate(**sums).values_list("group_id", *sums)
    CallMonth.objects.bulk_create(
        (
            CallMonth(group_id=group, day=month, **dict(zip(_MEASURES, values, strict=True)))
            for group, *values in rows.iterator(2000)
        ),
        batch_size=500,
    )
