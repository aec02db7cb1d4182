"""Jobs of a real installation over PostgreSQL, while its processes and its database are killed: each row comes once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.servers.bus import ROOT, Bus
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import ending_with_us, wait_until

PEOPLE, ROWS = 2000, 4000
#: Counting makes each row take a while, so that kills come in between.
SQL = """
    SELECT id, nama, (SELECT count(*) FROM orang o WHERE o.nama <= orang.nama) AS urutan FROM orang WHERE id = :id
"""


BUNDLE = {
    "agencies": [{"code": "prov", "name": "Penyedia"}, {"code": "kons", "name": "Konsumen"}],
    "sources": [
        {
            "agency": "prov", "code": "pg", "engine": "postgresql", "host": "127.0.0.1", "port": "${PORT_OF_SOURCE}",
            "database": "mantra", "user": "mantra", "password": "env:PASSWORD_OF_SOURCE",
        }
    ],
    "services": [
        {
            "agency": "prov", "code": "data", "title": "Data",
            "operations": [
                {
                    "code": "orang", "kind": "data", "state": "published", "access": "restricted", "source": "pg",
                    "sql": SQL, "parameters": [{"name": "id", "type": "integer", "subject": True}],
                }
            ],
        }
    ],
    "applications": [
        {
            "agency": "kons", "code": "app", "title": "Aplikasi",
            "grants": [{"operation": "prov/data/orang", "purpose": "uji"}],
        }
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    with PostgreSQLServer() as server:
        connection = psycopg2.connect(server.dsn())
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE orang (id integer PRIMARY KEY, nama text)")
            cursor.execute(f"INSERT INTO orang SELECT n, 'Orang ' || n FROM generate_series(1, {PEOPLE}) n")
            cursor.execute("ANALYZE orang")
        connection.close()
        with closing(server.superuser()) as superuser:
            superuser.cursor().execute("CREATE DATABASE registri OWNER mantra")
        yield server


@pytest.fixture(scope="module")
def bus(server: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    url = f"postgres://mantra:mantra@127.0.0.1:{server.port}/registri"
    with Bus(
        tmp_path_factory.mktemp("bus"),
        BUNDLE,
        "kons/app",
        MANTRA_DATABASE_URL=url,
        WEB_CONCURRENCY="1",
        PORT_OF_SOURCE=str(server.port),
        PASSWORD_OF_SOURCE=server.password,
    ) as bus:
        yield bus


class Worker:
    """The worker of a bus, which can be killed."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.start()

    def start(self) -> None:
        with self.bus.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                ending_with_us((sys.executable, "manage.py", "ship_journal", "--follow")),
                cwd=ROOT, env=self.bus.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def worker(bus: Bus) -> Iterator[Worker]:
    worker = Worker(bus)
    yield worker
    worker.stop()


def begin(bus: Bus, rows: int = ROWS) -> str:
    ids = [random.Random(number).randint(1, PEOPLE) for number in range(rows)]
    body = "id\n" + "".join(f"{id}\n" for id in ids)
    reply = bus.request("/rest/prov/data/orang/jobs", "POST", body=body, headers={"Content-Type": "text/csv"})
    assert reply.status == 202, reply.data
    return str(json.loads(reply.data)["id"])


def state(bus: Bus, id: str) -> dict[str, Any]:
    """The state of a job; nothing while the bus or its registry is away."""
    reply = bus.request(f"/rest/prov/data/orang/jobs/{id}")
    return dict(json.loads(reply.data)) if reply.status == 200 else {"state": "?", "done": -1}


def wait_for_rows(bus: Bus, id: str, more: int = 200) -> int:
    """Wait until more rows are done than by now."""
    before = max(0, state(bus, id)["done"])
    wait_until(lambda: state(bus, id)["done"] >= min(before + more, ROWS), 120, "further rows")
    return int(state(bus, id)["done"])


