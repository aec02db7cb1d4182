"""The days of operations: each call is counted once, by the party that it ended with."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from registry import faults, statistics
from registry.journal import shipping
from registry.models import CallRecord, OperationDay
from tests.cast import Cast


def record(outcome: int = 200, **values: object) -> CallRecord:
    given = {"operation_ref": 7, "started_at": timezone.now(), "protocol": "rest", "outcome": outcome}
    return CallRecord(**{**given, "duration_us": 20_000, "status": 200, **values})


def test_shipped_calls_are_counted_once(cast: Cast) -> None:
    operation = cast.operations["satu"]
    for query in ("id=7", "id=8", "id=bukan-angka"):
        cast.get("satu.json", query)
    shipping.ship()
    shipping.ship()
    cast.get("satu.json", "id=9")
    shipping.ship()
    found = statistics.usage(operation.pk)
    assert (found.answered, found.failed, found.availability) == (3, 0, 100.0)
    assert found.median_ms is not None and found.median_ms >= 1
    assert OperationDay.objects.filter(operation_ref=operation.pk).count() == 1


def test_only_the_providers_failures_lower_the_availability(db: None) -> None:
    failed = [record(faults.SOURCE_UNREACHABLE.code), record(status=502)]
    others = [
        record(faults.PARAMETER_UNKNOWN.code, status=400), record(broken=True), record(protocol="tryout"),
        record(faults.INTERRUPTED.code), record(operation_ref=None),
    ]  # fmt: skip
    statistics.count([*[record() for _ in range(6)], *failed, *others])
    found = statistics.usage(7)
    assert (found.answered, found.failed, found.availability) == (6, 2, 75.0)
    assert statistics.usage(8).availability is None and statistics.usage(8).median_ms is None


def test_the_median_is_known_to_about_a_tenth(db: None) -> None:
    statistics.count([record(duration_us=us) for us in (1_000, 50_000, 3_600_000_000)])
    assert statistics.usage(7).median_ms == pytest.approx(50, rel=0.12)


def test_days_that_are_long_ago_do_not_count_and_go(db: None) -> None:
    old = timezone.now() - timedelta(days=31)
    statistics.count([record(started_at=old), record(faults.SOURCE_UNREACHABLE.code)])
    assert statistics.usage(7).availability == 0
    assert statistics.usage(7, days=60).availability == 50
    statistics.prune(timezone.localdate() - timedelta(days=30))
    assert OperationDay.objects.count() == 1
