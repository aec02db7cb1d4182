"""The thread that does the runs, one at a time, in the process that ships the journal.

One process of an installation at a time does it: the one that holds leadership. It reports progress once a second; what
is found to be running when leadership was taken was left by a process that died, and is done again from its start.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from mantra.reconciliation import files, pairs, runs, sides
from mantra.reconciliation.engine import Counts
from mantra.reconciliation.models import COUNTS, ReconciliationRun, Side
from mantra.reconciliation.results import ResultFiles
from mantra.reconciliation.running import Progress, SideError, run
from registry import notifications, processes
from registry.exports import ExportError
from registry.leader import Leadership
from registry.led_tasks import LedTask
from registry.models import Event

log = logging.getLogger("mantra.reconciliation")

State = ReconciliationRun.State
#: Seconds between two reports of progress, and between two deletions of what has expired.
REPORT, PRUNE = 1.0, 600.0
#: How often a run is begun: one that takes the process down each time would do so for ever.
ATTEMPTS = 3
#: Days for which the numbers of a run are kept, for the trend.
KEPT_DAYS = 730


class Stopped(Exception):
    """The run was cancelled, leadership is lost, or the process has to end."""


@dataclass
class Task(LedTask):
    """Does runs while it holds leadership."""

    log = log
    idle = "lists are not reconciled for the moment"
    lock = "the lock of the reconciliations"

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = timezone.now
    leadership: Leadership = field(default_factory=lambda: Leadership("reconciliation"))
    _stop: threading.Event = field(default_factory=threading.Event)
    _pruned: float = float("-inf")
    _reported: float = float("-inf")
    _is_busy: bool = False

    def round(self) -> None:
        """Do all runs that wait, and start those that are due. Without any, nothing is written."""
        prunes = self.clock() - self._pruned >= PRUNE
        work = ReconciliationRun.objects.filter(state__in=runs.IN_PROGRESS)
        due = runs.Reconciliation.objects.filter(next_at__lte=self.now())
        if not (prunes or work.exists() or due.exists()) or not self.leadership.hold():
            return
        if prunes:
            self._pruned = self.clock()
            prune(self.now())
        runs.start_due(self.now())
        self._take_up()
        while not self._stop.is_set() and self.leadership.hold() and (job := self._next()):
            self._do(job)
        self.leadership.release()

    def _take_up(self) -> None:
        """Let runs wait again that a process was doing that died."""
        files.clear_work()
        for job in ReconciliationRun.objects.filter(state=State.RUNNING):
            files.remove(files.RESULTS, job.stored)
            if job.attempts >= ATTEMPTS:
                self._fail(job, SideError("interrupted"))
            else:
                _of(job).update(state=State.WAITING, rows=0, percent=0, step="")

    def _next(self) -> ReconciliationRun | None:
        """Take the next run: people wait for those that they started themselves."""
        waiting = ReconciliationRun.objects.filter(state=State.WAITING).order_by("scheduled", "pk")
        job = waiting.select_related("reconciliation__agency", "user").first()
        if job is None:
            return None
        job.worker, job.attempts = processes.this_process(), job.attempts + 1
        job.stored, job.key, job.state = files.new_name(), files.new_key(), State.RUNNING
        job.started_at = self.now()
        columns = ("worker", "attempts", "stored", "key", "state", "started_at")
        taken = ReconciliationRun.objects.filter(pk=job.pk, state=State.WAITING)
        return job if taken.update(**{name: getattr(job, name) for name in columns}) else self._next()

    def _do(self, job: ReconciliationRun) -> None:
        """Do a run. An error of the database is the round's: the run is then done again."""
        self._is_busy = True
        try:
            counts, headings, kept = self._done(job)
            self._finish(job, counts, headings, kept)
        except Stopped:
            files.remove(files.RESULTS, job.stored)
            if self._stop.is_set():  # not the run's fault: the attempt does not count
                _of(job).update(state=State.WAITING, attempts=job.attempts - 1)
        except SideError as error:
            self._fail(job, error)
        except (DatabaseError, InterfaceError):
            files.remove(files.RESULTS, job.stored)
            raise
        except (OSError, ExportError) as error:
            log.error("run %d cannot be written: %s", job.pk, type(error).__name__)
            self._fail(job, SideError("disk"))
        except Exception as error:
            # Its text could have data in it.
            log.error("run %d failed: %s", job.pk, type(error).__name__)
            self._fail(job, SideError("error"))
        finally:
            self._is_busy = False
            files.clear_work()

    def _done(self, job: ReconciliationRun) -> tuple[Counts, dict[str, Any], dict[str, int]]:
        row = job.reconciliation
        both = {side.place: side for side in row.sides.select_related("operation__service", "application__agency")}
        if not sides.may_use(job.user, row):
            raise SideError("denied")
        if len(both) != len(Side.Place.values):
            raise SideError("columns")
        files.check_room()
        work = files.folder(files.WORK) / job.stored
        work.mkdir(mode=0o700)
        progress = Progress(lambda step, rows, percent: self._report(job, step, rows, percent), _expected(job, both))
        place = files.folder(files.RESULTS) / job.stored
        results = ResultFiles(place, str(job.key), lambda: self._report(job, job.step, job.rows, job.percent))
        try:
            assert job.user is not None
            user = job.user.get_username()
            counts, headings = run(both, pairs.of(row.pairs), user, work, results, progress)
        finally:
            results.close()
            shutil.rmtree(work, ignore_errors=True)
        return counts, headings, results.kept

    def _report(self, job: ReconciliationRun, step: str, rows: int, percent: float) -> None:
        """Store the progress of a run, once a second. Raises Stopped, and ExportError without room on the disk."""
        job.step, job.rows, job.percent = step, rows, max(job.percent, min(99, int(percent)))
        if self._stop.is_set():
            raise Stopped
        if self.clock() - self._reported < REPORT:
            return
        self._reported = self.clock()
        files.check_room()
        stored = {"step": job.step, "rows": job.rows, "percent": job.percent}
        if not self.leadership.hold() or not _of(job).update(**stored):
            raise Stopped

    def _finish(self, job: ReconciliationRun, counts: Counts, headings: dict[str, Any], kept: dict[str, int]) -> None:
        """Store the result of a run. Raises Stopped if it was cancelled meanwhile."""
        now = self.now()
        numbers = {name: value for name, value in asdict(counts).items() if name in COUNTS}
        found = _of(job).update(
            state=State.DONE, percent=100, step="", rows=job.rows, finished_at=now, by_field=counts.by_field,
            headings=headings, kept=kept, expires_at=now + timedelta(days=settings.RECONCILIATION_DAYS), **numbers,
        )  # fmt: skip
        if not found:
            raise Stopped
        self._notify(job, counts)

    def _fail(self, job: ReconciliationRun, error: SideError) -> None:
        files.remove(files.RESULTS, job.stored)
        failed = _of(job).update(
            state=State.FAILED, problem=error.problem, problem_side=error.place, fault=error.fault, key="", stored="",
            finished_at=self.now(),
        )  # fmt: skip
        if failed:
            self._notify(job, None)

    def _notify(self, job: ReconciliationRun, counts: Counts | None) -> None:
        """Notify the responsible user that a scheduled run has ended: by a link, without anything of what is in it."""
        if not (job.scheduled and job.reconciliation.notify and job.user is not None):
            return
        notifications.notify(
            Event.RECONCILED,
            [job.user],
            url=reverse("reconciliation", args=[job.reconciliation_id]),
            outcome="failed" if counts is None else "done",
            reconciliation=job.reconciliation.code,
        )


