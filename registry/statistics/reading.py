"""Reads roll-ups: how many calls there were, how they ended and how long they took.

Each question is read from the kind of group that answers it with the fewest rows, and whole months of a long period
from their own rows. All is counted in days of the bus's time zone, without try-outs and views in the admin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Self

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from registry.models import CallDay, CallGroup, CallHour, CallMonth, CallRecord, SubjectDay
from registry.outcomes import CLASSES, COUNTED, Ended, quantile_ms
from registry.statistics.sketch import Sketch

Kind = CallGroup.Kind

_MEASURES = ("calls", "rows", "bytes", "duration_us")
_CLASSES = tuple(f"d{number}" for number in range(CLASSES))
#: What has hours, and what has months. Everything has days.
_WITH_HOURS = frozenset((Kind.CALL, Kind.BUS, Kind.PROVIDER, Kind.CONSUMER))
_WITH_MONTHS = frozenset((Kind.PAIR, Kind.OPERATION, Kind.APPLICATION))
#: Calls below which nothing is ranked by its duration or its failures.
LEAST_CALLS = 10
#: The most lines of a ranking or a matrix.
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose calls are counted. All that is given holds at once."""

    #: The codes of the agency that offers, and of the one that calls.
    provider: str = ""
    consumer: str = ""
    #: The code of an agency on either side.
    agency: str = ""
    #: The code of a service of ``provider``.
    service: str = ""
    #: The ids of operations: one, or all of a source or backend.
    operations: tuple[int, ...] | None = None
    #: The code of an application of ``consumer``.
    application: str = ""

    def kind(self, hours: bool = False) -> str:
        """Return the kind of group with the fewest rows that tells these calls from others."""
        kind = self._kind_of_days()
        return Kind.CALL if hours and kind not in _WITH_HOURS else kind

    def _kind_of_days(self) -> str:
        sides = bool(self.provider or self.service), bool(self.consumer), bool(self.agency)
        if self.operations is not None or self.service:
            alone = not (self.consumer or self.application or self.agency)
            return Kind.OPERATION if alone else Kind.CALL
        if self.application:
            return Kind.APPLICATION if not (self.provider or self.agency) else Kind.CALL
        if sides == (False, False, False):
            return Kind.BUS
        if sides == (True, False, False):
            return Kind.PROVIDER
        return Kind.CONSUMER if sides == (False, True, False) else Kind.PAIR

    def condition(self) -> Q:
        """Return the condition for the groups of these calls."""
        given = {
            "group__agency": self.provider, "group__service": self.service,
            "group__consumer_agency": self.consumer, "group__application": self.application,
        }  # fmt: skip
        found = Q(**{column: value for column, value in given.items() if value})
        if self.operations is not None:
            found &= Q(group__operation_ref__in=self.operations)
        if self.agency:
            found &= Q(group__agency=self.agency) | Q(group__consumer_agency=self.agency)
        return found


@dataclass(frozen=True, slots=True)
class Period:
    """Days, the first and the last included, in the bus's time zone."""

    first: date
    last: date

    @classmethod
    def of(cls, days: int, last: date | None = None) -> Self:
        """Return so many days up to a day, or up to today."""
        last = last or timezone.localdate()
        return cls(last - timedelta(days=days - 1), last)

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """The period of the same length directly before."""
        return Period(self.first - timedelta(days=self.days), self.first - timedelta(days=1))

    def months(self) -> list[date]:
        """Return the first days of the months that lie in the period whole, or up to a last day that is today."""
        end = self.last + timedelta(days=1)
        firsts = [day for day in _months(self.first, end) if day >= self.first]
        if self.last >= timezone.localdate():  # no call is later than today: this month's row ends there too
            return firsts
        return (
            [day for day, following in pairwise([*firsts, _next_month(firsts[-1])]) if following <= end]
            if firsts
            else []
        )


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _months(first: date, end: date) -> Iterator[date]:
    """Yield the first days of the months from that of ``first`` on that begin before ``end``."""
    month = first.replace(day=1)
    while month < end:
        yield month
        month = _next_month(month)


