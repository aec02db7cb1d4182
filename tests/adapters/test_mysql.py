"""What is MySQL's alone: dates that are none, numbers with leading zeros, text that looks like bytes."""

from __future__ import annotations

import time

import pytest

from adapters.base import FullScan, QueryFailed
from tests.adapters.engines import LIMITS, Engine, everything, mariadb_engine
from tests.bounds import assert_within
from tests.servers.mariadb import MariaDBServer


@pytest.fixture
def engine(mariadb: MariaDBServer) -> Engine:
    return mariadb_engine(mariadb)


def test_values_arrive_as_they_were_written(engine: Engine, mariadb: MariaDBServer) -> None:
    connection = mariadb.superuser()
    cursor = connection.cursor()
    cursor.execute("SET sql_mode = ''")
    cursor.execute("DROP TABLE IF EXISTS mantra.aneh")
    cursor.execute(
        "CREATE TABLE mantra.aneh (tgl date, waktu datetime(6), jam time, nol int(5) unsigned zerofill,"
        " bendera bit(10),"
        " biner varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, mentah varbinary(10), dokumen json,"
        " pilihan enum('a', 'b'), himpunan set('x', 'y'), besar bigint unsigned, tahun year, panjang longtext)"
    )
    cursor.execute(
        "INSERT INTO mantra.aneh VALUES ('0000-00-00', '2024-02-29 13:14:15.000001', '-838:59:59', 42, b'1000000001',"
        " 'é', x'00ff', '{\"a\": 1.10}', 'b', 'x,y', 18446744073709551615, 2024, 'teks')"
    )
    connection.close()
    expected = {
        "tgl": ("0000-00-00", "date"),
        "waktu": ("2024-02-29 13:14:15.000001", "datetime"),
        "jam": ("-838:59:59", "time"),
        "nol": ("00042", "text"),
        "bendera": (513, "integer"),
        "biner": ("é", "text"),
        "mentah": (b"\x00\xff", "bytes"),
        "dokumen": ('{"a": 1.10}', "text"),
        "pilihan": ("b", "text"),
        "himpunan": ("x,y", "text"),
        "besar": (2**64 - 1, "integer"),
        "tahun": ("2024", "integer"),
        "panjang": ("teks", "text"),
    }
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, "SELECT * FROM aneh", {}, LIMITS)
        assert dict(stream.columns) == {name: kind for name, (_, kind) in expected.items()}
        assert everything(stream) == [tuple(value for value, _ in expected.values())]


def test_a_session_means_the_same_on_every_server(engine: Engine, mariadb: MariaDBServer) -> None:
    root = mariadb.superuser()
    root.cursor().execute("SET GLOBAL sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES'")
    try:
        assert engine.query("SELECT \"it's\", 'a\\'b', :x", {"x": "\\' OR 1=1 -- "}) == [
            ("it's", "a'b", "\\' OR 1=1 -- ")
        ]
    finally:
        root.cursor().execute("SET GLOBAL sql_mode = DEFAULT")
        root.close()


def test_two_statements_at_once_are_refused(engine: Engine) -> None:
    with engine.connection(writes=True) as (adapter, connection), pytest.raises(QueryFailed) as error:
        adapter.run(connection, "SELECT 1; DELETE FROM counter", {}, LIMITS)
    assert error.value.reason == "syntax"


def test_a_procedure_gives_its_first_result(engine: Engine, mariadb: MariaDBServer) -> None:
    root = mariadb.superuser()
    cursor = root.cursor()
    cursor.execute("DROP PROCEDURE IF EXISTS mantra.catat")
    cursor.execute(
        "CREATE PROCEDURE mantra.catat(n int) BEGIN INSERT INTO counter VALUES (n, 'a');"
        " SELECT n AS satu; SELECT 2; END"
    )
    root.close()
    for number in (1, 2):
        assert everything(engine.write("CALL catat(:n)", {"n": number})) == [(number,)]
    with pytest.raises(QueryFailed) as error:
        engine.write("CALL catat(1)")
    assert error.value.reason == "constraint"
    assert engine.query("SELECT count(*) FROM counter") == [(2,)]


def test_a_large_answer_to_a_writing_statement_is_cut(engine: Engine) -> None:
    stream = engine.write("INSERT INTO counter SELECT seq, 'a' FROM seq_1_to_300 RETURNING id")
    assert len(everything(stream)) == 101
    assert engine.query("SELECT count(*) FROM counter") == [(300,)]


def test_a_stream_left_early_does_not_read_the_rest(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, engine.sql["slow_rows"], {}, LIMITS)
        next(iter(stream))
        stream.close()
        assert not stream.reusable
        connection.close()


def test_t4_a_function_that_explain_runs_leaves_nothing(engine: Engine, mariadb: MariaDBServer) -> None:
    """MariaDB runs what a derived table calls to plan the statement, also for EXPLAIN."""
    cursor = mariadb.superuser().cursor()
    cursor.execute("CREATE OR REPLACE TABLE mantra.catatan (n int) ENGINE=InnoDB")
    cursor.execute(
        "CREATE OR REPLACE FUNCTION mantra.catat() RETURNS int MODIFIES SQL DATA"
        " BEGIN INSERT INTO mantra.catatan VALUES (1); RETURN 1; END"
    )
    statement = "DELETE FROM counter WHERE id IN (SELECT x FROM (SELECT catat() AS x) AS d)"
    with engine.connection() as (adapter, connection):
        assert "counter" in "".join(adapter.explain(connection, statement, {}, LIMITS))
        assert everything(adapter.run(connection, "SELECT count(*) AS n FROM catatan", {}, LIMITS)) == [(0,)]
    # Left to itself it keeps the row.
    cursor.execute("USE mantra")
    cursor.execute(f"EXPLAIN {statement}")
    cursor.fetchall()
    cursor.execute("SELECT count(*) FROM catatan")
    assert cursor.fetchall() == ((1,),)


def test_comments_and_numbers_of_rows_are_in_the_catalogue(engine: Engine) -> None:
    with engine.connection(writes=True) as (adapter, connection):
        cursor = connection.cursor()
        cursor.execute(
            "ALTER TABLE counter COMMENT 'Data induk', MODIFY nama varchar(40) NOT NULL COMMENT 'Nama orang'"
        )
        cursor.execute("INSERT INTO counter SELECT seq, 'x' FROM seq_1_to_300")
        cursor.execute("ANALYZE TABLE counter")
        cursor.fetchall()
        (counter,) = [t for t in adapter.catalogue(connection, "mantra", 50, 10).tables if t.name == "counter"]
        assert (counter.comment, counter.rows) == ("Data induk", 300)
        assert [column.comment for column in counter.columns] == ["", "Nama orang"]
        plan = adapter.explain(connection, "SELECT nama FROM counter", {}, LIMITS)
        assert adapter.full_scans(plan) == [FullScan("counter", 300)]


def test_a_query_with_a_limit_is_described_without_running(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        sql = "SELECT sleep(20) AS lama, id AS lama FROM counter LIMIT 1 -- habis"
        began = time.monotonic()
        assert adapter.describe(connection, sql.replace("id AS lama", "1 AS satu"), {}, LIMITS)[0] == (
            "lama",
            "integer",
        )
        assert adapter.describe(connection, sql, {}, LIMITS) == (("lama", "integer"), ("lama", "integer"))
        assert_within(5, began)
