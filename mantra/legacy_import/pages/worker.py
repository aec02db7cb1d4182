"""The thread that makes the runs and comparisons of the page, one at a time, in the process that ships the journal.

One process of an installation at a time does it: the one that holds leadership. What is found to be running when
leadership was taken was left by a process that died. A dry run and a comparison have changed nothing and are made
again; of a run for good what is taken stays, and a new run goes on from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone, translation

from mantra.legacy_import import old_programs
from mantra.legacy_import.comparing_hosts import hosts
from mantra.legacy_import.comparing_hosts.access_logs import LogUnreadable
from mantra.legacy_import.comparing_hosts.keys import keys_of_database
from mantra.legacy_import.models import DETAIL, HostComparison, ImportInput, LegacyImport, Work
from mantra.legacy_import.old import OldDatabase
from mantra.legacy_import.old_programs import OldPrograms
from mantra.legacy_import.pages import comparing, comparisons, inputs, runs
from mantra.legacy_import.pages.inputs import READING, TAKING, Progress
from mantra.legacy_import.pages.problems import UNREADABLE, Failed
from mantra.legacy_import.reading import UnreadableDatabase, open_dump, open_server
from mantra.legacy_import.running import Cancelled, Options, run
from registry import processes
from registry.actors import Actor, acting
from registry.exports import ExportError
from registry.leader import Leadership
from registry.led_tasks import LedTask

log = logging.getLogger("mantra.legacy_import")

State = LegacyImport.State
#: Seconds between two reports of progress, and between two deletions of what has expired.
REPORT, PRUNE = 1.0, 600.0
#: How often a run is begun: one that takes the process down each time would do so for ever.
ATTEMPTS = 3
#: How definitions write the old server itself. Whoever says where one of them is has said it of all.
LOCAL = ("localhost", "localhost.localdomain", "127.0.0.1", "127.0.1.1", "::1", "0.0.0.0", "(local)", ".", "")  # noqa: S104


class Stopped(Cancelled):
    """The process has to end."""


@dataclass
class Task(LedTask):
    """Makes runs and comparisons while it holds leadership."""

    log = log
    idle = "no database of MANTRA 1.99x is imported for the moment"
    lock = "the lock of the imports"

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = timezone.now
    leadership: Leadership = field(default_factory=lambda: Leadership("legacy-import"))
    _stop: threading.Event = field(default_factory=threading.Event)
    _pruned: float = float("-inf")
    _reported: float = float("-inf")
    _is_busy: bool = False

    def round(self) -> None:
        """Make all runs and comparisons that wait. Without any, nothing is written."""
        prunes = self.clock() - self._pruned >= PRUNE
        if not (prunes or runs.is_busy()) or not self.leadership.hold():
            return
        if prunes:
            self._pruned = self.clock()
            comparisons.prune(self.now())
            runs.prune(self.now())
        self._take_up()
        while not self._stop.is_set() and self.leadership.hold() and (job := self._next()):
            self._do(job)
        self.leadership.release()

    def _take_up(self) -> None:
        """See to runs and comparisons that a process was making that died."""
        for one in HostComparison.objects.filter(state=State.RUNNING):
            is_cancelled = inputs.is_cancelled(one.mark)
            inputs.clear(one.mark)
            if is_cancelled:
                self._end(one, State.CANCELLED)
            elif one.attempts >= ATTEMPTS:
                self._end(one, State.FAILED, "interrupted")
            else:
                _of(one).update(state=State.WAITING)
        for job in LegacyImport.objects.filter(state=State.RUNNING).exclude(worker=""):
            is_cancelled, is_last = inputs.is_cancelled(job.pk), job.attempts >= ATTEMPTS
            inputs.clear(job.pk)
            if is_cancelled:
                self._end(job, State.CANCELLED)
            elif is_last or job.input_id is None:
                self._end(job, State.FAILED, "interrupted")
            elif job.dry:
                _of(job).update(state=State.WAITING)
            else:
                self._go_on(job)

    def _go_on(self, job: LegacyImport) -> None:
        """End a run for good, and begin another one: the lines of the first say what is taken."""
        comparisons.forget(job)  # the next one keeps them for itself
        _of(job).update(state=State.FAILED, problem="restarted", finished_at=self.now(), rows=job.lines.count())
        LegacyImport.objects.create(
            state=State.WAITING, dry=False, user=job.user, source=job.source, input=job.input, language=job.language,
            parts=job.parts, hosts=job.hosts, wrapped=job.wrapped, keys_in_path=job.keys_in_path, attempts=job.attempts,
        )  # fmt: skip

    def _next(self) -> Work | None:
        """Take the next run, or the next comparison."""
        imports = LegacyImport.objects.filter(state=State.WAITING).select_related("input", "user")
        others = HostComparison.objects.filter(state=State.WAITING).select_related("run", "user")
        job: Work | None = imports.order_by("pk").first() or others.order_by("pk").first()
        if job is None:
            return None
        job.state, job.worker, job.attempts = State.RUNNING, processes.this_process(), job.attempts + 1
        job.started_at = self.now()
        columns = ("state", "worker", "attempts", "started_at")
        taken = _all_of(job).filter(state=State.WAITING)
        return job if taken.update(**{name: getattr(job, name) for name in columns}) else self._next()

    def _do(self, job: Work) -> None:
        """Make a run or a comparison. An error of the database is the round's: it is then taken up again."""
        self._is_busy, self._reported = True, float("-inf")
        try:
            if isinstance(job, LegacyImport):
                self._made(job)
            else:
                self._compared(job)
        except Stopped:  # not the run's fault: the attempt does not count
            self._leave(job, job.attempts - 1)
        except Cancelled:
            self._end(job, State.CANCELLED)
        except UnreadableDatabase as error:
            self._end(job, State.FAILED, UNREADABLE, str(error))
        except Failed as error:
            self._end(job, State.FAILED, str(error))
        except LogUnreadable:
            self._end(job, State.FAILED, "log")
        except (OperationalError, InterfaceError):
            self._leave(job, job.attempts)
            raise
        except (OSError, ExportError) as error:
            log.error("the input of %s %d cannot be read: %s", job._meta.model_name, job.pk, type(error).__name__)
            self._end(job, State.FAILED, "disk")
        except Exception as error:
            # Its text could have data in it.
            log.error("%s %d failed: %s", job._meta.model_name, job.pk, type(error).__name__)
            self._end(job, State.FAILED, "error")
        else:
            if isinstance(job, LegacyImport) and not job.dry and job.input is not None:
                comparisons.take_log(job)
                runs.discard(job.input)
            self._end(job, State.DONE)
        finally:
            self._is_busy = False

    def _leave(self, job: Work, attempts: int) -> None:
        """Leave a run or a comparison to whoever takes it up."""
        _all_of(job).update(state=State.RUNNING, attempts=attempts, finished_at=None)

    def _end(self, job: Work, state: str, problem: str = "", detail: str = "") -> None:
        values = {"state": state, "problem": problem, "finished_at": self.now()}
        if isinstance(job, LegacyImport):
            values["detail"] = detail[:DETAIL]
            runs.forget_password(job)
            if state != State.DONE:
                comparisons.forget(job)
        _all_of(job).update(**values)
        inputs.clear(job.mark)

    def _made(self, job: LegacyImport) -> None:
        user = job.user.get_username() if job.user is not None else ""
        with translation.override(job.language), acting(lambda: Actor(user, "admin")):
            if job.input is None:
                raise Failed("input-gone")
            with self._opened(job, job.input) as database:
                programs = self._programs(job, job.input, database)
                if not job.dry:
                    self._keep_keys(job, database)
                total = sum(database.counts().get(table, 0) for table in runs.tables_of(job.parts))
                options = Options(
                    dry=job.dry, only=job.parts, hosts=with_all_local(job.hosts), source=job.source, user=job.user,
                    programs=programs, progress=lambda rows: self._report(job, Progress(TAKING, rows, total)),
                )  # fmt: skip
                options.progress(0)
                run(database, options, job)

    def _programs(self, job: LegacyImport, input: ImportInput, database: OldDatabase) -> OldPrograms:
        """Return what old programs need of their keys. Raises LogUnreadable, ExportError and OSError."""

        def progress() -> None:
            self._report(job, Progress(READING))

        with ExitStack() as opened:
            logs = []
            if job.keys_in_path == LegacyImport.KeysInPath.LOG:
                if not input.log_stored:
                    raise Failed("log")
                logs = [opened.enter_context(inputs.readable(input.log_stored, str(input.log_key), progress))]
            wrapped = old_programs.ALL if job.wrapped else ""
            return old_programs.programs_for(
                database, job.keys_in_path, wrapped, logs, settings.LEGACY_FOLDERS, progress
            )

    def _keep_keys(self, job: LegacyImport, database: OldDatabase) -> None:
        """Keep the keys for comparisons. The import goes on without."""
        try:
            comparisons.keep_keys(job, keys_of_database(database), self.now())
        except (OSError, ExportError) as error:
            log.error("the keys for comparing after import %d are not stored: %s", job.pk, type(error).__name__)

    def _compared(self, job: Work) -> None:
        assert isinstance(job, HostComparison)
        imported = job.run.finished_at
        if imported is not None:  # the processes must have what was imported
            since = (self.now() - imported) / timedelta(seconds=1)
            self._stop.wait(max(0.0, hosts.take_up_seconds() - since))
        comparing.compare(job, lambda progress: self._report(job, progress))

    @contextmanager
    def _opened(self, job: LegacyImport, input: ImportInput) -> Iterator[OldDatabase]:
        """Return the old database. Raises UnreadableDatabase, ExportError and OSError."""

        def progress(done: int, total: int) -> None:
            self._report(job, Progress(READING, done, total))

        if not input.is_file:
            with open_server(address_of(input), progress) as database:
                yield database
            return
        with inputs.readable(input.stored, str(input.key), lambda: progress(0, 0)) as path, \
                open_dump(path, progress) as database:  # fmt: skip
            yield database

    def _report(self, job: Work, progress: Progress) -> None:
        """Write how far a run or a comparison is, once a second. Raises Stopped and Cancelled."""
        if self._stop.is_set():
            raise Stopped
        if self.clock() - self._reported < REPORT:
            return
        self._reported = self.clock()
        if inputs.is_cancelled(job.mark):
            raise Cancelled
        inputs.report(job.mark, progress)


def _all_of(job: Work) -> QuerySet[Any]:
    """Return the row of a run or a comparison."""
    return type(job)._default_manager.filter(pk=job.pk)


def _of(job: Work) -> QuerySet[Any]:
    """Return the row of a run or a comparison, if it is still this attempt's."""
    return _all_of(job).filter(state=State.RUNNING, attempts=job.attempts)


def address_of(input: ImportInput) -> str:  # the word of the page
    """Return the address of a server as open_server() reads it."""
    host = f"[{input.host}]" if ":" in input.host else input.host
    user, password, database = (
        quote(text, safe="") for text in (input.user, str(input.password or ""), input.database)
    )
    return f"mysql://{user}:{password}@{host}:{input.port}/{database}"


def with_all_local(hosts: dict[str, str]) -> dict[str, str]:
    """Return hosts with what to write instead: that of localhost is that of all ways to write it."""
    instead = hosts.get("localhost", "")
    return {**(dict.fromkeys(LOCAL, instead) if instead else {}), **hosts}