@dataclass(slots=True)
class Totals:
    """What is counted of some calls. They add up."""

    calls: int = 0
    answered: int = 0
    #: Faults of the caller's part, of the provider's (source, upstream, definition), and of the bus's own.
    refused: int = 0
    failed: int = 0
    bus: int = 0
    #: Responses that broke off: the caller went away, or read too slowly.
    broken: int = 0
    rows: int = 0
    bytes: int = 0
    #: Of the answered calls: microseconds in all, and their number by class of duration.
    duration_us: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * CLASSES)

    def add(self, how: str, measures: Sequence[int | None], classes: Sequence[int | None] = ()) -> None:
        """Add calls that ended alike: calls, rows, bytes and microseconds, and the calls by class."""
        calls, rows, size, duration = (measure or 0 for measure in measures)
        self.calls += calls
        self.rows += rows
        self.bytes += size
        name = "broken" if how == Ended.ABORTED else how
        setattr(self, name, getattr(self, name) + calls)
        if how == Ended.ANSWERED:
            self.duration_us += duration
            for number, count in enumerate(classes):
                self.durations[number] += count or 0

    @property
    def availability(self) -> float | None:
        """The share in percent of the calls that could be answered and were; None without any.

        Faults of callers count as neither.
        """
        served = self.answered + self.broken
        all = served + self.failed + self.bus
        return 100 * served / all if all else None

    @property
    def error_rate(self) -> float | None:
        """The share of the calls that were refused or failed, in percent; None without calls."""
        return 100 * (self.refused + self.failed + self.bus) / self.calls if self.calls else None

    @property
    def p50_ms(self) -> float | None:
        return quantile_ms(self.durations, 0.50)

    @property
    def p95_ms(self) -> float | None:
        return quantile_ms(self.durations, 0.95)

    @property
    def p99_ms(self) -> float | None:
        return quantile_ms(self.durations, 0.99)

    @property
    def mean_ms(self) -> float | None:
        """The mean duration of the answered calls in milliseconds; None without any."""
        return self.duration_us / self.answered / 1000 if self.answered else None


@dataclass(frozen=True, slots=True)
class Point:
    """The calls of an hour, a day or a month. ``start``: a datetime of the bus's zone for an hour, else a date."""

    start: date | datetime
    totals: Totals


@dataclass(frozen=True, slots=True)
class Outcome:
    """The calls with an outcome: 200 or a fault's code. ``ended``: whose part it is (registry.outcomes.Ended)."""

    code: int
    ended: str
    calls: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """A line of a ranking. ``key``: codes, of an operation (agency, service, operation), of an application (agency,
    application) or of an agency. ``ref``: the id of an operation, else None."""

    key: tuple[str, ...]
    ref: int | None
    totals: Totals


@dataclass(frozen=True, slots=True)
class Cell:
    """The calls between two agencies, by their codes."""

    provider: str
    consumer: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class Left:
    """Responses with data of a classification that left a provider for a consumer ("": a caller without a key)."""

    provider: str
    consumer: str
    classification: str
    calls: int
    rows: int


# ------------------------------------------------------------------------------------ which rows


def _facts(selection: Selection, period: Period, kind: str) -> list[QuerySet[Any]]:
    """Return the rows that make up a period: months where there are whole ones, and days."""
    months = period.months() if kind in _WITH_MONTHS else []
    of_kind = Q(group__kind=kind) & selection.condition()
    if not months:
        return [CallDay.objects.filter(of_kind, day__gte=period.first, day__lte=period.last)]
    found: list[QuerySet[Any]] = [CallMonth.objects.filter(of_kind, day__in=months)]
    # The days before and after, each by itself: for both in one condition PostgreSQL reads many rows in vain.
    ends = (period.first, months[0] - timedelta(days=1)), (_next_month(months[-1]), period.last)
    return found + [
        CallDay.objects.filter(of_kind, day__gte=first, day__lte=last) for first, last in ends if first <= last
    ]


