"""The worker: schedules, cancelling, expiry, full disks, other processes, and a kill in the middle."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from mantra.reconciliation import files, runs, schedule, worker
from mantra.reconciliation.models import Reconciliation, ReconciliationRun
from mantra.reconciliation.worker import Task
from registry import led_tasks
from registry.leader import Leadership
from registry.models import Notification, User
from tests.reconciliation.conftest import kept, ran, work

#: A Wednesday, 08.30 in Jakarta.
NOW = datetime(2026, 11, 25, 1, 30, tzinfo=UTC)


def local(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.get_default_timezone())  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("kind", "hour", "expected"),
    [
        ("none", 2, None),
        ("daily", 9, local(2026, 11, 25, 9)),
        ("daily", 8, local(2026, 11, 26, 8)),
        ("weekly", 0, local(2026, 11, 30)),
        ("monthly", 23, local(2026, 12, 1, 23)),
    ],
)
def test_the_next_run_of_a_schedule(kind: str, hour: int, expected: datetime | None) -> None:
    assert schedule.next_run(kind, hour, NOW) == expected


def test_a_schedule_starts_each_run_once(reconciliation: Reconciliation) -> None:
    reconciliation.schedule, reconciliation.hour = "daily", 9
    reconciliation.next_at = schedule.next_run("daily", 9, NOW)
    reconciliation.save()
    work(now=lambda: NOW)
    assert not reconciliation.runs.exists()
    due = local(2026, 11, 25, 9)
    for _ in range(3):
        work(now=lambda: due)
    assert reconciliation.runs.count() == 1
    # Three days without a worker are made up for by one run.
    work(now=lambda: due + timedelta(days=3, hours=2))
    assert reconciliation.runs.count() == 2
    reconciliation.refresh_from_db()
    assert reconciliation.next_at == local(2026, 11, 29, 9)
    assert {run.state for run in reconciliation.runs.all()} == {"done"}


@pytest.mark.parametrize("wanted", [True, False])
def test_the_responsible_user_is_notified_of_scheduled_runs(
    reconciliation: Reconciliation, rina: User, wanted: bool
) -> None:
    reconciliation.notify = wanted
    reconciliation.save()
    ran(reconciliation)
    assert not Notification.objects.exists()
    runs.start(reconciliation, rina, scheduled=True)
    work()
    found = [(each.user, each.context) for each in Notification.objects.all()]
    assert found == ([(rina, {"outcome": "done", "reconciliation": "penerima"})] if wanted else [])


def test_one_run_at_a_time(reconciliation: Reconciliation, rina: User) -> None:
    assert runs.start(reconciliation, rina) is not None
    assert runs.start(reconciliation, rina) is None


def left_running(row: Reconciliation, user: User, attempts: int = 1) -> ReconciliationRun:
    """Leave a run as a process leaves it that is killed."""
    run = runs.start(row, user)
    assert run is not None
    stored = files.new_name()
    (files.folder(files.RESULTS) / stored).mkdir()
    left = files.folder(files.WORK) / stored
    left.mkdir()
    (left / "content").write_text("3201234567890001")
    ReconciliationRun.objects.filter(pk=run.pk).update(
        state="running", stored=stored, attempts=attempts, rows=4, percent=30, worker="lain:1"
    )
    return run


def test_after_a_kill_a_run_is_done_again_from_its_start(
    reconciliation: Reconciliation, rina: User, folder: Path
) -> None:
    run = left_running(reconciliation, rina)
    work()
    run.refresh_from_db()
    assert (run.state, run.attempts, run.left_rows, run.different) == ("done", 2, 8, 2)
    assert list((folder / "work").iterdir()) == []
    assert [path.name for path in (folder / "results").iterdir()] == [run.stored]


def test_what_takes_the_process_down_each_time_is_given_up(reconciliation: Reconciliation, rina: User) -> None:
    run = left_running(reconciliation, rina, attempts=worker.ATTEMPTS)
    work()
    run.refresh_from_db()
    assert (run.state, run.problem) == ("failed", "interrupted")


def reporting(monkeypatch: pytest.MonkeyPatch, action: Any) -> None:
    """Do something at the first report of a run."""
    monkeypatch.setattr(worker, "REPORT", 0.0)
    report = Task._report

    def acting(self: Task, job: ReconciliationRun, *args: Any) -> None:
        action(job)
        report(self, job, *args)

    monkeypatch.setattr(Task, "_report", acting)


def test_a_cancelled_run_ends_and_leaves_nothing(
    reconciliation: Reconciliation, rina: User, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.start(reconciliation, rina)
    assert run is not None
    reporting(monkeypatch, lambda job: runs.cancel(run, timezone.now()))
    work()
    run.refresh_from_db()
    assert (run.state, run.different) == ("cancelled", 0)
    assert list((folder / "results").iterdir()) == []


def test_a_deleted_reconciliation_ends_its_run(
    reconciliation: Reconciliation, rina: User, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.start(reconciliation, rina)
    reporting(monkeypatch, lambda job: Reconciliation.objects.filter(pk=reconciliation.pk).delete())
    work()
    assert not ReconciliationRun.objects.exists()
    assert list((folder / "results").iterdir()) == []


def test_a_disk_without_room_ends_the_run(
    reconciliation: Reconciliation, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.exports import files as export_files

    reporting(monkeypatch, lambda job: monkeypatch.setattr(export_files, "LEFT_FREE", 2**70))
    run = ran(reconciliation)
    assert (run.state, run.problem) == ("failed", "disk")
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_stop_does_not_count_as_an_attempt(
    reconciliation: Reconciliation, rina: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.start(reconciliation, rina)
    assert run is not None
    stop = threading.Event()
    reporting(monkeypatch, lambda job: stop.set())
    Task().run(stop)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("waiting", 0)


def test_without_leadership_nothing_is_done(
    reconciliation: Reconciliation, rina: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.start(reconciliation, rina)
    assert run is not None
    monkeypatch.setattr("registry.processes.this_process", lambda: "host-lain:1")
    other = Leadership("reconciliation")
    assert other.hold()
    monkeypatch.undo()
    work()
    run.refresh_from_db()
    assert run.state == "waiting"
    other.release()
    work()
    run.refresh_from_db()
    assert run.state == "done"


def test_an_error_of_the_database_lets_the_run_be_done_again(
    reconciliation: Reconciliation, rina: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.start(reconciliation, rina)
    assert run is not None

    def away(*args: Any) -> Any:
        raise DatabaseError("3201234567890001")

    finish = Task._finish
    monkeypatch.setattr(Task, "_finish", away)
    with pytest.raises(DatabaseError):
        work()
    monkeypatch.setattr(Task, "_finish", finish)
    work()
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("done", 2)


def test_errors_tell_no_data(
    reconciliation: Reconciliation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("3201234567890001 Siti Aminah")

    monkeypatch.setattr(worker, "run", broken)
    run = ran(reconciliation)
    assert (run.state, run.problem) == ("failed", "error")
    assert "RuntimeError" in caplog.text
    assert "Aminah" not in caplog.text


def test_results_expire(reconciliation: Reconciliation, folder: Path, settings: Any) -> None:
    run = ran(reconciliation)
    assert kept(run, "different")
    later = timezone.now() + timedelta(days=settings.RECONCILIATION_DAYS, minutes=1)
    work(now=lambda: later)
    run.refresh_from_db()
    assert (run.state, run.stored, str(run.key), run.different) == ("done", "", "", 2)
    assert list((folder / "results").iterdir()) == []
    work(now=lambda: later + timedelta(days=worker.KEPT_DAYS))
    assert not ReconciliationRun.objects.exists()


def test_files_that_belong_to_nothing_are_removed_when_they_are_old(
    reconciliation: Reconciliation, folder: Path
) -> None:
    new, old = (files.folder(files.UPLOADS) / name for name in ("a" * 32, "b" * 32))
    for path in (new, old):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 7200,) * 2)
    work()
    assert new.exists()
    assert not old.exists()


def test_an_idle_worker_writes_nothing(db: None, django_assert_num_queries: Any) -> None:
    task = Task()
    task.round()
    with django_assert_num_queries(2):
        task.round()


def test_nothing_of_a_list_is_readable_on_the_disk(reconciliation: Reconciliation, folder: Path) -> None:
    run = ran(reconciliation)
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert len(content) > 100
    for word in (b"Aminah", b"3201", b"Santos"):
        assert word not in content
    assert run.stored


def test_leadership_is_renewed_while_a_source_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """No report comes before the first row of a list."""
    monkeypatch.setattr(led_tasks, "ROUND", 0.001)
    stop, held = threading.Event(), []

    class Lock:
        def hold(self) -> bool:
            held.append(True)
            if len(held) == 3:
                stop.set()
            return True

    task = Task(leadership=Lock())  # type: ignore[arg-type]
    task._is_busy = True
    thread = threading.Thread(target=task.renew, args=(stop,))
    thread.start()
    thread.join(60)
    assert len(held) == 3
    held.clear()
    task._is_busy = False
    stop.clear()
    threading.Timer(0.1, stop.set).start()
    task.renew(stop)
    assert held == []
