"""Whom a stop shuts out, in numbers: for the page that asks before it, and afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mantra.containment.gathering import calls_of
from registry import faults
from registry.models import Application, CallRecord, Grant, Stop, StopKind
from registry.stop_notices import operations_of
from registry.stop_targets import Target

#: Calls that are counted at most, and of what time.
MOST_CALLS, SPAN = 100_000, timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Affected:
    """Operations and applications that a stop concerns, and the calls of the last hour that it would have refused.

    ``operations`` is None for a caller, who is shut out of all. ``more``: there were more calls than are counted.
    """

    applications: int
    operations: int | None
    calls: int
    more: bool


def affected(target: Target, now: datetime) -> Affected:
    """Return whom a stop of this shuts out."""
    operations = operations_of(target)
    if operations is None:
        applications, count = 1, None
    else:
        grants = Grant.objects.filter(operation__in=operations, state=Grant.State.APPROVED, application__active=True)
        callers = set(grants.values_list("application", flat=True).distinct())
        if target.kind == StopKind.AGENCY:
            callers |= set(Application.objects.filter(agency=target.ref, active=True).values_list("pk", flat=True))
        applications, count = len(callers), operations.exclude(state="draft").count()
    rows = CallRecord.objects.filter(started_at__gte=now - SPAN).filter(calls_of(target.kind, target.ref, target.name))
    calls = rows.order_by()[: MOST_CALLS + 1].count()
    return Affected(applications, count, min(calls, MOST_CALLS), calls > MOST_CALLS)


def counted(stop: Stop) -> dict[str, int]:
    """Return the calls that a stop has refused, and those that were served since its release, as far as counted."""
    calls = CallRecord.objects.filter(calls_of(stop.kind, stop.ref, stop.name)).order_by()
    refused = calls.filter(outcome=faults.STOPPED.code, started_at__gte=stop.started_at)
    found = {"refused": refused[:MOST_CALLS].count()}
    if stop.released_at is not None:
        served = calls.filter(outcome=200, started_at__gte=stop.released_at)
        found["served"] = served[:MOST_CALLS].count()
    return found
