from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.oracle import Oracle
from tests.matrix.asked import Asked, each, every, statements
from tests.matrix.oracle import TYPES
from tests.matrix.shown import Case, Type
from tests.servers.oracle import OracleServer


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    with OracleServer() as server:
        adapter = Oracle(server.source(session="TIME_ZONE=+07:00"))
        made = adapter.connect(writes=True)
        for statement in statements(TYPES, "NUMBER(9)"):
            made.cursor().execute(statement)
        made.commit()
        made.close()
        connection = adapter.connect()
        yield Asked(adapter, connection, TYPES, "V")
        connection.close()


@each(TYPES)
def test_a_value_reads_as_the_table_says(asked: Asked, type_: Type, case: Case) -> None:
    asked.check(type_, [case])


@every(TYPES)
def test_a_column_of_values_reads_as_they_do_one_by_one(asked: Asked, type_: Type) -> None:
    asked.check(type_, type_.rows)
