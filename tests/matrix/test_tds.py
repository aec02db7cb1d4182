from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.adapters.tds_engine import CLASSES
from tests.matrix.asked import LIMITS, Asked, each, every, statements
from tests.matrix.shown import Case, Type
from tests.matrix.tds import SQLSERVER, SYBASE
from tests.servers import real
from tests.servers.tds import TDSServer


def written(engine: str, type_: Type) -> Type:
    """The type with its values as this engine's INSERT takes them: Sybase makes no number of a text by itself."""
    if engine != "sybase" or type_.kind not in ("decimal", "float", "integer"):
        return type_
    casts = {case.literal: f"CAST({case.literal} AS {type_.ddl})" for case in type_.cases if case.literal[0] == "'"}
    return replace(
        type_, cases=tuple(replace(case, literal=casts.get(case.literal, case.literal)) for case in type_.cases)
    )


def filled(engine: str, types: tuple[Type, ...]) -> Iterator[Asked]:
    """Our own responder's tables, or those of the real server that the environment names."""
    named = real.source(engine)
    server = None if named else TDSServer(engine)
    adapter = CLASSES[engine](named or server.source())  # type: ignore[union-attr]
    # A real server makes these by itself.
    types = tuple(type_ for type_ in types if not (named and type_.ddl == "rowversion"))
    made = adapter.connect(writes=True)
    for place in range(len(types)):
        with suppress(Exception):
            made.raw.execute(f"DROP TABLE m{place}")
    for statement in statements([written(engine, type_) for type_ in types], nullable=" NULL"):
        made.raw.execute(statement)
    made.close()
    connection = adapter.connect()
    yield Asked(adapter, connection, types)
    connection.close()
    if server:
        server.remove()


@pytest.fixture(scope="module")
def sqlserver() -> Iterator[Asked]:
    yield from filled("sqlserver", SQLSERVER)


@pytest.fixture(scope="module")
def sybase() -> Iterator[Asked]:
    yield from filled("sybase", SYBASE)


@each(SQLSERVER)
def test_a_value_of_sql_server_reads_as_the_table_says(sqlserver: Asked, type_: Type, case: Case) -> None:
    sqlserver.check(type_, [case])


@every(SQLSERVER)
def test_a_column_of_sql_server_reads_as_its_values_do_one_by_one(sqlserver: Asked, type_: Type) -> None:
    sqlserver.check(type_, type_.rows)


@each(SYBASE)
def test_a_value_of_sybase_reads_as_the_table_says(sybase: Asked, type_: Type, case: Case) -> None:
    sybase.check(type_, [case])


@every(SYBASE)
def test_a_column_of_sybase_reads_as_its_values_do_one_by_one(sybase: Asked, type_: Type) -> None:
    sybase.check(type_, type_.rows)


def test_an_unsigned_int_of_sybase_is_right_when_it_is_converted(sybase: Asked) -> None:
    """What the page advises against the driver's misreading."""
    place = next(place for place, type_ in enumerate(SYBASE) if type_.ddl == "unsigned int")
    sql = f"SELECT convert(bigint, v) AS v FROM m{place} WHERE n = 2"
    assert [list(batch) for batch in sybase.adapter.run(sybase.connection, sql, {}, LIMITS)] == [[(4294967295,)]]
