"""What every adapter promises, asked of each against the real thing."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.base import REASONS, ConnectFailed, Limits, QueryFailed, RowTooLarge, SourceError, TimedOut, ValueRefused
from adapters.streaming import BATCH, CHUNK_BYTES
from tests.adapters.engines import LIMITS, WRITES, Engine, everything
from tests.bounds import assert_within
from tests.servers.stopping import stopped

ANGKA = Decimal("1234567890123456789012345678.0123456789")
BESAR, KECIL = 2**63 - 1, -(2**63)


def refusal(kind: type[SourceError], reason: str, error: pytest.ExceptionInfo[SourceError]) -> None:
    """The one shape of every failure: its kind and reason, and not a word of the driver's."""
    assert isinstance(error.value, kind)
    assert error.value.reason == reason
    assert reason in REASONS
    assert str(error.value) == f"{reason} {error.value.sqlstate}".strip()
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_it_works(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, "SELECT 1 AS satu, 'dua' AS dua", {}, LIMITS)
        assert [name for name, _ in stream.columns] == ["satu", "dua"]
        assert list(stream) == [[(1, "dua")]]
        stream.close()
        stream.close()
        assert stream.reusable
        assert stream.affected == -1
        assert adapter.ping(connection)


@pytest.mark.parametrize(
    "value",
    [
        'O\'Reilly \\ "x" % %s :nama -- /* 😀',
        "",
        7,
        -7,
        BESAR,
        KECIL,
        Decimal("12.50"),
        Decimal("-0.1"),
        True,
        False,
        date(2024, 2, 29),
        datetime(2024, 2, 29, 13, 14, 15),
        None,
    ],
)
def test_a_value_is_bound_as_what_it_is(engine: Engine, value: Any) -> None:
    column = {str: "teks", int: "besar", Decimal: "angka", bool: "benar", date: "tgl", datetime: "waktu"}
    name = column.get(type(value), "teks")
    engine.write(f"INSERT INTO exact (id, {name}) VALUES (1, :value)", {"value": value})
    test = "IS NULL" if value is None else "= :value"
    sql = f"SELECT id FROM exact WHERE {name} {test}"
    if engine.name == "sqlite" and name == "angka":
        sql = f"SELECT id FROM exact WHERE CAST({name} AS NUMERIC) {test}"
    assert engine.query(sql, {"value": value}) == [(1,)]


def test_a_text_of_marks_stays_text(engine: Engine) -> None:
    assert engine.query("SELECT 'a%b' AS x, :value AS y", {"value": "100%"}) == [("a%b", "100%")]


def test_percent_without_arguments(engine: Engine) -> None:
    assert engine.query("SELECT 10 % 4") == [(2,)]


