"""Starting, cancelling and deleting runs and reconciliations."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from mantra.reconciliation import files
from mantra.reconciliation.models import Reconciliation, ReconciliationRun, Side
from mantra.reconciliation.schedule import next_run
from registry.models import User

State = ReconciliationRun.State
#: The most runs of a reconciliation that are kept.
MOST_RUNS = 1_000
IN_PROGRESS = (State.WAITING, State.RUNNING)


def start(reconciliation: Reconciliation, user: User | None, scheduled: bool = False) -> ReconciliationRun | None:
    """Let the worker do a run. Return None if one is in progress already. The caller has checked the rights."""
    with transaction.atomic():
        list(Reconciliation.objects.select_for_update().filter(pk=reconciliation.pk).order_by().values_list("pk"))
        if reconciliation.runs.filter(state__in=IN_PROGRESS).exists():
            return None
        _make_room(reconciliation)
        run: ReconciliationRun = reconciliation.runs.create(user=user, scheduled=scheduled)
        return run


def _make_room(reconciliation: Reconciliation) -> None:
    """Delete the oldest runs where there would be too many."""
    for run in reconciliation.runs.exclude(state__in=IN_PROGRESS)[MOST_RUNS - 1 :]:
        files.remove(files.RESULTS, run.stored)
        run.delete()


def cancel(run: ReconciliationRun, now: datetime) -> None:
    """End a run that waits or is running: the worker notices it at its next report."""
    rows = ReconciliationRun.objects.filter(pk=run.pk, state__in=IN_PROGRESS)
    rows.update(state=State.CANCELLED, finished_at=now)


def start_due(now: datetime) -> int:
    """Start the runs whose time has come. What was missed meanwhile is done once. Return their number."""
    started = 0
    due = Reconciliation.objects.filter(next_at__lte=now).select_related("responsible").order_by("next_at", "pk")
    for row in due[:100]:
        following = next_run(row.schedule, row.hour, now)
        # Whoever sets the next time starts the run: once, also if there are two processes.
        if Reconciliation.objects.filter(pk=row.pk, next_at=row.next_at).update(next_at=following):
            started += start(row, row.responsible, scheduled=True) is not None
    return started


def delete(reconciliation: Reconciliation) -> None:
    """Delete a reconciliation with its files. A run in progress ends at its next report."""
    uploads = list(
        Side.objects.filter(reconciliation=reconciliation).exclude(stored="").values_list("stored", flat=True)
    )
    results = list(reconciliation.runs.exclude(stored="").values_list("stored", flat=True))
    reconciliation.delete()
    for stored in uploads:
        files.remove(files.UPLOADS, stored)
    for stored in results:
        files.remove(files.RESULTS, stored)
