"""Starting, cancelling and reading the runs of a synchronisation."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mantra.synchronization.models import Sync, SyncRun
from mantra.synchronization.schedule import next_time

State = SyncRun.State
ACTIVE = (State.WAITING, State.RUNNING)
RIGHT = "synchronization.change_sync"


class Busy(Exception):
    """A run of the synchronisation waits or works already."""


def kind_for(sync: Sync, now: datetime) -> str:
    """Return the kind of the next run: full at first, where only that is possible, and every so many days."""
    if not gives_changes(sync) or sync.last_full_at is None:
        return SyncRun.Kind.FULL
    is_due = now - sync.last_full_at >= timedelta(days=sync.full_days)
    return SyncRun.Kind.FULL if is_due else SyncRun.Kind.CHANGES


def gives_changes(sync: Sync) -> bool:
    """Return True if the operation can be read by its changes."""
    if sync.operation is None or sync.operation.kind != "data":
        return False
    return bool(getattr(sync.operation.of_its_kind, "change_marker", ""))


@transaction.atomic
def start(
    sync: Sync, now: datetime, *, user: str = "", dry: bool = False, unlimited: bool = False, full: bool = False
) -> SyncRun:
    """Let the worker make a run. Raises Busy."""
    list(Sync.objects.select_for_update().filter(pk=sync.pk).values_list("pk"))  # nobody else starts one meanwhile
    if sync.runs.filter(state__in=ACTIVE).exists():
        raise Busy
    kind = SyncRun.Kind.FULL if full or dry else kind_for(sync, now)
    return SyncRun.objects.create(sync=sync, kind=kind, dry=dry, unlimited=unlimited, user=user, created_at=now)


def start_due(now: datetime) -> int:
    """Start the runs whose time has come. Return their number."""
    due = Sync.objects.filter(enabled=True, next_at__lte=now).select_related("operation").order_by("next_at", "pk")
    number = 0
    for sync in due.iterator(500):
        Sync.objects.filter(pk=sync.pk).update(next_at=next_time(sync, now))
        try:
            start(sync, now)
            number += 1
        except Busy:  # the next time is soon enough
            pass
    return number


def cancel(run: SyncRun) -> bool:
    """Cancel a run. What it has written stays. Return False if it has ended already."""
    rows = SyncRun.objects.filter(pk=run.pk, state__in=ACTIVE)
    return bool(rows.update(state=State.CANCELLED, finished_at=timezone.now()))


def latest(syncs: QuerySet[Sync]) -> dict[int, SyncRun]:
    """Return the last run of each of these, by their ids."""
    found: dict[int, SyncRun] = {}
    for run in SyncRun.objects.filter(sync__in=syncs).order_by("sync_id", "-created_at", "-id"):
        found.setdefault(run.sync_id, run)
    return found
