"""Keys of verifications that were locked after wrong tries, as the call history shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from registry import faults
from registry.models import Application, CallRecord, Event, Operation
from registry.notifications.names import operation_name
from registry.notifications.recipients import members
from registry.notifications.writing import first_time, notify

#: The most pairs of operation and application that one round looks at.
BATCH = 200
#: How far a round looks back: further than the rounds are apart.
WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Locked:
    """The calls of one application that met a lock of one verification."""

    operation: int
    agency: str
    application: str
    calls: int


def locked(since: datetime, until: datetime, most: int = BATCH) -> list[Locked]:
    """Return the applications that met locks in a period, those with the most calls first."""
    rows = CallRecord.objects.filter(
        outcome=faults.VERIFICATION_LOCKED.code,
        started_at__gt=since,
        started_at__lte=until,
        operation_ref__isnull=False,
    ).order_by()
    found = rows.values_list("operation_ref", "consumer_agency", "application").annotate(calls=Count("pk"))
    return [Locked(*row) for row in found.order_by("-calls", "operation_ref")[:most]]


def report(now: datetime) -> int:
    """Notify the providers of locks, of each operation and application once a day. Return the number of events."""
    return sum(_report(*each, now) for each in _known(locked(now - WINDOW, now)))


def _known(found: list[Locked]) -> Iterator[tuple[Locked, Operation]]:
    """Yield those of which the operation is still there."""
    rows = Operation.objects.select_related("service__agency").in_bulk({each.operation for each in found})
    for each in found:
        if each.operation in rows:
            yield each, rows[each.operation]


@transaction.atomic
def _report(found: Locked, operation: Operation, now: datetime) -> bool:
    day = timezone.localdate(now)
    name = f"{found.agency}/{found.application}"
    # The name of the application may be long: what is remembered is its id.
    row = Application.objects.filter(agency__code=found.agency, code=found.application).first()
    if not first_time(f"{Event.VERIFICATION_LOCKED}:{operation.pk}:{row.pk if row else 0}:{day}"):
        return False
    notify(
        Event.VERIFICATION_LOCKED,
        members(operation.service.agency, "registry.change_grant"),
        about=operation,
        application=name,
        operation=operation_name(operation),
        calls=found.calls,
    )
    return True
