"""When a reconciliation runs by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from mantra.reconciliation.models import Reconciliation

Schedule = Reconciliation.Schedule


def next_run(schedule: str, hour: int, after: datetime) -> datetime | None:
    """Return the first moment of a schedule after another one, in the bus's time zone; None without a schedule."""
    if schedule == Schedule.NONE:
        return None
    local = timezone.localtime(after)
    moment = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    while moment <= local or not _is_day(schedule, moment):
        moment += timedelta(days=1)
    return moment


def _is_day(schedule: str, moment: datetime) -> bool:
    if schedule == Schedule.WEEKLY:
        return moment.weekday() == 0
    return schedule == Schedule.DAILY or moment.day == 1
