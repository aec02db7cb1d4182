"""The worker: times, kills, cancels, what goes wrong, and who hears of it."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from dataservices import pool
from mantra.synchronization import engine, runs, schedule, spool, target, worker
from mantra.synchronization.models import Sync, SyncRun
from mantra.synchronization.problems import PROBLEMS, Problem
from mantra.synchronization.worker import Task
from registry.exports import files as export_files
from registry.leader import Leadership
from registry.models import Notification
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import recorded
from tests.servers import database
from tests.servers.surroundings import ROOT
from tests.synchronization.conftest import Stage, numbers, person, with_rows, work

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)


# ------------------------------------------------------------------------------------------- times


def test_each_schedule_has_its_next_time() -> None:
    sync = Sync(enabled=True, schedule="minutes", every_minutes=15)
    assert schedule.next_time(sync, NOW) == NOW + timedelta(minutes=15)
    daily = Sync(enabled=True, schedule="daily", at_hour=2)
    found = schedule.next_time(daily, NOW)
    assert found is not None
    local = timezone.localtime(found)
    assert local.hour == 2 and timedelta(0) < found - NOW <= timedelta(days=1)
    assert schedule.next_time(daily, found) == found + timedelta(days=1)
    assert schedule.next_time(Sync(enabled=True, schedule="hand"), NOW) is None
    assert schedule.next_time(Sync(enabled=False, schedule="daily"), NOW) is None


def test_a_run_begins_when_its_time_has_come_and_not_before(files: Stage) -> None:
    files.source.put("orang", person(1))
    sync = files.define(schedule="minutes", every_minutes=30, enabled=True)
    moment = [timezone.now()]
    Sync.objects.update(next_at=moment[0] + timedelta(minutes=30))
    task = Task(now=lambda: moment[0])
    task.round()
    assert not SyncRun.objects.exists()
    moment[0] += timedelta(minutes=31)
    task.round()
    run = SyncRun.objects.get()
    assert (run.state, run.problem, run.user) == ("failed", "threshold", ""), "nobody has confirmed the first run"
    sync.refresh_from_db()
    assert sync.next_at == moment[0] + timedelta(minutes=30)
    files.done()
    moment[0] += timedelta(minutes=31)
    task.round()
    assert SyncRun.objects.exclude(user="rini").order_by("-pk")[0].state == "done"


def test_an_idle_worker_writes_nothing(files: Stage, django_assert_num_queries: Any) -> None:
    files.define(schedule="daily", enabled=True, next_at=timezone.now() + timedelta(hours=1))
    task = Task()
    task.round()
    with django_assert_num_queries(2):
        task.round()


def test_runs_are_kept_for_a_year(files: Stage) -> None:
    files.define()
    run = files.done()
    SyncRun.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(days=366))
    waiting = runs.start(files.sync, timezone.now())
    Task().round()
    assert [each.pk for each in SyncRun.objects.all()] == [waiting.pk]


def test_without_leadership_nothing_is_made(files: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    files.define()
    runs.start(files.sync, timezone.now())
    monkeypatch.setattr("registry.processes.this_process", lambda: "host-lain:1")
    other = Leadership("synchronization")
    assert other.hold()
    monkeypatch.undo()
    work()
    assert SyncRun.objects.get().state == "waiting"
    other.release()
    work()
    assert SyncRun.objects.get().state == "done"


# ----------------------------------------------------------------------------------- kill and cancel


def test_killed_in_the_middle_of_writing_each_row_is_there_once(servers: Stage, tmp_path: Path) -> None:
    """The worker is killed by SIGKILL in the middle; the next one makes the run again.

    A row that another transaction has inserted and not committed stops one of its statements: there is a middle.
    """
    with_rows(servers, 1_000)
    servers.define(mark="timestamp")
    runs.start(servers.sync, timezone.now(), user="rini", unlimited=True)
    registry = Registry(tmp_path, servers)
    with closing(servers.target.connect()) as other:
        cursor = other.cursor()
        cursor.execute("INSERT INTO salinan (nik) VALUES (%s)", (person(500)[0],))
        with registry.worker() as first:
            servers.wait_for("SELECT count(*) FROM salinan WHERE nama IS NOT NULL", 500)
            first.send_signal(signal.SIGKILL)
            assert first.wait() == -signal.SIGKILL
        other.rollback()
    servers.wait_for("SELECT count(*) FROM salinan", 500)
    assert registry.runs("state, attempts") == [("running", 1)]
    assert not [path for path in (tmp_path / "exports").rglob("*") if path.is_file()], "nothing stays on the disk"
    with registry.worker() as second:
        registry.wait_for_run("done")
        second.terminate()
        assert second.wait() == 0
    assert registry.runs("attempts, read, inserted, unchanged, written") == [(2, 1_000, 500, 500, 500)]
    assert servers.target.rows("salinan") == servers.source.rows("orang")


class Registry:
    """The registry of a test in a file, for processes of its own."""

    def __init__(self, folder: Path, stage: Stage) -> None:
        self.path, self._folder = folder / "registry.sqlite3", folder
        (folder / "journal").mkdir()
        (folder / "exports").mkdir()
        # Row by row: the test's own transaction has them, which no other connection sees.
        shutil.copy(database.migrated(), self.path)
        with closing(sqlite3.connect(self.path)) as copy, connection.cursor() as cursor:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
            for (name,) in copy.execute(tables).fetchall():
                copy.execute(f'DELETE FROM "{name}"')
                rows = cursor.execute(f'SELECT * FROM "{name}"').fetchall()
                if rows:
                    marks = ", ".join("?" * len(rows[0]))
                    copy.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows)
            copy.commit()

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        more = {
            "MANTRA_DATABASE_URL": f"sqlite:///{self.path}", "MANTRA_JOURNAL_DIR": str(self._folder / "journal"),
            "MANTRA_EXPORT_DIR": str(self._folder / "exports"),
        }  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "ship_journal", "--follow"],
                cwd=ROOT, env={**os.environ, **more}, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def runs(self, columns: str) -> list[Any]:
        with closing(sqlite3.connect(self.path, timeout=30)) as opened:
            return opened.execute(f"SELECT {columns} FROM synchronization_syncrun").fetchall()

    def wait_for_run(self, state: str) -> None:
        until = time.monotonic() + 120
        while (found := self.runs("state, problem")) != [(state, "")]:
            assert time.monotonic() < until, (found, (self._folder / "log").read_text())
            assert found[0][0] in ("waiting", "running"), found
            time.sleep(0.05)


def left_running(stage: Stage, attempts: int = 1) -> SyncRun:
    """Leave a run as a process leaves it that is killed."""
    run = runs.start(stage.sync, timezone.now(), user="rini", unlimited=True)
    SyncRun.objects.filter(pk=run.pk).update(state="running", attempts=attempts, worker="lain:1", written=4)
    return run


def test_what_takes_the_process_down_each_time_is_given_up(files: Stage) -> None:
    files.define()
    run = left_running(files, attempts=worker.ATTEMPTS)
    work()
    run.refresh_from_db()
    assert (run.state, run.problem) == ("failed", "interrupted")


def test_a_cancelled_run_ends_and_what_it_wrote_stays(files: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    files.source.put("orang", *(person(n) for n in range(9)))
    files.define()
    monkeypatch.setattr(worker, "REPORT", 0.0)
    in_sets_of(monkeypatch, 2)
    put = target.Target.put

    def cancelling(self: Any, rows: Any) -> None:
        put(self, rows)
        if files.target.execute("SELECT count(*) FROM salinan")[0][0] == 4:
            assert runs.cancel(SyncRun.objects.get())

    monkeypatch.setattr(target.Target, "put", cancelling)
    run = files.run()
    assert run.state == "cancelled"
    assert files.target.execute("SELECT count(*) FROM salinan") == [(4,)]
    monkeypatch.undo()
    assert numbers(files.done()) == (9, 5, 0, 4, 0)


def in_sets_of(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("mantra.synchronization.statements.MAX_ROWS", size)


def test_a_stop_does_not_count_as_an_attempt(files: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    files.source.put("orang", person(1))
    files.define()
    run = runs.start(files.sync, timezone.now(), unlimited=True)
    stop = threading.Event()
    monkeypatch.setattr(target.Target, "count", lambda self: stop.set() or 0)
    Task().run(stop)  # ends by itself
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("waiting", 0)
    assert files.target.rows("salinan") == []


# ------------------------------------------------------------------------------------ what goes wrong


def test_the_read_is_a_call_of_the_application_in_the_journal(files: Stage) -> None:
    files.source.put("orang", person(1), person(2))
    files.define()
    run = files.done()
    begin, end = (line for line in recorded() if line.get("id") == run.request_id)
    assert begin["op"][:3] == ["prov", "data", "orang"]
    assert (end["by"][:2], end["code"], end["rows"], end["grant"]) == (["kons", "app"], 200, 2, files.grant.pk)
    assert person(1)[1] not in str(begin) + str(end)


def test_an_own_operation_needs_no_grant_and_is_recorded(files: Stage) -> None:
    files.source.put("orang", person(1))
    files.grant.delete()
    service = files.operation.service
    service.agency = files.consumer
    service.save()
    files.operation.source.agency = files.consumer
    files.operation.source.database = files.source.values["database"]
    settings_of = files.operation.source
    type(settings_of).objects.filter(pk=settings_of.pk).update(agency=files.consumer)
    move_file(files)
    holder.refresh()
    files.define()
    run = files.done()
    end = next(line for line in recorded() if line.get("id") == run.request_id and line["t"] == "end")
    assert end["by"][:2] == ["kons", "app"] and "grant" not in end


def move_file(stage: Stage) -> None:
    """The file of the source is in the folder of its agency."""
    old = Path(stage.source.values["database"])
    new = Path(str(old).replace("/prov/", "/kons/")).with_name("asal.sqlite3")
    new.write_bytes(old.read_bytes())
    type(stage.operation.source).objects.filter(pk=stage.operation.source_id).update(database=str(new))


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"state": "revoked"}, "grant"),
        ({"valid_until": "2020-01-01"}, "grant"),
        ({"networks": "10.0.0.0/8"}, "grant"),
        ({"fields": "nik\nnama"}, "source-columns"),
    ],
)
def test_the_grant_counts(files: Stage, columns: dict[str, str], problem: str) -> None:
    files.source.put("orang", person(1))
    files.define()
    for name, value in columns.items():
        setattr(files.grant, name, value)
    files.grant.save()
    holder.refresh()
    run = files.run()
    assert (run.state, run.problem) == ("failed", problem)
    assert files.target.rows("salinan") == []


def test_without_its_application_nothing_is_read(files: Stage) -> None:
    files.define()
    files.application.delete()
    files.sync.refresh_from_db()
    assert files.sync.application is None
    assert files.run().problem == "grant"
    assert recorded() == []


def test_the_quota_counts(files: Stage) -> None:
    files.grant.quota = "1/day"
    files.grant.save()
    files.define()
    assert files.done()
    assert files.run().problem == "quota"


def test_a_truncated_read_is_no_reason_to_delete(files: Stage) -> None:
    files.source.put("orang", *(person(n) for n in range(6)))
    files.define(mark="timestamp")
    files.done()
    files.operation.max_rows = 5
    files.operation.save()
    holder.refresh()
    assert files.run().problem == "truncated"
    assert files.target.execute("SELECT count(*) FROM salinan WHERE dihapus IS NOT NULL") == [(0,)]


def test_pages_are_read_to_their_end(files: Stage) -> None:
    files.source.put("orang", *(person(n) for n in range(7)))
    files.operation.sql += " LIMIT :limit OFFSET :offset"
    files.operation.page_size = 3
    files.operation.full_clean()
    files.operation.save()
    holder.refresh()
    files.define(mark="timestamp")
    assert numbers(files.done()) == (7, 7, 0, 0, 0)
    assert len([line for line in recorded() if line["t"] == "end"]) == 3


def test_rows_without_or_with_the_same_key_are_refused(files: Stage) -> None:
    files.source.execute("DROP TABLE orang")
    files.source.execute("CREATE TABLE orang (nik text, nama text, lahir date, gaji text, anak integer, diubah text)")
    insert = "INSERT INTO orang (nik, nama) VALUES (?, ?)"
    files.source.execute(insert, ("1", "A"))
    files.source.execute(insert, ("1", "B"))
    files.define()
    assert files.run().problem == "key-twice"
    files.source.execute("DELETE FROM orang WHERE nama = 'B'")
    files.source.execute(insert, (None, "C"))
    run = files.run()
    assert (run.problem, run.column) == ("key-empty", "nik")
    assert files.target.rows("salinan") == []


def test_a_source_that_is_away_is_said_and_the_next_run_works(stage: Stage) -> None:
    stage.source.put("orang", person(1))
    stage.define()
    for row, problem in ((stage.operation.source, "source-away"), (stage.target_source, "target-away")):
        away = {"host": "127.0.0.1", "port": 1} if row.engine != "sqlite" else {"database": f"{row.database}.gone"}
        kept = {name: getattr(row, name) for name in away}
        move(row, **away)
        assert stage.run().problem == problem
        move(row, **kept)
        pool.dispose_unused(set())
        assert stage.run().state == "done"


def move(row: Any, **columns: Any) -> None:
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()
    holder.refresh()


def test_an_account_that_may_not_write_is_said_before_anything_is_read(
    stage: Stage, request: pytest.FixtureRequest
) -> None:
    stage.source.put("orang", person(1))
    stage.define()
    row, account = stage.target_source, "hanya_membaca"  # no other test's name: the servers are shared
    if row.engine == "sqlite":
        pytest.skip("SQLite has no accounts")
    if row.engine == "postgresql":
        superuser = request.getfixturevalue("postgresql").superuser("mantra")
        cursor = superuser.cursor()
        cursor.execute(f"DROP ROLE IF EXISTS {account}")
        cursor.execute(f"CREATE ROLE {account} LOGIN PASSWORD '{account}'")
        cursor.execute(f"GRANT SELECT ON salinan TO {account}")
        restore = [f"DROP OWNED BY {account}", f"DROP ROLE {account}"]
    else:
        superuser = request.getfixturevalue("mariadb").superuser()
        cursor = superuser.cursor()
        cursor.execute(f"CREATE OR REPLACE USER {account} IDENTIFIED BY '{account}'")
        cursor.execute(f"GRANT SELECT ON {row.database}.salinan TO {account}")
        restore = [f"DROP USER {account}"]
    kept = row.user, row.password
    move(row, user=account, password=account)
    try:
        run = stage.run()
        assert (run.problem, run.read) == ("target-rights", 0)
    finally:
        move(row, user=kept[0], password=kept[1])
        pool.dispose_unused(set())
        for statement in restore:
            cursor.execute(statement)
        superuser.close()


def test_a_full_disk_is_said(files: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    files.source.put("orang", person(1))
    files.define()
    monkeypatch.setattr(export_files, "LEFT_FREE", 2**70)
    assert files.run().problem == "disk"
    monkeypatch.undo()
    assert files.run().state == "done"


def test_errors_are_the_runs_own_and_tell_no_data(
    files: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files.source.put("orang", person(1))
    files.define()

    def failing(*_args: object) -> None:
        raise RuntimeError("NIK 3201010101010001")

    monkeypatch.setattr(target.Target, "put", failing)
    with caplog.at_level(logging.ERROR):
        run = files.run()
    assert (run.state, run.problem) == ("failed", "error")
    assert "RuntimeError" in caplog.text and "3201" not in caplog.text


def test_the_agencys_people_hear_of_a_failure_once(files: Stage) -> None:
    rini = make_user("Provider", files.consumer, "rini")
    make_user("Provider", files.provider, "lain")
    files.define(schedule="daily", enabled=True)
    files.grant.delete()
    holder.refresh()
    for _ in range(3):
        Sync.objects.update(next_at=timezone.now() - timedelta(seconds=1))
        work()
    assert SyncRun.objects.filter(problem="grant").count() == 3
    heard = Notification.objects.all()
    assert [(each.user, each.event, each.context) for each in heard] == [
        (rini, "sync_failed", {"synchronization": "kons/orang"})
    ]
    files.run()
    assert Notification.objects.count() == 1, "who starts a run looks at it"


def test_every_problem_has_a_sentence() -> None:
    words = set()
    for module in (engine, spool, target, worker):
        source = Path(module.__file__ or "").read_text()
        words |= {part.split('"')[0] for part in source.split('Problem("')[1:]}
    assert words and words <= set(PROBLEMS)
    assert str(Problem("disk")) == "disk"
