from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.base import QueryFailed
from adapters.postgresql import PostgreSQL
from tests.matrix.asked import LIMITS, Asked, each, every, statements
from tests.matrix.postgresql import BEFORE, TYPES
from tests.matrix.shown import Case, Type
from tests.servers.postgresql import PostgreSQLServer


@pytest.fixture(scope="module")
def asked(postgresql: PostgreSQLServer) -> Iterator[Asked]:
    owner = postgresql.superuser().cursor()
    owner.execute("CREATE DATABASE nilai OWNER mantra")
    owner.execute("ALTER ROLE mantra SET TimeZone = 'UTC'")
    made = postgresql.superuser("nilai")
    for statement in (*BEFORE, *statements(TYPES), "GRANT SELECT ON ALL TABLES IN SCHEMA public TO mantra"):
        made.cursor().execute(statement)
    made.close()
    adapter = PostgreSQL(postgresql.source(database="nilai"))
    connection = adapter.connect()
    yield Asked(adapter, connection, TYPES)
    connection.close()
    owner.execute("DROP DATABASE nilai WITH (FORCE)")
    owner.execute("ALTER ROLE mantra RESET TimeZone")


@each(TYPES)
def test_a_value_reads_as_the_table_says(asked: Asked, type_: Type, case: Case) -> None:
    asked.check(type_, [case])


@every(TYPES)
def test_a_column_of_values_reads_as_they_do_one_by_one(asked: Asked, type_: Type) -> None:
    asked.check(type_, type_.rows)


@pytest.fixture
def encoded(request: pytest.FixtureRequest, postgresql: PostgreSQLServer) -> Iterator[PostgreSQL]:
    """A database in an encoding of its own, with café as Latin-1 has it."""
    owner = postgresql.superuser().cursor()
    encoding = f"ENCODING {request.param} LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    owner.execute(f"CREATE DATABASE lama OWNER mantra {encoding}")
    made = postgresql.superuser("lama")
    made.set_client_encoding(request.param)
    made.cursor().execute(b"CREATE TABLE t AS SELECT 'caf\xe9'::text AS v")
    made.cursor().execute("GRANT SELECT ON t TO mantra")
    made.close()
    yield PostgreSQL(postgresql.source(database="lama"))
    owner.execute("DROP DATABASE lama WITH (FORCE)")


@pytest.mark.parametrize("encoded", ["LATIN1"], indirect=True)
def test_a_database_in_another_encoding(encoded: PostgreSQL) -> None:
    connection = encoded.connect()
    assert list(encoded.run(connection, "SELECT v FROM t", {}, LIMITS)) == [[("café",)]]
    connection.close()


@pytest.mark.parametrize("encoded", ["SQL_ASCII"], indirect=True)
def test_bytes_that_are_no_utf8_are_refused(encoded: PostgreSQL) -> None:
    connection = encoded.connect()
    with pytest.raises(QueryFailed) as error:
        encoded.run(connection, "SELECT v FROM t", {}, LIMITS)
    assert error.value.reason == "data"
    assert list(encoded.run(connection, "SELECT v::bytea AS v FROM t", {}, LIMITS)) == [[(b"caf\xe9",)]]
    connection.close()
