"""A job on its way: what stops it, what lets it go on, and that each row has its result once all the same."""

from __future__ import annotations

import errno
import threading
import time as real_time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mantra.gateway import quota_stores, quotas
from mantra.jobs import execution, running, service, worker
from mantra.jobs.models import Job
from mantra.jobs.problems import JobError
from mantra.jobs.running import Run
from registry.exports.files import EncryptedOutput
from registry.models import Application, Grant, Operation
from registry.snapshot import holder
from tests.cast import Cast
from tests.jobs.conftest import Time, begin, jobs_of, lines, take_turn, work

ROWS = 2400


@pytest.fixture
def job(cast: Cast) -> Job:
    return begin(cast, "id\n" + "".join(f"{number}\n" for number in range(1, ROWS + 1)))


class Ticking:
    """A clock on which a second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def at_question(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    """Do something before the ``number``-th set of rows is asked."""
    asked, answers_of = [0], execution.answers_of

    def counting(call: Any, arguments: Sequence[Any]) -> Any:
        asked[0] += 1
        if asked[0] == number:
            act()
        return answers_of(call, arguments)

    monkeypatch.setattr(execution, "answers_of", counting)


def check_complete(job: Job, rows: int = ROWS) -> None:
    """Each row has one result, its own, in order."""
    job.refresh_from_db()
    assert (job.state, job.problem, job.done, job.found) == ("done", "", rows, rows)
    found = lines(job)
    assert [(row["baris"], row["nama"]) for row in found] == [
        (number + 1, f"Orang {number}") for number in range(1, rows + 1)
    ]


# -------------------------------------------------------------------------------- people and rights


def test_a_pause_keeps_what_is_done_and_a_resume_goes_on(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    at_question(monkeypatch, 3, lambda: service.pause(Job.objects.get(pk=job.pk)))
    take_turn(clock=Ticking())
    job.refresh_from_db()
    assert (job.state, job.retry_at) == ("paused", None)
    assert 0 < job.done < ROWS
    assert len(service.results(job, most=ROWS)[1]) == job.done
    worker.wake(timezone.now() + timedelta(days=1))
    assert worker.take() is None  # it waits for its owner
    service.resume(job)
    work()
    check_complete(job)


def test_a_cancelled_job_keeps_the_results_that_it_has(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    at_question(monkeypatch, 3, lambda: service.cancel(Job.objects.get(pk=job.pk)))
    take_turn(clock=Ticking())
    work()
    job.refresh_from_db()
    assert (job.state, job.concluded) == ("cancelled", True)
    assert 0 < len(lines(job)) == job.done < ROWS
    with pytest.raises(JobError):
        service.resume(job)


def test_a_job_is_deleted_while_it_runs(job: Job, monkeypatch: pytest.MonkeyPatch, folder: Any) -> None:
    at_question(monkeypatch, 2, lambda: service.delete(Job.objects.get(pk=job.pk)))
    taken = worker.take()
    assert taken is not None
    Run(taken, clock=Ticking()).go()
    assert not Job.objects.exists()
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("what", ["key", "grant", "application", "operation"])
def test_a_right_that_ends_stops_the_job_within_a_part(
    cast: Cast, job: Job, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def end() -> None:
        if what == "key":
            cast.key_row.revoke()
        elif what == "grant":
            Grant.objects.get(operation=cast.operations["satu"]).set_state(Grant.State.REVOKED)
        elif what == "application":
            Application.objects.update(active=False)
        else:
            Operation.objects.filter(code="satu").update(state="retired")
        holder.refresh()

    at_question(monkeypatch, 3, end)
    take_turn(clock=Ticking())
    job.refresh_from_db()
    assert (job.state, job.problem) == ("failed", what)
    assert 0 < job.done <= 4 * 512
    assert len(service.results(job, most=ROWS)[1]) == job.done


def test_a_job_that_nobody_resumes_and_results_that_nobody_fetches_expire(job: Job, folder: Any) -> None:
    other = begin_another(job)
    service.pause(job)
    work()
    worker.prune(timezone.now() + timedelta(hours=71))
    assert set(Job.objects.values_list("state", flat=True)) == {"paused", "done"}
    later = timezone.now() + timedelta(hours=73)
    worker.prune(later)
    work()
    worker.prune(later + timedelta(hours=73))
    for each in Job.objects.all():
        assert (each.state, each.stored, each.key) == ("expired", "", ""), each.pk
        with pytest.raises(JobError, match="expired"):
            service.result_file(each, "csv")
    assert list(folder.iterdir()) == []
    worker.prune(later + timedelta(days=worker.KEPT_DAYS))
    assert not Job.objects.exists()
    assert other.pk


def begin_another(job: Job) -> Job:
    """A second job like this one, of two rows."""
    import io

    return service.create(
        application=job.application, operation=job.operation, stream=io.BytesIO(b"id\n1\n2\n"), input_format="csv",
        language="id", key=job.key_public, client_ip="127.0.0.1",
    )  # fmt: skip


# ------------------------------------------------------------------------------------------- quota


def test_each_row_is_counted_and_the_job_waits_for_the_next_window(
    cast: Cast, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    Grant.objects.filter(operation=cast.operations["satu"]).update(quota="1000/hour")
    holder.refresh()
    moment = [real_time.time()]
    monkeypatch.setattr(quota_stores.time, "time", lambda: moment[0])
    monkeypatch.setattr(quota_stores, "clock", lambda: moment[0])
    for expected in (1000, 2000):
        take_turn()
        job.refresh_from_db()
        assert (job.state, job.done, job.problem) == ("quota", expected, "")
        assert job.retry_at is not None
        assert timedelta(minutes=59) < job.retry_at - timezone.now() < timedelta(minutes=61)
        # Nothing is left for other calls either.
        assert cast.get("satu", "id=1").status == 429
        worker.wake(timezone.now())
        assert worker.take() is None
        moment[0] += 3601
        worker.wake(timezone.now() + timedelta(seconds=3605))
    work()
    check_complete(job)
    assert job.counted == ROWS
    grant = holder.refresh().grants[cast.application.pk, cast.operations["satu"].pk]
    assert quotas.count(grant, 5000)[0] == 1000 - 400


def test_rows_that_were_counted_before_a_kill_are_not_counted_again(
    cast: Cast, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    Grant.objects.filter(operation=cast.operations["satu"]).update(quota="2400/hour")
    holder.refresh()

    class Killed(BaseException):
        pass

    def kill(*_args: Any) -> None:
        raise Killed

    with monkeypatch.context() as context:
        context.setattr(Run, "_flush", kill)
        with pytest.raises(Killed):
            take_turn()
    job.refresh_from_db()
    assert (job.state, job.counted) == ("running", ROWS)
    work()
    check_complete(job)


def test_counting_many_calls_agrees_with_counting_each(cast: Cast) -> None:
    Grant.objects.filter(operation=cast.operations["satu"]).update(quota="10/minute; 15/hour")
    holder.refresh()
    grant = holder.refresh().grants[cast.application.pk, cast.operations["satu"].pk]
    assert quotas.count(grant, 4) == (4, 61)
    assert cast.get("satu", "id=1").headers["ratelimit"].startswith('"quota";r=5')
    assert quotas.count(grant, 100)[0] == 5
    granted, seconds = quotas.count(grant, 1)
    assert (granted, 0 < seconds <= 61) == (0, True)


# -------------------------------------------------------------------------------- what goes missing


def test_a_full_disk_pauses_the_job_until_there_is_room(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is simulated where bytes are forced to it: the second part does not fit."""
    monkeypatch.setattr(running, "PART_ROWS", 500)
    finish, written = EncryptedOutput.finish, [0]

    def full(output: EncryptedOutput) -> None:
        written[0] += 1
        if written[0] >= 3:  # the rows of the file, and a part, did fit
            raise OSError(errno.ENOSPC, "no space left")
        finish(output)

    with monkeypatch.context() as context:
        context.setattr(EncryptedOutput, "finish", full)
        take_turn()
    job.refresh_from_db()
    assert (job.state, job.problem, job.done) == ("paused", "disk", 512)
    assert job.retry_at is not None
    worker.wake(job.retry_at)
    work()
    check_complete(job)


