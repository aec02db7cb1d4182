"""When a synchronisation runs next."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from django.utils import timezone

from mantra.synchronization.models import Sync


def next_time(sync: Sync, now: datetime) -> datetime | None:
    """Return when an enabled synchronisation runs after ``now``; None for one that runs by hand only."""
    if not sync.enabled or sync.schedule == Sync.Schedule.HAND:
        return None
    if sync.schedule == Sync.Schedule.MINUTES:
        return now + timedelta(minutes=sync.every_minutes)
    local = timezone.localtime(now)
    day = local.date()
    for _ in range(3):
        moment = timezone.make_aware(datetime.combine(day, time(sync.at_hour)))
        if moment > now:
            return moment
        day += timedelta(days=1)
    raise AssertionError