def _sums(rows: QuerySet[Any], by: Sequence[str], classes: bool = True) -> Iterable[tuple[Any, ...]]:
    """Yield the values of ``by``, how the calls ended, the sums of the measures and, if wanted, of the classes."""
    columns = (*_MEASURES, *_CLASSES) if classes else _MEASURES
    sums = {f"sum_{name}": Sum(name) for name in columns}
    return rows.order_by().values_list(*by, "group__ended").annotate(**sums).values_list(*by, "group__ended", *sums)


def _by(facts: Iterable[QuerySet[Any]], by: Sequence[str], classes: bool = True) -> dict[tuple[Any, ...], Totals]:
    """Return the totals of rows by the values of some columns."""
    found: dict[tuple[Any, ...], Totals] = {}
    width = len(by)
    for rows in facts:
        for row in _sums(rows, by, classes):
            key, how, measures = row[:width], row[width], row[width + 1 :]
            found.setdefault(key, Totals()).add(how, measures[: len(_MEASURES)], measures[len(_MEASURES) :])
    return found


# -------------------------------------------------------------------------------------- questions


def totals(selection: Selection, period: Period) -> Totals:
    """Return the totals of a period."""
    return _by(_facts(selection, period, selection.kind()), ()).get((), Totals())


def series(selection: Selection, period: Period, by: str = "day") -> list[Point]:
    """Return the totals of each hour, day or month of a period, in order, also of those without calls."""
    if by == "hour":
        rows: QuerySet[Any] = CallHour.objects.filter(
            Q(group__kind=selection.kind(hours=True)) & selection.condition(),
            day__gte=period.first,
            day__lte=period.last,
        )
        hours = _by([rows], ("day", "hour"))
        return [
            Point(_moment(day, hour), hours.get((day, hour), Totals())) for day in _days(period) for hour in range(24)
        ]
    kind = selection.kind()
    rows = CallDay.objects.filter(
        Q(group__kind=kind) & selection.condition(), day__gte=period.first, day__lte=period.last
    )
    found = _by([rows], ("day",))
    if by == "day":
        return [Point(day, found.get((day,), Totals())) for day in _days(period)]
    months = {month: Totals() for month in _months(period.first, period.last + timedelta(days=1))}
    for (day,), counted in found.items():
        _include(months[day.replace(day=1)], counted)
    return [Point(month, counted) for month, counted in months.items()]


def _include(sum_: Totals, other: Totals) -> None:
    for name in ("calls", "answered", "refused", "failed", "bus", "broken", "rows", "bytes", "duration_us"):
        setattr(sum_, name, getattr(sum_, name) + getattr(other, name))
    sum_.durations = [one + two for one, two in zip(sum_.durations, other.durations, strict=True)]


def _days(period: Period) -> Iterator[date]:
    return (period.first + timedelta(days=number) for number in range(period.days))


def _moment(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), timezone.get_default_timezone())


def outcomes(selection: Selection, period: Period) -> list[Outcome]:
    """Return how the calls of a period ended, the most frequent first."""
    facts = _facts(selection, period, selection.kind())
    found: dict[tuple[int, str], int] = {}
    for rows in facts:
        by_outcome = rows.order_by().values_list("group__outcome", "group__ended").annotate(sum_calls=Sum("calls"))
        for code, how, calls in by_outcome:
            found[code, how] = found.get((code, how), 0) + calls
    lines = (Outcome(code, how, calls) for (code, how), calls in found.items())
    return sorted(lines, key=lambda line: (-line.calls, line.code))


