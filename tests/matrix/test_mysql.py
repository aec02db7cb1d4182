from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.mysql import MySQL
from tests.matrix.asked import LIMITS, Asked, each, every, statements
from tests.matrix.mysql import BOTH, MARIADB, MYSQL
from tests.matrix.shown import Case, Type
from tests.servers.mariadb import MariaDBServer
from tests.servers.mysql56 import MySQL56Server

ON_MARIADB, ON_MYSQL = (*BOTH, *MARIADB), (*BOTH, *MYSQL)


def filled(server: MariaDBServer | MySQL56Server, types: tuple[Type, ...]) -> Iterator[Asked]:
    made = server.superuser()
    made.set_character_set("utf8mb4")
    cursor = made.cursor()
    cursor.execute("CREATE DATABASE nilai CHARACTER SET utf8mb4")
    cursor.execute("GRANT ALL ON nilai.* TO mantra@'127.0.0.1'")
    cursor.execute("USE nilai")
    cursor.execute("SET GLOBAL time_zone = '+00:00'")
    # As laxly as those servers were set up whose tables hold zero dates.
    cursor.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
    for statement in statements(types, nullable=" NULL"):
        cursor.execute(statement)
    adapter = MySQL(server.source(database="nilai"))
    connection = adapter.connect()
    yield Asked(adapter, connection, types)
    connection.close()
    cursor.execute("DROP DATABASE nilai")
    cursor.execute("SET GLOBAL time_zone = 'SYSTEM'")
    made.close()


@pytest.fixture(scope="module")
def on_mariadb(mariadb: MariaDBServer) -> Iterator[Asked]:
    yield from filled(mariadb, ON_MARIADB)


@pytest.fixture(scope="module")
def on_mysql(mysql56: MySQL56Server) -> Iterator[Asked]:
    yield from filled(mysql56, ON_MYSQL)


@each(ON_MARIADB)
def test_a_value_of_mariadb_reads_as_the_table_says(on_mariadb: Asked, type_: Type, case: Case) -> None:
    on_mariadb.check(type_, [case])


@every(ON_MARIADB)
def test_a_column_of_mariadb_reads_as_its_values_do_one_by_one(on_mariadb: Asked, type_: Type) -> None:
    on_mariadb.check(type_, type_.rows)


@each(ON_MYSQL)
def test_a_value_of_mysql_reads_as_the_table_says(on_mysql: Asked, type_: Type, case: Case) -> None:
    on_mysql.check(type_, [case])


@every(ON_MYSQL)
def test_a_column_of_mysql_reads_as_its_values_do_one_by_one(on_mysql: Asked, type_: Type) -> None:
    on_mysql.check(type_, type_.rows)


def test_a_float_has_all_its_digits_as_a_double(on_mariadb: Asked, on_mysql: Asked) -> None:
    """What the page advises against the server's six digits."""
    place = next(place for place, type_ in enumerate(BOTH) if type_.ddl == "float")
    for asked in (on_mariadb, on_mysql):
        stream = asked.adapter.run(asked.connection, f"SELECT v + 0e0 AS v FROM m{place} ORDER BY n", {}, LIMITS)
        assert ("16777216",) in [row for batch in stream for row in batch]
