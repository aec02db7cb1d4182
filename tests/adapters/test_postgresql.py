"""What is PostgreSQL's alone: types that Python cannot hold, and one message for a small answer."""

from __future__ import annotations

import threading
import time

import psycopg2.extras
import pytest

from adapters.base import Limits, QueryFailed, TimedOut
from adapters.socket_watch import OVERDUE, is_idle
from adapters.streaming import BATCH
from tests.adapters.engines import LIMITS, Engine, everything, postgresql_engine
from tests.bounds import assert_within
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import wait_until
from tests.servers.stopping import stopped


@pytest.fixture
def engine(postgresql: PostgreSQLServer) -> Engine:
    return postgresql_engine(postgresql)


@pytest.mark.parametrize(
    ("expression", "value", "kind"),
    [
        ("'infinity'::date", "infinity", "date"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC", "date"),
        ("'2024-02-29 13:14:15.123456+00'::timestamptz AT TIME ZONE 'UTC'", "2024-02-29 13:14:15.123456", "datetime"),
        ("'-infinity'::timestamptz", "-infinity", "datetime"),
        ("'24:00'::time", "24:00:00", "time"),
        ("'1 year 2 days 3 hours'::interval", "P1Y2DT3H", "interval"),
        ("0.10::numeric", "0.10", "decimal"),
        ("'NaN'::numeric", "NaN", "decimal"),
        ('\'{"b": 1, "a": 1.10}\'::json', '{"b": 1, "a": 1.10}', "json"),
        ("'{\"b\":1.10}'::jsonb", '{"b": 1.10}', "json"),
        ("'8d1b3a5e-0000-4000-8000-000000000001'::uuid", "8d1b3a5e-0000-4000-8000-000000000001", "uuid"),
        ("ARRAY[1, NULL, 3]", "{1,NULL,3}", "text"),
        ("ARRAY['a,b', 'c\"d']", '{"a,b","c\\"d"}', "text"),
        ("ARRAY[1.50]", "{1.50}", "text"),
        ("'[1,5)'::int4range", "[1,5)", "text"),
        ("'[2024-01-01,]'::daterange", "[2024-01-01,)", "text"),
        ("'192.0.2.0/24'::inet", "192.0.2.0/24", "text"),
        ("'a'::char(3)", "a  ", "text"),
        ("true", True, "boolean"),
        ("2::smallint", 2, "integer"),
        ("0.1::real", "0.1", "float"),
        ("7::double precision", "7", "float"),
        ("'\\x00ff'::bytea", b"\x00\xff", "bytes"),
        ("NULL", None, "text"),
    ],
)
def test_a_value_arrives_as_it_was_written(engine: Engine, expression: str, value: object, kind: str) -> None:
    psycopg2.extras.register_uuid()  # as other code in the process may have done
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, f"SELECT {expression} AS x".replace("%", "%%"), {}, LIMITS)
        assert stream.columns == (("x", kind),)
        (row,) = everything(stream)
        assert row == (value,)
        assert type(row[0]) is type(value)


def test_a_statement_is_remembered_as_small_until_it_was_large(engine: Engine) -> None:
    sql = "SELECT generate_series(1, %(last)s)"
    with engine.connection() as (adapter, connection):
        for last, small in ((1, True), (BATCH, True), (BATCH + 1, False), (1, False)):
            assert len(everything(adapter.run(connection, sql, {"last": last}, LIMITS))) == last
            assert adapter.small == {sql: small}  # type: ignore[attr-defined]


def test_a_small_answer_comes_without_a_transaction_of_ours(engine: Engine) -> None:
    """One message holds all: by its end the server has closed the transaction itself."""
    with engine.connection() as (adapter, connection):
        sql = "SELECT count(*) FROM pg_cursors WHERE statement LIKE '%%BEGIN%%' OR statement LIKE 'DECLARE%%'"
        everything(adapter.run(connection, sql, {}, LIMITS))
        sent: list[str] = []
        original = connection.cursor

        class Listening(type(original())):  # type: ignore[misc]
            def execute(self, text: str, arguments: object = None) -> None:
                sent.append(text)
                super().execute(text, arguments)

        connection.cursor_factory = Listening
        everything(adapter.run(connection, sql, {}, LIMITS))
        assert len(sent) == 1


