from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest

from adapters.oracle import Oracle
from tests.matrix.asked import Asked, each, every, statements
from tests.matrix.oracle import TYPES
from tests.matrix.shown import Case, Type
from tests.servers import real
from tests.servers.oracle import OracleServer


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    """The PostgreSQL that speaks Oracle's protocol, or the real server that the environment names."""
    named = real.source("oracle")
    with nullcontext() if named else OracleServer() as server:
        source = named or server.source()  # type: ignore[union-attr]
        adapter = Oracle({**source, "session": "TIME_ZONE=+07:00"})
        _fill(adapter.connect(writes=True))
        connection = adapter.connect()
        yield Asked(adapter, connection, TYPES, "V")
        connection.close()


def _fill(connection: Any) -> None:
    for place in range(len(TYPES)):
        with suppress(Exception):
            connection.cursor().execute(f"DROP TABLE m{place}")
    for statement in statements(TYPES, "NUMBER(9)"):
        connection.cursor().execute(statement)
    connection.commit()
    connection.close()


@each(TYPES)
def test_a_value_reads_as_the_table_says(asked: Asked, type_: Type, case: Case) -> None:
    asked.check(type_, [case])


@every(TYPES)
def test_a_column_of_values_reads_as_they_do_one_by_one(asked: Asked, type_: Type) -> None:
    asked.check(type_, type_.rows)