def test_5000_rows_stream_in_batches(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        for _ in range(3):
            stream = adapter.run(connection, engine.mark(engine.sql["series"]), {"last": 5000}, LIMITS)
            batches = list(stream)
            stream.close()
            assert stream.reusable
            assert max(map(len, batches)) <= BATCH
            assert [int(row[0]) for batch in batches for row in batch] == list(range(1, 5001))


@pytest.mark.parametrize("cap", [1, 10, BATCH - 1, BATCH, BATCH + 1, 1234])
def test_row_cap_lets_one_more_row_through(engine: Engine, cap: int) -> None:
    with engine.connection() as (adapter, connection):
        for _ in range(3):
            stream = adapter.run(connection, engine.mark(engine.sql["series"]), {"last": 100_000}, Limits(cap, 10))
            assert len(everything(stream)) == cap + 1
            assert stream.reusable


def test_the_row_cap_holds_against_a_limit_of_the_statement(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        sql = engine.mark(engine.sql["series"] + " LIMIT 90000")
        stream = adapter.run(connection, sql, {"last": 100_000}, Limits(700, 10))
        assert len(everything(stream)) == 701
        if not stream.reusable:
            connection = adapter.connect()
        assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]


@pytest.mark.parametrize("rows", [0, 1, BATCH - 1, BATCH, BATCH + 1, BATCH + 2, 2 * BATCH])
def test_no_row_is_lost_at_the_edges(engine: Engine, rows: int) -> None:
    with engine.connection() as (adapter, connection):
        for _ in range(3):
            stream = adapter.run(connection, engine.mark(engine.sql["series"]), {"last": rows}, LIMITS)
            found = everything(stream)
            if rows or engine.name != "sqlite":
                assert [int(row[0]) for row in found] == list(range(1, rows + 1))


def test_a_statement_that_was_small_may_become_large(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        for last in (3, 3, 5000, 3, 5000):
            stream = adapter.run(connection, engine.mark(engine.sql["series"]), {"last": last}, LIMITS)
            assert len(everything(stream)) == last
            assert stream.reusable


def test_a_long_stream_needs_no_memory(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        before = most = _memory()
        count = 0
        for batch in adapter.run(connection, engine.mark(engine.sql["series"]), {"last": 100_000}, Limits(10**6, 30)):
            count += len(batch)
            most = max(most, _memory())
        assert count == 100_000
        # All of it as tuples would be some 15 MiB.
        assert most - before < 6 * 1024 * 1024


def _memory() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_a_stream_left_early_says_whether_the_connection_is_good(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, engine.mark(engine.sql["series"]), {"last": 100_000}, Limits(100_000, 10))
        assert len(next(iter(stream))) == BATCH
        stream.close()
        if stream.reusable:
            assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]
        else:
            with pytest.raises(ConnectFailed) as error:
                adapter.run(connection, "SELECT 1", {}, LIMITS)
            refusal(ConnectFailed, "broken", error)


@pytest.mark.usefixtures("patient")
def test_the_time_cap_ends_a_statement(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        began = time.monotonic()
        with pytest.raises(TimedOut) as error:
            everything(adapter.run(connection, engine.sql["slow"], {}, Limits(10, 0.3)))
        refusal(TimedOut, "timeout", error)
        assert_within(3, began)
        # The tests' Oracle answers no break.
        assert not error.value.unanswered or engine.name == "oracle"


@pytest.mark.usefixtures("patient")
def test_the_time_cap_ends_a_stream(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        began = time.monotonic()
        with pytest.raises(TimedOut) as error:
            everything(adapter.run(connection, engine.sql["slow_rows"], {}, Limits(10**9, 1.5)))
        refusal(TimedOut, "timeout", error)
        assert_within(4, began)
        assert not error.value.unanswered


def test_the_time_cap_follows_each_statement(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        everything(adapter.run(connection, "SELECT 1", {}, Limits(10, 0.2)))
        stream = adapter.run(connection, engine.mark(engine.sql["series"]), {"last": 5000}, Limits(10_000, 20))
        time.sleep(0.4)
        assert len(everything(stream)) == 5000


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO counter VALUES (1, 'a')",
        "UPDATE counter SET nama = 'b'",
        "DELETE FROM counter",
        "CREATE TABLE lain (id integer)",
        "DROP TABLE counter",
    ],
)
def test_a_reading_connection_cannot_write(engine: Engine, sql: str) -> None:
    with engine.connection() as (adapter, connection):
        with pytest.raises(QueryFailed) as error:
            everything(adapter.run(connection, sql, {}, LIMITS))
        refusal(QueryFailed, "read-only", error)
        assert everything(adapter.run(connection, "SELECT count(*) FROM counter", {}, LIMITS)) == [(0,)]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELEKT 1", "syntax"),
        ("SELECT * FROM counter WHERE", "syntax"),
        ("SELECT * FROM tidak_ada", "object-unknown"),
        ("SELECT tidak_ada FROM counter", "object-unknown"),
    ],
)
def test_a_refused_statement_has_its_reason_and_harms_nothing(engine: Engine, sql: str, reason: str) -> None:
    with engine.connection() as (adapter, connection):
        for _ in range(2):
            with pytest.raises(QueryFailed) as error:
                adapter.run(connection, sql, {}, LIMITS)
            refusal(QueryFailed, reason, error)
        assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]


def test_a_written_row_stays(engine: Engine) -> None:
    stream = engine.write("INSERT INTO counter VALUES (:id, :nama)", {"id": 1, "nama": "satu"})
    assert stream.affected == 1
    assert list(stream) == []
    assert engine.write("UPDATE counter SET nama = 'dua' WHERE id < :id", {"id": 5}).affected == 1
    assert engine.query("SELECT id, nama FROM counter") == [(1, "dua")]
    assert engine.write("DELETE FROM counter").affected == 1


def test_returning_gives_rows(engine: Engine) -> None:
    stream = engine.write("INSERT INTO counter VALUES (1, 'a'), (2, 'b') RETURNING id, nama")
    assert [name for name, _ in stream.columns] == ["id", "nama"]
    assert everything(stream) == [(1, "a"), (2, "b")]
    assert engine.query("SELECT count(*) FROM counter") == [(2,)]


