"""What counts against a source: only that it is silent or cannot be reached. T2, T3, T5, T12, T14, T15, SEC 7.

Calls run as runner.run() runs them, from the pool to the fault, with statements that the SQL check would not let in.
SQL Server and Sybase are played by our own responder, Oracle by the tests' scripted server.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.base import Limits, Row, SourceError, Stream
from adapters.streaming import BufferedResult
from dataservices import runner
from dataservices.pool import Busy, SourcePool
from registry import faults
from registry.results import Column, Fault
from tests import dbf_writer
from tests.adapters import tds_engine
from tests.adapters.engines import MARIADB, POSTGRESQL, SQLITE
from tests.bounds import assert_within
from tests.cast import Cast
from tests.servers.mariadb import MariaDBServer
from tests.servers.oracle import ScriptedOracle
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.tds import TDSServer

ENGINES = ["sqlite", "dbase", "postgresql", "mariadb", "mysql56", "sqlserver", "sybase", "oracle"]
NETWORKED = ["postgresql", "mariadb", "sqlserver", "sybase"]
SLOW = {
    "sqlite": SQLITE["slow"],
    "dbase": SQLITE["slow"],
    "postgresql": POSTGRESQL["slow"],
    "mariadb": MARIADB["slow"],
    "mysql56": "SELECT sleep(30) AS x",
    "sqlserver": tds_engine.SQLSERVER["slow"],
    "sybase": tds_engine.SYBASE["slow"],
    "oracle": "SELECT /* sleep 20 */ 1 FROM dual",
}


@pytest.fixture(scope="module")
def responders() -> Iterator[dict[str, TDSServer]]:
    made = {name: TDSServer(name) for name in ("sqlserver", "sybase")}
    yield made
    for server in made.values():
        server.remove()


@pytest.fixture
def scripted() -> Iterator[ScriptedOracle]:
    server = ScriptedOracle()
    yield server
    server.close()


@pytest.fixture
def settings_of(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> Callable[[str], dict[str, Any]]:
    """The settings of a source of an engine."""
    settings.WEB_THREADS = 40

    def made(engine: str) -> dict[str, Any]:
        if engine in ("sqlserver", "sybase"):
            return dict(request.getfixturevalue("responders")[engine].source())
        if engine == "oracle":
            return dict(request.getfixturevalue("scripted").source())
        if engine in ("sqlite", "dbase"):
            return _files(engine, tmp_path)
        return dict(request.getfixturevalue(engine).source())

    return made


def _files(engine: str, folder: Path) -> dict[str, Any]:
    if engine == "dbase":
        (folder / "tabel").mkdir()
        dbf_writer.write(folder / "tabel" / "A.DBF", [dbf_writer.F("A", "C", 2)], [[b"x"]], version=0x03)
        return {"engine": "dbase", "database": str(folder / "tabel"), "roots": [str(folder)]}
    with sqlite3.connect(folder / "data.sqlite3") as made:
        made.execute("CREATE TABLE counter (id integer PRIMARY KEY)")
    made.close()
    return {"engine": "sqlite", "database": str(folder / "data.sqlite3"), "roots": [str(folder)]}


def pool_of(values: dict[str, Any], size: int = 5) -> SourcePool:
    return SourcePool(1, values["engine"], values, size)


def run(source: SourcePool, sql: str, seconds: float = 10, writes: bool = False, **arguments: Any) -> list[Row]:
    """The rows of a call. Raises Fault."""

    def action(connection: Any, left: Limits) -> Stream:
        return source.adapter.run(connection, sql, arguments, left)

    call: Any = SimpleNamespace(request_id="uji")
    plan: Any = SimpleNamespace(pool=source)
    deadline = time.monotonic() + seconds
    pooled, stream = runner.execute(call, plan, Limits(100, seconds, writes), deadline, action)
    try:
        return [row for batch in stream for row in batch]
    finally:
        runner.close(pooled, stream)


def fault_of(source: SourcePool, sql: str, seconds: float = 10, writes: bool = False) -> Fault:
    with pytest.raises(Fault) as error:
        run(source, sql, seconds, writes)
    return error.value


# Slow statements.


def one(engine: str) -> str:
    return "SELECT 'a' AS a FROM dual" if engine == "oracle" else "SELECT 'a' AS a"


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("engine", ENGINES)
def test_t2_s7_slow_calls_leave_the_source_in_service(
    engine: str, settings_of: Callable[[str], dict[str, Any]]
) -> None:
    """Each is ended by its server, or in this process, whatever the time limit is; none is silence."""
    source = pool_of(settings_of(engine))
    seen = errors_of(source)
    with ThreadPoolExecutor(5) as threads:
        found = list(threads.map(lambda seconds: fault_of(source, SLOW[engine], seconds), (0.3, 0.3, 0.4, 0.7, 1.2)))
    assert {fault.kind for fault in found} == {faults.SOURCE_TIMEOUT}
    # The tests' Oracle answers no break, as one that is deaf.
    answered = [error for error in seen if error is not None and not error.unanswered]
    assert len(answered) == 5 or engine == "oracle"
    assert (source.breaker.state, source.breaker.failures) == ("closed", 0)
    assert run(source, one(engine)) == [("a",)]
    source.dispose()


def test_t2_a_slow_write_of_old_mysql_is_ended_there_and_undone(mysql56: Any, settings: Any) -> None:
    settings.WEB_THREADS = 40
    source = pool_of(mysql56.source())
    cursor = mysql56.superuser().cursor()
    cursor.execute("CREATE TABLE IF NOT EXISTS mantra.undur (id int PRIMARY KEY)")
    fault = fault_of(source, "INSERT INTO undur SELECT sleep(20)", 0.4, writes=True)
    assert fault.kind is faults.SOURCE_TIMEOUT and source.breaker.failures == 0
    assert run(source, "SELECT count(*) AS n FROM undur") == [(0,)]
    assert not cursor.execute("SELECT id FROM information_schema.processlist WHERE info LIKE 'INSERT INTO undur%'")
    source.dispose()


def test_t2_a_server_deaf_to_attentions_keeps_the_source_in_service(
    settings_of: Callable[[str], dict[str, Any]],
) -> None:
    """Our own responder: WAITFOR TIME stands for a server that ends no statement. It still takes new log-ins."""
    source = pool_of(settings_of("sqlserver"))
    idle = [source.checkout(False, 5) for _ in range(5)]
    for connection in idle:
        connection.give_back()
    for _ in range(4):
        assert fault_of(source, "WAITFOR TIME '00:00:05'", 0.1).kind is faults.SOURCE_TIMEOUT
    assert source.breaker.state == "closed"
    assert run(source, "SELECT 'a' AS a") == [("a",)]
    source.dispose()


def test_a_source_that_cannot_be_reached_opens_its_circuit(refusing_port: int, settings: Any) -> None:
    source = pool_of({"engine": "postgresql", "host": "127.0.0.1", "port": refusing_port, "user": "x", "database": "x"})
    for _ in range(3):
        assert fault_of(source, "SELECT 1").kind is faults.SOURCE_UNREACHABLE
    assert source.breaker.state == "open"
    assert fault_of(source, "SELECT 1").kind is faults.SOURCE_CIRCUIT_OPEN


def test_s7_three_slow_calls_of_one_caller_harm_nobody(cast: Cast) -> None:
    """Through the bus: the operation of another application still answers."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n"
    cast.operation("lambat", endless, timeout_ms=100)
    for _ in range(4):
        assert cast.get("lambat.json").json()["code"] == faults.SOURCE_TIMEOUT.code
    assert cast.get("satu.json", "id=7").status == 200


