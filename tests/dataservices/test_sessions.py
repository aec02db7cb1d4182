"""What a statement does to its session is undone before the next call, whatever the check of SQL has let through.

The statements here are not checked: each does what a hole in the check, a function behind a view, or a procedure of the
agency could do. The next call of the pool then looks at its session.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Limits, QueryFailed, Row, SourceError
from adapters.postgresql import PREPARED_AFTER
from dataservices.pool import SourcePool
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

PLAIN = Limits(rows=5000, seconds=10, plain=True)
READ = Limits(rows=5000, seconds=10)
WRITE = Limits(rows=5000, seconds=10, writes=True)
KINDS = [pytest.param(PLAIN, id="plain"), pytest.param(READ, id="reading"), pytest.param(WRITE, id="writing")]

#: Runs of a statement that is small: by cursor, in one message, and prepared.
RUNS = PREPARED_AFTER + 4


class Calls:
    """A pool of one connection for each direction, used as the runner uses it."""

    def __init__(self, source: dict[str, Any]) -> None:
        self.pool = SourcePool(1, source["engine"], source, 1)

    def __call__(self, sql: str, limits: Limits = PLAIN, **arguments: Any) -> list[Row]:
        with self.connection(limits) as connection:
            return self.run(connection, sql, limits, **arguments)

    def run(self, connection: Any, sql: str, limits: Limits, **arguments: Any) -> list[Row]:
        stream = self.pool.adapter.run(connection, sql, arguments, limits)
        rows = [row for batch in stream for row in batch]
        stream.close()
        return rows

    @contextmanager
    def connection(self, limits: Limits) -> Iterator[Any]:
        pooled = self.pool.checkout(limits.writes, 10)
        pooled.restores = not limits.plain
        try:
            yield pooled.connection
            pooled.give_back()
        except QueryFailed:
            pooled.give_back()
            raise
        finally:
            pooled.drop()


@pytest.fixture
def postgresql_calls(postgresql: PostgreSQLServer) -> Iterator[Calls]:
    with postgresql.superuser("mantra") as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS korban; CREATE TABLE korban (id integer); INSERT INTO korban VALUES (1)")
        cursor.execute(
            "GRANT ALL ON korban TO mantra; DROP ROLE IF EXISTS lain; CREATE ROLE lain; GRANT lain TO mantra"
        )
        cursor.execute(
            "CREATE OR REPLACE FUNCTION hapus(a int) RETURNS int LANGUAGE sql AS 'DELETE FROM korban; SELECT 1'"
        )
    calls = Calls(postgresql.source())
    yield calls
    calls.pool.dispose()
    connection = postgresql.superuser("mantra")
    connection.cursor().execute("DROP OWNED BY lain; DROP ROLE lain")
    connection.close()


@pytest.fixture
def mariadb_calls(mariadb: MariaDBServer) -> Iterator[Calls]:
    connection = mariadb.superuser()
    cursor = connection.cursor()
    for text in (
        "USE mantra",
        "CREATE OR REPLACE TABLE korban (id integer) ENGINE=InnoDB",
        "INSERT INTO korban VALUES (1)",
        "CREATE OR REPLACE FUNCTION hapus(a int) RETURNS int MODIFIES SQL DATA BEGIN DELETE FROM korban; RETURN 1; END",
        "CREATE OR REPLACE FUNCTION buka() RETURNS int BEGIN SET SESSION tx_read_only = 0; RETURN 1; END",
        "CREATE OR REPLACE VIEW pintu AS SELECT buka() AS a",
    ):
        cursor.execute(text)
    connection.commit()
    connection.close()
    calls = Calls(mariadb.source())
    yield calls
    calls.pool.dispose()


POSTGRESQL_SETTINGS = "SELECT name, setting FROM pg_settings WHERE context = 'user' ORDER BY name"
#: Each setting that an account may change, with another value of its type.
OTHERS = """
    SELECT name, CASE vartype WHEN 'bool' THEN CASE setting WHEN 'on' THEN 'off' ELSE 'on' END
    WHEN 'enum' THEN (SELECT v FROM unnest(enumvals) v WHERE v <> setting LIMIT 1)
    WHEN 'string' THEN CASE name WHEN 'DateStyle' THEN 'German' WHEN 'TimeZone' THEN 'Asia/Tokyo' ELSE 'public' END
    ELSE CASE WHEN setting = min_val THEN max_val ELSE min_val END END
    FROM pg_settings WHERE context = 'user' AND name NOT LIKE 'transaction%%'