def test_a_failed_write_leaves_nothing(engine: Engine) -> None:
    with engine.connection(writes=True) as (adapter, connection):
        with pytest.raises(QueryFailed) as error:
            adapter.run(connection, "INSERT INTO counter VALUES (1, 'a'), (1, 'b')", {}, WRITES)
        refusal(QueryFailed, "constraint", error)
        assert everything(adapter.run(connection, "SELECT count(*) FROM counter", {}, WRITES)) == [(0,)]
        with pytest.raises(QueryFailed) as error:
            adapter.run(connection, "INSERT INTO counter VALUES (3, NULL)", {}, WRITES)
        refusal(QueryFailed, "constraint", error)
        assert adapter.run(connection, "INSERT INTO counter VALUES (1, 'a')", {}, WRITES).affected == 1


def test_values_are_exact(engine: Engine) -> None:
    row = {
        "id": 1,
        "angka": ANGKA,
        "teks": "😀 é\n\t\r'\"\\",
        "kosong": "",
        "besar": BESAR,
        "kecil": KECIL,
        "nip": "000000000000000042",
        "isi": bytes(range(256)),
        "tgl": date(1, 1, 1) if engine.name != "mysql" else date(1000, 1, 1),
        "waktu": datetime(9999, 12, 31, 23, 59, 59),
        "benar": True,
        "pecahan": 0.1 + 0.2,
    }
    engine.write(f"INSERT INTO exact VALUES ({', '.join(':' + name for name in row)})", row)
    engine.write("INSERT INTO exact (id) VALUES (2)")
    first, second = engine.query(f"SELECT {', '.join(row)} FROM exact ORDER BY id")
    found = dict(zip(row, first, strict=True))
    assert found["angka"] == str(ANGKA)
    assert found["tgl"] == row["tgl"].isoformat()  # type: ignore[attr-defined]
    assert found["waktu"] == "9999-12-31 23:59:59"
    assert type(found["isi"]) is bytes
    # Servers with a text protocol hand over the float's own text.
    assert float(found["pecahan"]) == row["pecahan"]
    for name in ("id", "teks", "kosong", "besar", "kecil", "nip", "isi", "benar"):
        assert found[name] == row[name]
    assert second[1:] == (None,) * (len(row) - 1)


def test_column_types_are_told(networked: Engine) -> None:
    with networked.connection() as (adapter, connection):
        stream = adapter.run(connection, "SELECT * FROM exact", {}, LIMITS)
        assert dict(stream.columns) == {
            "id": "integer",
            "angka": "decimal",
            "teks": "text",
            "kosong": "text",
            "besar": "integer",
            "kecil": "integer",
            "nip": "text",
            "isi": "bytes",
            "tgl": "date",
            "waktu": "datetime",
            "benar": "boolean" if networked.name == "postgresql" else "integer",
            "pecahan": "float",
        }
        assert everything(stream) == []


def test_a_value_that_does_not_fit_is_bad_data(networked: Engine) -> None:
    with networked.connection(writes=True) as (adapter, connection):
        for value in ("x" * 41, "nul\x00byte"):
            if networked.name == "mysql" and "\x00" in value:
                continue
            sql = networked.mark("INSERT INTO counter VALUES (1, :nama)")
            with pytest.raises(QueryFailed) as error:
                adapter.run(connection, sql, {"nama": value}, WRITES)
            # What cannot even be written down is refused before it is sent.
            unsent = networked.name in ("sqlserver", "sybase") and "\x00" in value
            refusal(ValueRefused if unsent else QueryFailed, "data", error)
        with pytest.raises(QueryFailed) as error:
            adapter.run(connection, networked.mark("INSERT INTO counter VALUES (:id, 'a')"), {"id": 10**30}, WRITES)
        refusal(QueryFailed, "range", error)
        assert everything(adapter.run(connection, "SELECT 1", {}, WRITES)) == [(1,)]


def test_a_number_that_is_none_is_bad_data(networked: Engine) -> None:
    sql = networked.mark("SELECT id FROM exact WHERE besar = :n")
    # PostgreSQL has a NaN; MySQL makes a number of any text.
    value = "abc" if networked.name == "postgresql" else Decimal("NaN")
    with networked.connection() as (adapter, connection), pytest.raises(QueryFailed) as error:
        adapter.run(connection, sql, {"n": value}, LIMITS)
    refusal(QueryFailed if networked.name == "postgresql" else ValueRefused, "data", error)


