"""Unsaved SQL: looked at, described and run for its author, read-only, with the database's own words."""

from __future__ import annotations

import logging
from typing import Any

import psycopg2
import pytest

from dataservices import authoring
from dataservices.models import DataOperation, DataSource
from dataservices.unsaved import AuthoringError, Finding, UnsavedQuery
from registry.models import Parameter
from tests.cast import Cast
from tests.servers.postgresql import PostgreSQLServer


@pytest.fixture
def source(cast: Cast, postgresql: PostgreSQLServer) -> DataSource:
    with psycopg2.connect(postgresql.dsn()) as connection:
        connection.cursor().execute(
            "DROP TABLE IF EXISTS warga CASCADE;"
            " CREATE TABLE warga (nik varchar(16) PRIMARY KEY, nama text, lahir date, tinggi numeric(5, 1));"
            " COMMENT ON COLUMN warga.nik IS 'Nomor induk';"
            " INSERT INTO warga SELECT n, 'Orang ' || n, '1990-01-01', 170.5 FROM generate_series(1, 300) n;"
            " DROP FUNCTION IF EXISTS catat(); CREATE FUNCTION catat() RETURNS int LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO warga VALUES ('x'); RETURN 1; END $$"
        )
    row = DataSource(agency=cast.provider, code="pg")
    for name, value in postgresql.source().items():
        setattr(row, name, value)
    row.full_clean()
    row.save()
    return row


def problem(query: UnsavedQuery, values: dict[str, str] | None = None) -> Finding:
    with pytest.raises(AuthoringError) as error:
        authoring.run(query, values or {})
    return error.value.findings[0]


def test_the_tables_of_a_source_are_listed(source: DataSource) -> None:
    listing = authoring.schema(source)
    assert listing.schema == "public" and "public" in listing.schemas
    (warga,) = [table for table in listing.catalogue.tables if table.name == "warga"]
    assert (warga.columns[0].name, warga.columns[0].comment, warga.columns[0].key) == ("nik", "Nomor induk", True)
    assert authoring.schema(source, "tiada").schema == "public"


def test_a_query_is_described_with_all_blocks_and_no_values(source: DataSource) -> None:
    sql = (
        "SELECT nik, lahir, tinggi, count(*) OVER () AS n FROM warga"
        " WHERE lahir > :dari [[ AND nama = :nama ]] LIMIT :n"
    )
    columns = authoring.describe(UnsavedQuery(source, sql, [Parameter(name="n", type="integer")]))
    assert [(column.name, column.type) for column in columns] == [
        ("nik", "text"), ("lahir", "date"), ("tinggi", "decimal"), ("n", "integer"),
    ]  # fmt: skip


def test_types_that_a_file_does_not_declare_are_told_by_values(cast: Cast) -> None:
    sql = "SELECT id, nama, count(*) AS n, avg(id) AS rata, NULL AS kosong FROM orang WHERE id > :id GROUP BY id"
    columns = authoring.describe(UnsavedQuery(cast.source, sql, [Parameter(name="id", type="integer")]))
    assert [column.type for column in columns] == ["integer", "text", "integer", "float", "text"]


def test_a_run_knows_the_types_that_a_file_declares(cast: Cast) -> None:
    """SQLite's results have no types."""
    outcome = authoring.run(UnsavedQuery(cast.source, "SELECT id, nama, 1.5 AS lain FROM orang LIMIT 0", []), {})
    assert [column.type for column in outcome.columns] == ["integer", "text", "text"]


def test_unsaved_sql_runs_with_values_as_a_call_would(source: DataSource) -> None:
    sql = "SELECT nik, nama, NULL AS kosong FROM warga WHERE true [[ AND nik = :nik ]] ORDER BY length(nik), nik"
    query = UnsavedQuery(source, sql, [Parameter(name="nik", type="text", required=False)])
    outcome = authoring.run(query, {"nik": "7"})
    assert outcome.rows == [("7", "Orang 7", None)] and not outcome.more
    assert [column.name for column in outcome.columns] == ["nik", "nama", "kosong"]
    assert outcome.plan
    outcome = authoring.run(query, {"nik": ""}, limit=10)
    assert (len(outcome.rows), outcome.rows[9][0], outcome.more) == (10, "10", True)
    assert len(authoring.run(query, {}, limit=10**6).rows) == authoring.MAX_ROWS
    page = UnsavedQuery(source, "SELECT nik FROM warga ORDER BY nik LIMIT :limit OFFSET :offset", (), 3)
    assert len(authoring.run(page, {}).rows) == 4