"""


@pytest.mark.parametrize("limits", KINDS)
def test_no_setting_of_postgresql_survives(postgresql_calls: Calls, limits: Limits) -> None:
    direction = Limits(5000, 10, limits.writes, plain=True)
    before = postgresql_calls(POSTGRESQL_SETTINGS, direction)
    changed = 0
    for name, value in postgresql_calls(OTHERS):
        with postgresql_calls.connection(limits) as connection:
            try:
                postgresql_calls.run(connection, "SELECT set_config(%(n)s, %(v)s, false)", limits, n=name, v=value)
            except SourceError:
                continue
        changed += 1
        if limits.writes or name in ("search_path", "default_transaction_read_only", "DateStyle", "statement_timeout"):
            assert postgresql_calls(POSTGRESQL_SETTINGS, direction) == before, name
    assert changed > 80
    assert postgresql_calls(POSTGRESQL_SETTINGS, direction) == before


@pytest.mark.parametrize("limits", KINDS)
def test_no_role_of_postgresql_survives(postgresql_calls: Calls, limits: Limits) -> None:
    for _ in range(RUNS):
        assert postgresql_calls("SELECT set_config('role', 'lain', false)", limits) == [("lain",)]
    found = postgresql_calls("SELECT current_user, session_user", Limits(10, 10, limits.writes, plain=True))
    assert found == [("mantra", "mantra")]


@pytest.mark.parametrize("limits", [READ, WRITE])
def test_nothing_else_of_a_session_of_postgresql_survives(postgresql_calls: Calls, limits: Limits) -> None:
    for sql in (
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_lock_shared(2)",
        "LISTEN kabar",
        "PREPARE titipan AS SELECT 1",
        "DECLARE titipan CURSOR WITH HOLD FOR SELECT 1",
        "CREATE TEMP TABLE titipan (a int)",
    ):
        try:
            postgresql_calls(sql, limits)
        except QueryFailed:
            assert not limits.writes, sql
    left = """
        SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
        (SELECT count(*) FROM pg_prepared_statements),
        (SELECT count(*) FROM pg_cursors WHERE is_holdable), (SELECT count(*) FROM pg_listening_channels()),
        (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema())
    """
    assert postgresql_calls(left, Limits(10, 10, limits.writes, plain=True)) == [(0, 0, 0, 0, 0)]


def test_a_read_of_postgresql_stays_one_whatever_the_session_was_told(postgresql_calls: Calls) -> None:
    """In each way that a read takes: by cursor, in one message, prepared, streamed, and without a cursor."""
    steal = "SELECT CASE WHEN CAST(%(go)s AS int) = 1 THEN hapus(1) ELSE 0 END"
    ways = {"default_transaction_read_only": "off", "transaction_read_only": "off", "session_replication_role": "x"}
    for run in range(RUNS):
        for name, value in ways.items():
            try:
                postgresql_calls("SELECT set_config(%(n)s, %(v)s, false)", n=name, v=value)
            except QueryFailed:
                continue
        with pytest.raises(QueryFailed) as error:
            postgresql_calls(steal, go=1)
        assert error.value.reason == "read-only", run
        assert postgresql_calls(steal, go=0) == [(0,)]
    stream = "SELECT set_config('default_transaction_read_only', 'off', false), n FROM generate_series(1, 3000) AS n"
    assert len(postgresql_calls(stream)) == 3000
    for sql in (
        "SELECT hapus(n) FROM generate_series(1, 3000) AS n",
        "EXPLAIN ANALYZE SELECT hapus(1)",
        "DELETE FROM korban",
        "SELECT set_config('transaction_read_only', 'off', false), hapus(1)",
    ):
        with pytest.raises(QueryFailed) as error:
            postgresql_calls(sql)
        assert error.value.reason in ("read-only", "other"), sql
    assert postgresql_calls("SELECT count(*) FROM korban") == [(1,)]


def test_a_statement_of_postgresql_cannot_lift_the_time_cap_of_the_next(postgresql_calls: Calls) -> None:
    for _ in range(RUNS):
        assert postgresql_calls("SELECT set_config('statement_timeout', '0', false)") == [("0",)]
    assert postgresql_calls("SELECT current_setting('statement_timeout')", PLAIN) == [("10s",)]


#: What tells of the statement, the connection or the clock, not of the session.
PASSING = {
    "timestamp", "insert_id", "last_insert_id", "identity", "rand_seed1", "rand_seed2", "error_count", "warning_count",
    "pseudo_thread_id", "in_transaction", "last_gtid", "gtid_seq_no", "server_id", "gtid_domain_id", "proxy_user",
    # These belong to a connection of the server's replication, not to a session.
    "sql_slave_skip_counter", "max_relay_log_size",
}  # fmt: skip
SHOWN = "SHOW SESSION VARIABLES"


def session_of(rows: Sequence[Row]) -> dict[str, str]:
    return {name: value for name, value in rows if name not in PASSING}


@pytest.mark.parametrize("limits", [READ, WRITE])
def test_no_variable_of_mariadb_survives(mariadb_calls: Calls, limits: Limits) -> None:
    direction = Limits(5000, 10, limits.writes, plain=True)
    before = session_of(mariadb_calls(SHOWN, direction))
    changed = [name for name, value in before.items() if _changes(mariadb_calls, limits, name, value)]
    assert len(changed) > 100
    for name in changed:
        assert _changes(mariadb_calls, limits, name, before[name])
        assert session_of(mariadb_calls(SHOWN, direction)) == before, name


def _changes(calls: Calls, limits: Limits, name: str, value: str) -> bool:
    """Whether a variable of a call's session has been set to another value."""
    with calls.connection(limits) as connection:
        for other in ("1", "0", "'OFF'", "'ON'", "2", "8192", "'READ-COMMITTED'", "'utf8mb3'", "'en_US'", "''"):
            if other.strip("'") == value:
                continue
            try:
                connection.query(f"SET SESSION {name} = {other}".encode())
            except Exception:
                # The variable does not take this value, or none.
                continue
            connection.store_result()
            return True
    return False


