"""Columns are checked before they are published: the source says what a query returns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from dataservices import authoring, sql
from dataservices.models import DataOperation, DataSource
from registry import approvals, versions
from registry.lookups import with_lookups
from registry.models import Field, OperationVersion, User
from tests.admin.conftest import make_user
from tests.cast import Cast


@pytest.fixture
def author(cast: Cast) -> User:
    return make_user("Provider", cast.provider, "penyedia")


def draft(cast: Cast, text: str, *fields: str, **more: Any) -> DataOperation:
    row = cast.define("warga", text, state="draft", **more)
    for name in fields:
        Field.objects.create(operation=row, name=name, classification="public")
    return row


def refused(row: DataOperation, author: User) -> str:
    with pytest.raises(ValidationError) as found:
        approvals.submit(row, author, "uji")
    return " ".join(found.value.messages)


def test_a_misspelt_column_is_refused_with_the_one_that_was_meant(cast: Cast, author: User) -> None:
    text = refused(draft(cast, "SELECT id, unit FROM orang", "id", "untt"), author)
    assert "untt" in text
    assert "unit" in text
    assert DataOperation.objects.get(code="warga").state == "draft"


def test_capital_letters_make_a_difference(cast: Cast, author: User) -> None:
    assert "UNIT" in refused(draft(cast, "SELECT unit AS UNIT FROM orang", "unit"), author)


def test_a_column_that_is_like_no_other_is_refused_with_all_there_are(cast: Cast, author: User) -> None:
    text = refused(draft(cast, "SELECT id, unit FROM orang", "kelurahan"), author)
    assert "id, unit" in text


def test_columns_that_are_not_declared_are_no_problem(cast: Cast, author: User) -> None:
    row = draft(cast, "SELECT id, unit, lahir FROM orang WHERE id = :id", "id", parameters=({"name": "id"},))
    assert isinstance(approvals.submit(row, author, ""), OperationVersion)


def test_what_was_never_declared_is_known_by_the_source(cast: Cast, author: User) -> None:
    make_user("Head", cast.provider, "kepala")
    row = draft(cast, "SELECT id, lahir FROM orang")
    with pytest.raises(approvals.ReasonNeeded, match="lahir"):
        approvals.submit(row, author, "")
    assert not isinstance(approvals.submit(row, author, "uji"), OperationVersion)


def test_open_access_names_the_columns_that_nobody_declared(cast: Cast, author: User) -> None:
    text = refused(draft(cast, "SELECT id, unit FROM orang", access="open"), author)
    assert "id, unit" in text


def test_a_table_that_does_not_exist_is_said_in_the_databases_words(cast: Cast, author: User) -> None:
    assert "no such table" in refused(draft(cast, "SELECT 1 AS a FROM tidak_ada", "a"), author)


def test_a_source_that_is_down_blocks_publishing_but_not_the_draft(cast: Cast, author: User) -> None:
    away = DataSource.objects.create(agency=cast.provider, code="mati", engine="sqlite", database="tidak-ada.sqlite3")
    row = draft(cast, "SELECT 1 AS a", "a", source=away)
    refused(row, author)
    row.title = "Disimpan"
    row.full_clean()
    row.save()
    assert DataOperation.objects.get(pk=row.pk).title == "Disimpan"


def test_a_change_that_concerns_no_column_needs_no_source(
    cast: Cast, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = draft(cast, "SELECT id, unit FROM orang", "id", "unit")
    approvals.submit(row, author, "")

    def never(*_args: Any) -> list[str]:
        raise AssertionError

    monkeypatch.setattr("dataservices.publishing_rules.column_names", never)
    beside = versions.open_draft(row, author)
    beside.title = "Judul"
    beside.save()
    assert isinstance(approvals.submit(beside, author, ""), OperationVersion)


def test_the_source_is_not_waited_for_within_the_transaction(
    cast: Cast, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, within = draft(cast, "SELECT id, unit FROM orang", "id"), []
    depth = len(connection.savepoint_ids)  # the test's own

    def observed(query: Any) -> list[str]:
        within.append(len(connection.savepoint_ids) - depth)
        return authoring.column_names(query)

    monkeypatch.setattr("dataservices.publishing_rules.column_names", observed)
    assert isinstance(with_lookups(lambda: approvals.submit(row, author, "")), OperationVersion)
    assert within == [0]


@pytest.mark.parametrize(
    ("text", "query", "rows"),
    [
        ("SELECT 1", True, True), ("(SELECT 1) UNION SELECT 2", True, True),
        ("WITH a AS (SELECT 1) SELECT 1", True, True),
        ("INSERT INTO t VALUES (1)", False, False), ("UPDATE t SET a = 1 RETURNING a", False, True),
        ("CALL hitung()", False, True),
    ],
)  # fmt: skip
def test_which_statements_give_rows(text: str, query: bool, rows: bool) -> None:
    assert sql.is_query(text, "postgres") is query
    assert sql.returns_rows(text, "postgres", writes=not query) is rows


def test_a_writing_operation_gives_no_columns(cast: Cast, author: User) -> None:
    row = draft(cast, "UPDATE orang SET unit = :unit WHERE id = -1", writes=True, access="open",
                parameters=({"name": "unit"},))  # fmt: skip
    assert isinstance(approvals.submit(row, author, ""), OperationVersion)


def test_an_operators_bundle_does_not_depend_on_a_source_that_is_down(cast: Cast) -> None:
    away = DataSource.objects.create(agency=cast.provider, code="mati", engine="sqlite", database="tidak-ada.sqlite3")
    row = cast.define("warga", "SELECT 1 AS a", source=away)
    Field.objects.create(operation=row, name="b", classification="public")
    assert versions.record(row, None, "uji", OperationVersion.Origin.BUNDLE) is not None
    there = cast.define("ada", "SELECT 1 AS a")
    Field.objects.create(operation=there, name="b", classification="public")
    with pytest.raises(ValidationError):
        versions.record(there, None, "uji", OperationVersion.Origin.BUNDLE)


# ------------------------------------------------------------------------------------- behind aliases

IDENTIFIERS_BEHIND = (
    "SELECT nik AS nomor FROM warga",
    "SELECT nik || '' AS nomor FROM warga",
    "SELECT max(nik) AS nomor FROM warga",
    "SELECT CASE WHEN unit = 'a' THEN nik ELSE '' END AS nomor FROM warga",
    "SELECT x.nomor FROM (SELECT nik AS nomor FROM warga) x",
    "SELECT x.* FROM (SELECT nik AS nomor FROM warga) x",
    "WITH x (nomor) AS (SELECT nik FROM warga) SELECT nomor FROM x",
    "SELECT unit AS nomor FROM warga UNION ALL SELECT nik FROM warga",
    "SELECT (SELECT nik FROM warga LIMIT 1) AS nomor",
    "SELECT group_concat(nik, ',') AS nomor FROM warga",
    "SELECT json_extract(unit, '$.nik') AS nomor FROM warga",
)
HARMLESS = (
    "SELECT count(DISTINCT nik) AS nomor FROM warga",
    "SELECT unit AS nomor FROM warga WHERE nik > '' ORDER BY nik",
    "SELECT nik IS NOT NULL AS nomor FROM warga",
    "SELECT row_number() OVER (PARTITION BY nik ORDER BY nik) AS nomor FROM warga",
    "SELECT unit AS nomor, (SELECT count(*) FROM warga b WHERE b.nik = a.nik) AS jumlah FROM warga a",
)


@pytest.fixture
def database(cast: Cast) -> Iterator[sqlite3.Connection]:
    """The source's file, to which tables are added. Other tests have the same file, and count its tables."""
    path = Path(cast.source.settings()["roots"][0]) / cast.source.database
    names = "SELECT name FROM sqlite_master WHERE type = 'table'"
    with closing(sqlite3.connect(path)) as database:
        before = database.execute(names).fetchall()
        yield database
        for (name,) in set(database.execute(names)) - set(before):
            database.execute(f"DROP TABLE {name}")
        database.commit()


