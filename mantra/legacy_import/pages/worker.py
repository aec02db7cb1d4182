"""The thread that makes the runs of the page, one at a time, in the process that ships the journal.

One process of an installation at a time does it: the one that holds leadership. A run that is found to be running when
leadership was taken was left by a process that died. A dry run has changed nothing and is made again; of one for good
what is taken stays, and a new run goes on from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone, translation

from mantra.legacy_import.models import DETAIL, ImportInput, LegacyImport
from mantra.legacy_import.old import OldDatabase
from mantra.legacy_import.old_programs import EVERY, OldPrograms
from mantra.legacy_import.pages import inputs, runs
from mantra.legacy_import.pages.inputs import READING, TAKING, Progress
from mantra.legacy_import.pages.problems import UNREADABLE
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


class _Failed(Exception):
    """A run cannot go on. ``problem``: a key of problems.PROBLEMS."""


@dataclass
class Task(LedTask):
    """Makes runs while it holds leadership."""

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
        """Make all runs that wait. Without any, nothing is written."""
        prunes = self.clock() - self._pruned >= PRUNE
        if not (prunes or runs.current() is not None) or not self.leadership.hold():
            return
        if prunes:
            self._pruned = self.clock()
            runs.prune(self.now())
        self._take_up()
        while not self._stop.is_set() and self.leadership.hold() and (job := self._next()):
            self._do(job)
        self.leadership.release()

    def _take_up(self) -> None:
        """See to runs that a process was making that died."""
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
        _of(job).update(state=State.FAILED, problem="restarted", finished_at=self.now(), rows=job.lines.count())
        LegacyImport.objects.create(
            state=State.WAITING, dry=False, user=job.user, source=job.source, input=job.input, language=job.language,
            parts=job.parts, hosts=job.hosts, wrapped=job.wrapped, attempts=job.attempts,
        )  # fmt: skip

    def _next(self) -> LegacyImport | None:
        """Take the next run."""
        waiting = LegacyImport.objects.filter(state=State.WAITING).select_related("input", "user")
        job = waiting.order_by("pk").first()
        if job is None:
            return None
        job.state, job.worker, job.attempts = State.RUNNING, processes.this_process(), job.attempts + 1
        job.started_at = self.now()
        columns = ("state", "worker", "attempts", "started_at")
        taken = LegacyImport.objects.filter(pk=job.pk, state=State.WAITING)
        return job if taken.update(**{name: getattr(job, name) for name in columns}) else self._next()

    def _do(self, job: LegacyImport) -> None:
        """Make a run. An error of the database is the round's: the run is then taken up again."""
        self._is_busy, self._reported = True, float("-inf")
        try:
            self._made(job)
        except Stopped:  # not the run's fault: the attempt does not count
            self._leave(job, job.attempts - 1)
        except Cancelled:
            self._end(job, State.CANCELLED)
        except UnreadableDatabase as error:
            self._end(job, State.FAILED, UNREADABLE, str(error))
        except _Failed as error:
            self._end(job, State.FAILED, str(error))
        except (OperationalError, InterfaceError):
            self._leave(job, job.attempts)
            raise
        except (OSError, ExportError) as error:
            log.error("the input of import %d cannot be read: %s", job.pk, type(error).__name__)
            self._end(job, State.FAILED, "disk")
        except Exception as error:
            # Its text could have data in it.
            log.error("import %d failed: %s", job.pk, type(error).__name__)
            self._end(job, State.FAILED, "error")
        else:
            self._end(job, State.DONE)
            if not job.dry and job.input is not None:
                runs.discard(job.input)
        finally:
            self._is_busy = False

    def _leave(self, job: LegacyImport, attempts: int) -> None:
        """Leave a run to whoever takes it up."""
        LegacyImport.objects.filter(pk=job.pk).update(state=State.RUNNING, attempts=attempts, finished_at=None)

    def _end(self, job: LegacyImport, state: str, problem: str = "", detail: str = "") -> None:
        LegacyImport.objects.filter(pk=job.pk).update(
            state=state, problem=problem, detail=detail[:DETAIL], finished_at=self.now()
        )
        inputs.clear(job.pk)
        runs.forget_password(job)

    def _made(self, job: LegacyImport) -> None:
        user = job.user.get_username() if job.user is not None else ""
        with translation.override(job.language), acting(lambda: Actor(user, "admin")):
            if job.input is None:
                raise _Failed("input-gone")
            with self._opened(job, job.input) as database:
                total = sum(database.counts().get(table, 0) for table in runs.tables_of(job.parts))
                options = Options(
                    dry=job.dry, only=job.parts, hosts=with_all_local(job.hosts), source=job.source, user=job.user,
                    programs=OldPrograms(wrapped=EVERY if job.wrapped else ()),
                    progress=lambda rows: self._report(job, Progress(TAKING, rows, total)),
                )  # fmt: skip
                options.progress(0)
                run(database, options, job)

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

    def _report(self, job: LegacyImport, progress: Progress) -> None:
        """Write how far a run is, once a second. Raises Stopped and Cancelled."""
        if self._stop.is_set():
            raise Stopped
        if self.clock() - self._reported < REPORT:
            return
        self._reported = self.clock()
        if inputs.is_cancelled(job.pk):
            raise Cancelled
        inputs.report(job.pk, progress)


def _of(job: LegacyImport) -> QuerySet[LegacyImport]:
    """Return the row of a run, if it is still this attempt's."""
    return LegacyImport.objects.filter(pk=job.pk, state=State.RUNNING, attempts=job.attempts)


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