#: One moment as three callers write it. In Makassar it is 8 o'clock.
MOMENT = [
    datetime.fromisoformat(text)
    for text in ("2026-01-31T08:00:00+08:00", "2026-01-31T00:00:00+00:00", "2026-01-30T19:00:00-05:00")
]


@pytest.mark.parametrize("moment", MOMENT, ids=str)
def test_b03_a_datetime_with_an_offset_is_the_local_time_of_the_source(engine: Engine, moment: datetime) -> None:
    engine.source = {**engine.source, "timezone": "Asia/Makassar"}
    engine.write("INSERT INTO exact (id, waktu) VALUES (1, :waktu)", {"waktu": datetime(2026, 1, 31, 8)})
    assert engine.query("SELECT id FROM exact WHERE waktu = :waktu", {"waktu": moment}) == [(1,)]
    engine.write("INSERT INTO exact (id, waktu) VALUES (2, :waktu)", {"waktu": moment})
    (first,), (second,) = engine.query("SELECT waktu FROM exact ORDER BY id")
    assert first == second
    assert str(first).startswith("2026-01-31 08:00:00")


def test_schema_browser_lists_schemas_tables_and_columns(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        assert adapter.schemas(connection)[0] == engine.schema
        assert "information_schema" not in adapter.schemas(connection)
        tables = adapter.tables(connection, engine.schema)
        assert {("counter", "table"), ("exact", "table"), ("counter_view", "view")} <= set(tables)
        columns = adapter.columns(connection, engine.schema, "counter")
        assert [(c.name, c.kind, c.nullable, c.key) for c in columns] == [
            ("id", "integer", False, True),
            ("nama", "text", False, False),
        ]
        assert adapter.columns(connection, engine.schema, "tidak'ada") == []
        assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]


def test_a_wrong_password(networked: Engine) -> None:
    with pytest.raises(ConnectFailed) as error:
        networked.adapter(password="salah").connect()
    refusal(ConnectFailed, "login", error)


def test_a_wrong_user(networked: Engine) -> None:
    with pytest.raises(ConnectFailed) as error:
        networked.adapter(user="siapa").connect()
    refusal(ConnectFailed, "login", error)


def test_a_wrong_host(networked: Engine) -> None:
    for host in ("tidak-ada.invalid", "/tmp", "a b", "x" * 300):
        with pytest.raises(ConnectFailed) as error:
            networked.adapter(host=host).connect()
        refusal(ConnectFailed, "host-unknown", error)


def test_an_unknown_database(networked: Engine) -> None:
    with pytest.raises(ConnectFailed) as error:
        networked.adapter(database="tidak_ada").connect()
    assert error.value.reason in ("database-unknown", "forbidden")
    refusal(ConnectFailed, error.value.reason, error)


def test_a_port_that_refuses(networked: Engine, refusing_port: int) -> None:
    with pytest.raises(ConnectFailed) as error:
        networked.adapter(port=refusing_port).connect()
    refusal(ConnectFailed, "refused", error)


def test_a_server_that_never_answers(networked: Engine, silent_port: int) -> None:
    began = time.monotonic()
    with pytest.raises(ConnectFailed) as error:
        networked.adapter(port=silent_port).connect()
    assert_within(12, began)
    refusal(ConnectFailed, "unreachable", error)


def test_encryption_that_the_server_does_not_offer(networked: Engine) -> None:
    with pytest.raises(ConnectFailed) as error:
        networked.adapter(sslmode="require", ssl_mode="REQUIRED").connect()
    refusal(ConnectFailed, "tls", error)


def test_a_restart_breaks_the_old_connection_only(networked: Engine) -> None:
    assert networked.server is not None
    adapter = networked.adapter()
    old, idle = adapter.connect(), adapter.connect()
    assert adapter.ping(idle)
    networked.server.stop()
    networked.server.start()
    assert not adapter.ping(idle)
    with pytest.raises(ConnectFailed) as error:
        adapter.run(old, "SELECT 1", {}, LIMITS)
    refusal(ConnectFailed, "broken", error)
    fresh = adapter.connect()
    assert everything(adapter.run(fresh, "SELECT 1", {}, LIMITS)) == [(1,)]
    fresh.close()


def test_a_closed_connection_is_broken(engine: Engine) -> None:
    adapter = engine.adapter()
    connection = adapter.connect()
    connection.close()
    assert not adapter.ping(connection)
    with pytest.raises(ConnectFailed) as error:
        adapter.run(connection, "SELECT 1", {}, LIMITS)
    refusal(ConnectFailed, "broken", error)