@pytest.mark.parametrize("limits", [READ, WRITE])
def test_nothing_else_of_a_session_of_mariadb_survives(mariadb_calls: Calls, limits: Limits) -> None:
    for sql in (
        "SELECT get_lock('kunci', 0)",
        "SET @titipan = 5",
        "CREATE TEMPORARY TABLE titipan (a int)",
        "PREPARE titipan FROM 'SELECT 1'",
    ):
        try:
            mariadb_calls(sql, limits)
        except QueryFailed:
            assert not limits.writes, sql
    direction = Limits(10, 10, limits.writes, plain=True)
    assert mariadb_calls("SELECT is_free_lock('kunci'), @titipan", direction) == [(1, None)]
    for sql in ("SELECT * FROM titipan", "EXECUTE titipan"):
        with pytest.raises(QueryFailed):
            mariadb_calls(sql, direction)


@pytest.mark.parametrize("mariadb_knows", [True, False])
def test_a_read_of_mariadb_stays_one_whatever_the_session_was_told(mariadb_calls: Calls, mariadb_knows: bool) -> None:
    """Also in the way of MySQL, which has no SET STATEMENT: a function behind a view opens the session for writing."""
    if not mariadb_knows:
        with mariadb_calls.connection(PLAIN) as connection:
            connection.time_cap_name = None
    for sql in ("SELECT * FROM pintu", "SELECT buka()"):
        assert mariadb_calls(sql) == [(1,)]
        for steal in ("SELECT hapus(1)", "SELECT hapus(id) FROM korban", "(SELECT hapus(1)) UNION (SELECT 2)"):
            with pytest.raises(QueryFailed) as error:
                mariadb_calls(steal)
            assert error.value.reason == "read-only", steal
    assert mariadb_calls("SELECT count(*) FROM korban") == [(1,)]


def test_a_statement_of_mariadb_cannot_lift_the_caps_of_the_next(mariadb_calls: Calls) -> None:
    limits = Limits(7, 3, plain=True)
    mariadb_calls("SELECT 1", limits)
    with mariadb_calls.connection(limits) as connection:
        for text in (b"SET SESSION max_statement_time = 0", b"SET SESSION sql_select_limit = DEFAULT"):
            connection.query(text)
            connection.store_result()
    caps = mariadb_calls("SELECT @@max_statement_time, @@sql_select_limit", limits)
    assert [(float(time), int(rows)) for time, rows in caps] == [(3.0, 8)]


def test_no_temporary_table_of_sqlite_survives(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE korban (id integer)")
    made.close()
    calls = Calls({"engine": "sqlite", "database": str(path), "roots": [str(tmp_path)]})
    calls("CREATE TEMP TABLE korban AS SELECT 7 AS id", WRITE)
    assert calls("SELECT count(*) FROM korban", WRITE) == [(0,)]
    for sql in ("PRAGMA query_only = 0", "PRAGMA foreign_keys = 1", "ATTACH ':memory:' AS a"):
        for limits in (PLAIN, WRITE):
            with pytest.raises(QueryFailed):
                calls(sql, limits)
    calls.pool.dispose()
