"""The figures of a monthly report, from the roll-ups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Q
from django.utils import timezone

from mantra.exports import monthly
from registry.models import AccessKey, Agency, Application, Grant, Operation
from registry.statistics import reading as statistics
from registry.statistics.reading import Left, Outcome, Period, Point, Ranked, Selection, Totals

#: The lines of a ranking, of the personal data and of what ends; and the days within which something ends soon.
TOP, LINES, SOON = 10, 25, 60


@dataclass(frozen=True, slots=True)
class Side:
    """The calls of an agency on one side: of its operations, or by its applications."""

    totals: Totals
    before: Totals
    subjects: int
    subjects_before: int
    days: list[Point]
    outcomes: list[Outcome]
    operations: list[Ranked]
    applications: list[Ranked]
    slowest: list[Ranked]
    failing: list[Ranked]

    @property
    def is_empty(self) -> bool:
        return not (self.totals.calls or self.before.calls)


@dataclass(frozen=True, slots=True)
class Ending:
    """A grant or an access key that ends soon. ``day``: its last day."""

    what: str
    caller: str
    day: date


@dataclass(frozen=True, slots=True)
class Figures:
    """A report: what it is of, and all that it says. ``more_left``, ``more_ending``: the lines that are left out."""

    agency: Agency
    month: date
    made_on: date
    offered: Side
    called: Side
    left: list[Left]
    more_left: int
    ending: list[Ending]
    more_ending: int
    #: Code → name of an agency; (agency, application) → title; id of an operation → title.
    agencies: dict[str, str]
    applications: dict[tuple[str, ...], str]
    operations: dict[int, str]

    @property
    def before(self) -> date:
        return monthly.month_before(self.month)


def gather(agency: Agency, month: date) -> Figures:
    """Return the figures of an agency in the month that begins on a day."""
    period = monthly.period_of(month)
    offered = _side(Selection(provider=agency.code), period)
    called = _side(Selection(consumer=agency.code), period)
    left = statistics.personal_data(Selection(provider=agency.code), period)
    ending = sorted([*_grants(agency), *_keys(agency)], key=lambda each: (each.day, each.what, each.caller))
    ranked = _ranked(offered, called)
    return Figures(
        agency=agency, month=month, made_on=timezone.localdate(), offered=offered, called=called,
        left=left[:LINES], more_left=max(0, len(left) - LINES),
        ending=ending[:LINES], more_ending=max(0, len(ending) - LINES),
        agencies=_names_of_agencies(ranked, left), applications=_titles_of_applications(ranked),
        operations=_titles_of_operations(agency, ranked),
    )  # fmt: skip


def _side(selection: Selection, period: Period) -> Side:
    before = monthly.period_of(monthly.month_before(period.first))
    return Side(
        totals=statistics.totals(selection, period),
        before=statistics.totals(selection, before),
        subjects=statistics.subjects(selection, period),
        subjects_before=statistics.subjects(selection, before),
        days=statistics.series(selection, period),
        outcomes=statistics.outcomes(selection, period),
        operations=statistics.ranking(selection, period, "operation", limit=TOP),
        applications=statistics.ranking(selection, period, "application", limit=TOP),
        slowest=statistics.ranking(selection, period, "operation", "slowest", limit=TOP),
        failing=statistics.ranking(selection, period, "operation", "failing", limit=TOP),
    )


def _ranked(*sides: Side) -> list[Ranked]:
    return [
        line
        for side in sides
        for ranking in (side.operations, side.applications, side.slowest, side.failing)
        for line in ranking
    ]


def _names_of_agencies(ranked: Iterable[Ranked], left: Iterable[Left]) -> dict[str, str]:
    codes = {line.key[0] for line in ranked if line.key} | {line.consumer for line in left}
    return {each.code: str(each) for each in Agency.objects.filter(code__in=codes)}


def _titles_of_applications(ranked: Iterable[Ranked]) -> dict[tuple[str, ...], str]:
    codes = {line.key for line in ranked if len(line.key) == 2}
    rows = Application.objects.filter(agency__code__in={key[0] for key in codes}, code__in={key[1] for key in codes})
    found = rows.values_list("agency__code", "code", "title")
    return {(agency, code): title for agency, code, title in found if (agency, code) in codes}


def _titles_of_operations(agency: Agency, ranked: Iterable[Ranked]) -> dict[int, str]:
    """Return the titles that the agency may know: its applications may have tried operations that are hidden."""
    ids = {line.ref for line in ranked if line.ref is not None}
    granted = Grant.objects.filter(application__agency=agency, state=Grant.State.APPROVED).values("operation")
    known = Q(service__agency=agency) | ~Q(listing=Operation.Listing.HIDDEN) | Q(pk__in=granted)
    return dict(Operation.objects.filter(known, pk__in=ids).values_list("pk", "title"))


def _grants(agency: Agency) -> list[Ending]:
    """Return the grants for the agency's operations, or of its applications, that end soon."""
    today = timezone.localdate()
    own = Q(operation__service__agency=agency) | Q(application__agency=agency)
    rows = Grant.objects.filter(
        own, state=Grant.State.APPROVED, valid_until__range=(today, today + timedelta(days=SOON)),
        application__active=True,
    ).select_related("application__agency", "operation__service__agency")  # fmt: skip
    return [
        Ending(str(row.operation), str(row.application), row.valid_until) for row in rows if row.valid_until is not None
    ]


def _keys(agency: Agency) -> list[Ending]:
    """Return the access keys of the agency's applications that expire soon."""
    rows = AccessKey.active().filter(
        application__agency=agency, application__active=True, expires_at__lt=timezone.now() + timedelta(days=SOON)
    )
    return [
        Ending(row.public, str(row.application), timezone.localdate(row.expires_at))
        for row in rows.select_related("application__agency")
        if row.expires_at is not None
    ]
