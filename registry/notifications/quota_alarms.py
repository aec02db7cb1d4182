"""Quotas that are nearly used up, as the call history shows it: calls themselves do nothing for it.

A quota's period begins with a call, which the history does not say. So the calls of the last period count.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import limits
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from registry import faults
from registry.models import CallRecord, Event, Grant
from registry.notifications.names import operation_name
from registry.notifications.recipients import members
from registry.notifications.writing import first_time, notify

#: The share of a quota at which people are notified, and the refusals of an hour after which they are.
SHARE, REFUSALS = 0.8, 3
#: Quotas of shorter periods (seconds) protect a source from bursts: nobody acts on them. Larger ones are not counted.
SHORTEST, LARGEST = 3600, 100_000
#: The most grants that one round looks at.
BATCH = 200


class Alarms:
    """Looks at the grants with a quota, BATCH of them each round."""

    def __init__(self) -> None:
        self._last = 0

    def report(self, now: datetime) -> int:
        """Notify of grants whose quota is nearly or fully used up, each once a day. Return the number of events."""
        return sum(_report(grant, 100, now) for grant in _refused(now)) + sum(
            _report(grant, percent, now) for grant, percent in self._nearly_used(now)
        )

    def _nearly_used(self, now: datetime) -> list[tuple[Grant, int]]:
        rows = _grants().exclude(quota="").filter(pk__gt=self._last).order_by("pk")
        found = list(rows[:BATCH])
        self._last = found[-1].pk if len(found) == BATCH else 0
        shares = [(grant, _share(grant, now)) for grant in found]
        return [(grant, percent) for grant, percent in shares if percent >= SHARE * 100]


def _grants() -> Any:
    rows = Grant.objects.filter(state=Grant.State.APPROVED, application__active=True)
    return rows.select_related("application__agency", "operation__service__agency")


def _refused(now: datetime) -> list[Grant]:
    """Return the grants of which calls were refused repeatedly because of their quota."""
    rows = CallRecord.objects.filter(
        outcome=faults.QUOTA_EXCEEDED.code, started_at__gt=now - timedelta(hours=1)
    ).order_by()
    by_grant = rows.values_list("operation_ref", "consumer_agency", "application").annotate(number=Count("pk"))
    found = []
    for operation, agency, application, _number in by_grant.filter(number__gte=REFUSALS)[:BATCH]:
        grants = _grants().filter(operation=operation, application__agency__code=agency, application__code=application)
        found += list(grants.exclude(quota="")[:1])
    return found


def _share(grant: Grant, now: datetime) -> int:
    """Return how many per cent of a grant's quota the calls of the last period are: of the limit nearest to its end."""
    return max((_percent(grant, each, now) for each in limits.parse_many(grant.quota)), default=0)


def _percent(grant: Grant, limit: Any, now: datetime) -> int:
    seconds = limit.get_expiry()
    if seconds < SHORTEST or limit.amount > LARGEST:
        return 0
    rows = CallRecord.objects.filter(
        operation_ref=grant.operation_id,
        started_at__gt=now - timedelta(seconds=seconds),
        consumer_agency=grant.application.agency.code,
        application=grant.application.code,
    ).exclude(outcome=faults.QUOTA_EXCEEDED.code)
    # A query for so many rows at most: one for all of them would take long.
    calls = rows.order_by().values("pk")[: limit.amount].count()
    return int(100 * calls / limit.amount)


@transaction.atomic
def _report(grant: Grant, percent: int, now: datetime) -> bool:
    day = timezone.localdate(now)
    level = 100 if percent >= 100 else 80
    if not first_time(f"{Event.QUOTA_ALARM}:{grant.pk}:{day}:{level}"):
        return False
    notify(
        Event.QUOTA_ALARM,
        members(grant.application.agency, "registry.change_application"),
        about=grant,
        application=str(grant.application),
        operation=operation_name(grant.operation),
        percent=percent,
        quota=grant.quota,
    )
    return True