def _of(job: ReconciliationRun) -> QuerySet[ReconciliationRun]:
    """Return the row of a run, if it is still this attempt's."""
    return ReconciliationRun.objects.filter(pk=job.pk, state=State.RUNNING, stored=job.stored)


def _expected(job: ReconciliationRun, both: dict[str, Side]) -> dict[str, int]:
    """Return how many rows each side probably has: those of its file, or of the last run."""
    last = job.reconciliation.runs.filter(state=State.DONE).first()
    before = {"left": last.left_rows, "right": last.right_rows} if last is not None else {}
    return {place: side.file_rows or before.get(place, 0) for place, side in both.items()}


def prune(now: datetime) -> None:
    """Delete results that have expired, files that belong to nothing, and the rows of old runs."""
    expired = ReconciliationRun.objects.filter(state=State.DONE, expires_at__lte=now).exclude(stored="")
    for job in expired.iterator(500):
        files.remove(files.RESULTS, job.stored)
        ReconciliationRun.objects.filter(pk=job.pk).update(key="", stored="")
    old = now - timedelta(days=KEPT_DAYS)
    ReconciliationRun.objects.exclude(state__in=runs.IN_PROGRESS).filter(created_at__lt=old, stored="").delete()
    stored = ReconciliationRun.objects.exclude(stored="").values_list("stored", flat=True)
    files.remove_others(files.RESULTS, set(stored.iterator(500)))
    uploads = Side.objects.exclude(stored="").values_list("stored", flat=True)
    files.remove_others(files.UPLOADS, set(uploads.iterator(500)))
