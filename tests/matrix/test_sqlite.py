from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from adapters.sqlite import SQLite
from tests.matrix.asked import Asked, each, every, statements
from tests.matrix.shown import Case, Type
from tests.matrix.sqlite import TYPES


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    path = tmp_path_factory.mktemp("sqlite") / "nilai.sqlite3"
    made = sqlite3.connect(path)
    for statement in statements(TYPES):
        made.execute(statement)
    made.commit()
    made.close()
    adapter = SQLite({"database": str(path), "roots": [str(path.parent)]})
    connection = adapter.connect()
    yield Asked(adapter, connection, TYPES)
    connection.close()


@each(TYPES)
def test_a_value_reads_as_the_table_says(asked: Asked, type_: Type, case: Case) -> None:
    asked.check(type_, [case])


@every(TYPES)
def test_a_column_of_values_reads_as_they_do_one_by_one(asked: Asked, type_: Type) -> None:
    asked.check(type_, type_.rows)