def test_a_server_that_hangs_is_cut_off(networked: Engine) -> None:
    """A stopped server never ends a statement itself: the watch does."""
    assert networked.server is not None
    with networked.connection() as (adapter, connection):
        everything(adapter.run(connection, "SELECT 1", {}, Limits(10, 0.5)))
        with stopped(networked.server):
            began = time.monotonic()
            with pytest.raises(TimedOut) as error:
                adapter.run(connection, "SELECT 1", {}, Limits(10, 0.5))
            refusal(TimedOut, "timeout", error)
            assert error.value.unanswered
            assert_within(4, began)


# What a builder of queries looks at.


#: Said alike by all: a key of two columns, one that points to it, a unique column and an index.
INDUK = "CREATE TABLE induk (kode varchar(10) NOT NULL, urut int NOT NULL, PRIMARY KEY (kode, urut))"
ANAK = (
    "CREATE TABLE anak (id int PRIMARY KEY, nomor varchar(20) NOT NULL UNIQUE, kode varchar(10), urut int,"
    " ket varchar(40), FOREIGN KEY (kode, urut) REFERENCES induk (kode, urut))"
)


@pytest.fixture
def built(engine: Engine) -> Engine:
    for table in ("anak", "induk"):
        with suppress(SourceError):
            engine.write(f"DROP TABLE {table}")
    for statement in (INDUK, ANAK, "CREATE INDEX anak_ket ON anak (ket, kode)"):
        engine.write(statement)
    return engine