@pytest.fixture
def citizens(database: sqlite3.Connection) -> None:
    """The source has a table with NIK."""
    database.execute("CREATE TABLE warga (nik TEXT, unit TEXT)")
    database.execute("INSERT INTO warga VALUES ('3171234567890123', '{}')")
    database.commit()


@pytest.mark.usefixtures("citizens")
@pytest.mark.parametrize("text", IDENTIFIERS_BEHIND)
def test_an_alias_does_not_open_an_identifier(cast: Cast, author: User, text: str) -> None:
    assert "nik" in refused(draft(cast, text, "nomor", access="open"), author)


@pytest.mark.usefixtures("citizens")
@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_counts_or_compares_an_identifier_may_be_open(cast: Cast, author: User, text: str) -> None:
    row = draft(cast, text, *("nomor", *(["jumlah"] if "jumlah" in text else [])), access="open")
    assert isinstance(approvals.submit(row, author, ""), OperationVersion)


def test_values_that_are_nik_are_not_opened_under_another_name(
    cast: Cast, author: User, database: sqlite3.Connection
) -> None:
    database.execute("CREATE TABLE berkas (kolom_a TEXT, unit TEXT)")
    rows = [(f"317123{day:02}0190{day:04}", "a") for day in range(1, 29)]
    database.executemany("INSERT INTO berkas VALUES (?, ?)", rows)
    database.commit()
    assert "kolom_a (" in refused(draft(cast, "SELECT kolom_a FROM berkas", "kolom_a", access="open"), author)