def test_the_databases_words_have_their_place_in_the_authors_text(source: DataSource, caplog: Any) -> None:
    sql = "SELECT nik\nFROM warga\nWHERE nama LIKE '%a' [[ AND nik = :nik ]]\n  AND [[ nik = :lain AND ]] namaa = :nama"
    with caplog.at_level(logging.DEBUG):
        found = problem(UnsavedQuery(source, sql), {"nik": "3171234567890001", "nama": "O'Reilly 😀"})
    assert (found.kind, found.line, found.column) == ("database", 4, sql.split("\n")[3].index("namaa") + 1)
    assert 'column "namaa" does not exist' in found.text
    assert "namaa" not in caplog.text and "Reilly" not in caplog.text


def test_sqlite_names_the_word_and_so_its_place_is_found(cast: Cast) -> None:
    found = problem(UnsavedQuery(cast.source, "SELECT o.id,\n  o.namaa FROM orang o WHERE o.id = :id"), {"id": "1"})
    assert (found.kind, found.text, found.line, found.column) == ("database", "no such column: o.namaa", 2, 3)


def test_what_the_check_refuses_is_told_with_its_place(source: DataSource) -> None:
    found = problem(UnsavedQuery(source, "SELECT nik FROM warga\nWHERE nama LIKE '%:nama%'"))
    assert (found.kind, found.line) == ("check", 2)
    assert problem(UnsavedQuery(source, "DELETE FROM warga")).kind == "check"
    assert problem(UnsavedQuery(source, "")).kind == "check"
    assert problem(UnsavedQuery(source, "SELECT pg_sleep(1)")).kind == "check"


def test_values_are_read_as_a_calls_are(source: DataSource) -> None:
    number = Parameter(name="nik", type="integer")
    query = UnsavedQuery(source, "SELECT nik FROM warga WHERE nik = :nik [[ AND nama = :a AND lahir = :b ]]", [number])
    assert (problem(query).kind, problem(query).name) == ("value", "nik")
    assert problem(query, {"nik": "tujuh"}).name == "nik"
    split = problem(query, {"nik": "1", "a": "x"})
    assert split.kind == "value" and "b" in split.text


def test_a_run_writes_nothing(source: DataSource) -> None:
    query = UnsavedQuery(source, "SELECT public.catat() AS n FROM warga")
    found = problem(query)
    assert found.kind == "database" and "read-only" in found.text
    with pytest.raises(AuthoringError):
        authoring.describe(UnsavedQuery(source, "INSERT INTO warga VALUES ('x') RETURNING nik"))
    count = UnsavedQuery(source, "SELECT count(*) AS n FROM warga")
    assert authoring.run(count, {}).rows == [("300",)]
    assert not DataOperation.objects.filter(sql__contains="catat").exists()


def test_warnings_name_what_is_seldom_meant(source: DataSource, postgresql: PostgreSQLServer) -> None:
    with psycopg2.connect(postgresql.dsn()) as connection:
        connection.cursor().execute(
            "INSERT INTO warga SELECT n, 'x' FROM generate_series(1000, 21000) n; ANALYZE warga"
        )

    def told(sql: str, values: dict[str, str] | None = None) -> str:
        return "\n".join(finding.text for finding in authoring.run(UnsavedQuery(source, sql), values or {}).warnings)

    everything = told("SELECT * FROM warga")
    assert "SELECT *" in everything and "warga" in everything and everything.count("\n") == 3
    assert "lahir (tanggal lahir)" in everything and "tinggi" not in everything
    assert told("SELECT w.* FROM warga w WHERE w.nik = :nik", {"nik": "1"}).startswith("SELECT *")
    assert told("SELECT tinggi FROM warga WHERE nik = :nik", {"nik": "1"}) == ""
    assert told("SELECT count(*) AS n FROM warga WHERE nik = '1'") == ""
    assert told("SELECT tinggi FROM warga WHERE nik = '1' LIMIT 5") == ""


def test_a_source_that_is_down_is_told_with_what_to_do(source: DataSource, refusing_port: int) -> None:
    source.port = refusing_port
    source.save()
    found = problem(UnsavedQuery(source, "SELECT 1 AS satu"))
    assert found.kind == "source" and str(refusing_port) not in found.text
    with pytest.raises(AuthoringError):
        authoring.schema(source)
