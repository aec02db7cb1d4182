"""The thread that makes exports, one at a time, in the process that ships the journal.

One process of an installation at a time does it: the one that holds leadership. It reports progress once a second; what
is found to be running when leadership was taken was left by a process that died, and is made again from its start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import override

from registry import processes
from registry.exports import files, jobs
from registry.exports.kinds import ExportError, Work, all_kinds, kind_of
from registry.leader import Leadership
from registry.models import ExportJob
from registry.rounds import survive

log = logging.getLogger("mantra.exports")

State = ExportJob.State
#: Seconds between two rounds, after an error of the database, between two reports of progress, and between two
#: deletions of what has expired.
ROUND, RETRY_DELAY, REPORT, PRUNE = 1.0, 5.0, 1.0, 600.0
#: How often an export is begun: one that takes the process down each time would do so for ever.
ATTEMPTS = 3
#: Days for which the row of an export without a file is kept.
KEPT_DAYS = 90


class Stopped(Exception):
    """The export was cancelled, leadership is lost, or the process has to end."""


@dataclass
class Worker:
    """Makes exports while it holds leadership."""

    clock: Callable[[], float] = time.monotonic
    leadership: Leadership = field(default_factory=lambda: Leadership("exports"))
    _stop: threading.Event = field(default_factory=threading.Event)
    _pruned: float = float("-inf")
    _reported: float = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        self._stop, failing = stop, False
        while not stop.is_set():
            failing = survive(self.round, failing, log, "exports are not made for the moment")
            stop.wait(RETRY_DELAY if failing else ROUND)
        survive(self.leadership.release, False, log, "the lock of the exports was not released")
        connection.close()

    def round(self) -> None:
        """Make all exports that wait. Without any, nothing is written."""
        due = self.clock() - self._pruned >= PRUNE
        work = ExportJob.objects.filter(state__in=(State.WAITING, State.RUNNING))
        if not (due or work.exists()) or not self.leadership.hold():
            return
        if due:
            self._pruned = self.clock()
            prune(timezone.now())
            for kind in all_kinds():
                kind.start_due(timezone.now())
        self._take_up()
        while not self._stop.is_set() and self.leadership.hold() and (job := self._next()):
            self._make(job)
        self.leadership.release()

    def _take_up(self) -> None:
        """Let exports wait again that were being made by a process that died."""
        for job in ExportJob.objects.filter(state=State.RUNNING):
            files.remove(job.stored)
            if job.attempts >= ATTEMPTS:
                _fail(job, "interrupted")
            else:
                _of(job).update(state=State.WAITING, rows=0, percent=0)

    def _next(self) -> ExportJob | None:
        """Take the next export: people wait for those that they started themselves."""
        job = ExportJob.objects.filter(state=State.WAITING).order_by("scheduled", "pk").first()
        if job is None:
            return None
        job.worker, job.attempts = processes.this_process(), job.attempts + 1
        job.stored, job.key, job.state = files.new_name(), files.new_key(), State.RUNNING
        job.rows = job.percent = 0
        columns = ("worker", "attempts", "stored", "key", "state", "rows", "percent")
        taken = ExportJob.objects.filter(pk=job.pk, state=State.WAITING)
        return job if taken.update(**{name: getattr(job, name) for name in columns}) else self._next()

    def _make(self, job: ExportJob) -> None:
        """Make an export. An error of the database is the round's: the export is then made again."""
        try:
            size = self._written(job)
            _finish(job, size)
        except Stopped:
            files.remove(job.stored)
            if self._stop.is_set():  # not the export's fault: the attempt does not count
                _of(job).update(state=State.WAITING, attempts=job.attempts - 1)
        except ExportError as error:
            _fail(job, error.problem)
        except (DatabaseError, InterfaceError):
            files.remove(job.stored)
            raise
        except OSError:
            log.exception("export %d cannot be written", job.pk)
            _fail(job, "disk")
        except Exception as error:
            # Its text could have data in it.
            log.error("export %d (%s) failed: %s", job.pk, job.kind, type(error).__name__)
            _fail(job, "error")

    def _written(self, job: ExportJob) -> int:
        """Write the file of an export. Return its size."""
        kind, user = kind_of(job.kind), job.user
        if kind is None or not jobs.may_make(user, job):
            raise ExportError("denied")
        job.view = jobs.view_of(user)
        place = files.folder()
        temporary = place / f"{job.stored}{files.TEMPORARY}"
        temporary.mkdir(mode=0o700)

        def report(rows: int, percent: float) -> None:
            job.rows, job.percent = rows, max(job.percent, min(99, int(percent)))
            self._report(job)

        limit = settings.MAX_EXPORT_BYTES
        with files.EncryptedOutput(place / job.stored, job.key, limit, lambda: self._report(job)) as output:
            work = Work(user, job.parameters, job.format, output, temporary, report)
            with override(job.language):
                import_string(kind.make)(work)
            output.finish()
            size = output.size
        files.remove_temporary(job.stored)
        return size

    def _report(self, job: ExportJob) -> None:
        """Store the progress of an export, once a second. Raises Stopped."""
        if self._stop.is_set():
            raise Stopped
        if self.clock() - self._reported < REPORT:
            return
        self._reported = self.clock()
        if not self.leadership.hold() or not _of(job).update(rows=job.rows, percent=job.percent):
            raise Stopped


def _of(job: ExportJob) -> QuerySet[ExportJob]:
    """Return the row of an export, if it is still this attempt's."""
    return ExportJob.objects.filter(pk=job.pk, state=State.RUNNING, stored=job.stored)


@transaction.atomic
def _finish(job: ExportJob, size: int) -> None:
    """Store that an export is ready. Raises Stopped if it was cancelled meanwhile."""
    now, kind = timezone.now(), kind_of(job.kind)
    kept = (kind.kept if kind else None) or timedelta(hours=settings.EXPORT_HOURS)
    job.state, job.finished_at, job.expires_at = State.DONE, now, now + kept
    ready = {"state": State.DONE, "percent": 100, "rows": job.rows, "size": size, "view": job.view}
    if not _of(job).update(**ready, finished_at=now, expires_at=now + kept):
        raise Stopped
    if job.scheduled and kind is not None:
        kind.announce(job)


def _fail(job: ExportJob, problem: str) -> None:
    files.remove(job.stored)
    _of(job).update(state=State.FAILED, problem=problem, key="", finished_at=timezone.now())


def prune(now: datetime) -> None:
    """Delete files that have expired or belong to no export, and the rows of old exports without a file."""
    expired = ExportJob.objects.filter(state=State.DONE, expires_at__lte=now)
    for job in expired.iterator(500):
        files.remove(job.stored)
        ExportJob.objects.filter(pk=job.pk, state=State.DONE).update(state=State.EXPIRED, key="", stored="")
    old = now - timedelta(days=KEPT_DAYS)
    ExportJob.objects.filter(state__in=jobs.ENDED, created_at__lt=old).delete()
    files.remove_others(ExportJob.objects.exclude(stored="").values_list("stored", flat=True).iterator(500))
