"""How the calls of operations ended, by days: the shipping of the journal counts them, the catalogue shows them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.utils import timezone

from registry import faults
from registry.models import CallRecord, OperationDay

#: Classes of durations to each doubling: a duration is known to about a tenth.
_CLASSES = 4
_OK, _SERVER_ERROR = 200, 500
#: The protocol of runs in the admin, which are no calls of others.
_TRYOUT = "tryout"
#: The outcomes that the provider is to see to.
_FAILURES = frozenset(code for code, kind in faults.TABLE.items() if kind.party == "provider")


@dataclass(slots=True)
class Usage:
    """How the calls of some days ended: those that were answered, and those that the provider failed."""

    answered: int = 0
    failed: int = 0
    #: Class of durations → answered calls.
    durations: Counter[int] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        return self.answered + self.failed

    @property
    def availability(self) -> float | None:
        """The share of the calls that were answered, in percent; None without calls. Callers' faults count as none."""
        return 100 * self.answered / self.calls if self.calls else None

    @property
    def median_ms(self) -> int | None:
        """The duration that half of the answered calls did not exceed, in milliseconds; None without calls."""
        half = self.durations.total() / 2
        passed = 0
        for number in sorted(self.durations):
            passed += self.durations[number]
            if passed >= half:
                return max(1, round(2 ** (number / _CLASSES) / 1000))
        return None

    def add(self, record: CallRecord) -> None:
        """Count a call that has ended."""
        if record.outcome in _FAILURES or (record.outcome == _OK and (record.status or 0) >= _SERVER_ERROR):
            self.failed += 1
        elif record.outcome == _OK and not record.broken:
            self.answered += 1
            self.durations[round(_CLASSES * math.log2(max(record.duration_us or 0, 1)))] += 1

    def include(self, row: OperationDay) -> None:
        """Add what a row has counted."""
        self.answered += row.answered
        self.failed += row.failed
        self.durations.update({int(number): count for number, count in row.durations.items()})


def usage(operation: int, days: int = 30) -> Usage:
    """Return how the calls of an operation ended in the last days, up to today."""
    found = Usage()
    since = timezone.localdate() - timedelta(days=days)
    for row in OperationDay.objects.filter(operation_ref=operation, day__gt=since):
        found.include(row)
    return found


def count(ended: Iterable[CallRecord]) -> None:
    """Count calls that have ended, in the transaction that stores their records: so each is counted once."""
    new: dict[tuple[int, date], Usage] = {}
    for record in ended:
        if record.operation_ref is not None and record.protocol != _TRYOUT:
            key = record.operation_ref, timezone.localdate(record.started_at)
            new.setdefault(key, Usage()).add(record)
    new = {key: found for key, found in new.items() if found.calls}
    if new:
        _store(new)


def _store(new: dict[tuple[int, date], Usage]) -> None:
    """Add counts to the stored rows. The shipping alone writes them, one batch after the other."""
    rows = OperationDay.objects.filter(operation_ref__in={ref for ref, _day in new}, day__in={day for _ref, day in new})
    stored = {(row.operation_ref, row.day): row for row in rows}
    for (ref, day), found in new.items():
        row = stored.get((ref, day)) or OperationDay(operation_ref=ref, day=day)
        found.include(row)
        row.answered, row.failed = found.answered, found.failed
        row.durations = {str(number): found.durations[number] for number in sorted(found.durations)}
        stored[ref, day] = row
    changed = [stored[key] for key in new]
    OperationDay.objects.bulk_update(
        [row for row in changed if row.pk is not None], ["answered", "failed", "durations"], batch_size=100
    )
    OperationDay.objects.bulk_create([row for row in changed if row.pk is None])


def prune(before: date) -> None:
    """Delete the days before a date."""
    OperationDay.objects.filter(day__lt=before).delete()
