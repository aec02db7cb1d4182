"""Procedures and functions through the whole path: an operation that writes, called by POST with a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from adapters import procedures
from dataservices.models import DataSource
from dataservices.sql import check, parse
from tests.cast import Cast, Reply, call
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

POSTGRESQL = (
    "DROP TABLE IF EXISTS mutasi CASCADE",
    "CREATE TABLE mutasi (id integer PRIMARY KEY, jumlah numeric(12, 2))",
    "CREATE OR REPLACE PROCEDURE hitung(a integer, OUT dobel bigint, OUT kalimat text, OUT hari date)"
    " LANGUAGE plpgsql AS $$ BEGIN dobel := a * 2; kalimat := 'nilai ' || a; hari := '2024-02-29'; END $$",
    "CREATE OR REPLACE PROCEDURE tambah(INOUT saldo numeric, lagi integer) LANGUAGE plpgsql AS"
    " $$ BEGIN saldo := saldo + lagi; INSERT INTO mutasi VALUES (lagi, saldo); END $$",
    "CREATE OR REPLACE PROCEDURE catat(a integer) LANGUAGE plpgsql AS"
    " $$ BEGIN INSERT INTO mutasi VALUES (a, 1); IF a > 5 THEN RAISE EXCEPTION 'besar'; END IF; END $$",
    "CREATE OR REPLACE FUNCTION daftar(sampai integer) RETURNS TABLE (n integer, teks text) LANGUAGE sql AS"
    " $$ SELECT g, 'baris ' || g FROM generate_series(1, sampai) AS g $$",
    "CREATE OR REPLACE FUNCTION sunyi(a integer) RETURNS void LANGUAGE plpgsql AS"
    " $$ BEGIN INSERT INTO mutasi VALUES (a, 2); END $$",
    "CREATE OR REPLACE FUNCTION satu(a integer, OUT hasil integer) LANGUAGE sql AS $$ SELECT a + 1 $$",
)
MARIADB = (
    "DROP TABLE IF EXISTS mutasi",
    "CREATE TABLE mutasi (id integer PRIMARY KEY, jumlah numeric(12, 2)) ENGINE=InnoDB",
    "CREATE OR REPLACE PROCEDURE hitung(a integer, OUT dobel bigint, OUT kalimat text, OUT hari date)"
    " BEGIN SELECT 'dilewati'; SET dobel = a * 2, kalimat = concat('nilai ', a), hari = '2024-02-29'; END",
    "CREATE OR REPLACE PROCEDURE tambah(INOUT saldo numeric(12, 2), lagi integer)"
    " BEGIN SET saldo = saldo + lagi; INSERT INTO mutasi VALUES (lagi, saldo); END",
    "CREATE OR REPLACE PROCEDURE catat(a integer) BEGIN INSERT INTO mutasi VALUES (a, 1);"
    " IF a > 5 THEN SIGNAL SQLSTATE '45000'; END IF; END",
    "CREATE OR REPLACE PROCEDURE daftar(sampai integer) SELECT seq AS n, concat('baris ', seq) AS teks"
    " FROM seq_1_to_100 WHERE seq <= sampai",
    "CREATE OR REPLACE PROCEDURE sunyi(a integer) INSERT INTO mutasi VALUES (a, 2)",
    "CREATE OR REPLACE FUNCTION satu(a integer) RETURNS integer DETERMINISTIC RETURN a + 1",
)


class Bus:
    """The cast with a source of an engine, whose server has the procedures."""

    def __init__(self, cast: Cast, settings: dict[str, Any], root: Any) -> None:
        self.cast, self.root = cast, root
        self.source = DataSource(agency=cast.provider, code=f"prosedur-{settings['engine']}")
        for name, value in settings.items():
            setattr(self.source, name, value)
        self.source.save()

    def operation(self, code: str, sql: str, **types: str) -> None:
        parameters = tuple([{"name": name, "type": kind, "required": True} for name, kind in types.items()])
        self.cast.operation(code, sql, source=self.source, writes=True, parameters=parameters)

    def post(self, code: str, **values: Any) -> Reply:
        body = "&".join(f"{name}={value}" for name, value in values.items())
        kind = "application/x-www-form-urlencoded"
        return call(f"/rest/prov/data/{code}.json", "POST", body, accesskey=self.cast.key, content_type=kind)

    def rows(self) -> list[tuple[Any, ...]]:
        cursor = self.root.cursor()
        cursor.execute("SELECT id, jumlah FROM mutasi ORDER BY id")
        found = list(cursor.fetchall())
        self.root.rollback()
        return found


@pytest.fixture(params=["postgresql", "mariadb"])
def bus(request: pytest.FixtureRequest, cast: Cast) -> Iterator[Bus]:
    if request.param == "postgresql":
        server: PostgreSQLServer | MariaDBServer = request.getfixturevalue("postgresql")
        texts: tuple[str, ...] = POSTGRESQL
    else:
        server, texts = request.getfixturevalue("mariadb"), MARIADB
    root = server.superuser("mantra") if request.param == "postgresql" else server.superuser()
    cursor = root.cursor()
    if request.param == "mariadb":
        cursor.execute("USE mantra")
    for text in texts:
        cursor.execute(text)
    if request.param == "postgresql":
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")
    root.commit()
    yield Bus(cast, server.source(), root)
    root.close()


def test_what_comes_out_is_the_row(bus: Bus) -> None:
    bus.operation("hitung", "CALL hitung(:a, :dua OUT, :kata OUT, /* ':x OUT' */ :tanggal OUT DATE)", a="integer")
    reply = bus.post("hitung", a=21)
    assert (reply.status, reply.json()["data"]) == (
        200,
        [{"dua": 42, "kata": "nilai 21", "tanggal": "2024-02-29"}],
    )


def test_inout_parameter_goes_in_and_comes_out(bus: Bus) -> None:
    for code, word in (("tambah", "IN OUT"), ("tambah2", "INOUT")):
        bus.operation(code, f"CALL tambah(:saldo {word} NUMERIC, :lagi)", saldo="decimal", lagi="integer")
    assert bus.post("tambah", saldo="1.50", lagi=2).text.count('"saldo":3.50}') == 1
    assert bus.post("tambah2", saldo="0.25", lagi=3).text.count('"saldo":3.25}') == 1
    assert [(id, str(sum_)) for id, sum_ in bus.rows()] == [(2, "3.50"), (3, "3.25")]


def test_a_procedure_that_fails_leaves_nothing(bus: Bus) -> None:
    bus.operation("catat", "CALL catat(:a)", a="integer")
    assert bus.post("catat", a=1).status == 200
    for _ in range(2):
        reply = bus.post("catat", a=6)
        assert (reply.status, reply.json()["code"]) == (502, 11202)
    assert [id for id, _ in bus.rows()] == [1]


def test_a_table_that_is_called_for_is_the_answer(bus: Bus) -> None:
    bus.operation("daftar", "CALL daftar(:sampai)", sampai="integer")
    for _ in range(3):
        assert bus.post("daftar", sampai=2).json()["data"] == [{"n": 1, "teks": "baris 1"}, {"n": 2, "teks": "baris 2"}]


def test_procedure_without_result_runs_once(bus: Bus) -> None:
    bus.operation("sunyi", "CALL sunyi(:a)", a="integer")
    for number in (1, 2):
        assert bus.post("sunyi", a=number).status == 200
    assert [id for id, _ in bus.rows()] == [1, 2]


def test_a_functions_result_has_the_name_that_was_declared(bus: Bus) -> None:
    bus.operation("berikutnya", "CALL satu(:a, :berikutnya OUT INTEGER)", a="integer")
    for number in (1, 2):
        assert bus.post("berikutnya", a=number).json()["data"] == [{"berikutnya": number + 1}]


def test_unknown_procedure_is_refused(bus: Bus) -> None:
    bus.operation("hampa", "CALL tidak_ada(:a, :b OUT)", a="integer")
    reply = bus.post("hampa", a=1)
    assert (reply.status, reply.json()["code"]) == (502, 11202)


def test_procedure_is_called_by_post_only(bus: Bus) -> None:
    bus.operation("sunyi", "CALL sunyi(:a)", a="integer")
    assert bus.cast.get("sunyi", "a=9").status == 405
    assert bus.rows() == []


@pytest.mark.parametrize("dialect", ["postgres", "mysql", "oracle"])
def test_out_parameter_is_declared_alike_on_each_engine(dialect: str) -> None:
    sql = "CALL skema.hitung(:a, :b OUT, :c OUT NUMERIC, :d IN OUT, :e INOUT)".replace(
        "NUMERIC", "NUMBER" if dialect == "oracle" else "NUMERIC"
    )
    assert check(sql, dialect, writes=True) == []
    assert parse(sql, dialect).placeholders == ("a", "d", "e")
    for wrong in ("SELECT :b OUT", "CALL p(:b OUT) :c", "CALL p(:b OUT); DELETE FROM t", "UPDATE t SET a = :b OUT"):
        assert check(wrong, "postgres" if dialect == "oracle" else dialect, writes=True)


@pytest.mark.parametrize("dialect", ["postgres", "mysql"])
def test_a_functions_list_still_holds_among_the_arguments(dialect: str) -> None:
    (problem,) = check(
        "CALL p(:a OUT, sleep(1))" if dialect == "mysql" else "CALL p(:a OUT, pg_sleep(1))", dialect, True
    )
    assert problem.code == "function"


def test_a_mark_that_comes_out_needs_no_parameter(bus: Bus) -> None:
    bus.operation("hitung", "CALL hitung(:a, :b OUT, :c OUT, :d OUT)", a="integer")
    assert list(bus.cast.operations["hitung"].parameters.values_list("name", flat=True)) == ["a"]
    with pytest.raises(ValidationError):
        bus.operation("baca", "CALL hitung(:a, :b OUT", a="integer")


@pytest.mark.parametrize(
    ("sql", "backslashes", "outs", "function"),
    [
        ("CALL p(':x OUT', :y OUT)", False, ["y"], "p(':x OUT')"),
        ("CALL p('\\', :y OUT)", False, ["y"], "p('\\')"),
        ("CALL p('\\', :y OUT)', 1)", True, [], "p('\\', :y OUT)', 1)"),
        ("-- a\nCALL `p`(:y OUT, %(z)s IN OUT INT, 'it''s')", True, ["y", "z"], "`p`(%(z)s, 'it''s')"),
        ("CALL p($x$:a OUT$x$, :b OUT);", False, ["b"], "p($x$:a OUT$x$)"),
        ("CALL p()", True, [], "p()"),
    ],
)
def test_a_call_is_understood(sql: str, backslashes: bool, outs: list[str], function: str) -> None:
    found = procedures.parse_call(sql, backslashes)
    assert found is not None
    assert [out.name for out in found.outs] == outs
    assert found.as_function() == function
    assert found.name == "p"
    assert procedures.parse_call("SELECT 1", backslashes) is None
