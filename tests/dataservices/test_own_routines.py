"""Functions and procedures that an agency made in its own source: found in its catalogue, and then allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from adapters.base import ConnectFailed
from dataservices import routines
from dataservices.models import DataOperation, DataSource
from mantra.definitions.apply import apply
from mantra.definitions.reading import Environment
from registry.snapshot import holder
from tests.admin.conftest import SignIn, sign_in
from tests.admin.test_data_operations import post
from tests.api.conftest import person
from tests.cast import Cast, call
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.tds import TDSServer

__all__ = ["sign_in"]  # a fixture

POSTGRESQL = (
    "DROP TABLE IF EXISTS umur",
    "CREATE TABLE umur (id integer)",
    "GRANT ALL ON umur TO mantra",
    "CREATE SCHEMA IF NOT EXISTS kantor",
    "GRANT USAGE ON SCHEMA kantor TO mantra",
    "CREATE OR REPLACE FUNCTION kantor.dobel(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a * 2'",
    "CREATE OR REPLACE FUNCTION fn_umur(a integer) RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN a + 1; END'",
    "CREATE OR REPLACE FUNCTION menulis(a integer) RETURNS integer LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO umur VALUES (a); RETURN a; END'",
    "CREATE OR REPLACE FUNCTION kantor.pg_sleep(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION IF NOT EXISTS pgcrypto",
)
MARIADB = (
    "DROP TABLE IF EXISTS umur",
    "CREATE TABLE umur (id integer)",
    "CREATE OR REPLACE FUNCTION dobel(a integer) RETURNS integer DETERMINISTIC RETURN a * 2",
    "CREATE OR REPLACE FUNCTION uuid_short() RETURNS integer DETERMINISTIC RETURN 1",
    "CREATE OR REPLACE FUNCTION menulis(a integer) RETURNS integer BEGIN INSERT INTO umur VALUES (a); RETURN a; END",
)


def source_of(cast: Cast, values: dict[str, Any]) -> DataSource:
    row = DataSource(agency=cast.provider, code="sendiri")
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    return row


@pytest.fixture
def postgresql_source(cast: Cast, postgresql: PostgreSQLServer) -> Iterator[DataSource]:
    root = postgresql.superuser("mantra")
    for text in POSTGRESQL:
        root.cursor().execute(text)
    yield source_of(cast, postgresql.source())
    root.close()


@pytest.fixture
def mariadb_source(cast: Cast, mariadb: MariaDBServer) -> Iterator[DataSource]:
    root = mariadb.superuser()
    for text in ("USE mantra", *MARIADB):
        root.cursor().execute(text)
    yield source_of(cast, mariadb.source())
    root.close()


def define(cast: Cast, source: DataSource, sql: str, **more: Any) -> DataOperation:
    return cast.operation("rutin", sql, source=source, **more)


def refused(cast: Cast, source: DataSource, sql: str, **more: Any) -> str:
    with pytest.raises(ValidationError) as error:
        cast.define("ditolak", sql, source=source, **more)
    return " ".join(error.value.message_dict["sql"])


A = ({"name": "a", "type": "integer"},)


@pytest.mark.parametrize(
    ("sql", "routines"),
    [
        ("SELECT kantor.dobel(:a) AS x", ["kantor.dobel"]),
        ("SELECT fn_umur(CAST(:a AS integer)) AS x", ["fn_umur"]),
        ("SELECT y.x FROM public.fn_umur(:a) AS y(x) WHERE 1 = 1 [[ AND kantor.dobel(:b) = 2 ]]",
         ["kantor.dobel", "public.fn_umur"]),
    ],
)  # fmt: skip
def test_t6_a_function_that_was_made_in_postgresql_can_be_read(
    cast: Cast, postgresql_source: DataSource, sql: str, routines: list[str]
) -> None:
    parameters = (*A, {"name": "b", "type": "integer", "required": False}) if ":b" in sql else A
    made = define(cast, postgresql_source, sql, parameters=parameters)
    assert made.routines == routines
    query = "a=4&b=1" if ":b" in sql else "a=4"
    reply = cast.get("rutin.json", query)
    assert reply.json()["data"] == [{"x": 8 if "dobel(:a)" in sql else 5}], reply.text
    assert cast.get("rutin.json", "a=4").status == 200


def test_t6_such_a_function_still_changes_nothing(cast: Cast, postgresql_source: DataSource) -> None:
    define(cast, postgresql_source, "SELECT menulis(:a) AS x", parameters=A)
    reply = cast.get("rutin.json", "a=4")
    assert (reply.status, reply.json()["code"]) == (502, 11202)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_sleep(1)",  # one of the same name in another schema is no reason
        "SELECT pg_catalog.pg_sleep(1)",
        "SELECT gen_salt('bf')",  # an extension's
        "SELECT public.gen_salt('bf')",
        "SELECT tidak_ada(1)",
        "SELECT mantra.kantor.dobel(1)",
        "SELECT (1).fn_umur",
        'SELECT "kantor"."dobel"(1)',
    ],
)
def test_what_was_not_made_there_stays_refused_in_postgresql(
    cast: Cast, postgresql_source: DataSource, sql: str
) -> None:
    assert refused(cast, postgresql_source, sql)


def test_t6_a_function_that_was_made_in_mariadb_can_be_read(cast: Cast, mariadb_source: DataSource) -> None:
    made = define(cast, mariadb_source, "SELECT mantra.dobel(:a) AS x, mantra.dobel(2) AS y", parameters=A)
    assert made.routines == ["mantra.dobel"]
    assert cast.get("rutin.json", "a=4").json()["data"] == [{"x": 8, "y": 4}]
    made.sql = "SELECT mantra.menulis(:a) AS x"
    made.full_clean()
    made.save()
    holder.refresh()
    assert cast.get("rutin.json", "a=4").json()["code"] == 11202
    # Without its database a function of the server would come first, as uuid_short does.
    for sql in ("SELECT dobel(1)", "SELECT uuid_short()", "SELECT mysql.dobel(1)", "SELECT mantra.tidak_ada(1)"):
        assert refused(cast, mariadb_source, sql)


@pytest.mark.parametrize("product", ["sqlserver", "sybase"])
def test_t6_t9_own_routines_on_our_own_tds_responder(cast: Cast, product: str) -> None:
    """Microsoft's and Sybase's servers are not to be had: our responder has the catalogue, but no functions to run."""
    with TDSServer(*([] if product == "sqlserver" else ["sybase"])) as server:
        values = server.source()
        source = DataSource(
            agency=cast.provider, code="tds", engine=product, host=values["host"], port=int(values["port"]),
            database=values["database"], user=values["user"], password=values["password"],
        )  # fmt: skip
        source.save()
        for sql, writes in (
            ("SELECT dbo.fn_umur(:a) AS x", False),
            ("SELECT [dbo].[fn_umur](:a) AS x", False),
            ("EXEC dbo.sp_ambil :a", True),
            ("EXEC sp_ambil :a", True),
            *([("SELECT x.a FROM t CROSS APPLY dbo.daftar(:a) x", False)] if product == "sqlserver" else []),
        ):
            made = DataOperation(service=cast.service, code="rutin", sql=sql, source=source, writes=writes)
            made.full_clean()
            assert len(made.routines) == 1, sql
        for sql, writes in (
            ("SELECT dbo.dari_net(1) AS x", False),  # .NET may do what no statement can
            ("SELECT lain.dbo.fn_umur(1) AS x", False),
            ("SELECT x.fn_umur(1) AS y FROM t x", False),
            ("EXEC sp_who", True),  # the server has one of this name too
            ("EXEC dbo.sp_who", True),
            *([("EXEC sp_bawaan", True)] if product == "sqlserver" else []),  # brought by the server
            ("EXEC master.dbo.sp_ambil", True),
            ("EXEC sys.sp_ambil", True),
        ):
            made = DataOperation(service=cast.service, code="rutin", sql=sql, source=source, writes=writes)
            with pytest.raises(ValidationError):
                made.full_clean()
            assert made.routines == [], sql


def test_a_source_that_cannot_be_reached_is_named_as_the_reason(cast: Cast) -> None:
    values = {"engine": "postgresql", "host": "127.0.0.1", "port": 1, "database": "x", "user": "x", "password": "x"}
    source = source_of(cast, values)
    assert "refused" in refused(cast, source, "SELECT kantor.dobel(1)")
    # Nothing is looked up where nothing is unknown.
    assert cast.define("biasa", "SELECT upper('a')", source=source).routines == []


def test_an_engine_without_functions_of_its_own_is_not_connected_to(cast: Cast) -> None:
    assert refused(cast, cast.source, "SELECT dobel(1)")
    assert call("/rest/prov/data/satu.json?id=7", accesskey=cast.key).status == 200


# ------------------------------------------------------------------------- no source is waited for within a change


@pytest.fixture
def asked(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many transactions were open at each question to a source that knows kantor.dobel; a silent one otherwise."""
    depths: list[int] = []

    def ask(engine: str, settings: Any, names: tuple[str, ...]) -> frozenset[str]:
        depths.append(len(connection.savepoint_ids))
        if settings["host"] == "mati":
            raise ConnectFailed("unreachable")
        return frozenset({"kantor.dobel"}) & frozenset(names)

    monkeypatch.setattr(routines, "_look_up", ask)
    monkeypatch.setattr("dataservices.publishing_rules.column_names", lambda query: ["x", "y"])
    for code in ("hidup", "mati"):
        DataSource.objects.create(agency=cast.provider, code=code, engine="postgresql", host=code, database="x")
    return depths


