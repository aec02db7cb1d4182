"""The SQL of query specs answers right on real engines, with fixed values and with parameters."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.base import QueryFailed
from dataservices.builder import (
    INNER,
    LEFT,
    Column,
    ColumnRef,
    Filter,
    Join,
    Order,
    Spec,
    Table,
    Value,
    from_sql,
    suggested_joins,
    to_sql,
)
from dataservices.builder.dialects import dialect_of
from dataservices.builder.reserved import RESERVED
from dataservices.sql import check, parse
from tests.adapters import engines, tds_engine
from tests.adapters.engines import LIMITS, Engine, everything
from tests.servers import real
from tests.servers.tds import TDSServer

Answer = Callable[..., list[Any]]

TYPES = {
    "sqlite": {"text": "varchar(60)", "datetime": "datetime"},
    "postgresql": {"text": "varchar(60)", "datetime": "timestamp"},
    "mysql": {"text": "varchar(60)", "datetime": "datetime"},
    "sqlserver": {"text": "nvarchar(60)", "datetime": "datetime2(0)"},
    "sybase": {"text": "varchar(60)", "datetime": "datetime"},
}
#: id, nama, kode, tgl, waktu, gaji, jab: what filters find it hard to find.
ROWS = (
    (1, "Siti 100% Aminah", "11", "1990-01-02", "2026-01-31 08:00:00", "1000.50", 1),
    (2, "Budi_Santoso", "12", "1985-12-31", "2026-01-31 23:59:59", "2000.00", 2),
    (3, "O'Brien [asli]", "1", "2001-07-15", "2026-02-01 00:00:00", "1500.25", None),
    (4, "siti!", "112", None, None, None, 1),
    (5, None, None, "1990-01-03", "2025-01-01 00:00:00", "0.00", 3),
    (6, "Budi Santoso: \\ kuat", "21", "1990-01-01", "2026-01-01 12:30:00", "99.99", 2),
)  # fmt: skip
POSITIONS = ((1, "Kepala"), (2, "Staf"))


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "sqlserver", "sybase"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, servers: dict[str, TDSServer | None]) -> Engine:
    if request.param == "sqlite":
        made: Engine = engines.sqlite_engine(tmp_path)
    elif request.param in ("postgresql", "mariadb"):
        server = request.getfixturevalue(request.param)
        made = getattr(engines, f"{request.param}_engine")(server)
    else:
        made = tds_engine.engine_of(request.param, servers[request.param])
    fill(made)
    return made


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, TDSServer | None]]:
    made = {name: None if real.source(name) else TDSServer(name) for name in tds_engine.CLASSES}
    yield made
    for server in made.values():
        if server is not None:
            server.remove()


def fill(engine: Engine) -> None:
    """Make the tables and their rows."""
    text, moment = TYPES[engine.name]["text"], TYPES[engine.name]["datetime"]
    null = " NULL" if engine.name in ("sqlserver", "sybase") else ""
    for name in ("cuti", "pegawai", "jabatan", "warga"):
        with suppress(Exception):
            engine.write(f"DROP TABLE {name}")
    engine.write("CREATE TABLE warga (id integer PRIMARY KEY, nik bigint NOT NULL)")
    engine.write(f"CREATE TABLE jabatan (kode integer PRIMARY KEY, nama {text}{null})")
    engine.write(
        f"CREATE TABLE pegawai (id integer PRIMARY KEY, nama {text}{null}, kode {text}{null}, tgl date{null},"
        f" waktu {moment}{null}, gaji decimal(12, 2){null}, jab integer{null})"
    )
    for position in POSITIONS:
        engine.write(
            "INSERT INTO jabatan (kode, nama) VALUES (:kode, :nama)", {"kode": position[0], "nama": position[1]}
        )
    names = ("id", "nama", "kode", "tgl", "waktu", "gaji", "jab")
    for row in ROWS:
        values = dict(zip(names, row, strict=True))
        values["tgl"] = row[3] and date.fromisoformat(str(row[3]))
        values["waktu"] = row[4] and datetime.fromisoformat(str(row[4]))
        values["gaji"] = row[5] and Decimal(str(row[5]))
        marks = ", ".join(f":{name}" for name in names)
        engine.write(f"INSERT INTO pegawai ({', '.join(names)}) VALUES ({marks})", values)


def column(name: str, table: str = "pegawai") -> ColumnRef:
    return ColumnRef(table, name)


def query(engine: Engine, **more: Any) -> Spec:
    table = Table(engine.schema if engine.name in ("postgresql", "mysql", "sqlite") else "dbo", "pegawai")
    return replace(Spec(table, (), (Column(column("id")),), (), (Order(column("id")),)), **more)


@pytest.fixture
def answer(engine: Engine) -> Iterator[Answer]:
    """The rows that a call with these arguments gets, of one column its values."""
    grammar = dialect_of(engine.name).grammar
    with engine.connection() as (adapter, connection):

        def answer(spec: Spec, **arguments: Any) -> list[Any]:
            sql = to_sql(spec, engine.name)
            assert check(sql, grammar) == []
            text, order = parse(sql, grammar).render(list(arguments), adapter.paramstyle)
            rows = everything(adapter.run(connection, text, {name: arguments[name] for name in order}, LIMITS))
            return [row[0] for row in rows] if len(spec.columns) == 1 else rows

        yield answer


TEXT, NUMBER, DAY = "text", "integer", "date"
#: Column, operator, type and values of a filter, and the rows that it finds.
FILTERS = (
    ("nama", "=", TEXT, ("Budi_Santoso",), [2]),
    ("nama", "=", TEXT, ("O'Brien [asli]",), [3]),
    ("nama", "=", TEXT, ("Budi Santoso: \\ kuat",), [6]),
    ("kode", "<>", TEXT, ("11",), [2, 3, 4, 6]),
    ("nama", "contains", TEXT, ("SITI",), [1, 4]),
    ("nama", "contains", TEXT, ("%",), [1]),
    ("nama", "contains", TEXT, ("_",), [2]),
    ("nama", "contains", TEXT, ("[",), [3]),
    ("nama", "contains", TEXT, ("\\",), [6]),
    ("nama", "contains", TEXT, ("%Budi",), []),
    ("nama", "begins", TEXT, ("budi",), [2, 6]),
    ("nama", "begins", TEXT, ("Budi_",), [2]),
    ("nama", "begins", TEXT, ("siti!",), [4]),
    ("nama", "begins", TEXT, ("%",), []),
    ("nama", "begins", TEXT, ("O'Brien [a",), [3]),
    ("kode", "in", TEXT, ("11", "12"), [1, 2]),
    ("kode", "in", TEXT, ("1",), [3]),
    ("jab", "in", NUMBER, ("1", "3"), [1, 4, 5]),
    ("id", ">", NUMBER, ("4",), [5, 6]),
    ("id", "<=", NUMBER, ("2",), [1, 2]),
    ("id", "between", NUMBER, ("2", "4"), [2, 3, 4]),
    ("tgl", "=", DAY, ("1990-01-02",), [1]),
    ("tgl", ">=", DAY, ("1990-01-02",), [1, 3, 5]),
    ("tgl", "between", DAY, ("1990-01-01", "1990-01-03"), [1, 5, 6]),
    ("waktu", "<", "datetime", ("2026-01-31 08:00:01",), [1, 5, 6]),
    ("waktu", "between", "datetime", ("2026-01-31 08:00:00", "2026-01-31 23:59:59"), [1, 2]),
    ("gaji", ">", "decimal", ("1000.5",), [2, 3]),
    ("gaji", "=", "decimal", ("1500.25",), [3]),
    ("tgl", "empty", TEXT, (), [4]),
    ("tgl", "not-empty", TEXT, (), [1, 2, 3, 5, 6]),
    ("nama", "blank", TEXT, (), [5]),
    ("nama", "not-blank", TEXT, (), [1, 2, 3, 4, 6]),
)  # fmt: skip
_BOUND = {
    TEXT: str, NUMBER: int, "decimal": Decimal, DAY: date.fromisoformat, "datetime": datetime.fromisoformat,
}  # fmt: skip


def test_filters_find_their_rows(engine: Engine, answer: Answer) -> None:
    for name, operator, type_, texts, expected in FILTERS:
        fixed = Filter(column(name), operator, tuple(Value(type_, text) for text in texts))
        assert answer(query(engine, filters=(fixed,))) == expected, (name, operator, texts)
        if not texts:
            continue
        marks, values = ("a", "b")[: len(texts)], tuple(map(_BOUND[type_], texts))
        if operator == "in":
            marks, values = ("a",), (",".join(texts),)
        for optional in (False, True):
            bound = query(engine, filters=(Filter(column(name), operator, (), marks, optional),))
            assert answer(bound, **dict(zip(marks, values, strict=True))) == expected, (name, operator, texts)
        assert answer(bound) == [1, 2, 3, 4, 5, 6]


def test_filters_are_joined_by_and(engine: Engine, answer: Answer) -> None:
    filters = (
        Filter(column("kode"), "=", (), ("kode",), True),
        Filter(column("nama"), "contains", (Value(TEXT, "budi"),)),
        Filter(column("tgl"), "between", (), ("dari", "sampai"), True),
    )
    spec = query(engine, filters=filters)
    assert answer(spec) == [2, 6]
    assert answer(spec, kode="12") == [2]
    assert answer(spec, dari=date(1990, 1, 1), sampai=date(1990, 1, 2)) == [6]
    assert answer(spec, kode="12", dari=date(1990, 1, 1), sampai=date(1990, 1, 2)) == []


def test_joins_keep_or_drop_rows(engine: Engine, answer: Answer) -> None:
    join = Join(LEFT, replace(query(engine).table, name="jabatan", alias="j"), ((column("jab"), "kode"),))
    spec = query(engine, columns=(Column(column("id")), Column(column("nama", "j"), "jabatan")), joins=(join,))
    expected = [(1, "Kepala"), (2, "Staf"), (3, None), (4, "Kepala"), (5, None), (6, "Staf")]
    assert answer(spec) == expected
    inner = replace(spec, joins=(replace(join, kind=INNER),))
    assert answer(inner) == [row for row in expected if row[1]]
    ordered = replace(inner, order=(Order(column("nama", "j"), True), Order(column("id"), True)), row_limit=2)
    assert answer(ordered) == [(6, "Staf"), (2, "Staf")]


def test_pages_follow_each_other(engine: Engine, answer: Answer) -> None:
    spec = query(engine, page_size=4)
    if not dialect_of(engine.name).paging:
        pytest.skip("the engine has no pages")
    assert answer(spec, limit=4, offset=0) == [1, 2, 3, 4]
    assert answer(spec, limit=4, offset=4) == [5, 6]


def test_a_name_of_the_response_does_not_hide_a_column(engine: Engine, answer: Answer) -> None:
    """Two columns swap their names: ORDER BY and WHERE are about those of the table."""
    swapped = (Column(column("kode"), "nama"), Column(column("nama"), "kode"))
    wanted = (Filter(column("kode"), "in", (Value(TEXT, "11"), Value(TEXT, "12"))),)
    spec = query(engine, columns=swapped, filters=wanted, order=(Order(column("kode"), True),))
    assert answer(spec) == [("12", "Budi_Santoso"), ("11", "Siti 100% Aminah")]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_the_catalogues_foreign_keys_lead_to_joins(engine: Engine, answer: Answer) -> None:
    engine.write(
        "CREATE TABLE cuti (id integer PRIMARY KEY, orang integer, FOREIGN KEY (orang) REFERENCES pegawai (id))"
    )
    engine.write("INSERT INTO cuti (id, orang) VALUES (7, 2)")
    spec = query(engine)
    cuti = Table(spec.table.schema, "cuti")
    with engine.connection() as (adapter, connection):
        keys = {(engine.schema, name): adapter.keys(connection, engine.schema, name) for name in ("cuti", "pegawai")}
    columns = (Column(column("nama")), Column(column("id", "cuti"), "cuti"))
    (inner,) = suggested_joins(spec, keys)
    found = replace(spec, joins=(inner,), columns=columns, order=())
    assert answer(found) == [("Budi_Santoso", 7)]
    (left,) = suggested_joins(replace(spec, table=cuti, columns=(), order=()), keys)
    found = Spec(cuti, (left,), columns)
    assert answer(found) == [("Budi_Santoso", 7)]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_words_that_the_engine_reserves_are_quoted(engine: Engine) -> None:
    """Whatever words the engine knows, each may be the name of a column, a table's alias and a name of the response."""
    dialect = dialect_of(engine.name)
    with engine.connection() as (adapter, connection):

        def rows(sql: str) -> list[Any]:
            return everything(adapter.run(connection, sql, {}, LIMITS))

        words = {str(word) for (word,) in rows(_KEYWORDS[engine.name])} if engine.name in _KEYWORDS else RESERVED
        refused = []
        for word in sorted(words | {"nama", "no", "public", "kode", "status", "type", "position", "section"}):
            ref = ColumnRef(word, "id")
            table = Table(query(engine).table.schema, "pegawai", word)
            sql = to_sql(Spec(table, (), (Column(ref, word),), (), (Order(ref),), 1), engine.name)
            if word not in RESERVED:
                assert check(sql, dialect.grammar) == []
            try:
                found = rows(sql)
            except QueryFailed:
                found = []
            if found != [(1,)]:
                refused.append(word)
    assert " ".join(refused) == ""