#: What is ranked → the columns of its codes.
_RANKED: dict[str, tuple[str, ...]] = {
    "operation": ("group__agency", "group__service", "group__operation"),
    "application": ("group__consumer_agency", "group__application"),
    "provider": ("group__agency",),
    "consumer": ("group__consumer_agency",),
}
#: What is ranked → the kind of group whose rows tell it, if the selection needs no other columns.
_RANKED_KIND = {
    "operation": Kind.OPERATION, "application": Kind.APPLICATION, "provider": Kind.PAIR, "consumer": Kind.PAIR,
}  # fmt: skip


def _kind_of_ranking(selection: Selection, by: str) -> str:
    """Return the kind of group with the fewest rows that has the columns of a ranking and of the selection."""
    kind = _RANKED_KIND[by]
    needs_consumer = bool(selection.consumer or selection.agency or selection.application)
    needs_operation = selection.operations is not None or bool(selection.service)
    if kind == Kind.OPERATION and needs_consumer:
        return Kind.CALL
    if kind == Kind.APPLICATION and (needs_operation or selection.provider or selection.agency):
        return Kind.CALL
    if kind == Kind.PAIR and (needs_operation or selection.application):
        return Kind.CALL
    return kind


def ranking(
    selection: Selection, period: Period, by: str = "operation", order: str = "calls", limit: int = 10
) -> list[Ranked]:
    """Return the first lines of a ranking.

    ``by``: operation, application, provider or consumer. ``order``: ``calls``; ``slowest``, by the mean duration of the
    answered calls; ``failing``, by the number of calls that failed by the provider's part. The latter two
    leave out what has less than LEAST_CALLS calls, or none that failed.
    """
    return rankings(selection, period, by, (order,), limit)[order]


def rankings(
    selection: Selection, period: Period, by: str, orders: Sequence[str], limit: int = 10
) -> dict[str, list[Ranked]]:
    """Return the rankings in several orders, for little more than one costs."""
    columns = _RANKED[by]
    facts = _facts(selection, period, _kind_of_ranking(selection, by))
    has_ref = by == "operation"
    key = ("group__operation_ref",) if has_ref else columns
    found = _by([rows.exclude(**{columns[-1]: ""}) for rows in facts], key, classes=False)
    first = {order: _first(found, order, min(limit, MOST)) for order in orders}
    chosen = {line for lines in first.values() for line in lines}
    if not chosen:
        return {order: [] for order in orders}
    firsts = sorted({line[0] for line in chosen})
    details = _by([rows.filter(**{f"{key[0]}__in": firsts}) for rows in facts], key)
    names = _names_of_operations(firsts) if has_ref else {}
    return {
        order: [Ranked(names.get(line[0], ()) if has_ref else line, line[0] if has_ref else None, details[line])
                for line in lines]
        for order, lines in first.items()
    }  # fmt: skip


def _first(found: dict[tuple[Any, ...], Totals], order: str, limit: int) -> list[tuple[Any, ...]]:
    """Return what comes first in an order."""
    ordered = sorted(_eligible(found, order), key=lambda item: (-_rank(item[1], order), item[0]))
    return [line for line, _totals in ordered[:limit]]


def _eligible(found: dict[tuple[Any, ...], Totals], order: str) -> Iterator[tuple[tuple[Any, ...], Totals]]:
    for key, counted in found.items():
        if order == "calls" or (counted.calls >= LEAST_CALLS and _rank(counted, order) > 0):
            yield key, counted


def _rank(counted: Totals, order: str) -> float:
    if order == "slowest":
        return counted.mean_ms or 0
    return counted.failed if order == "failing" else counted.calls