def check(bus: Bus, id: str) -> None:
    """The job ends; each row has one result, its own; so has the call history, with all persons."""
    wait_until(lambda: state(bus, id)["state"] in ("done", "failed"), 180, "the end of the job")
    ended = state(bus, id)
    assert (ended["state"], ended["done"], ended["found"]) == ("done", ROWS, ROWS), ended
    reply = bus.request(f"/rest/prov/data/orang/jobs/{id}/file.ndjson")
    rows = [json.loads(line) for line in reply.data.splitlines()]
    ids = [random.Random(number).randint(1, PEOPLE) for number in range(ROWS)]
    assert [(row["baris"], row["status"], row["nama"]) for row in rows] == [
        (number + 2, "ok", f"Orang {id}") for number, id in enumerate(ids)
    ]
    connection = psycopg2.connect(bus.environment["MANTRA_DATABASE_URL"])
    connection.autocommit = True
    cursor = connection.cursor()

    def recorded() -> Any:
        cursor.execute("SELECT outcome, rows FROM registry_callrecord WHERE request_id = %s", [id])
        return cursor.fetchall()

    wait_until(lambda: recorded() == [(200, ROWS)], 60, f"one record ({recorded()})")
    cursor.execute("SELECT hashes FROM registry_subjectsofjob WHERE request_id = %s", [id])
    assert len(set(" ".join(row[0] for row in cursor.fetchall()).split())) == len(set(ids))
    connection.close()


def test_the_worker_is_killed_again_and_again(bus: Bus, worker: Worker) -> None:
    id = begin(bus)
    done = []
    for _kill in range(3):
        done.append(wait_for_rows(bus, id))
        worker.kill()
        worker.start()
    assert done == sorted(done)
    check(bus, id)


def test_the_web_processes_are_killed(bus: Bus, worker: Worker) -> None:
    id = begin(bus)
    wait_for_rows(bus, id)
    for pid in bus.workers():
        os.kill(pid, signal.SIGKILL)
    wait_until(bus.ready, 60, "the bus")
    check(bus, id)


def test_the_database_of_registry_and_rows_is_killed(bus: Bus, worker: Worker, server: PostgreSQLServer) -> None:
    id = begin(bus)
    for _kill in range(2):
        wait_for_rows(bus, id)
        assert server.process is not None
        # SIGQUIT: PostgreSQL ends at once, as after a failure of the machine.
        server.process.send_signal(signal.SIGQUIT)
        server.process.wait(30)
        time.sleep(1)
        server.start()
    wait_until(bus.ready, 60, "the bus")
    check(bus, id)


def test_it_is_stopped_politely_in_the_middle(bus: Bus, worker: Worker) -> None:
    id = begin(bus)
    wait_for_rows(bus, id)
    worker.stop()
    stopped = state(bus, id)
    assert stopped["state"] == "waiting"
    results = bus.request(
        f"/rest/prov/data/orang/jobs/{id}/results?per_page=10000", headers={"Accept": "application/x-ndjson"}
    )
    assert len(results.data.splitlines()) == min(stopped["done"], 5000)
    worker.start()
    check(bus, id)


def test_pause_and_cancel_take_effect_within_a_second(bus: Bus, worker: Worker) -> None:
    id = begin(bus, 25 * ROWS)  # so many that it does not end by itself meanwhile
    wait_for_rows(bus, id)
    assert bus.request(f"/rest/prov/data/orang/jobs/{id}/pause", "POST").status == 200
    time.sleep(2)  # a second, and that of a busy machine
    done = state(bus, id)["done"]
    time.sleep(2)
    assert (state(bus, id)["state"], state(bus, id)["done"]) == ("paused", done)
    assert bus.request(f"/rest/prov/data/orang/jobs/{id}/resume", "POST").status == 200
    wait_until(lambda: state(bus, id)["done"] > done, 60, "further rows")
    assert bus.request(f"/rest/prov/data/orang/jobs/{id}/cancel", "POST").status == 200
    wait_until(lambda: bus.request(f"/rest/prov/data/orang/jobs/{id}", "DELETE").status == 204, 10, "the deletion")
    assert bus.request(f"/rest/prov/data/orang/jobs/{id}").status == 404


def test_the_journal_is_whole_after_all_of_it(bus: Bus) -> None:
    assert "BROKEN" not in bus.manage("verify_audit", check=False)
    assert not list(Path(bus.environment["MANTRA_VAR_DIR"], "jobs").glob("*/new-*"))