#: The words of each engine, as it lists them.
_KEYWORDS = {
    "postgresql": "SELECT word FROM pg_get_keywords() WHERE word ~ '^[a-z_]+$'",
    "mysql": "SELECT lower(word) FROM information_schema.keywords WHERE word REGEXP '^[A-Za-z_]+$'",
}


def test_a_nik_in_a_column_of_numbers_is_found_exactly(engine: Engine) -> None:
    """Its parameter's value is a text, of more digits than a float has; statements that run often are prepared."""
    near = [9201014107900001 + step for step in range(5)]
    for number, nik in enumerate(near):
        engine.write("INSERT INTO warga (id, nik) VALUES (:id, :nik)", {"id": number, "nik": nik})
    spec = query(engine)
    table = replace(spec.table, name="warga", alias="warga")
    spec = Spec(table, (), (Column(column("id", "warga")),), (Filter(column("nik", "warga"), "=", (), ("nik",)),))
    with engine.connection() as (adapter, connection):
        sql, _order = parse(to_sql(spec, engine.name), dialect_of(engine.name).grammar).render(
            ["nik"], adapter.paramstyle
        )
        for _time in range(2):
            for number, nik in enumerate(near):
                assert everything(adapter.run(connection, sql, {"nik": str(nik)}, LIMITS)) == [(number,)]


