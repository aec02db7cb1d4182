"""The worker as a process of its own: what it takes of memory, and what is left when it is killed in the middle."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.servers.database import migrated
from tests.servers.process import ending_with_us, wait_until
from tests.servers.surroundings import ROOT, environment

pytestmark = pytest.mark.system

#: Rows of each list: reading them takes long enough to be killed in the middle.
ROWS = 60_000
#: MiB that a worker may take more than one that has done nothing; lists of this size in memory take several times that.
GROWTH_MIB = 60


class Worker:
    """The environment of a worker, and its words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = environment(folder)
        shutil.copy(migrated(), folder / "mantra.sqlite3")

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = ending_with_us([sys.executable, "-m", "tests.reconciliation.worker_process", *words])
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True)

    def do(self, *words: str) -> str:
        process = self.begin(*words)
        output, _errors = process.communicate(timeout=300)
        assert process.returncode == 0
        return output

    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.do("show"))
        return found

    @property
    def files(self) -> list[Path]:
        place = self.folder / "exports" / "reconciliation"
        return [path for path in place.rglob("*") if path.is_file()]


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    (tmp_path / "sources" / "dinsos").mkdir(parents=True)
    made = Worker(tmp_path)
    made.do("prepare", str(tmp_path / "sources" / "dinsos" / "daftar.sqlite3"), str(ROWS))
    return made


def expected(run: dict[str, Any]) -> None:
    assert (run["state"], run["problem"]) == ("done", "")
    tenth = ROWS // 10
    assert (run["left_rows"], run["right_rows"], run["only_left"], run["only_right"]) == (ROWS, ROWS, tenth, tenth)
    assert (run["different"], run["equal"]) == ((ROWS - tenth) // 100, ROWS - tenth - (ROWS - tenth) // 100)
    assert run["kept"] == {
        "only_left": tenth, "only_right": tenth, "different": run["different"], "aside_left": 0, "aside_right": 0,
    }  # fmt: skip


@pytest.mark.parametrize("step", ["left", "right", "join"])
def test_a_kill_in_the_middle_loses_and_doubles_nothing(worker: Worker, step: str) -> None:
    process = worker.begin("work", step)
    assert process.stdout is not None
    assert process.stdout.readline() == "standing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert worker.run()["state"] == "running"
    worker.do("work")
    after = worker.run()
    expected(after)
    assert after["attempts"] == 2
    # What the killed process had written is gone, and so is what was at work.
    assert {path.parent.name for path in worker.files} == {after["stored"]}


def test_memory_is_bounded(worker: Worker) -> None:
    peak = int(worker.do("work").split()[-1])
    expected(worker.run())
    idle = int(worker.do("work").split()[-1])
    assert peak - idle < GROWTH_MIB, f"{peak} MiB, where an idle worker has {idle}"


def test_the_process_that_ships_the_journal_does_the_runs(worker: Worker) -> None:
    """Its own calls are in the history like those of others."""

    def rows(sql: str) -> list[Any]:
        with closing(sqlite3.connect(worker.folder / "mantra.sqlite3")) as registry:
            return registry.execute(sql).fetchall()

    command = ending_with_us([sys.executable, "manage.py", "ship_journal", "--follow"])
    process = subprocess.Popen(command, cwd=ROOT, env=worker.environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: rows("SELECT state FROM reconciliation_reconciliationrun") == [("done",)], 240, "the run")
        calls = (
            "SELECT operation, protocol, outcome, rows FROM registry_callrecord WHERE outcome > 0 ORDER BY operation"
        )
        wait_until(lambda: len(rows(calls)) == 2, 60, "the history")
    finally:
        process.terminate()
        process.wait(60)
    assert rows(calls) == [("a", "own-read", 200, ROWS), ("b", "own-read", 200, ROWS)]
    expected(worker.run())