@pytest.mark.usefixtures("citizens")
def test_an_alias_needs_the_second_person(cast: Cast, author: User) -> None:
    make_user("Head", cast.provider, "kepala")
    row = draft(cast, "SELECT nik AS nomor FROM warga WHERE nik = :nik", "nomor", parameters=({"name": "nik"},))
    assert not isinstance(approvals.submit(row, author, "uji"), OperationVersion)


@pytest.mark.usefixtures("citizens")
@pytest.mark.parametrize("returned", ["nik", "*", "nik AS a"])
def test_what_a_change_returns_is_published_too(cast: Cast, author: User, returned: str) -> None:
    make_user("Head", cast.provider, "kepala")
    row = draft(cast, f"UPDATE warga SET unit = unit WHERE true RETURNING {returned}", writes=True)
    assert not isinstance(approvals.submit(row, author, "uji"), OperationVersion)


@pytest.mark.parametrize(
    ("dialect", "text", "behind"),
    [
        ("tsql", "SELECT nomor = nik FROM warga", {"nomor": {"nik"}}),
        ("tsql", "UPDATE warga SET a = 1 OUTPUT inserted.nik AS nomor", {"nomor": {"nik"}}),
        ("postgres", "UPDATE warga SET a = 1 RETURNING nik AS nomor", {"nomor": {"nik"}}),
        ("postgres", "SELECT row_to_json(w) AS isi FROM warga w", {"isi": {"w", "*"}}),
        ("postgres", "SELECT to_jsonb(warga) AS isi FROM warga", {"isi": {"warga", "*"}}),
        ("postgres", "SELECT provinsi FROM provinsi", {"provinsi": {"provinsi"}}),
        ("postgres", "SELECT w.a FROM warga AS w (a, b)", {"a": {"a", "*"}}),
        ("postgres", "SELECT u.a FROM warga, unnest(warga.nik) AS u (a)", {"a": {"a", "nik"}}),
        ("postgres", "SELECT (w).nik AS a FROM warga w", {"a": {"w", "nik", "*"}}),
        ("postgres", "SELECT max(nik) FROM warga", {"": {"nik"}}),
        ("mysql", "SELECT IF(a = 1, `nik`, b) AS c FROM warga [[ WHERE a = :a ]]", {"c": {"nik", "b"}}),
        ("oracle", "SELECT nik nomor FROM warga FETCH NEXT :limit ROWS ONLY", {"nomor": {"nik"}}),
        ("mysql", "CALL hitung(:nik)", None),
        ("tsql", "EXEC hitung :nik", None),
    ],
)  # fmt: skip
def test_from_which_columns_a_result_is_built(dialect: str, text: str, behind: dict[str, set[str]] | None) -> None:
    assert sql.built_from(sql.parse(text, dialect), dialect) == behind
