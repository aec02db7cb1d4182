"""The statements as engines get them that these tests have no server of, and what the others bind."""

from __future__ import annotations

import pytest

from adapters import adapter_class
from adapters.oracle.statements import parse_statement
from mantra.synchronization.statements import MAX_ROWS, MAX_VALUES, Table

ROWS = [("1", "A", None), ("2", "B%", None)]


def table(engine: str, mark: str = "dihapus", columns: int = 2) -> Table:
    names = ["nik", *(f"kolom {n}" for n in range(1, columns))]
    return Table(adapter_class(engine)({}), "skema", 'ta"bel', names, 1, mark)


def test_sql_server_and_sybase_get_one_batch() -> None:
    for engine in ("sqlserver", "sybase"):
        (statement,) = table(engine).puts(ROWS)
        lines = statement.text.split("\n")
        assert len(lines) == 4
        assert lines[0].startswith("UPDATE ") and lines[0].endswith("= %(v2)s")
        assert lines[1].startswith("IF @@ROWCOUNT = 0 INSERT INTO ")
        assert list(statement.values.values()) == ["A", None, "1", "1", "A", None, "B%", None, "2", "2", "B%", None]
    assert '[skema].[ta"bel]' in table("sqlserver").puts(ROWS)[0].text


def test_oracle_gets_a_merge_for_each_row() -> None:
    first, second = table("oracle").puts(ROWS)
    assert first.text == (
        'MERGE INTO "skema"."ta""bel" d USING dual ON (d."nik" = :v0)'
        ' WHEN MATCHED THEN UPDATE SET d."kolom 1" = :v1, d."dihapus" = :v2'
        ' WHEN NOT MATCHED THEN INSERT ("nik", "kolom 1", "dihapus") VALUES (:v3, :v4, :v5)'
    )
    assert list(second.values.values()) == ["2", "B%", None, "2", "B%", None]
    parsed = parse_statement(first.text)
    assert [name for name, _placeholder in parsed.placeholders] == [f"v{n}" for n in range(6)]
    assert not parsed.outs and not parsed.reads


def test_a_percent_sign_in_a_name_is_doubled_where_it_must_be() -> None:
    for engine, wanted in (("postgresql", '"50%%"'), ("sqlite", '"50%"')):
        made = Table(adapter_class(engine)({}), "s", "t", ["nik", "50%"], 1)
        assert f"SET {wanted} = excluded.{wanted}" in made.puts([("1", "2")])[0].text


def test_a_table_of_its_key_only_has_nothing_to_update() -> None:
    for engine, end in (("postgresql", "DO NOTHING"), ("mysql", "`nik` = VALUES(`nik`)")):
        made = Table(adapter_class(engine)({}), "s", "t", ["nik"], 1)
        assert made.puts([("1",)])[0].text.endswith(end)
    oracle = Table(adapter_class("oracle")({}), "s", "t", ["nik"], 1)
    assert "WHEN MATCHED" not in oracle.puts([("1",)])[0].text


@pytest.mark.parametrize("engine", ["sqlserver", "sybase", "oracle", "postgresql", "mysql", "sqlite"])
@pytest.mark.parametrize("columns", [1, 2, 20, 200])
def test_no_statement_binds_more_than_servers_take(engine: str, columns: int) -> None:
    made = table(engine, columns=columns)
    rows = [tuple(["x"] * (columns + 1))] * made.set_size()
    for statement in made.puts(rows):
        assert len(statement.values) <= MAX_VALUES or made.set_size() == 1
    assert len(made.rows([("x",)] * made.set_size()).values) <= MAX_ROWS