def test_without_room_no_job_is_taken(cast: Cast, monkeypatch: pytest.MonkeyPatch, folder: Any) -> None:
    from mantra.jobs import files

    monkeypatch.setattr(files, "LEFT_FREE", 1 << 62)
    reply = jobs_of(cast, method="POST", body=b"id\n1\n", content_type="text/csv")
    assert (reply.status, reply.json()["code"]) == (503, 11309)
    assert list(folder.iterdir()) == []


def test_files_that_were_changed_are_not_read(job: Job, folder: Any) -> None:
    (path,) = folder.rglob("input")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(bytes(content))
    work()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("failed", "files")


def test_parts_cannot_be_exchanged(job: Job, folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PART_ROWS", 500)
    work()
    first, second = folder.rglob("p000000001"), folder.rglob("p000000513")
    one, other = next(first), next(second)
    one.write_bytes(other.read_bytes())
    with pytest.raises(JobError, match="files"):
        lines(job)


def test_a_source_that_is_away_is_waited_for(cast: Cast, job: Job, monkeypatch: pytest.MonkeyPatch, time: Time) -> None:
    from registry import faults
    from registry.results import Fault

    away, answers_of = [True], execution.answers_of

    def answer(call: Any, arguments: Sequence[Any]) -> Any:
        if away[0] and arguments[0]["id"] > 1000:
            raise Fault(faults.SOURCE_CIRCUIT_OPEN, retry_after=3, seconds=3)
        return answers_of(call, arguments)

    monkeypatch.setattr(execution, "answers_of", answer)
    take_turn(clock=time, sleep=time.sleep)
    job.refresh_from_db()
    assert (job.state, job.problem) == ("paused", "source")
    assert 500 < job.done <= 1024
    assert running.PATIENCE - running.LONGEST_PAUSE <= sum(time.slept) <= running.PATIENCE + 1
    assert min(time.slept) > 0
    assert job.expires_at is not None  # a source that never comes back does not hold it for ever
    worker.wake(timezone.now())
    assert worker.take() is None
    away[0] = False
    worker.wake(timezone.now() + timedelta(seconds=31))
    work()
    check_complete(job)


# ------------------------------------------------------------------------------- several processes


def test_a_process_that_was_replaced_writes_nothing_more(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process leads meanwhile, and has run the job to its end."""

    def replace() -> None:
        monkeypatch.undo()
        worker.take_up()
        work()

    at_question(monkeypatch, 3, replace)
    taken = worker.take()
    assert taken is not None
    Run(taken).go()
    check_complete(job)


def test_a_job_that_takes_the_process_down_each_time_is_given_up(job: Job) -> None:
    for _attempt in range(worker.ATTEMPTS):
        assert worker.take() is not None
        worker.take_up()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("failed", "interrupted")


def test_jobs_take_turns(cast: Cast, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    other = begin_another(job)
    take_turn(job, clock=Ticking(), others_wait=lambda: True)
    job.refresh_from_db()
    assert job.state == "waiting"
    assert 0 < job.done < ROWS
    assert take_turn(other).state == "done"
    work()
    check_complete(job)


def test_the_task_runs_jobs_in_threads_and_ends_when_it_is_told(job: Job, settings: Any) -> None:
    task, stop = worker.Task(), threading.Event()
    begun: list[Job] = []

    class Thread(threading.Thread):
        """The registry of the tests is in memory, and is not shared by threads that write: the job runs at once."""

        def start(self) -> None:
            begun.append(job)
            self._target(*self._args)  # type: ignore[attr-defined]

    original, worker.threading.Thread = worker.threading.Thread, Thread  # type: ignore[misc]
    try:
        task.round()
        task.round()
    finally:
        worker.threading.Thread = original  # type: ignore[misc]
    assert begun == [job]
    check_complete(job)
    assert job.concluded
    stop.set()
    task.run(stop)
