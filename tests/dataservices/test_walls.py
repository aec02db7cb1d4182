"""Attacks on the walls around an author's SQL, each against the real database: the check first, then the call.

Where the check refuses a statement, it is put into the registry past the check, as an earlier version may have taken
it: the walls behind the check must hold without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from dataservices.models import DataOperation, DataSource
from dataservices.sql import check
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

FORM = "application/x-www-form-urlencoded"


class Bus:
    """The cast with a source, and a connection of the server's administrator."""

    def __init__(self, cast: Cast, source: dict[str, Any], root: Any) -> None:
        self.cast, self.root = cast, root
        self.source = DataSource(agency=cast.provider, code="dinding")
        for name, value in source.items():
            setattr(self.source, name, value)
        self.source.save()

    def operation(self, code: str, sql: str, writes: bool = False, **types: str) -> None:
        """Publish an operation whose SQL the check refuses."""
        harmless = "CALL p(" if writes else "SELECT "
        harmless += ", ".join(f":{name}" for name in types) or "1"
        parameters = tuple([{"name": name, "type": kind} for name, kind in types.items()])
        made = self.cast.define(code, harmless + ")" * writes, source=self.source, writes=writes, parameters=parameters)
        made.sql = sql
        with pytest.raises(ValidationError):
            made.full_clean()
        DataOperation.objects.filter(pk=made.pk).update(sql=sql)
        holder.refresh()

    def get(self, code: str, query: str = "") -> Reply:
        return self.cast.get(f"{code}.json", query)

    def post(self, code: str, body: str = "") -> Reply:
        return call(f"/rest/prov/data/{code}.json", "POST", body, accesskey=self.cast.key, content_type=FORM)

    def answer(self, sql: str) -> Any:
        """Return the first value of a query of the administrator's."""
        cursor = self.root.cursor()
        cursor.execute(sql)
        return cursor.fetchall()[0][0]


@pytest.fixture
def postgresql_bus(cast: Cast, postgresql: PostgreSQLServer) -> Iterator[Bus]:
    root = postgresql.superuser("mantra")
    for text in (
        "DROP TABLE IF EXISTS korban",
        "CREATE TABLE korban (id integer)",
        "INSERT INTO korban SELECT generate_series(1, 20)",
        "CREATE OR REPLACE FUNCTION hapus(a integer) RETURNS integer LANGUAGE plpgsql AS"
        " $$ BEGIN DELETE FROM korban WHERE id = a; RETURN a; END $$",
        "GRANT ALL ON korban TO mantra",
    ):
        root.cursor().execute(text)
    yield Bus(cast, postgresql.source(), root)
    root.close()


@pytest.fixture
def mariadb_bus(cast: Cast, mariadb: MariaDBServer) -> Iterator[Bus]:
    root = mariadb.superuser()
    for text in (
        "USE mantra",
        "CREATE OR REPLACE FUNCTION md5(a text) RETURNS text DETERMINISTIC RETURN concat('milik sendiri: ', a)",
    ):
        root.cursor().execute(text)
    yield Bus(cast, mariadb.source(), root)
    root.cursor().execute("DROP FUNCTION md5")
    root.close()


def test_s1_a_reading_operation_does_not_become_a_writing_one(postgresql_bus: Bus) -> None:
    bus = postgresql_bus
    steal = "SELECT CASE WHEN CAST(:go AS int) = 1 THEN (CAST(:id AS int)).hapus ELSE 0 END AS a"
    bus.operation("w1", steal, go="integer", id="integer")
    unlock = "to_tsvector(set_config(''default_transaction_read_only'', ''off'', false))"
    bus.operation("r9", f"SELECT ('select {unlock}'::text).ts_stat AS a")
    for number in range(1, 12):
        assert bus.get("w1", f"go=0&id={number}").json()["data"] == [{"a": 0}]
        assert (bus.get("w1", f"go=1&id={number}").status, bus.get("r9").status) == (502, 200)
        reply = bus.get("w1", f"go=1&id={number}")
        assert (reply.status, reply.json()["code"]) == (502, 11202)
    assert bus.answer("SELECT count(*) FROM korban") == 20


@pytest.mark.parametrize(
    "sql",
    [
        "CALL query_to_xml('select usename from pg_catalog.pg_user', true, true, '')",
        "CALL pg_advisory_lock(4711)",
        "CALL pg_stat_get_activity(null)",
        "CALL set_config('statement_timeout', '0', false)",
        "CALL pg_catalog.lo_import('/etc/passwd')",
        "CALL \"pg_read_file\"('/etc/passwd')",
        "CALL /* a */ pg_sleep -- b\n (0)",
    ],
)
def test_s2_a_function_of_postgresql_is_not_called(postgresql_bus: Bus, sql: str) -> None:
    assert [problem.code for problem in check(sql, "postgres", writes=True)] == ["procedure"]
    postgresql_bus.operation("panggil", sql, writes=True)
    for _ in range(2):
        reply = postgresql_bus.post("panggil")
        assert (reply.status, reply.json()["code"]) == (502, 11202)
    assert postgresql_bus.answer("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711") == 0