def _names_of_operations(refs: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the codes of operations by their ids, as they were when they were last called."""
    rows = CallGroup.objects.filter(kind=Kind.OPERATION, operation_ref__in=refs).exclude(operation="").order_by("pk")
    return {ref: tuple(codes) for ref, *codes in rows.values_list("operation_ref", "agency", "service", "operation")}


def matrix(selection: Selection, period: Period, limit: int = MOST) -> list[Cell]:
    """Return the calls between each two agencies, the most first."""
    kind = Kind.PAIR if _kind_of_ranking(selection, "provider") == Kind.PAIR else Kind.CALL
    facts = [rows.exclude(group__agency="") for rows in _facts(selection, period, kind)]
    found = _by(facts, ("group__agency", "group__consumer_agency"), classes=False)
    cells = [Cell(provider, consumer, counted) for (provider, consumer), counted in found.items()]
    return sorted(cells, key=lambda cell: (-cell.totals.calls, cell.provider, cell.consumer))[: min(limit, MOST)]


def heat_map(selection: Selection, period: Period) -> dict[tuple[int, int], int]:
    """Return the calls of a period by weekday (0: Monday) and hour."""
    rows = CallHour.objects.filter(
        Q(group__kind=selection.kind(hours=True)) & selection.condition(), day__gte=period.first, day__lte=period.last
    )
    by_hour = rows.order_by().values_list("day__iso_week_day", "hour").annotate(sum_calls=Sum("calls"))
    return {(weekday - 1, hour): calls for weekday, hour, calls in by_hour}


def personal_data(selection: Selection, period: Period) -> list[Left]:
    """Return what left by provider, consumer and classification of the data, the most rows first."""
    kind = Kind.PAIR if _kind_of_ranking(selection, "provider") == Kind.PAIR else Kind.CALL
    found: dict[tuple[str, str, str], list[int]] = {}
    for rows in _facts(selection, period, kind):
        left = rows.exclude(group__classification="").order_by()
        key = ("group__agency", "group__consumer_agency", "group__classification")
        for *names, calls, count in left.values_list(*key).annotate(sum_calls=Sum("calls"), sum_rows=Sum("rows")):
            line = found.setdefault(tuple(names), [0, 0])  # type: ignore[arg-type]
            line[0] += calls
            line[1] += count
    lines = (Left(*key, calls, count) for key, (calls, count) in found.items())
    return sorted(lines, key=lambda line: (-line.rows, -line.calls, line.provider, line.consumer))[:MOST]


def subjects(selection: Selection, period: Period) -> int:
    """Return about how many distinct persons answered calls of a period were about (a standard error of 2.3 %).

    Of one agency, two agencies, operations, an application, or the bus. Operations of one consumer are not told apart.
    """
    groups = _subject_groups(selection)
    stored = SubjectDay.objects.filter(groups, day__gte=period.first, day__lte=period.last)
    sketch = Sketch()
    for row in stored.values_list("sketch", flat=True).iterator(500):
        sketch.merge(bytes(row))
    return sketch.count()


def _subject_groups(selection: Selection) -> Q:
    if selection.operations is not None or selection.service:
        return Q(group__in=_groups_of_operations(selection), group__outcome=0, group__ended="")
    total = Q(group__outcome=0, group__ended="")
    if selection.agency:
        offers = Q(group__kind=Kind.PROVIDER, group__agency=selection.agency)
        return total & (offers | Q(group__kind=Kind.CONSUMER, group__consumer_agency=selection.agency))
    return total & Q(group__kind=selection.kind()) & selection.condition()


def _groups_of_operations(selection: Selection) -> QuerySet[Any]:
    """Return the groups of the distinct persons of operations: they name nothing but the operation's id."""
    found = CallGroup.objects.filter(kind=Kind.OPERATION, outcome=0, ended="")
    if selection.operations is not None:
        return found.filter(operation_ref__in=selection.operations)
    of_service = CallGroup.objects.filter(kind=Kind.OPERATION, agency=selection.provider, service=selection.service)
    return found.filter(operation_ref__in=of_service.values("operation_ref"))


def rolled_up_to() -> datetime | None:
    """Return the start of the newest record that is counted; None without any. Read from the history's index."""
    newest = CallRecord.objects.filter(protocol__in=COUNTED).exclude(outcome=0).order_by("-started_at")
    return newest.values_list("started_at", flat=True).first()