OWN = "SELECT kantor.dobel(1) AS x"


def test_the_api_asks_a_source_outside_of_its_transaction(cast: Cast, asked: list[int]) -> None:
    provider, base = person("Provider", cast.provider), len(connection.savepoint_ids)
    values = {"kind": "data", "service": "prov/data", "code": "a", "source": "prov/hidup", "sql": OWN}
    made = provider.post("operations/", values)
    assert made.status_code == 201, made.content
    path = f"operations/{made.json()['id']}/"
    assert provider.patch(path, {"sql": f"{OWN}, kantor.dobel(2) AS y"}).status_code == 200
    assert provider.post(f"{path}publish/", {}).status_code == 200
    assert provider.post("operations/", {**values, "code": "b", "source": "prov/mati"}).status_code == 400
    assert asked == [base] * 4


def test_the_admin_asks_a_source_outside_of_its_transaction(cast: Cast, asked: list[int], sign_in: SignIn) -> None:
    client, base = sign_in("Provider", cast.provider), len(connection.savepoint_ids)
    operation = DataOperation.objects.create(
        service=cast.service, code="a", sql="SELECT 1 AS x", source=DataSource.objects.get(code="hidup")
    )
    assert post(client, operation, OWN).status_code == 302
    operation.refresh_from_db()
    assert operation.routines == ["kantor.dobel"]
    assert asked == [base]


def test_a_bundle_asks_each_source_once_outside_of_its_transaction(cast: Cast, asked: list[int]) -> None:
    base = len(connection.savepoint_ids)
    operations = [
        {"code": f"a{number}", "kind": "data", "source": source, "sql": f"SELECT kantor.dobel({number}) AS x"}
        for number, source in enumerate(("mati", "mati", "hidup", "hidup"))
    ]
    bundle = {"services": [{"agency": "prov", "code": "data", "title": "Data", "operations": operations}]}
    report = apply(json.dumps(bundle), Environment({}, None))
    assert [problem.path for problem in report.problems] == [f"services[0].operations[{n}].sql" for n in (0, 1)]
    assert asked == [base] * 2
