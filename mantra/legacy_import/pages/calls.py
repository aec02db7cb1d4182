"""The calls of MANTRA 1.99x, of which the number by day is all that is taken."""

from __future__ import annotations

from datetime import date, timedelta

from django.db.models import Max, Min, QuerySet, Sum
from django.utils.translation import gettext as _

from mantra.legacy_import.models import OldCallsOfDay
from mantra.statistics.shown import ShownTable, shown
from mantra.statistics.table import TOP, Chart, Column, Table
from registry import moments


def months() -> tuple[date, date] | None:
    """Return the first days of the first month and of the last one that have calls; None if there are none."""
    found = OldCallsOfDay.objects.aggregate(first=Min("day"), last=Max("day"))
    if found["first"] is None:
        return None
    return found["first"].replace(day=1), found["last"].replace(day=1)


def after(month: date) -> date:
    """Return the first day of the month after a month."""
    return (month + timedelta(days=31)).replace(day=1)


def before(month: date) -> date:
    """Return the first day of the month before a month."""
    return (month - timedelta(days=1)).replace(day=1)


def tables(month: date) -> list[ShownTable]:
    """Return the calls of a month by day, by agency and by what became of them."""
    return [_by_day(month), _by(month, "agency", _("By agency"), _("Agency")),
            _by(month, "status", _("By outcome"), _("Outcome"))]  # fmt: skip


def _by_day(month: date) -> ShownTable:
    found = dict(_of(month).values_list("day").annotate(calls=Sum("calls")))
    days = [month + timedelta(days=number) for number in range((after(month) - month).days)]
    rows = [(moments.day(day), found.get(day, 0)) for day in days]
    columns = (Column(_("Day")), Column(_("Calls"), "number", bar=True))
    chart = Chart(_("Calls by day"), "line", ((1, "ok"),))
    return shown(Table("days", _("Calls by day"), columns, rows, charts=(chart,)))


def _by(month: date, name: str, title: str, heading: str) -> ShownTable:
    found = _of(month).values_list(name).annotate(calls=Sum("calls")).order_by("-calls", name)[:TOP]
    rows = [(value or "–", calls) for value, calls in found]
    return shown(Table(name, title, (Column(heading), Column(_("Calls"), "number", bar=True)), rows))


def _of(month: date) -> QuerySet[OldCallsOfDay]:
    return OldCallsOfDay.objects.filter(day__gte=month, day__lt=after(month)).order_by()
