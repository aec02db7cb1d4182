"""The worker's task that runs jobs: a few at a time, each in a thread of its own.

One process of an installation at a time does it: the one that holds leadership. A job that is found to be running when
leadership was taken was left by a process that died, and goes on where its files end.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Q, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from mantra.jobs import files, record
from mantra.jobs.files import INPUT, ROWS, JobFolder
from mantra.jobs.models import ENDED, Job, State
from mantra.jobs.problems import JobError
from mantra.jobs.running import Run
from registry import processes
from registry.journal.subjects import PROTOCOL, RUN
from registry.leader import Leadership
from registry.models import CallRecord, Event
from registry.notifications.names import operation_name
from registry.notifications.recipients import members
from registry.notifications.writing import notify
from registry.rounds import survive

log = logging.getLogger("mantra.jobs")

#: Seconds between two rounds, after an error of the database, between two deletions of what has expired, and for which
#: the end of the process waits for parts that are being written.
ROUND, RETRY_DELAY, PRUNE, ENDING = 0.5, 2.0, 600.0, 2.5
#: How often a job is taken up from a process that died without having finished a part.
ATTEMPTS = 5
#: Days for which the row of a job without files is kept.
KEPT_DAYS = 90
#: Seconds after which a folder that belongs to no job was left by an upload that ended.
ORPHANED = 86_400.0
_BEGUN = (State.CHECKING, State.RUNNING)


class Task:
    """Runs jobs while it holds leadership."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._leadership = Leadership("jobs")
        self._stop = threading.Event()
        #: Set while another process may lead: the threads of jobs then stop.
        self._lost = threading.Event()
        self._threads: dict[int, threading.Thread] = {}
        self._pruned = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        self._stop, failing = stop, False
        while not stop.is_set():
            failing = survive(self.round, failing, log, "jobs are not run for the moment")
            if failing:
                self._lost.set()
            stop.wait(RETRY_DELAY if failing else ROUND)
        for thread in list(self._threads.values()):
            thread.join(ENDING)
        survive(self._leadership.release, False, log, "the lock of the jobs was not released")
        connection.close()

    def round(self) -> None:
        """Begin the jobs whose turn it is. Without any, nothing is written."""
        self._threads = {pk: thread for pk, thread in self._threads.items() if thread.is_alive()}
        due = self._clock() - self._pruned >= PRUNE
        if not (due or self._threads or _work().exists()):
            self._leadership.release()
            return
        led = self._leadership.held
        if not self._leadership.hold():
            self._lost.set()
            return
        if self._threads and not led:
            return  # they still stop
        self._lost.clear()
        if due:
            self._pruned = self._clock()
            prune(timezone.now())
        take_up(self._threads.keys())
        wake(timezone.now())
        for ended in Job.objects.filter(state__in=ENDED, concluded=False)[:100]:
            conclude(ended)
        while len(self._threads) < settings.JOBS_AT_ONCE and (job := take(self._threads.keys())) is not None:
            thread = threading.Thread(target=self._work_on, args=(job,), name="job", daemon=True)
            self._threads[job.pk] = thread
            thread.start()

    def _work_on(self, job: Job) -> None:
        try:
            Run(job, self._must_stop, self._others_wait).go()
        except (DatabaseError, InterfaceError) as error:
            # It is taken up again when the database is back.
            log.error("the registry failed while job %s ran: %s", job.request_id, type(error).__name__)
        finally:
            connection.close()

    def _must_stop(self) -> bool:
        return self._stop.is_set() or self._lost.is_set()

    def _others_wait(self) -> bool:
        busy = len(self._threads) >= settings.JOBS_AT_ONCE
        return busy and Job.objects.filter(state=State.WAITING).exists()


def _work() -> QuerySet[Job]:
    """Return the jobs with which something is to be done now."""
    woken = Q(state__in=(State.PAUSED, State.QUOTA), retry_at__lte=timezone.now())
    return Job.objects.filter(Q(state__in=(State.WAITING, *_BEGUN)) | woken | Q(state__in=ENDED, concluded=False))


def take_up(running: Iterable[int] = ()) -> None:
    """Let jobs wait again that were being run by a process that died."""
    for job in Job.objects.filter(state__in=_BEGUN).exclude(pk__in=list(running)):
        mine = Job.objects.filter(pk=job.pk, worker=job.worker, state__in=_BEGUN)
        if job.attempts >= ATTEMPTS:
            now = timezone.now()
            mine.update(state=State.FAILED, problem="interrupted", worker="", finished_at=now,
                        expires_at=now + timedelta(hours=settings.JOB_HOURS))  # fmt: skip
        else:
            mine.update(state=State.WAITING, worker="")


