"""Personal data that left although nobody declared it, as the egress guard has counted it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from registry.models import Event, Guard, GuardFinding, Operation
from registry.notifications.names import operation_name
from registry.notifications.recipients import members
from registry.notifications.writing import first_time, notify

#: The most operations that one round looks at.
BATCH = 200
#: How far a round looks back: further than the rounds are apart.
WINDOW = timedelta(hours=1)
#: Kind of operation → the right of those who can declare its columns.
_AUTHORS = {"data": "dataservices.change_dataoperation", "proxy": "proxyservices.change_proxyoperation"}


def report(now: datetime) -> int:
    """Notify the providers of what was found, of each operation once a day. Return the number of events."""
    rows = GuardFinding.objects.filter(last_at__gt=now - WINDOW, last_at__lte=now).exclude(guard=Guard.MASK)
    found = list(rows.order_by().values_list("operation", flat=True).distinct()[:BATCH])
    operations = Operation.objects.select_related("service__agency").in_bulk(found)
    return sum(_report(operations[pk], now) for pk in found if pk in operations)


@transaction.atomic
def _report(operation: Operation, now: datetime) -> bool:
    day = timezone.localdate(now)
    if operation.kind not in _AUTHORS or not first_time(f"{Event.UNDECLARED_DATA}:{operation.pk}:{day}"):
        return False
    rows = list(GuardFinding.objects.filter(operation=operation, day__gte=day - timedelta(days=1)))
    notify(
        Event.UNDECLARED_DATA,
        members(operation.service.agency, _AUTHORS[operation.kind]),
        url=reverse("admin:registry_guardfinding_changelist") + f"?operation__id__exact={operation.pk}",
        operation=operation_name(operation),
        calls=max((row.calls for row in rows), default=0),
        data=", ".join(sorted({row.kind for row in rows})),
    )
    return True
