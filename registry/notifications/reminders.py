"""Reminders of grants and access keys that are about to end: 30, 7 and 1 days before, each once."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from registry.models import AccessKey, Event, Grant
from registry.notifications.names import operation_name
from registry.notifications.recipients import members
from registry.notifications.writing import first_time, notify

#: Days before the end, the last reminder first.
DAYS = (1, 7, 30)
#: Who renews a grant or issues a new key: those who manage the agency's applications.
RIGHT = "registry.change_application"


def remind(now: datetime) -> int:
    """Notify those whose grants and keys are about to end. Return the number of reminders."""
    today = timezone.localdate(now)
    until = today + timedelta(days=DAYS[-1])
    grants = Grant.objects.filter(
        state=Grant.State.APPROVED, valid_until__range=(today, until), application__active=True
    ).select_related("application__agency", "operation__service__agency")
    keys = (
        AccessKey.active()
        .filter(expires_at__gt=now, expires_at__lt=now + timedelta(days=DAYS[-1] + 1), application__active=True)
        .select_related("application__agency")
    )
    return sum(_of_grant(row, today) for row in grants.iterator(500)) + sum(
        _of_key(row, today) for row in keys.iterator(500)
    )


def _of_grant(grant: Grant, today: date) -> bool:
    assert grant.valid_until is not None
    words = {"application": str(grant.application), "operation": operation_name(grant.operation)}
    return _remind(Event.GRANT_ENDING, grant, grant.valid_until, today, **words)


def _of_key(key: AccessKey, today: date) -> bool:
    assert key.expires_at is not None
    words = {"application": str(key.application), "key": key.public}
    return _remind(Event.KEY_ENDING, key, timezone.localdate(key.expires_at), today, **words)


@transaction.atomic
def _remind(event: Event, row: Any, end: date, today: date, **words: str) -> bool:
    """Notify of a row's end, once for each of DAYS. Return True if that was not done before."""
    days = (end - today).days
    due = next((each for each in DAYS if days <= each), None)
    if due is None or not first_time(f"{event}:{row.pk}:{end.isoformat()}:{due}"):
        return False
    notify(event, members(row.application.agency, RIGHT), about=row, days=days, until=end, **words)
    return True
