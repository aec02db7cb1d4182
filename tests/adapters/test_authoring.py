"""What the author of an operation is told: the catalogue, the columns of a query, and the database's own words."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from adapters.base import Adapter, AuthorWords, Key, Limits, QueryFailed, SourceError, TableInfo, TimedOut
from tests.adapters.engines import LIMITS, Engine, everything
from tests.adapters.test_contract import built  # noqa: F401 (a fixture)

AUTHOR = Limits(rows=20, seconds=10, author=True)


def tables_of(built: Engine, most: int = 100) -> dict[str, TableInfo]:  # noqa: F811
    with built.connection() as (adapter, connection):
        return {table.name: table for table in adapter.catalogue(connection, built.schema, most, 10).tables}


def test_the_catalogue_has_tables_with_columns_and_foreign_keys(built: Engine) -> None:  # noqa: F811
    built.write("INSERT INTO counter (id, nama) VALUES (1, 'satu')")
    tables = tables_of(built)
    assert {"anak", "counter", "counter_view", "induk"} <= set(tables)
    assert (tables["counter_view"].kind, tables["counter_view"].rows) == ("view", None)
    columns = [(column.name, column.kind, column.nullable, column.key) for column in tables["counter"].columns]
    assert columns == [("id", "integer", False, True), ("nama", "text", False, False)]
    (key,) = tables["anak"].foreign_keys
    assert key == Key(key.name, "foreign", ("kode", "urut"), (built.schema, "induk", ("kode", "urut")))
    assert tables["induk"].foreign_keys == tables["counter_view"].foreign_keys == ()
    assert [column.name for column in tables["induk"].columns if column.key] == ["kode", "urut"]


def test_the_catalogue_is_bounded_in_tables_and_time(engine: Engine) -> None:
    with engine.connection() as (adapter, connection):
        some = adapter.catalogue(connection, engine.schema, 1, 10)
        assert len(some.tables) == 1 and not some.complete
        assert adapter.catalogue(connection, engine.schema, 1000, 10).complete
        assert adapter.catalogue(connection, "tidak'ada", 10, 10).tables == () or engine.name == "sqlite"
        with suppress(TimedOut):
            assert not adapter.catalogue(connection, engine.schema, 1000, 0).complete
        assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]


def test_a_query_is_described_and_no_row_leaves(engine: Engine) -> None:
    engine.write("INSERT INTO counter (id, nama) VALUES (1, 'satu')")
    sql = engine.mark("SELECT id, nama, id AS id FROM counter WHERE id = :id")
    with engine.connection() as (adapter, connection):
        for value in (1, None):
            described = adapter.describe(connection, sql, {"id": value}, AUTHOR)
            assert described == (("id", "integer"), ("nama", "text"), ("id", "integer"))
        typed = adapter.describe(connection, "SELECT tgl, waktu, isi, pecahan FROM exact", {}, AUTHOR)
        assert [kind for _, kind in typed] == ["date", "datetime", "bytes", "float"]
        # The session runs its statements as before.
        assert everything(adapter.run(connection, "SELECT id FROM counter", {}, LIMITS)) == [(1,)]


@pytest.mark.parametrize("sql", ["INSERT INTO counter (id, nama) VALUES (2, 'dua')", "DELETE FROM counter"])
def test_what_changes_data_is_not_described(engine: Engine, sql: str) -> None:
    engine.write("INSERT INTO counter (id, nama) VALUES (1, 'satu')")
    with engine.connection() as (adapter, connection):
        for _ in range(2):
            with pytest.raises(QueryFailed):
                adapter.describe(connection, sql, {}, AUTHOR)
        assert everything(adapter.run(connection, "SELECT id FROM counter", {}, LIMITS)) == [(1,)]


def test_a_slow_query_is_described_at_once(engine: Engine) -> None:
    if engine.name in ("sqlserver", "sybase"):
        pytest.skip("WAITFOR is no query")
    began = time.monotonic()
    with engine.connection() as (adapter, connection), suppress(SourceError):
        adapter.describe(connection, engine.mark(engine.sql["slow"]), {}, Limits(10, 2))
    assert time.monotonic() - began < 10


def words(adapter: Adapter, connection: object, sql: str, how: str, **arguments: object) -> AuthorWords:
    with pytest.raises(QueryFailed) as error:
        getattr(adapter, how)(connection, sql, arguments, AUTHOR)
    # Not a word of it where the error is written.
    assert str(error.value) == f"{error.value.reason} {error.value.sqlstate}".strip()
    assert error.value.words is not None
    return error.value.words


@pytest.mark.parametrize("how", ["run", "describe"])
def test_the_author_reads_the_databases_own_words(engine: Engine, how: str) -> None:
    sql = engine.mark("SELECT id\nFROM counter\nWHERE nama = :nama AND tidak_ada = 1")
    with engine.connection() as (adapter, connection):
        told = words(adapter, connection, sql, how, nama="O'Reilly 😀")
        assert "tidak_ada" in told.text
        assert told.near == "tidak_ada" or told.offset == sql.index("tidak_ada")
        missing = words(adapter, connection, "SELECT x FROM tiada_tabel", how)
        assert missing.near.rpartition(".")[2] == "tiada_tabel" or missing.offset == len("SELECT x FROM ")
        assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]


@pytest.mark.parametrize("how", ["run", "describe"])
def test_a_call_leaves_no_words(engine: Engine, how: str) -> None:
    with engine.connection() as (adapter, connection), pytest.raises(QueryFailed) as error:
        getattr(adapter, how)(connection, "SELECT tidak_ada FROM counter", {}, LIMITS)
    assert error.value.words is None


def test_a_wrong_word_has_its_position(engine: Engine) -> None:
    """Behind values that are longer than their placeholders, and behind the same word where it is right."""
    if engine.name in ("sqlserver", "sybase"):
        pytest.skip("the driver tells no position")
    sql = engine.mark("SELECT id FROM counter WHERE nama = :nama AND nama LIKE '%id' AND id = = 1")
    with engine.connection() as (adapter, connection):
        for how in ("run", "describe"):
            assert words(adapter, connection, sql, how, nama="O'Reilly 😀").offset == sql.index("= = 1") + 2
        unfinished = "SELECT id FROM counter WHERE"
        assert words(adapter, connection, unfinished, "run").offset == len(unfinished)


def test_a_plan_tells_which_tables_are_read_whole(engine: Engine) -> None:
    if engine.name in ("sqlserver", "sybase"):
        pytest.skip("the plan tells no number of rows")
    engine.write("INSERT INTO counter (id, nama) VALUES (1, 'satu')")
    with engine.connection() as (adapter, connection):
        plan = adapter.explain(connection, "SELECT nama FROM counter WHERE nama > 'a'", {}, LIMITS)
        assert [scan.table for scan in adapter.full_scans(plan)] == ["counter"]
        assert adapter.full_scans(["nothing of the kind"]) == []
