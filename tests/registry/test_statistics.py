"""Roll-ups: each call is counted once, and every question about a period is answered as its records would be."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from registry import faults
from registry.journal import shipping
from registry.journal.chain import subject_hash
from registry.models import CallDay, CallGroup, CallHour, CallMonth, CallRecord, SubjectDay
from registry.outcomes import BOUNDS_US, Ended, quantile_ms
from registry.statistics import reading, rollups
from registry.statistics.reading import Period, Selection, Totals
from registry.statistics.rollups import EndedCall
from registry.statistics.sketch import REGISTERS, Sketch
from tests.cast import Cast
from tests.ended_calls import ended_call


def today() -> Period:
    """The day of the test, which may be another one than that on which its run began."""
    return Period.of(1)


# ---------------------------------------------------------------------------------- from the journal


def test_shipped_calls_are_counted_once(cast: Cast) -> None:
    operation = cast.operations["satu"]
    for query in ("id=7", "id=8", "id=bukan-angka"):
        cast.get("satu.json", query)
    shipping.ship()
    shipping.ship()
    cast.get("satu.json", "id=9")
    shipping.ship()
    found = reading.totals(Selection(operations=(operation.pk,)), today())
    assert (found.calls, found.answered, found.refused, found.rows) == (4, 3, 1, 3)
    assert found.availability == 100 and found.error_rate == 25 and found.p50_ms
    record = CallRecord.objects.filter(outcome=200).first()
    assert record is not None
    assert (record.origin_kind, record.origin_ref, record.origin) == ("source", cast.source.pk, cast.source.code)
    assert record.grant_ref == cast.grants["satu"].pk
    assert CallRecord.objects.exclude(outcome=200).get().origin == ""  # refused before its source was asked


def test_a_call_that_never_ended_is_counted_when_its_process_has_ended(cast: Cast) -> None:
    from registry.journal import segments

    begin = {"t": "begin", "id": f"{int(timezone.now().timestamp() * 1000):012x}{'1' * 20}", "protocol": "rest"}
    begin |= {"at": timezone.now().timestamp(), "method": "GET", "ip": "127.0.0.1"}
    segments.write(begin)
    shipping.ship()
    assert reading.totals(Selection(), today()).calls == 0  # in progress
    segments.close()
    shipping.ship()
    shipping.ship()
    assert reading.totals(Selection(), today()).bus == 1
    assert [each.code for each in reading.outcomes(Selection(), today())] == [faults.INTERRUPTED.code]


@pytest.fixture
def ignoring_case(db: None) -> Iterator[None]:
    """Let the database compare the texts of groups as MariaDB does by default."""
    if connection.vendor != "sqlite":
        pytest.skip("another engine's own comparison is not changed")
    with connection.cursor() as cursor:
        made = "SELECT sql FROM sqlite_master WHERE tbl_name = 'registry_callgroup' AND sql > '' ORDER BY type DESC"
        cursor.execute(made)
        table, *indexes = [sql for (sql,) in cursor.fetchall()]
        cursor.execute("DROP TABLE registry_callgroup")
        for sql in (re.sub(r"(varchar\(\d+\))", r"\1 COLLATE NOCASE", table), *indexes):
            cursor.execute(sql)
    yield
    rollups.forget_groups()


@pytest.mark.usefixtures("ignoring_case")
def test_a_code_that_is_spelt_otherwise_now_is_the_same_to_a_database_that_ignores_case() -> None:
    subjects = subject_hash("1"), subject_hash("2")
    rollups.count([ended_call(application="Siak", subjects=subjects[:1])])
    rollups.count([ended_call(application=code, subjects=subjects[1:]) for code in ("SIAK", "siak")])
    assert reading.totals(Selection(consumer="kons", application="siak"), today()).calls == 3
    assert reading.subjects(Selection(consumer="kons", application="siak"), today()) == 2


# ---------------------------------------------------------------------- against an independent count

AGENCIES = ("a", "b", "c")


def random_calls(number: int, chance: random.Random) -> Iterator[EndedCall]:
    """Yield calls of 500 days up to now that differ in everything that is counted by."""
    now = timezone.now()
    for _each in range(number):
        operation = chance.randrange(1, 7)
        outcome = chance.choice(
            (200, 200, 200, faults.SOURCE_TIMEOUT.code, faults.KEY_UNKNOWN.code, faults.INTERNAL.code)
        )
        yield ended_call(
            started_at=now - timedelta(minutes=chance.randrange(500 * 24 * 60)),
            protocol=chance.choice(("rest", "soap", "legacy", "tryout")),
            agency=AGENCIES[operation % 3],
            service=f"s{operation % 2}",
            operation=f"o{operation}",
            operation_ref=operation,
            consumer_agency=chance.choice(AGENCIES),
            application=chance.choice(("x", "y")),
            classification=chance.choice(("", "personal", "specific")),
            outcome=outcome,
            broken=chance.random() < 0.1,
            rows=chance.randrange(5),
            bytes=chance.randrange(1000),
            duration_us=chance.choice(BOUNDS_US),
            subjects=(subject_hash(str(chance.randrange(50))),) if chance.random() < 0.5 else (),
        )


@pytest.fixture(scope="module")
def calls() -> list[EndedCall]:
    return list(random_calls(1500, random.Random(12)))


@pytest.fixture
def counted(db: None, calls: list[EndedCall]) -> list[EndedCall]:
    """The calls of callers, counted in several turns."""
    rollups.forget_groups()
    for start in range(0, len(calls), 400):
        rollups.count(calls[start : start + 400])
    return [call for call in calls if call.protocol != "tryout"]


def of_period(calls: list[EndedCall], period: Period, **columns: Any) -> list[EndedCall]:
    return [
        call
        for call in calls
        if period.first <= timezone.localdate(call.started_at) <= period.last
        and all(getattr(call, name) == value for name, value in columns.items())
    ]


def sums(calls: list[EndedCall]) -> tuple[int, ...]:
    return (
        len(calls), sum(call.rows or 0 for call in calls), sum(call.bytes or 0 for call in calls),
        sum(call.outcome == faults.KEY_UNKNOWN.code for call in calls),
        sum(call.outcome == faults.SOURCE_TIMEOUT.code for call in calls),
        sum(call.outcome == 200 and call.broken for call in calls),
    )  # fmt: skip


def sums_of(found: Totals) -> tuple[int, ...]:
    return found.calls, found.rows, found.bytes, found.refused, found.failed, found.broken


SELECTIONS: list[tuple[Selection, dict[str, Any]]] = [
    (Selection(), {}),
    (Selection(provider="a"), {"agency": "a"}),
    (Selection(consumer="b"), {"consumer_agency": "b"}),
    (Selection(provider="a", consumer="b"), {"agency": "a", "consumer_agency": "b"}),
    (Selection(provider="a", service="s0"), {"agency": "a", "service": "s0"}),
    (Selection(operations=(4,)), {"operation_ref": 4}),
    (Selection(operations=(4,), consumer="c"), {"operation_ref": 4, "consumer_agency": "c"}),
    (Selection(consumer="a", application="x"), {"consumer_agency": "a", "application": "x"}),
    (
        Selection(provider="b", consumer="a", application="x"),
        {"agency": "b", "consumer_agency": "a", "application": "x"},
    ),
]


@pytest.mark.parametrize("days", [1, 7, 30, 365])
def test_totals_are_those_of_the_calls(counted: list[EndedCall], days: int) -> None:
    for period in (Period.of(days), Period.of(days).before):
        for selection, columns in SELECTIONS:
            expected = of_period(counted, period, **columns)
            assert sums_of(reading.totals(selection, period)) == sums(expected), (selection, period)
            assert sum(each.calls for each in reading.outcomes(selection, period)) == len(expected)
        either = [call for call in of_period(counted, period) if "a" in (call.agency, call.consumer_agency)]
        assert sums_of(reading.totals(Selection(agency="a"), period)) == sums(either)


def test_every_question_about_a_year_is_answered_as_by_its_calls(counted: list[EndedCall]) -> None:
    period = Period.of(365)
    of_a = of_period(counted, period, agency="a")
    by_day = Counter(timezone.localdate(call.started_at) for call in of_a)
    points = reading.series(Selection(provider="a"), period)
    assert [(point.start, point.totals.calls) for point in points] == [
        (period.first + timedelta(days=number), by_day[period.first + timedelta(days=number)]) for number in range(365)
    ]
    months = reading.series(Selection(provider="a"), period, by="month")
    assert sum(point.totals.calls for point in months) == len(of_a)
    clock = Counter(
        (timezone.localtime(call.started_at).weekday(), timezone.localtime(call.started_at).hour) for call in of_a
    )
    assert reading.heat_map(Selection(provider="a"), period) == clock
    ranked = reading.ranking(Selection(provider="a"), period, limit=2)
    by_operation = Counter(call.operation_ref for call in of_a)
    assert [(each.ref, each.totals.calls) for each in ranked] == sorted(
        by_operation.items(), key=lambda item: (-item[1], item[0])
    )[:2]
    assert ranked[0].key == ("a", f"s{ranked[0].ref % 2}", f"o{ranked[0].ref}")  # type: ignore[operator]
    pairs = Counter((call.agency, call.consumer_agency) for call in of_period(counted, period))
    assert {(cell.provider, cell.consumer): cell.totals.calls for cell in reading.matrix(Selection(), period)} == pairs
    left = Counter[tuple[str, str, str]]()
    for call in of_period(counted, period):
        if call.classification:
            left[call.agency, call.consumer_agency, call.classification] += call.rows or 0
    found = reading.personal_data(Selection(), period)
    assert {(each.provider, each.consumer, each.classification): each.rows for each in found} == left


def test_an_hour_is_counted_by_the_clock_of_the_bus(counted: list[EndedCall]) -> None:
    for selection, columns in SELECTIONS:
        points = reading.series(selection, Period.of(3), by="hour")
        expected = Counter(
            timezone.localtime(call.started_at).replace(minute=0, second=0, microsecond=0)
            for call in of_period(counted, Period.of(3), **columns)
        )
        assert len(points) == 72
        assert {point.start: point.totals.calls for point in points if point.totals.calls} == expected


def test_the_slowest_and_the_failing_are_those_of_the_calls(counted: list[EndedCall]) -> None:
    period = Period.of(365)
    failing: Counter[int] = Counter()
    durations: dict[int, list[int]] = {}
    for call in of_period(counted, period):
        failing[call.operation_ref or 0] += call.outcome == faults.SOURCE_TIMEOUT.code
        if call.outcome == 200 and not call.broken:
            durations.setdefault(call.operation_ref or 0, []).append(call.duration_us or 0)
    first = reading.ranking(Selection(), period, order="failing", limit=1)[0]
    assert first.totals.failed == max(failing.values())
    slowest = reading.ranking(Selection(), period, order="slowest")
    means = sorted((sum(each) / len(each) / 1000 for each in durations.values()), reverse=True)
    assert [each.totals.mean_ms for each in slowest] == pytest.approx(means)


def test_distinct_persons_are_counted_over_days_and_agencies(counted: list[EndedCall]) -> None:
    period = Period.of(365)
    for selection, columns in SELECTIONS[:4]:
        expected = {
            subject
            for call in of_period(counted, period, **columns)
            if call.outcome == 200
            for subject in call.subjects
        }
        assert reading.subjects(selection, period) == pytest.approx(len(expected), abs=3), selection
    assert reading.subjects(Selection(operations=(1, 2, 3, 4, 5, 6)), period) == reading.subjects(Selection(), period)


# ------------------------------------------------------------------------------------------- parts


def test_whose_part_a_failure_was(db: None) -> None:
    rollups.count(
        [
            ended_call(), ended_call(status=404), ended_call(status=502), ended_call(broken=True),
            ended_call(outcome=faults.SOURCE_UNREACHABLE.code, status=502),
            ended_call(outcome=faults.PARAMETER_UNKNOWN.code, status=400), ended_call(outcome=faults.INTERRUPTED.code),
            ended_call(protocol="browse"),
        ]
    )  # fmt: skip
    found = reading.totals(Selection(), today())
    parts = (found.calls, found.answered, found.refused, found.failed, found.bus, found.broken)
    assert parts == (7, 2, 1, 2, 1, 1)
    assert found.availability == 50
    none = reading.totals(Selection(provider="lain"), today())
    assert none.availability is None and none.p95_ms is None and none.error_rate is None and none.mean_ms is None


def test_quantiles_are_within_a_class(db: None) -> None:
    rollups.count(ended_call(duration_us=us) for us in (1_000, 50_000, 3_600_000_000))
    found = reading.totals(Selection(), today())
    assert found.p50_ms == pytest.approx(50, rel=0.45)
    assert found.p99_ms == pytest.approx(60_000, rel=0.1)
    assert quantile_ms([0] * 28, 0.5) is None


def test_months_are_used_only_where_they_are_whole() -> None:
    past = Period(date(2025, 1, 15), date(2025, 4, 30))
    assert past.months() == [date(2025, 2, 1), date(2025, 3, 1), date(2025, 4, 1)]
    assert Period(date(2025, 1, 2), date(2025, 1, 31)).months() == []
    assert Period(date(2025, 1, 1), date(2025, 2, 27)).months() == [date(2025, 1, 1)]
    today = timezone.localdate()
    assert Period(today.replace(day=1), today).months() == [today.replace(day=1)]
    assert past.before == Period(date(2024, 10, 1), date(2025, 1, 14))


@pytest.mark.parametrize("number", [0, 1, 100, 5_000, 100_000])
def test_a_sketch_counts_about_right_and_merges(number: int) -> None:
    whole, halves = Sketch(), (Sketch(), Sketch())
    chance = random.Random(number)
    for each in range(number):
        subject = f"{chance.getrandbits(128):032x}"
        whole.add((subject, subject))
        halves[each % 2].add((subject,))
    assert whole.count() == pytest.approx(number, rel=0.07)
    merged = Sketch(halves[0].dump())
    merged.merge(halves[1].dump())
    assert merged.dump() == whole.dump() and len(whole.dump()) <= REGISTERS


def test_old_days_are_deleted(counted: list[EndedCall]) -> None:
    limit = timezone.localdate() - timedelta(days=100)
    rollups.prune(limit)
    left = of_period(counted, Period(limit, timezone.localdate()))
    assert reading.totals(Selection(), Period.of(1000)).calls == len(left)
    for model in (CallHour, CallDay, SubjectDay):
        assert not model._default_manager.filter(day__lt=limit).exists()
    assert not CallMonth.objects.filter(day__lt=limit.replace(day=1)).exists()
    assert CallGroup.objects.filter(ended=Ended.ANSWERED).exists()