#: Texts that are read, of each way of writing, about the tables of ROWS.
SEEDS = {
    "sqlite": "WHERE INSTR(LOWER(a.nama), LOWER('S')) > 0 AND a.kode <> '1' || '2'",
    "postgresql": "WHERE STRPOS(LOWER(a.nama), LOWER('S')) > 0 AND a.tgl >= DATE '1985-01-01'",
    "mysql": "WHERE INSTR(LOWER(a.nama), LOWER('S')) > 0 AND a.kode <> CONCAT('1', '2')",
}
_WORDS = re.compile(r"'[^']*'|\w+|\|\||<>|>=|<=|\S")
_OTHERS = (
    "OR", "NOT", "AND", "NULL", "DESC", "ASC", "id", "nama", "kode", "b", "a", "'1'", "0", "(", ")", ",", ".", "=",
    "AS", "-", "1", "LIMIT", "BETWEEN", "IN", "IS", "''", "LEFT", "INNER", '"nama"', "'x\\ny'",
)  # fmt: skip


def mutated(seed: str, number: int) -> str:
    """The text with one or two of its tokens taken out, doubled, moved or exchanged."""
    chance = random.Random(number)
    words = _WORDS.findall(seed)
    for _time in range(chance.choice((1, 1, 2))):
        place, other = chance.randrange(len(words)), chance.randrange(len(words))
        change = chance.randrange(4)
        if change == 0:
            del words[place]
        elif change == 1:
            words.insert(other, words[place])
        elif change == 2:
            words[place] = chance.choice(_OTHERS)
        else:
            words[place], words[other] = words[other], words[place]
    return " ".join(words)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_what_is_read_of_a_changed_text_means_the_same(engine: Engine) -> None:
    """Whatever is done to a text: the database finds the same rows by what was read of it, or it is not read."""
    read = compared = 0
    joined = "SELECT a.id, a.nama AS kode, a.kode AS nama, b.nama AS jab FROM pegawai AS a LEFT JOIN jabatan AS b ON"
    seeds = (
        f"{joined} b.kode = a.jab {SEEDS[engine.name]} ORDER BY a.id DESC LIMIT 7",
        "SELECT id, kode AS nama, nama AS kode FROM pegawai WHERE (pegawai.kode IS NULL OR pegawai.kode = '')"
        " AND jab IN (1, 2, 3) ORDER BY id",
        "SELECT id, nama FROM pegawai WHERE id BETWEEN 1 AND 5 AND nama <> '' AND jab IS NOT NULL ORDER BY id LIMIT 5",
    )
    with engine.connection() as (adapter, connection):

        def rows(sql: str) -> list[Any]:
            return everything(adapter.run(connection, sql.replace("%", "%%"), {}, LIMITS))

        for number in range(450):
            sql = mutated(seeds[number % 3], number)
            spec = from_sql(sql, engine.name)
            if spec is None:
                continue
            read += 1
            with suppress(QueryFailed):  # such as a column that does not exist
                found = rows(sql)
                compared += 1
                assert rows(to_sql(spec, engine.name)) == found, sql
    assert read > 5 and compared > 3
