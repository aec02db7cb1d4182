"""The worker: one export after the other, again after a death, and an end for what takes it down each time."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.utils import timezone

from mantra.exports import history
from registry.exports import delete, files, start, worker
from registry.leader import Leadership
from registry.models import Agency, ExportJob, User
from tests.exports.conftest import Record, content, work


def begun(user: User, **more: object) -> ExportJob:
    return start(user, "history", {"query": ""}, format="csv", **more)  # type: ignore[arg-type]


def left_running(job: ExportJob, attempts: int = 1) -> None:
    """Leave an export as a process leaves it that is killed."""
    stored = files.new_name()
    (files.folder() / stored).write_bytes(b"half")
    (files.folder() / f"{stored}.tmp").mkdir(exist_ok=True)
    ExportJob.objects.filter(pk=job.pk).update(
        state="running", stored=stored, attempts=attempts, rows=40_000, percent=30, worker="lain:1"
    )


def test_after_a_kill_an_export_is_made_again_from_its_start(rini: User, record: Record, folder: Path) -> None:
    record()
    job = begun(rini)
    left_running(job)
    work()
    assert b"prov" in content(job)
    assert (job.attempts, job.rows) == (2, 1)
    assert [path.name for path in folder.iterdir()] == [job.stored]


def test_what_takes_the_process_down_each_time_is_given_up(rini: User, folder: Path) -> None:
    job = begun(rini)
    left_running(job, attempts=worker.ATTEMPTS)
    work()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("failed", "interrupted")
    assert list(folder.iterdir()) == []


def test_a_cancelled_export_ends_and_leaves_nothing(
    rini: User, record: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cancelled while it is made; those that wait are made all the same."""
    record()
    first, second = begun(rini), begun(rini)
    monkeypatch.setattr(worker, "REPORT", 0.0)
    make = history._line

    def cancelling(*args: object) -> object:
        if found := ExportJob.objects.filter(pk=first.pk).first():
            delete(found)
        return make(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(history, "_line", cancelling)
    work()
    assert content(second)
    assert [path.name for path in folder.iterdir()] == [second.stored]


def test_a_stop_does_not_count_as_an_attempt(rini: User, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    record()
    job = begun(rini)
    stop = threading.Event()
    monkeypatch.setattr(history, "_columns", lambda: stop.set() or [])
    worker.Worker().run(stop)  # ends by itself
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("waiting", 0)


def test_exports_leave_the_journal_its_room(
    rini: User, record: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record()
    first, second = begun(rini), begun(rini)
    monkeypatch.setattr(worker, "REPORT", 0.0)
    make = history._line

    def filling(*args: object) -> object:
        monkeypatch.setattr(files, "LEFT_FREE", 2**70)
        return make(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(history, "_line", filling)
    work()
    for job in (first, second):
        job.refresh_from_db()
        assert (job.state, job.problem) == ("failed", "disk")
    assert list(folder.iterdir()) == []


def test_without_leadership_nothing_is_made(rini: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = begun(rini)
    monkeypatch.setattr("registry.processes.this_process", lambda: "host-lain:1")
    other = Leadership("exports")
    assert other.hold()
    monkeypatch.undo()
    work()
    job.refresh_from_db()
    assert job.state == "waiting"
    other.release()
    work()
    assert content(job)


def test_an_idle_worker_writes_nothing(rini: User, django_assert_num_queries: object) -> None:
    made = worker.Worker()
    made.round()
    with django_assert_num_queries(1):  # type: ignore[operator]
        made.round()


def test_people_do_not_wait_for_what_the_bus_began(rini: User, record: Record) -> None:
    scheduled, own = begun(rini, scheduled=True), begun(rini)
    work()
    scheduled.refresh_from_db()
    own.refresh_from_db()
    assert own.finished_at < scheduled.finished_at


def test_errors_are_the_exports_own_and_tell_no_data(
    rini: User, record: Record, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    record()
    job = begun(rini)

    def failing(*_args: object) -> None:
        raise RuntimeError("NIK 3201010101010001")

    monkeypatch.setattr(history, "_line", failing)
    with caplog.at_level(logging.ERROR):
        work()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("failed", "error")
    assert "RuntimeError" in caplog.text and "3201" not in caplog.text


def test_after_an_error_of_the_database_it_is_made_again(
    rini: User, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record()
    job = begun(rini)

    def failing(*_args: object) -> None:
        raise DatabaseError

    with monkeypatch.context() as patched:
        patched.setattr(history, "_line", failing)
        with pytest.raises(DatabaseError):
            work()
    work()
    assert content(job)


def test_the_right_is_checked_when_it_is_made(rini: User, record: Record) -> None:
    job = begun(rini)
    rini.groups.clear()
    work()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("failed", "denied")


def test_files_expire_and_their_rows_go_later(rini: User, record: Record, folder: Path) -> None:
    record()
    job = begun(rini)
    work()
    job.refresh_from_db()
    assert job.expires_at - job.finished_at == timedelta(hours=72)
    worker.prune(job.expires_at - timedelta(seconds=1))
    assert len(list(folder.iterdir())) == 1
    worker.prune(job.expires_at)
    job.refresh_from_db()
    assert (job.state, job.key, job.stored, list(folder.iterdir())) == ("expired", "", "", [])
    worker.prune(timezone.now() + timedelta(days=worker.KEPT_DAYS + 1))
    assert not ExportJob.objects.exists()


def test_a_user_has_only_so_many(rini: User, agency: Agency, settings: Any) -> None:
    settings.ROW_LIMITS = {**settings.ROW_LIMITS, "exports": 3}
    jobs = [begun(rini) for _number in range(3)]
    with pytest.raises(ValidationError, match="3"):
        begun(rini)
    begun(rini, scheduled=True)  # what the bus makes is not refused
    ExportJob.objects.filter(pk__in=[job.pk for job in jobs[:2]]).update(state="expired")
    new = begun(rini)
    assert set(rini.exports.values_list("pk", flat=True)) >= {jobs[2].pk, new.pk}
    assert rini.exports.count() <= 3


def test_a_parameter_cannot_be_endless(rini: User) -> None:
    with pytest.raises(ValidationError):
        start(rini, "history", {"query": "x" * 9_000}, format="csv")
    with pytest.raises(ValueError, match="format"):
        start(rini, "history", {"query": ""}, format="pdf")
