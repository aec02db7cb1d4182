"""The time and the temporary space of statements in SQLite, which runs in the bus's own process."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from adapters import sqlite_watch
from adapters.base import Limits, QueryFailed, RowTooLarge, SourceError, Stream, TimedOut, ValueRefused
from adapters.dbase import DBase
from adapters.sqlite import SQLite
from adapters.sqlite_cost import PATTERN_BYTES, cost_of
from adapters.sqlite_watch import SQLiteWatch
from tests import dbf_writer
from tests.adapters.engines import everything
from tests.bounds import assert_within

#: Much less than each statement below takes if nothing ends it.
SHORT = Limits(rows=10, seconds=0.3)


def _repeated(length: str, letter: str = "a") -> str:
    return f"replace(hex(zeroblob(({length}) / 2)), '0', '{letter}')"


def _members(letter: str) -> str:
    return f"(SELECT '{{' || group_concat('\"{letter}' || value || '\":1') || '}}' FROM count)"


_A, _HALF, _TENTH = _repeated(":n"), f"{_repeated(':n / 2')} || 'b'", f"{_repeated(':n / 13', 'b')} || 'a'"
_COUNT = "WITH RECURSIVE count(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM count WHERE value < :n / 32)"

#: Functions that take the product of two lengths, with texts that make them do so.
SEARCHES = {
    "instr": f"SELECT instr({_A}, {_HALF})",
    "instr of bytes": f"SELECT instr(CAST({_A} AS BLOB), CAST({_HALF} AS BLOB))",
    "instr of letters": f"SELECT instr({_repeated(':n / 2', 'é')}, {_repeated(':n / 4', 'é')} || 'b')",
    "replace": f"SELECT length(replace({_A}, {_HALF}, ''))",
    "trim": f"SELECT length(trim({_A}, {_TENTH}))",
    "ltrim": f"SELECT length(ltrim({_A}, {_TENTH}))",
    "rtrim": f"SELECT length(rtrim({_A}, {_TENTH}))",
    "like": f"SELECT {_A} LIKE '%' || {_repeated('240')} || 'b'",
    "like with escape": f"SELECT {_A} LIKE '%' || {_repeated('240')} || 'b' ESCAPE '!'",
    "like of wildcards": f"SELECT {_A} LIKE {_repeated('120', '%a')} || 'b'",
    "glob": f"SELECT {_A} GLOB '*' || {_repeated('55', '[ba]')} || 'c'",
    "json_patch": f"{_COUNT} SELECT length(json_patch({_members('a')}, {_members('b')}))",
    "several": f"SELECT instr({_A}, {_HALF}), replace({_A}, {_HALF}, ''), {_A} LIKE '%' || :n || '%b'",
}

_LOOP = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
_VARIED = _repeated(":n - n % 7")
#: Functions that take a time in proportion to a length, but often: in one row, or in very many.
OFTEN = {
    "in one row": "SELECT " + ", ".join(f"length(upper({_repeated(':n - 4')} || {n}))" for n in range(300)),
    "in one term": "SELECT 0" + "".join(f" + (hex(zeroblob(:n / 2)) > {n})" for n in range(300)),
    "in a loop": f"{_LOOP} SELECT max(length(upper({_VARIED}))) FROM c",
    "random bytes": f"{_LOOP} SELECT max(length(hex(randomblob(:n / 2 - n % 7)))) FROM c",
    "soundex": f"{_LOOP} SELECT max(soundex({_VARIED})) FROM c",
    "quote": f"{_LOOP} SELECT max(length(quote(substr({_VARIED}, 1, :n / 3)))) FROM c",
    "strftime": f"{_LOOP} SELECT max(strftime({_repeated(':n / 60 - n % 7', '%J')}, n)) FROM c",
    "json": f"{_LOOP} SELECT max(json_valid('[' || {_repeated('(:n - n % 7) / 3', '1,')} || '1]')) FROM c",
    "width": f"{_LOOP} SELECT max(length(printf('%*d', :n - n % 7, 5))) FROM c",
    "precision": f"{_LOOP} SELECT max(length(printf('%.*f', :n - n % 7 - 400, 1e300))) FROM c",
    "group_concat": f"{_LOOP} SELECT max(length(t)) FROM"
    " (SELECT group_concat(n) OVER (ORDER BY n ROWS 5000 PRECEDING) AS t FROM (SELECT n FROM c LIMIT 1000000000))",
    "count": "SELECT (SELECT count(*) FROM angka a, angka b, angka c)",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("limits")
    with sqlite3.connect(folder / "data.sqlite3") as connection:
        connection.execute("CREATE TABLE angka (n INTEGER PRIMARY KEY, isi TEXT)")
        connection.executemany("INSERT INTO angka VALUES (?, ?)", ((n, "x" * 200_000) for n in range(20)))
        connection.executemany("INSERT INTO angka VALUES (?, 'y')", ((n,) for n in range(20, 3000)))
        connection.execute("CREATE VIEW potong AS SELECT n, trim(isi, n) AS isi FROM angka")
    connection.close()
    return {"database": "data.sqlite3", "roots": [str(folder)]}


def run(adapter: SQLite, connection: Any, sql: str, limits: Limits = SHORT, **values: Any) -> list[Any] | SourceError:
    try:
        return everything(adapter.run(connection, sql, values, limits))
    except SourceError as error:
        return error


@pytest.mark.parametrize("sql", [*SEARCHES.values(), *OFTEN.values()], ids=[*SEARCHES, *OFTEN])
def test_s8_the_time_limit_holds_inside_of_functions(source: dict[str, Any], sql: str) -> None:
    """SECURITY-FINDINGS 8. With the longest values that the statement may have, a row takes about a second."""
    adapter = SQLite(source)
    connection = adapter.connect()
    adapter._limit_values(connection, sql, {"n": 100}, SHORT)
    longest = connection.longest
    assert longest > 4000
    for length in [longest - 100] + [SHORT.width - 100] * (sql in SEARCHES.values()):
        began = time.monotonic()
        ended = run(adapter, connection, sql, n=length)
        assert_within(4, began)
        assert not isinstance(ended, RowTooLarge) or length > longest, "the values are shorter than the limit"
    connection.close()


def test_s8_a_search_in_a_view_counts_too(source: dict[str, Any]) -> None:
    adapter = SQLite(source)
    connection = adapter.connect()
    assert isinstance(run(adapter, connection, "SELECT isi FROM potong WHERE n = 1"), RowTooLarge)
    connection.close()


@pytest.mark.parametrize(
    ("sql", "least"),
    [
        ("SELECT n, isi FROM angka WHERE n = :n", 32 * 2**20),
        ("SELECT upper(isi), isi || 'x', length(isi) FROM angka ORDER BY isi", 8 * 2**20),
        ("SELECT isi FROM angka WHERE isi LIKE :n", 8 * 2**20),
        ("SELECT isi FROM angka WHERE isi LIKE '%x' AND isi LIKE 'x%'", 8 * 2**20),
        ("SELECT ltrim(isi, '0'), trim(isi), replace(isi, '-', '') FROM angka", 4 * 2**20),
        ("SELECT isi FROM angka WHERE instr(isi, :n) > 0", 8 * 2**20),
        ("SELECT isi FROM angka WHERE isi LIKE '%' || :n || '%'", 400_000),
    ],
)
def test_ordinary_statements_take_long_values(source: dict[str, Any], sql: str, least: int) -> None:
    adapter = SQLite(source)
    connection = adapter.connect()
    assert isinstance(run(adapter, connection, sql, n="1"), list)
    assert connection.longest >= least
    connection.close()


def test_s8_values_over_the_limit_say_what_the_limit_is(source: dict[str, Any]) -> None:
    adapter = SQLite(source)
    connection = adapter.connect()
    sql = "SELECT n FROM angka WHERE trim(isi, :n) = 'x' AND n < 20"
    assert run(adapter, connection, sql, n="y" * 10) == []
    error = run(adapter, connection, sql, n="y" * 9000)
    assert isinstance(error, RowTooLarge)
    assert 4000 < error.limit < 20_000
    error = run(adapter, connection, "SELECT trim('x', isi) FROM angka -- " + "x" * 50_000)
    assert isinstance(error, RowTooLarge)
    connection.close()


@pytest.mark.parametrize(
    "expression",
    [
        "printf('%.*c', :n, 'a')",
        "format('%-5.99999lc', 'a')",
        "printf(:n)",
        "printf(isi, n)",
        "printf('%' || '.*c', n)",
    ],
)
def test_s8_a_character_is_not_repeated_without_end(source: dict[str, Any], expression: str) -> None:
    """Before 3.42 SQLite does so for minutes, and throws the text away at its end."""
    adapter = SQLite(source)
    connection = adapter.connect()
    error = run(adapter, connection, f"SELECT {expression} FROM angka", n=2_000_000_000)
    assert isinstance(error, QueryFailed)
    assert error.reason == "forbidden"
    assert run(adapter, connection, "SELECT printf('%05d %.2f %c %.3c %%.*c', 7, 1.5, 'ab', 'x')") == [
        ("00007 1.50 a xxx %.*c",)
    ]
    connection.close()


def test_s8_a_pattern_that_is_too_long_is_the_callers_fault(source: dict[str, Any]) -> None:
    adapter = SQLite(source)
    connection = adapter.connect()
    sql = "SELECT n FROM angka WHERE isi LIKE :pola OR isi = :lain"
    assert run(adapter, connection, sql, pola="y" + "%" * (PATTERN_BYTES - 2), lain="") != []
    error = run(adapter, connection, sql, pola="y" * (PATTERN_BYTES + 1), lain="z")
    assert isinstance(error, ValueRefused)
    assert error.parameter == "pola"
    connection.close()


def test_what_is_searched_for_is_known_only_where_it_is_alone() -> None:
    connection = sqlite3.connect(":memory:")

    def longest(expression: str, x: Any = "1") -> float:
        sql = f"EXPLAIN SELECT {expression} FROM (SELECT :x AS a, :y AS b)"
        return cost_of(connection.execute(sql, {"x": x, "y": "1"})).longest({"x": x, "y": "1"})

    free = longest("trim(a, b || b)")
    for known in ("trim(a, '0')", "trim(a, :x)", "trim(a, :y)"):
        assert longest(known) > 100 * free, known
    assert longest("trim(b, :x)", "x" * 10_000) < 2 * free
    assert longest("trim(b, :x)", None) > 10 * free
    for other in ("trim(a, 'x' || a)", "trim(a, iif(a, 'x', a))", "trim(a, coalesce(a, 'x'))", "trim(a, a || :x)"):
        assert longest(other) < 2 * free, other
    by_place = cost_of(connection.execute("EXPLAIN SELECT trim('x', ?2), ?1", ("1", "1")))
    assert by_place.longest(("", "x" * 9000)) < by_place.longest(("x" * 9000, "")) / 100
    connection.close()


# ------------------------------------------------------------------------------- temporary space

ENDLESS_SORT = (
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
    " SELECT n, hex(zeroblob(450)) || n AS t FROM c ORDER BY t"
)


@pytest.fixture
def little_space(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sqlite_watch, "MAX_WRITTEN", 32 * 2**20)
    return 32 * 2**20


def test_s9_a_sort_ends_before_it_fills_the_disk(source: dict[str, Any], little_space: int) -> None:
    """SECURITY-FINDINGS 9: 2.2 GB in 8 seconds."""
    adapter = SQLite(source)
    connection = adapter.connect()
    error = run(adapter, connection, ENDLESS_SORT, Limits(10, 60))
    assert isinstance(error, QueryFailed)
    assert error.reason == "temporary-space"
    # It may be used again: nothing is left of the statement.
    assert run(adapter, connection, "SELECT 1") == [(1,)]
    connection.close()


def test_s9_copies_of_dbase_tables_share_the_space(tmp_path: Path, little_space: int) -> None:
    dbf_writer.write(tmp_path / "t.dbf", [dbf_writer.F("A", "C", 5)], [[b"x"]])
    adapter = DBase({"database": "t.dbf", "roots": [str(tmp_path)]})
    connection = adapter.connect()
    with pytest.raises(QueryFailed) as error:
        everything(adapter.run(connection, ENDLESS_SORT, {}, Limits(10, 60)))
    assert error.value.reason == "temporary-space"
    connection.close()


class Scripted:
    """A connection whose statement does nothing but be interrupted."""

    def __init__(self) -> None:
        self.interruptions = 0

    def interrupt(self) -> None:
        self.interruptions += 1


def test_s9_of_several_statements_the_one_that_wrote_most_ends() -> None:
    watched = SQLiteWatch()
    connections = [Scripted() for _ in range(3)]
    statements = [watched.begin(connection, time.monotonic() + 60) for connection in connections]
    for statement, megabytes in zip(statements, (100, 120, 50), strict=True):
        statement.written = megabytes * 2**20
    with statements[1]:
        watched.check(time.monotonic())
    assert [connection.interruptions for connection in connections] == [0, 1, 0]
    assert isinstance(statements[1].why, QueryFailed)
    for statement in statements:
        watched.end(statement)


def test_a_statement_is_interrupted_only_while_it_runs() -> None:
    watched = SQLiteWatch()
    connection = Scripted()
    statement = watched.begin(connection, deadline=0)
    watched.check(1)
    assert connection.interruptions == 0
    with statement:
        watched.check(1)
        watched.check(1)
    assert connection.interruptions == 2
    assert isinstance(statement.why, TimedOut)
    watched.end(statement)
    with statement:
        watched.check(1)
    assert connection.interruptions == 2


def test_nothing_is_watched_after_its_end(source: dict[str, Any]) -> None:
    adapter = SQLite(source)
    connection = adapter.connect()
    before = set(sqlite_watch.watch._statements)
    streams: list[Stream] = [adapter.run(connection, "SELECT n FROM angka", {}, Limits(5000, 10)) for _ in range(2)]
    assert len(set(sqlite_watch.watch._statements) - before) == 2
    for stream in streams:
        stream.close()
    run(adapter, connection, "SELECT 1")
    run(adapter, connection, "SELECT bukan_kolom")
    run(adapter, connection, "SELECT count(*) FROM angka a, angka b, angka c")
    assert set(sqlite_watch.watch._statements) <= before
    connection.close()
