"""No statement that passes the check calls a function that is on no list: all ways to call one, on the real databases.

A function of ours leaves a trace wherever it runs. First each way of writing a call, and each place for one, must leave
it, so that the corpus says what the databases do; then no statement that the check accepts may.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters import adapter_class
from adapters.base import Adapter, Limits, SourceError
from dataservices.sql import check, functions
from tests.dataservices import calls
from tests.dataservices.calls import Corpus

POSTGRESQL = """
    DROP TABLE IF EXISTS t, u CASCADE; DROP TYPE IF EXISTS corak CASCADE;
    DROP AGGREGATE IF EXISTS jejak_semua (integer);
    DROP OPERATOR IF EXISTS @#@ (integer, integer), @#@ (NONE, integer);
    CREATE TYPE corak AS (b integer);
    CREATE TABLE t (a integer, k corak, s integer[]); INSERT INTO t VALUES (1, ROW(1), ARRAY[1]), (2, ROW(1), ARRAY[1]);
    CREATE TABLE u (a integer PRIMARY KEY, b integer, c integer); INSERT INTO u VALUES (1), (2);
    CREATE OR REPLACE FUNCTION jejak(a integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS
    $$ BEGIN RAISE NOTICE 'jejak'; RETURN 1; END $$;
    CREATE OR REPLACE FUNCTION jejak(VARIADIC a integer[]) RETURNS integer LANGUAGE plpgsql VOLATILE AS
    $$ BEGIN RAISE NOTICE 'jejak'; RETURN 1; END $$;
    CREATE OR REPLACE FUNCTION jejak_baris(a t) RETURNS integer LANGUAGE plpgsql VOLATILE AS
    $$ BEGIN RAISE NOTICE 'jejak'; RETURN 1; END $$;
    CREATE OR REPLACE FUNCTION jejak_dua(a integer, b integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS
    $$ BEGIN RAISE NOTICE 'jejak'; RETURN 1; END $$;
    CREATE AGGREGATE jejak_semua (integer) (SFUNC = jejak_dua, STYPE = integer, INITCOND = '0');
    CREATE OPERATOR @#@ (FUNCTION = jejak_dua, LEFTARG = integer, RIGHTARG = integer);
    CREATE OPERATOR @#@ (FUNCTION = jejak, RIGHTARG = integer);
    GRANT ALL ON t, u TO mantra
"""
MARIADB = (
    "USE mantra",
    "CREATE OR REPLACE TABLE t (a integer) ENGINE=InnoDB",
    "INSERT INTO t VALUES (1), (2)",
    "CREATE OR REPLACE TABLE u (a integer PRIMARY KEY, b integer) ENGINE=InnoDB",
    "INSERT INTO u VALUES (1, 1), (2, 1)",
    "CREATE OR REPLACE FUNCTION jejak(a integer) RETURNS integer NOT DETERMINISTIC"
    " BEGIN SET @jejak = coalesce(@jejak, 0) + 1; RETURN 1; END",
    # Its name begins like an option of SELECT.
    "CREATE OR REPLACE FUNCTION sql_jejak(a integer) RETURNS integer NOT DETERMINISTIC RETURN jejak(a)",
    "CREATE OR REPLACE AGGREGATE FUNCTION jejak_semua(a integer) RETURNS integer"
    " BEGIN DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN 1;"
    " LOOP FETCH GROUP NEXT ROW; SET @jejak = coalesce(@jejak, 0) + 1; END LOOP; END",
)
READ, WRITE = Limits(100, 10), Limits(100, 10, writes=True)


@dataclass
class Traced:
    """A database with the functions, and connections of an adapter to it: one that reads, one that writes."""

    corpus: Corpus
    adapter: Adapter
    connections: dict[bool, Any]
    #: What the functions of SQLite have counted.
    counted: list[int]

    def calls(self, sql: str, writes: bool = False) -> bool:
        """Run a statement without any check; return whether a function of ours has run."""
        connection = self.connections[writes]
        if self.adapter.paramstyle == "pyformat":
            sql = sql.replace("%", "%%")
        self._forget(connection)
        try:
            stream = self.adapter.run(connection, sql, {}, WRITE if writes else READ)
            for _ in stream:
                pass
            stream.close()
        except SourceError:
            pass
        return self._traces(connection)

    def _forget(self, connection: Any) -> None:
        self.counted.clear()
        if self.adapter.engine == "postgresql":
            connection.notices.clear()
        elif self.adapter.engine == "mysql":
            connection.query(b"SET @jejak = NULL")

    def _traces(self, connection: Any) -> bool:
        if self.adapter.engine == "postgresql":
            return any("jejak" in notice for notice in connection.notices if notice.startswith("NOTICE"))
        if self.adapter.engine == "mysql":
            connection.query(b"SELECT @jejak")
            return connection.store_result().fetch_row(1, 0) != ((None,),)
        return bool(self.counted)


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def traced(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Traced]:
    counted: list[int] = []
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        root = server.superuser("mantra")
        root.cursor().execute(POSTGRESQL)
        source, corpus = server.source(), calls.POSTGRESQL
    elif request.param == "mariadb":
        server = request.getfixturevalue("mariadb")
        root = server.superuser()
        for text in MARIADB:
            root.cursor().execute(text)
        source, corpus = server.source(), calls.MARIADB
    else:
        source, corpus = (
            {"engine": "sqlite", "database": str(tmp_path / "x.db"), "roots": [str(tmp_path)]},
            calls.SQLITE,
        )
        root = sqlite3.connect(tmp_path / "x.db")
        root.executescript(
            "CREATE TABLE t (a integer); INSERT INTO t VALUES (1), (2);"
            "CREATE TABLE u (a integer PRIMARY KEY, b integer); INSERT INTO u VALUES (1, 1), (2, 1);"
        )
    root.close()
    adapter = adapter_class(source["engine"])(source)
    made = {writes: adapter.connect(writes) for writes in (False, True)}
    if request.param == "sqlite":
        for connection in made.values():
            _count_on(connection, counted)
    yield Traced(corpus, adapter, made, counted)
    for connection in made.values():
        connection.close()


def _count_on(connection: Any, counted: list[int]) -> None:
    class Every:
        def step(self, value: Any) -> None:
            counted.append(1)

        def inverse(self, value: Any) -> None:
            counted.append(1)

        def value(self) -> int:
            return 1

        finalize = value

    def single(value: Any) -> int:
        counted.append(1)
        return 1

    connection.create_function("jejak", 1, single)
    connection.create_window_function("jejak_semua", 1, Every)


def test_the_corpus_says_what_the_database_does(traced: Traced) -> None:
    corpus = traced.corpus
    first = corpus.named(corpus.spelled[0])
    silent = [call for call in corpus.calls(strange=False) if not traced.calls(f"SELECT {call} FROM t")]
    silent += [place for place in corpus.places if not traced.calls(place.replace("{e}", first))]
    silent += [
        place
        for place in corpus.changing
        if "CALL" not in place and not traced.calls(place.replace("{e}", first), True)
    ]
    assert silent == []


@pytest.mark.parametrize("writes", [False, True])
def test_no_statement_that_passes_calls_a_function_of_no_list(traced: Traced, writes: bool) -> None:
    tried = [sql for sql in traced.corpus.statements(writes) if not check(sql, traced.adapter.dialect, writes)]
    assert [sql for sql in tried if traced.calls(sql, writes)] == []


def test_a_function_that_the_operator_allows_is_called(traced: Traced) -> None:
    """The check refuses the calls for the function's sake alone: with it on the list they pass, and run."""
    plain = traced.corpus.named("SELECT {f}(1) FROM t")
    assert check(plain, traced.adapter.dialect, allowed={"jejak"}) == []
    assert traced.calls(plain)


@pytest.mark.parametrize("traced", ["postgresql"], indirect=True)
def test_a_function_of_a_row_can_be_read_like_a_column_of_it(traced: Traced) -> None:
    """What remains, and docs/security.md says: the text does not tell an agency's function of a row from a column."""
    sql = "SELECT t.jejak_baris, t.a FROM t"
    assert check(sql, "postgres") == []
    assert traced.calls(sql)
    assert [problem.code for problem in check("SELECT t.pg_typeof FROM t", "postgres")] == ["function"]


@pytest.mark.parametrize("traced", ["postgresql"], indirect=True)
def test_the_list_of_functions_of_a_row_is_postgresqls(traced: Traced) -> None:
    """Each function of PostgreSQL's own that a row fits is on a list: of those allowed, or of those refused."""
    rows = traced.adapter.run(
        traced.connections[False],
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind <> 'p'"
        " AND pronargs >= 1 AND pronargs - pronargdefaults - (provariadic <> 0)::int <= 1 AND proargtypes[0] IN"
        " ('record'::regtype, 'anyelement'::regtype, 'anynonarray'::regtype, 'anycompatible'::regtype,"
        " '\"any\"'::regtype, 'anycompatiblenonarray'::regtype)",
        {},
        Limits(1000, 10),
    )
    names = [name for batch in rows for (name,) in batch]
    assert len(names) > 30
    assert [
        name
        for name in names
        if name not in functions.FUNCTIONS["postgres"] | functions.OF_ROWS and not name.startswith("pg_")
    ] == []