def test_the_databases_are_told(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        assert engine.source.get("database", "mantra") in adapter.databases(connection)


def test_the_keys_and_indexes_are_told(built: Engine) -> None:
    with built.connection() as (adapter, connection):
        induk = adapter.keys(connection, built.schema, "induk")
        anak = adapter.keys(connection, built.schema, "anak")
        assert adapter.keys(connection, built.schema, "tidak'ada") == []
        assert adapter.keys(connection, built.schema, "counter_view") == []
    assert [(key.kind, key.columns) for key in induk] == [("primary", ("kode", "urut"))]
    told = {(key.kind, key.columns, key.target) for key in anak}
    assert told >= {
        ("primary", ("id",), None),
        ("unique", ("nomor",), None),
        ("foreign", ("kode", "urut"), (built.schema, "induk", ("kode", "urut"))),
        ("index", ("ket", "kode"), None),
    }
    # MySQL makes an index of its own for a foreign key.
    assert told <= {*told, ("index", ("kode", "urut"), None)} and len(anak) - (built.name == "mysql") == 4
    assert [key.kind for key in anak] == sorted(
        [key.kind for key in anak], key=["primary", "unique", "foreign", "index"].index
    )
    assert all(key.name for key in (*induk, *anak))


def test_a_sample_is_the_first_rows_with_their_values(engine: Engine) -> None:
    for number in range(1, 8):
        engine.write("INSERT INTO counter (id, nama) VALUES (:id, :nama)", {"id": number, "nama": f"nama {number}"})
    with engine.connection() as (adapter, connection):
        for relation in ("counter", "counter_view"):
            stream = adapter.sample(connection, engine.schema, relation, Limits(5, 10))
            rows = everything(stream)
            assert len(rows) == 5
            assert [name for name, _ in stream.columns] == ["id", "nama"][: len(rows[0])]
            assert rows[0][0] == 1 and stream.reusable
        assert everything(adapter.sample(connection, engine.schema, "exact", Limits(5, 10))) == []


@pytest.mark.parametrize(
    "table", ["counter; DROP TABLE counter", 'counter" --', "counter` --", "counter] --", "x%sy%(a)s", "'", ""]
)
def test_a_name_stays_a_name(engine: Engine, table: str) -> None:
    engine.write("INSERT INTO counter (id, nama) VALUES (1, 'satu')")
    with engine.connection() as (adapter, connection):
        for schema in (engine.schema, table):
            assert adapter.columns(connection, engine.schema, table) == []
            assert adapter.keys(connection, engine.schema, table) == []
            with pytest.raises(QueryFailed) as error:
                adapter.sample(connection, schema, table, Limits(5, 10))
            assert error.value.reason in ("object-unknown", "syntax", "forbidden")
    assert engine.query("SELECT count(*) FROM counter") == [(1,)]


@pytest.mark.parametrize("name", ['a"b', "a`b", "a]b", "a b%s", "select"])
def test_a_strange_name_is_quoted(engine: Engine, name: str) -> None:
    adapter = engine.adapter()
    quoted = adapter.quoted(name)
    with suppress(SourceError):
        engine.write(f"DROP TABLE {quoted}")
    engine.write(f"CREATE TABLE {quoted} (id int PRIMARY KEY)")
    engine.write(f"INSERT INTO {quoted} (id) VALUES (7)")
    with engine.connection() as (adapter, connection):
        assert everything(adapter.sample(connection, engine.schema, name, Limits(5, 10))) == [(7,)]
    engine.write(f"DROP TABLE {quoted}")


def test_a_plan_is_told_and_nothing_is_run(engine: Engine) -> None:
    engine.write("INSERT INTO counter (id, nama) VALUES (1, 'satu')")
    with engine.connection() as (adapter, connection):
        for sql, arguments in (
            ("SELECT nama FROM counter WHERE id = :id", {"id": 1}),
            ("-- ANALYZE\n/* ANALYZE */ SELECT nama FROM counter WHERE nama = :nama", {"nama": "O'Reilly"}),
        ):
            lines = adapter.explain(connection, engine.mark(sql), arguments, LIMITS)
            assert "counter" in "\n".join(lines).lower()
        for sql in ("DELETE FROM counter WHERE id = 1", "INSERT INTO counter (id, nama) VALUES (2, 'dua')"):
            adapter.explain(connection, sql, {}, LIMITS)
        assert everything(adapter.run(connection, "SELECT id, nama FROM counter", {}, LIMITS)) == [(1, "satu")]


@pytest.mark.parametrize(
    "sql",
    [
        "ANALYZE SELECT * FROM counter", "(ANALYZE) SELECT * FROM counter", "DROP TABLE counter", "", "nonsense",
        "/*!50000 ANALYZE */ SELECT * FROM counter", "CALL x()", "SELECT FROM WHERE counter",
    ],
)  # fmt: skip
def test_only_what_has_a_plan_is_planned(engine: Engine, sql: str) -> None:
    with engine.connection(writes=True) as (adapter, connection):
        with pytest.raises(QueryFailed) as error:
            adapter.explain(connection, sql, {}, LIMITS)
        refusal(QueryFailed, "syntax", error)
        assert everything(adapter.run(connection, "SELECT count(*) FROM counter", {}, LIMITS)) == [(0,)]


def test_a_plan_minds_the_time_cap(engine: Engine) -> None:
    began = time.monotonic()
    with engine.connection() as (adapter, connection), suppress(SourceError):
        adapter.explain(connection, engine.mark(engine.sql["slow"]), {}, Limits(10, 1))
    assert_within(5, began)


# How much may come at once.


@pytest.fixture
def wide(engine: Engine) -> Engine:
    """Twenty rows of 300,000 bytes each."""
    if engine.name == "sybase":
        pytest.skip("its test table holds no such values; the way of rows is SQL Server's")
    for number in range(1, 21):
        engine.write("INSERT INTO exact (id, isi) VALUES (:id, :isi)", {"id": number, "isi": b"x" * 300_000})
    return engine


def test_wide_rows_come_a_few_at_a_time(wide: Engine) -> None:
    with wide.connection() as (adapter, connection):
        for _ in range(2):
            stream = adapter.run(connection, "SELECT id, isi FROM exact ORDER BY id", {}, LIMITS)
            batches = list(stream)
            stream.close()
            assert stream.reusable
            assert [row[0] for batch in batches for row in batch] == list(range(1, 21))
            assert max(map(len, batches)) <= CHUNK_BYTES // 300_000


def test_a_row_that_is_too_wide_is_refused(wide: Engine) -> None:
    for sql, arguments in (
        ("SELECT id, isi FROM exact ORDER BY id", {}),
        ("SELECT isi FROM exact WHERE id = :id", {"id": 3}),
    ):
        with wide.connection() as (adapter, connection):
            for _ in range(2):
                with pytest.raises(RowTooLarge) as error:
                    adapter.run(connection, wide.mark(sql), arguments, Limits(100, 10, width=200_000))
                refusal(RowTooLarge, "too-wide", error)
                connection.close()
                connection = adapter.connect()
            assert len(everything(adapter.run(connection, "SELECT id FROM exact", {}, LIMITS))) == 20
            connection.close()
