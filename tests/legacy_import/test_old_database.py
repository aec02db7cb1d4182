"""The invented database of 1.99x is what the tests of the import take it for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import MySQLdb
import pytest
from psycopg2.extensions import new_type, register_type

from tests.legacy_import import old_definitions
from tests.legacy_import.old_database import SMALL, Sizes, make
from tests.legacy_import.old_definitions import CLEAN, CLEAN_PERMITS, PERMIT_ROWS, ROWS, Clean, Place, database
from tests.legacy_import.old_server import real_permits, real_table
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer


@pytest.fixture(scope="module")
def cursor(mariadb: MariaDBServer) -> Iterator[Any]:
    place = real_table(mariadb)
    connection = MySQLdb.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        database=place.database,
        charset="utf8",
    )
    with closing(connection), closing(connection.cursor()) as cursor:
        yield cursor


@pytest.mark.parametrize("clean", CLEAN, ids=range(len(CLEAN)))
def test_clean_operations_answer_as_the_old_statement_does(cursor: Any, clean: Clean) -> None:
    """The statement is put together as the old program does it (LIMIT has no effect with mysqli)."""
    definition = database(Place(), **clean.changes)
    is_answered = False
    for row in ROWS:
        parameters = clean.parameters(row)
        conditions = definition["conditions"].replace("@@", " ")
        for value in parameters.values():
            conditions = conditions.replace("''", f"'{value}'", 1)
        statement = f"SELECT {definition['columns'] or '*'} FROM {definition['tbname']} {conditions}"
        statement += f" ORDER BY {definition['orders']}" if definition["orders"] else ""
        if definition["limrows"] and definition["dbtype"] == "mysql":
            statement += f" LIMIT {definition['limrows']} OFFSET {definition['limoffset'] or 0}"
        cursor.execute(statement)
        found = [
            {name: None if value is None else str(value) for name, value in zip(clean.columns, values, strict=True)}
            for values in cursor.fetchall()
        ]
        assert found == clean.answer(parameters)
        is_answered |= bool(found)
    assert is_answered


@pytest.mark.parametrize("clean", CLEAN_PERMITS, ids=range(len(CLEAN_PERMITS)))
def test_clean_operations_of_postgresql_answer_as_its_text_protocol(postgresql: PostgreSQLServer, clean: Clean) -> None:
    definition = clean.definition(Place(postgres=real_permits(postgresql)))
    with closing(postgresql.superuser(postgresql.database)) as connection, closing(connection.cursor()) as cursor:
        # boolean, float8, date, int4
        raw = new_type((16, 701, 1082, 23), "RAW", lambda value, _cursor: value)
        register_type(raw, cursor)
        for row in PERMIT_ROWS:
            parameters = clean.parameters(row)
            conditions = definition["conditions"].replace("@@", " ")
            for value in parameters.values():
                conditions = conditions.replace("''", f"'{value}'", 1)
            statement = f"SELECT {definition['columns']} FROM {definition['tbname']} {conditions}"
            statement += f" ORDER BY {definition['orders']}"
            if definition["limrows"]:
                statement += f" LIMIT {definition['limrows']} OFFSET {definition['limoffset'] or 0}"
            cursor.execute(statement)
            found = [dict(zip(clean.columns, values, strict=True)) for values in cursor.fetchall()]
            assert found == clean.answer(parameters)


def test_the_same_seed_gives_the_same_installation() -> None:
    assert make(SMALL, seed=3) == make(SMALL, seed=3)
    assert make(SMALL, seed=3).orders != make(SMALL, seed=4).orders


@pytest.mark.parametrize("sizes", [SMALL, Sizes(50, 300, 500, 3_000, 8_000, 10, 100)], ids=["small", "issue"])
def test_it_has_so_many_rows_and_every_trap(sizes: Sizes) -> None:
    made = make(sizes)
    assert made.counts()["methods"] == sizes.operations and made.counts()["orders"] == sizes.orders
    assert (len(made.agencies), len(made.users), len(made.services)) == (sizes.agencies, sizes.users, sizes.services)
    assert made.traps.keys() == make(SMALL).traps.keys()
    assert {trap.name for trap in old_definitions.traps(Place())} < made.traps.keys()
    assert {"mysql", "mysqli", "postgres", "mssql", "oci8"} <= {_type(row.source) for row in made.operations}
    for rows in made.traps.values():
        assert all(any(row.id == number for row in made.rows(table)) for table, number in rows[:3])


def _type(source: str) -> str:
    return source.partition('"dbtype":"')[2].partition('"')[0]


def test_names_are_unique_as_the_old_database_wants_them() -> None:
    made = make(Sizes(50, 300, 500, 3_000, 8_000, 10, 100))
    assert len({agency.code.casefold() for agency in made.agencies}) == len(made.agencies)
    assert len({user.username.casefold() for user in made.users}) == len(made.users)
    assert len({(row.agency_id, row.code.casefold()) for row in made.services}) == len(made.services)
    assert len({(row.service_id, row.code.casefold()) for row in made.operations}) == len(made.operations)


def test_there_are_calls_enough_and_each_has_a_key_of_its_own() -> None:
    made = make(Sizes(50, 300, 500, 3_000, 8_000, 10, 100))
    assert len({call.operation_id for call in made.calls}) >= 200
    keys = [order.key for order in made.orders]
    assert all(keys.count(call.key) == 1 for call in made.calls[:200])
    approved = {(order.key, order.operation_id) for order in made.orders if order.active}
    assert all((call.key, call.operation_id) in approved and (call.rows or call.document) for call in made.calls)