# Waiting for a connection.


def test_t3_waiting_for_a_connection_counts_against_the_time_limit(
    settings_of: Callable[[str], dict[str, Any]], settings: Any
) -> None:
    settings.POOL_SECONDS = 60
    source = pool_of(settings_of("sqlite"), 1)
    held = source.checkout(False, 5)
    began = time.monotonic()
    fault = fault_of(source, "SELECT 1 AS a", 0.3)
    assert_within(0.3 + 1, began)
    assert time.monotonic() - began >= 0.3
    assert fault.kind is faults.SOURCE_BUSY
    held.give_back()
    settings.POOL_SECONDS = 0.2
    held = source.checkout(False, 5)
    began = time.monotonic()
    with pytest.raises(Busy):
        source.checkout(False, 60)
    assert_within(0.2 + 1, began)
    held.give_back()
    assert source.breaker.failures == 0
    source.dispose()


def test_t3_who_waits_gets_the_connection_that_is_returned(settings_of: Callable[[str], dict[str, Any]]) -> None:
    source = pool_of(settings_of("sqlite"), 1)
    held = source.checkout(False, 5)
    threading.Timer(0.1, held.give_back).start()
    assert run(source, "SELECT 'a' AS a", 30) == [("a",)]
    source.dispose()


def test_t3_no_statement_is_sent_when_the_time_is_up(
    settings_of: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Getting the connection took it all: the statement is not run with a remainder, and nothing failed."""
    source = pool_of(settings_of("sqlite"))
    connect = source.adapter.connect

    def slow_connect(*given: Any) -> Any:
        time.sleep(0.2)
        return connect(*given)

    monkeypatch.setattr(source.adapter, "connect", slow_connect)
    monkeypatch.setattr(source.adapter, "run", lambda *given: pytest.fail("it was run"))
    assert fault_of(source, "SELECT 1", 0.1).kind is faults.SOURCE_TIMEOUT
    assert source.breaker.failures == 0
    source.dispose()


# Errors of statements that servers also use for log-ins.


def errors_of(source: SourcePool) -> list[SourceError | None]:
    """A list to which the outcome of each run is added from now on."""
    seen: list[SourceError | None] = []
    record = source.record_outcome
    source.record_outcome = lambda error: (seen.append(error), record(error))[1]  # type: ignore[method-assign]
    return seen


def assert_statements_errors(
    source: SourcePool, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch, writes: bool = False
) -> None:
    """Each is the statement's own error: sent once, and no matter of the source's health. By their codes."""
    sent, original, seen = [], source.adapter.run, errors_of(source)

    def counting(connection: Any, sql: str, arguments: Any, limits: Limits) -> Stream:
        sent.append(sql)
        return original(connection, sql, arguments, limits)

    monkeypatch.setattr(source.adapter, "run", counting)
    for text in texts.values():
        assert fault_of(source, text, writes=writes).kind is faults.QUERY_FAILED
    assert sent == list(texts.values())
    assert [error.sqlstate for error in seen if error is not None] == list(texts)
    assert source.breaker.failures == 0


@pytest.mark.parametrize("engine", ["sqlserver", "sybase"])
def test_t5_a_log_in_error_in_a_statement_is_the_statements(
    engine: str, settings_of: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """911, 4060, 18456 … inside a query, by our own responder: another database, a linked server."""
    source = pool_of(settings_of(engine), 1)
    numbers = (911, 4060, 18456, 18452, 40615, 10928, 40501, 17809, 1601)
    assert_statements_errors(source, {str(number): f"raiserror ({number}, 16, 1)" for number in numbers}, monkeypatch)
    assert run(source, "SELECT 'a' AS a") == [("a",)]
    source.dispose()


@pytest.mark.parametrize(
    ("number", "reason"), [(911, "object-unknown"), (4060, "object-unknown"), (18456, "forbidden")]
)
def test_t5_the_author_reads_what_it_means(
    number: int, reason: str, settings_of: Callable[[str], dict[str, Any]]
) -> None:
    source = pool_of(settings_of("sqlserver"), 1)
    assert fault_of(source, f"raiserror ({number}, 16, 1)").details["reason"] == reason
    source.dispose()


def test_t5_of_postgresql(postgresql: PostgreSQLServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The states of connecting, as foreign tables and functions raise them."""
    settings.WEB_THREADS = 40
    source = pool_of(postgresql.source(), 1)
    run(
        source,
        "CREATE OR REPLACE FUNCTION lempar(keadaan text) RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'uji' USING ERRCODE = keadaan; END $$",
        writes=True,
    )
    states = ("08001", "08004", "08006", "28000", "28P01", "3D000", "53300", "57P03", "57P01", "25P03")
    assert_statements_errors(source, {state: f"SELECT lempar('{state}')" for state in states}, monkeypatch)
    assert run(source, "SELECT 'a' AS a") == [("a",)]
    source.dispose()


def test_t5_of_mariadb(mariadb: MariaDBServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WEB_THREADS = 40
    source = pool_of(mariadb.source(), 1)
    cursor = mariadb.superuser().cursor()
    cursor.execute("DROP PROCEDURE IF EXISTS mantra.lempar")
    cursor.execute("CREATE PROCEDURE mantra.lempar(n int) BEGIN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = n; END")
    numbers = (1040, 1045, 1049, 1130, 1203, 1226)
    assert_statements_errors(
        source, {str(number): f"CALL lempar({number})" for number in numbers}, monkeypatch, writes=True
    )
    assert run(source, "SELECT 'a' AS a", writes=True) == [("a",)]
    source.dispose()


def test_t5_of_oracle(scripted: ScriptedOracle, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes through a database link, by the tests' scripted server."""
    settings.WEB_THREADS = 40
    source = pool_of(scripted.source(), 1)
    numbers = (1017, 12154, 12514, 12541, 1033, 1034, 18, 28000)
    texts = {f"{number:05}": f"SELECT /* ORA-{number:05} */ 1 FROM dual" for number in numbers}
    assert_statements_errors(source, texts, monkeypatch)
    assert run(source, "SELECT 'a' AS a FROM dual") == [("a",)]
    source.dispose()


# Locks of others.


@pytest.mark.parametrize("engine", ["sqlserver", "sybase"])
@pytest.mark.parametrize("number", [1205, 1222])
def test_t12_a_lock_of_another_is_told_as_such(
    engine: str, number: int, settings_of: Callable[[str], dict[str, Any]]
) -> None:
    """Deadlock victim and lock timeout, raised by our own responder: it has no locks of its own."""
    source = pool_of(settings_of(engine), 1)
    fault = fault_of(source, f"raiserror ({number}, 13, 1)", writes=True)
    assert (fault.kind, fault.retry_after) == (faults.SOURCE_LOCKED, 1)
    assert source.breaker.failures == 0
    assert run(source, "SELECT 'a' AS a", writes=True) == [("a",)]
    source.dispose()


@pytest.mark.parametrize("number", [54, 60, 4021, 8177, 30006])
def test_t12_of_oracle(number: int, scripted: ScriptedOracle, settings: Any) -> None:
    source = pool_of(scripted.source(), 1)
    assert fault_of(source, f"SELECT /* ORA-{number:05} */ 1 FROM dual").kind is faults.SOURCE_LOCKED
    source.dispose()


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_t12_a_lock_that_is_not_to_be_had(engine: str, request: pytest.FixtureRequest, settings: Any) -> None:
    server = request.getfixturevalue(engine)
    settings.WEB_THREADS = 40
    source = pool_of(server.source())
    if not run(source, "SELECT table_name FROM information_schema.tables WHERE table_name = 'kunci'"):
        run(source, "CREATE TABLE kunci (id int PRIMARY KEY)", writes=True)
        run(source, "INSERT INTO kunci VALUES (1)", writes=True)
    holder = source.adapter.connect(writes=True)
    cursor = holder.cursor()
    cursor.execute("BEGIN")
    cursor.execute("SELECT id FROM kunci WHERE id = 1 FOR UPDATE")
    locking = "SELECT id FROM kunci WHERE id = 1 FOR UPDATE NOWAIT"
    assert fault_of(source, locking, writes=True).kind is faults.SOURCE_LOCKED
    cursor.execute("ROLLBACK")
    assert run(source, locking, writes=True) == [(1,)]
    holder.close()
    source.dispose()


def test_t12_a_deadlock_of_postgresql(postgresql: PostgreSQLServer, settings: Any) -> None:
    """One wins, the other is told to repeat; repeated, it works."""
    settings.WEB_THREADS = 40
    source = pool_of(postgresql.source())
    run(source, "DROP TABLE IF EXISTS buntu", writes=True)
    run(source, "CREATE TABLE buntu AS SELECT n AS id, 0 AS x FROM generate_series(1, 2) AS n", writes=True)
    run(
        source,
        "CREATE OR REPLACE FUNCTION tambah(a int, b int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE buntu SET x = x + 1 WHERE id = a; PERFORM pg_sleep(0.2);"
        " UPDATE buntu SET x = x + 1 WHERE id = b; RETURN 1; END $$",
        writes=True,
    )

    def call(text: str) -> Any:
        try:
            return run(source, text, writes=True)
        except Fault as fault:
            return fault.kind

    with ThreadPoolExecutor(2) as threads:
        ends = list(threads.map(call, ("SELECT tambah(1, 2)", "SELECT tambah(2, 1)")))
    assert sorted(ends, key=str) == sorted([[(1,)], faults.SOURCE_LOCKED], key=str)
    assert run(source, "SELECT tambah(1, 2)", writes=True) == [(1,)]
    source.dispose()


def test_t12_the_caller_is_told_to_repeat(cast: Cast) -> None:
    """Through the bus, on a SQLite file that another program has locked."""
    cast.operation("ubah", "UPDATE orang SET nama = nama WHERE id = 1", writes=True, timeout_ms=300)
    holder = sqlite3.connect(cast.source.database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    reply = cast.get("ubah.json", method="POST")
    holder.execute("ROLLBACK")
    holder.close()
    assert (reply.status, reply.json()["code"], reply.headers["retry-after"]) == (503, 11216, "1")
    assert "ulangi" in reply.text
    assert cast.get("ubah.json", method="POST").status == 200


# Connections that have died in the pool.


def kill_sessions(engine: str, server: Any) -> None:
    """End all sessions of the source's account from outside, as an administrator or a firewall does."""
    if engine in ("sqlserver", "sybase"):
        server.stop()
        server.start()
        return
    cursor = server.superuser().cursor()
    if engine == "postgresql":
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mantra'")
        return
    cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'mantra'")
    for (session,) in cursor.fetchall():
        cursor.execute(f"KILL {session}")


def idle_connections(source: SourcePool, writes: bool, count: int = 3) -> None:
    """Fill a pool with idle connections."""
    held = [source.checkout(writes, 5) for _ in range(count)]
    for connection in held:
        connection.give_back()


@pytest.fixture(params=NETWORKED)
def mortal(request: pytest.FixtureRequest, settings: Any) -> Iterator[tuple[str, Any, SourcePool]]:
    """An engine, its server, and a pool that has a table to write to."""
    settings.WEB_THREADS = 40
    engine = request.param
    server: Any = TDSServer(engine) if engine in ("sqlserver", "sybase") else request.getfixturevalue(engine)
    source = pool_of(server.source())
    with suppress(Fault):
        run(source, "DROP TABLE fana", writes=True)
    run(source, "CREATE TABLE fana (id int PRIMARY KEY)", writes=True)
    yield engine, server, source
    source.dispose()
    if isinstance(server, TDSServer):
        server.remove()


def test_t15_the_first_write_on_a_dead_connection_works(mortal: tuple[str, Any, SourcePool]) -> None:
    engine, server, source = mortal
    idle_connections(source, writes=True)
    kill_sessions(engine, server)
    for number in range(3):
        run(source, f"INSERT INTO fana (id) VALUES ({number})", writes=True)
    assert run(source, "SELECT count(*) AS n FROM fana") == [(3,)]
    assert source.breaker.failures == 0


def test_t15_a_write_that_was_not_sent_is_repeated_once(
    mortal: tuple[str, Any, SourcePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall forgets connections without a word: the first that fails is the beginning of the transaction."""
    engine, server, source = mortal
    idle_connections(source, writes=True)
    kill_sessions(engine, server)
    monkeypatch.setattr(source.adapter, "ping", lambda connection: True)
    run(source, "INSERT INTO fana (id) VALUES (1)", writes=True)
    assert run(source, "SELECT id FROM fana") == [(1,)]


def test_t15_a_read_on_dead_connections_works(mortal: tuple[str, Any, SourcePool]) -> None:
    """However many there are: where one was lost, its repetition opens a new one."""
    engine, server, source = mortal
    idle_connections(source, writes=False)
    kill_sessions(engine, server)
    for _ in range(3):
        assert run(source, "SELECT id FROM fana") == []
    assert source.breaker.failures == 0


# Releasing what was not read to its end.


class Reluctant(BufferedResult):
    """A result with more rows than wanted, whose server does not let go of it until it is allowed to."""

    def __init__(self, allowed: threading.Event) -> None:
        super().__init__((("a", "integer"),), [(n,) for n in range(9)])
        self.whole = False
        self.allowed, self.released = allowed, threading.Event()

    def close(self) -> None:
        assert self.allowed.wait(30)
        self.released.set()


def test_t14_the_row_limit_answers_at_once_and_releases_afterwards(
    settings_of: Callable[[str], dict[str, Any]],
) -> None:
    source = pool_of(settings_of("sqlite"), 1)
    allowed = threading.Event()
    stream, pooled = Reluctant(allowed), source.checkout(False, 5)
    call: Any = SimpleNamespace(request_id="uji", per_page=0)
    rows = runner._rows(call, (Column("a", "integer"),), None, pooled, stream, Limits(5, 10), time.monotonic() + 10)
    assert [row for batch in rows.batches for row in batch] == [(n,) for n in range(5)]
    rows.close()
    assert rows.truncated and not stream.released.is_set()
    # The connection is in use as long as the server works for it.
    with pytest.raises(Busy):
        source.checkout(False, 0.1)
    allowed.set()
    source.checkout(False, 30).give_back()
    assert stream.released.is_set()
    source.dispose()
