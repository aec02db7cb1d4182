"""The task that makes the runs, one at a time, in the process that ships the journal.

One process of an installation at a time does it: the one that holds leadership. What is found to be running when
leadership was taken was left by a process that died, and is made again from its start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from mantra.synchronization import runs, spool
from mantra.synchronization.engine import Work
from mantra.synchronization.models import KEPT_DAYS, Sync, SyncRun
from mantra.synchronization.problems import Problem
from registry import processes
from registry.journal import segments
from registry.leader import Leadership
from registry.models import Event
from registry.notifications import notify
from registry.notifications.recipients import members
from registry.rounds import survive

log = logging.getLogger("mantra.synchronization")

State = SyncRun.State
#: Seconds between two rounds, after an error of the database, between two reports of progress, and between two
#: deletions of old runs.
ROUND, RETRY_DELAY, REPORT, PRUNE = 1.0, 5.0, 1.0, 3600.0
#: How often a run is begun: one that takes the process down each time would do so for ever.
ATTEMPTS = 3
#: Synchronisations that are looked through in a round at most, so that a stop is soon.
_COUNTED = ("read", "inserted", "updated", "unchanged", "deleted", "before", "written")


class Stopped(Exception):
    """The run was cancelled, leadership is lost, or the process has to end."""


@dataclass
class Task:
    """Makes runs while it holds leadership."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = timezone.now
    leadership: Leadership = field(default_factory=lambda: Leadership("synchronization"))
    _stop: threading.Event = field(default_factory=threading.Event)
    _pruned: float = float("-inf")
    _reported: float = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        self._stop, failing = stop, False
        while not stop.is_set():
            failing = survive(self.round, failing, log, "synchronisations do not run for the moment")
            stop.wait(RETRY_DELAY if failing else ROUND)
        survive(self.leadership.release, False, log, "the lock of the synchronisations was not released")
        segments.close()
        connection.close()

    def round(self) -> None:
        """Make all runs that wait or whose time has come. Without any, nothing is written."""
        now = self.now()
        due = self.clock() - self._pruned >= PRUNE
        waiting = SyncRun.objects.filter(state__in=runs.ACTIVE)
        timed = Sync.objects.filter(enabled=True, next_at__lte=now)
        if not (due or waiting.exists() or timed.exists()) or not self.leadership.hold():
            return
        if due:
            self._pruned = self.clock()
            SyncRun.objects.filter(created_at__lt=now - timedelta(days=KEPT_DAYS)).exclude(
                state__in=runs.ACTIVE
            ).delete()
        runs.start_due(now)
        self._take_up()
        while not self._stop.is_set() and self.leadership.hold() and (run := self._next()):
            self._make(run)
        self.leadership.release()

    def _take_up(self) -> None:
        """Let runs wait again that were being made by a process that died."""
        for run in SyncRun.objects.filter(state=State.RUNNING):
            if run.attempts >= ATTEMPTS:
                _fail(run, Problem("interrupted"), self.now())
            else:
                _of(run).update(state=State.WAITING)

    def _next(self) -> SyncRun | None:
        """Take the next run: people wait for those that they started themselves."""
        rows = SyncRun.objects.filter(state=State.WAITING)
        run = rows.exclude(user="").order_by("pk").first() or rows.order_by("pk").first()
        if run is None:
            return None
        run.worker, run.attempts, run.state = processes.this_process(), run.attempts + 1, State.RUNNING
        run.started_at, run.step = self.now(), SyncRun.Step.READING
        columns = ("worker", "attempts", "state", "started_at", "step")
        taken = SyncRun.objects.filter(pk=run.pk, state=State.WAITING)
        return run if taken.update(**{name: getattr(run, name) for name in columns}) else self._next()

    def _make(self, run: SyncRun) -> None:
        """Make a run. An error of MANTRA's own database is the round's: the run is then made again."""
        sync = Sync.objects.select_related("agency", "application", "source__agency", "operation__service__agency").get(
            pk=run.sync_id
        )
        work = Work(
            sync,
            run.kind,
            run.dry,
            run.unlimited,
            self.now(),
            report=lambda work: self._report(run, work),
            store_cursor=lambda cursor: self._store_cursor(run, cursor),
        )
        self._reported = float("-inf")
        try:
            work.run()
            _store(run, work)
            _finish(run, work, self.now())
        except Stopped:
            if self._stop.is_set():  # not the run's fault: the attempt does not count
                _of(run).update(state=State.WAITING, attempts=run.attempts - 1)
        except Problem as problem:
            _store(run, work)
            _fail(run, problem, self.now())
        except (DatabaseError, InterfaceError):
            raise
        except OSError:
            log.exception("run %d of a synchronisation cannot write its files", run.pk)
            _fail(run, Problem("disk"), self.now())
        except Exception as error:
            # Its text could have data in it.
            log.error("run %d of a synchronisation failed: %s", run.pk, type(error).__name__)
            _fail(run, Problem("error"), self.now())

    def _report(self, run: SyncRun, work: Work) -> None:
        """Store the progress of a run, once a second. Raises Stopped, and Problem without room on the disk."""
        if self._stop.is_set():
            raise Stopped
        if self.clock() - self._reported < REPORT:
            return
        self._reported = self.clock()
        spool.check_room()
        if not self.leadership.hold() or not _store(run, work):
            raise Stopped

    def _store_cursor(self, run: SyncRun, cursor: str) -> None:
        """Store where the next read of changes begins. Raises Stopped if the run is not this attempt's any more."""
        with transaction.atomic():
            if not _of(run).select_for_update().exists():
                raise Stopped
            Sync.objects.filter(pk=run.sync_id).update(cursor=cursor)


def _of(run: SyncRun) -> QuerySet[SyncRun]:
    """Return the row of a run, if it is still this attempt's."""
    return SyncRun.objects.filter(pk=run.pk, state=State.RUNNING, attempts=run.attempts)


def _store(run: SyncRun, work: Work) -> bool:
    """Store what a run has found so far. Return False if it is not this attempt's any more."""
    counts = {name: getattr(work.counts, name) for name in _COUNTED}
    return bool(_of(run).update(step=work.step, samples=work.samples, request_id=work.request_id, **counts))


@transaction.atomic
def _finish(run: SyncRun, work: Work, now: datetime) -> None:
    if _of(run).update(state=State.DONE, step="", finished_at=now) and not run.dry and run.kind == SyncRun.Kind.FULL:
        Sync.objects.filter(pk=run.sync_id).update(last_full_at=now)


@transaction.atomic
def _fail(run: SyncRun, problem: Problem, now: datetime) -> None:
    """Store why a run has failed, and notify the agency's people unless the one before has failed so too."""
    failed = _of(run).update(
        state=State.FAILED, problem=problem.word, fault=problem.fault, column=problem.column[:128], step="",
        finished_at=now,
    )  # fmt: skip
    if problem.word == "cursor":
        Sync.objects.filter(pk=run.sync_id).update(cursor="", last_full_at=None)
    # Who has started it looks at it.
    if not failed or run.user:
        return
    before = SyncRun.objects.filter(sync=run.sync_id, dry=False, state__in=(State.DONE, State.FAILED))
    last = before.exclude(pk=run.pk).first()
    if last is None or last.problem != problem.word:
        sync = Sync.objects.select_related("agency").get(pk=run.sync_id)
        notify(Event.SYNC_FAILED, members(sync.agency, runs.RIGHT), about=sync, synchronization=str(sync))