def test_what_is_known_of_statements_does_not_pile_up(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        for number in range(600):
            everything(adapter.run(connection, f"SELECT {number}", {}, LIMITS))
        assert len(adapter.small) <= 501  # type: ignore[attr-defined]


def test_no_transaction_stays_open(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        for sql in ("SELECT 1", "SELECT generate_series(1, 5000)", "SELECT 1"):
            everything(adapter.run(connection, sql, {}, LIMITS))
            assert connection.get_transaction_status() == 0
        stream = adapter.run(connection, "SELECT generate_series(1, 5000)", {}, LIMITS)
        assert connection.get_transaction_status() == 2
        stream.close()
        assert connection.get_transaction_status() == 0
        for _ in range(3):
            with pytest.raises(QueryFailed):
                adapter.run(connection, "SELECT 1 / 0 AS x", {}, LIMITS)
            assert connection.get_transaction_status() == 0


def test_a_fault_in_the_middle_of_a_stream(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, "SELECT 1 / (3000 - n) FROM generate_series(1, 5000) AS s(n)", {}, LIMITS)
        with pytest.raises(QueryFailed) as error:
            everything(stream)
        assert error.value.reason == "data"
        assert not stream.reusable


def test_the_server_works_while_rows_are_written(engine: Engine, postgresql: PostgreSQLServer) -> None:
    with engine.connection() as (adapter, connection), postgresql.superuser().cursor() as observer:
        batches = iter(adapter.run(connection, "SELECT generate_series(1, 5000)", {}, LIMITS))
        first = next(batches)

        def asked() -> bool:
            observer.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (connection.info.backend_pid,))
            return "SET LOCAL statement_timeout" in observer.fetchone()[0]

        wait_until(asked, 10, "the next fetch")
        assert [row for batch in (first, *batches) for row in batch] == [(n,) for n in range(1, 5001)]


def test_a_result_that_nobody_reads_on_gives_its_connection_back(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, "SELECT generate_series(1, 5000)", {}, LIMITS)
        next(iter(stream))
        stream.close()
        assert stream.reusable
        assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]


@pytest.mark.usefixtures("patient")
def test_a_slow_fetch_that_nobody_needs_is_cancelled(engine: Engine) -> None:
    sql = "SELECT n, CASE WHEN n > 600 THEN pg_sleep(60) END FROM generate_series(1, 5000) AS s(n)"
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, sql, {}, Limits(10_000, 60))
        next(iter(stream))
        began = time.monotonic()
        stream.close()
        assert_within(30, began)
        assert connection.closed
        assert not stream.reusable


def test_statements_without_a_cursor(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        assert everything(adapter.run(connection, "SHOW default_transaction_read_only", {}, LIMITS)) == [("on",)]
        assert len(everything(adapter.run(connection, "EXPLAIN SELECT 1", {}, Limits(1, 1)))) == 1


def test_the_plan_is_that_of_a_plain_select(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        assert everything(adapter.run(connection, "SHOW cursor_tuple_fraction", {}, LIMITS)) == [("1",)]


@pytest.mark.usefixtures("patient")
def test_t2_a_run_of_several_messages_is_ended_at_its_limit(postgresql: PostgreSQLServer) -> None:
    """The server gives each message the whole limit: 1, 16 and then 256 rows are fetched in 0.9 s each."""
    engine = postgresql_engine(postgresql)
    pause = "CASE WHEN n = 1 THEN 0.9 WHEN n <= 17 THEN 0.9 / 16 ELSE 0.9 / 256 END"
    with engine.connection() as (adapter, connection):
        began = time.monotonic()
        with pytest.raises(TimedOut) as error:
            adapter.run(
                connection, f"SELECT n, pg_sleep({pause}) FROM generate_series(1, 5000) AS s(n)", {}, Limits(5000, 1)
            )
        assert_within(1 + OVERDUE + 1, began)
        assert not error.value.unanswered


def test_a_server_that_hangs_does_not_hold_the_check_of_an_idle_connection(engine: Engine) -> None:
    """A server may have sent something unasked, such as a changed setting, before it fell silent."""
    with engine.connection() as (adapter, connection), engine.connection() as (_, other):
        connection.cursor().execute("LISTEN kabar")
        other.cursor().execute("NOTIFY kabar")
        wait_until(lambda: not is_idle(connection.fileno()), 10, "the notification")
        found: list[bool] = []
        check = threading.Thread(target=lambda: found.append(adapter.ping(connection)))
        assert engine.server is not None
        with stopped(engine.server):
            check.start()
            check.join(20)
            assert found == [False]


def test_comments_and_numbers_of_rows_are_in_the_catalogue(engine: Engine) -> None:
    with engine.connection(writes=True) as (adapter, connection):
        cursor = connection.cursor()
        cursor.execute("COMMENT ON TABLE counter IS 'Data induk'; COMMENT ON COLUMN counter.nama IS 'Nama orang'")
        cursor.execute("INSERT INTO counter SELECT n, 'x' FROM generate_series(1, 300) n; ANALYZE counter")
        (counter,) = [t for t in adapter.catalogue(connection, "public", 50, 10).tables if t.name == "counter"]
        assert (counter.comment, counter.rows) == ("Data induk", 300)
        assert [column.comment for column in counter.columns] == ["", "Nama orang"]
        assert adapter.row_estimate(connection, "counter", time.monotonic() + 5) == 300
        assert adapter.row_estimate(connection, "tidak'ada", time.monotonic() + 5) is None