def wake(now: datetime) -> None:
    """Let jobs go on whose source, disk or quota is there again, or may be."""
    standing = Job.objects.filter(state__in=(State.PAUSED, State.QUOTA), retry_at__lte=now)
    standing.update(state=State.WAITING, retry_at=None)


def take(running: Iterable[int] = ()) -> Job | None:
    """Take the job that has waited longest for its turn; None if none waits.

    ``running``: those that were paused and resumed while a thread of this process still stops working on them.
    """
    while True:
        waiting = Job.objects.filter(state=State.WAITING).exclude(pk__in=list(running)).order_by("turn_at", "pk")
        job = waiting.select_related("application__agency", "operation__service__agency", "user").first()
        if job is None:
            return None
        job.state = State.CHECKING if job.rows is None else State.RUNNING
        # A name for this turn alone: what an earlier one still writes is then not taken for this one's.
        job.worker, job.attempts = f"{processes.this_process()}:{secrets.token_hex(4)}", job.attempts + 1
        columns = {name: getattr(job, name) for name in ("state", "worker", "attempts")}
        if Job.objects.filter(pk=job.pk, state=State.WAITING).update(**columns):
            return job


# ----------------------------------------------------------------------------------------- the end


def conclude(job: Job) -> None:
    """Do what follows the end of a job: the end of its record, and a message to those whose it is.

    It may be done twice after a kill in between: the record ends once all the same.
    """
    if job.recorded:
        try:
            record.end(job)
        except JobError:
            return  # the journal cannot be written: later
    folder = JobFolder(job.stored, str(job.key)) if job.stored else None
    if folder is not None:
        folder.remove(INPUT)
        folder.remove(ROWS)
        folder.remove_unfinished()
    size = folder.size() if folder is not None else 0
    if Job.objects.filter(pk=job.pk, concluded=False).update(concluded=True, stored_bytes=size):
        _announce(job)


def _announce(job: Job) -> None:
    """Notify the user of a job, or for one by access key those who manage the application."""
    if job.state not in (State.DONE, State.FAILED):
        return  # whoever cancelled it knows
    people = [job.user] if job.user is not None else members(job.application.agency, "registry.change_application")
    try:
        url = reverse("job", args=[job.request_id])
    except NoReverseMatch:
        url = ""
    notify(
        Event.JOB_ENDED,
        people,
        url=url,
        application=f"{job.application.agency.code}/{job.application.code}",
        operation=operation_name(job.operation),
        rows=job.rows or 0,
        done=job.done,
        found=job.found,
        failed=job.faults + job.invalid,
    )


def end_abandoned() -> None:
    """End the records of jobs whose rows were deleted while they ran, such as with their application."""
    open_records = CallRecord.objects.filter(protocol=PROTOCOL, method=RUN, outcome=0)
    old = open_records.filter(started_at__lt=timezone.now() - timedelta(hours=1))
    ids = set(old.values_list("request_id", flat=True)[:1000])
    known = Job.objects.filter(request_id__in=ids, concluded=False).values_list("request_id", flat=True)
    with suppress(JobError):
        for id in ids - set(known):
            record.abandon(id)


def prune(now: datetime) -> None:
    """Delete the files of jobs that have expired and files that belong to no job, and the rows of old jobs."""
    waited = Job.objects.filter(state=State.PAUSED, expires_at__lte=now)
    waited.update(state=State.CANCELLED, finished_at=now, problem="")
    for job in (
        Job.objects.filter(state__in=ENDED, expires_at__lte=now, concluded=True).exclude(stored="").iterator(500)
    ):
        JobFolder(job.stored, str(job.key)).remove_all()
        Job.objects.filter(pk=job.pk).update(state=State.EXPIRED, key="", stored="", stored_bytes=0)
    old = now - timedelta(days=KEPT_DAYS)
    Job.objects.filter(state=State.EXPIRED, created_at__lt=old).delete()
    end_abandoned()
    known = Job.objects.exclude(stored="").values_list("stored", flat=True).iterator(500)
    files.remove_others(known, now.timestamp() - ORPHANED)