def test_s2_a_name_that_no_list_knows_is_looked_up(postgresql_bus: Bus) -> None:
    """The check lets the name pass as that of a procedure; the server has a function of it, and of its own."""
    for sql in ("CALL jsonb_pretty('{}')", "CALL has_table_privilege('korban', 'SELECT')", "CALL upper('a')"):
        assert check(sql, "postgres", writes=True) == []
        postgresql_bus.cast.operation("panggil", sql, source=postgresql_bus.source, writes=True)
        assert postgresql_bus.post("panggil").json()["code"] == 11202
        postgresql_bus.cast.operations["panggil"].delete()


def test_s2_a_function_of_an_extension_is_not_called(postgresql_bus: Bus) -> None:
    postgresql_bus.root.cursor().execute("CREATE EXTENSION IF NOT EXISTS dblink")
    sql = "CALL dblink_get_connections()"
    postgresql_bus.cast.operation("panggil", sql, source=postgresql_bus.source, writes=True)
    assert postgresql_bus.post("panggil").json()["code"] == 11202
    postgresql_bus.root.cursor().execute("DROP EXTENSION dblink")


def test_s2_a_function_of_ones_own_is_still_called(postgresql_bus: Bus) -> None:
    for code, sql in (
        ("a", "CALL hapus(:id)"),
        ("b", 'CALL "public" . "hapus" (:id)'),
        ("c", "CALL /* x */ HAPUS(:id)"),
    ):
        parameters = ({"name": "id", "type": "integer"},)
        postgresql_bus.cast.operation(code, sql, source=postgresql_bus.source, writes=True, parameters=parameters)
        for number in (1, 2):
            assert postgresql_bus.post(code, f"id={number}").json()["data"] == [{"hapus": number}]
    assert postgresql_bus.answer("SELECT count(*) FROM korban") == 18


@pytest.mark.parametrize(
    "sql",
    [
        "CALL sleep(0)",
        "CALL benchmark(1, 1)",
        "CALL get_lock('dinding', 1)",
        "CALL user()",
        "CALL `load_file`('/etc/passwd')",
        "CALL /* a */ sleep # b\n (0)",
    ],
)
def test_s2_a_function_of_mariadb_is_not_called(mariadb_bus: Bus, sql: str) -> None:
    assert [problem.code for problem in check(sql, "mysql", writes=True)] == ["procedure"]
    mariadb_bus.operation("panggil", sql, writes=True)
    for _ in range(2):
        reply = mariadb_bus.post("panggil")
        assert (reply.status, reply.json()["code"]) == (502, 11202)
    assert mariadb_bus.answer("SELECT is_used_lock('dinding')") is None


def test_s2_of_two_functions_the_agencys_own_is_called(mariadb_bus: Bus) -> None:
    mariadb_bus.cast.operation("panggil", "CALL md5('a')", source=mariadb_bus.source, writes=True)
    assert mariadb_bus.post("panggil").json()["data"] == [{"md5": "milik sendiri: a"}]
    mariadb_bus.cast.operation("lain", "CALL sha1('a')", source=mariadb_bus.source, writes=True)
    assert mariadb_bus.post("lain").json()["code"] == 11202


def test_check_sql_names_what_an_earlier_version_has_taken(cast: Cast) -> None:
    cast.operation("baik", "SELECT 1 AS a")
    out = StringIO()
    call_command("check_sql", stdout=out)
    assert "follow the present rules" in out.getvalue()
    DataOperation.objects.filter(pk=cast.operations["baik"].pk).update(sql="SELECT load_extension('x')")
    DataSource.objects.filter(pk=cast.source.pk).update(options={"tidak_ada": 1})
    with pytest.raises(CommandError, match="2 sources and operations"):
        call_command("check_sql", stdout=out)
    lines = out.getvalue().splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == [
        f"DataSource {cast.source} options",
        "DataOperation prov/data/baik sql",
    ]
    assert "The function load_extension is" in lines[1]


@pytest.mark.parametrize(
    ("engine", "database"),
    [
        ("mysql", "information_schema"), ("mysql", "MySQL"), ("mysql", "performance_schema"), ("mysql", " sys "),
        ("sqlserver", "master"), ("sybase", "tempdb"),
    ],
)  # fmt: skip
def test_s14_a_source_is_no_database_of_the_servers_own(cast: Cast, engine: str, database: str) -> None:
    source = DataSource(agency=cast.provider, code="dinding", engine=engine, host="x", user="u", database=database)
    with pytest.raises(ValidationError) as refused:
        source.full_clean()
    assert list(refused.value.message_dict) == ["database"]
    source.database = "kepegawaian"
    source.full_clean()
