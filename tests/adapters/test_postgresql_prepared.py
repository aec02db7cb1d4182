"""Small statements that run often are prepared: the answers must be those of the plain statement."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from adapters.base import Limits, QueryFailed, Row
from adapters.postgresql import MOST_PREPARED, PREPARED_AFTER, PostgreSQL
from adapters.streaming import BATCH
from tests.servers.postgresql import PostgreSQLServer

LIMITS = Limits(rows=10 * BATCH, seconds=20)
#: The first run is what finds a statement small, the last one is the first that is prepared.
RUNS = PREPARED_AFTER + 3


class Session:
    """One connection of an adapter."""

    def __init__(self, server: PostgreSQLServer) -> None:
        self.adapter = PostgreSQL(server.source())
        self.connection: Any = self.adapter.connect()

    def run(self, sql: str, limits: Limits = LIMITS, **arguments: Any) -> list[Row]:
        stream = self.adapter.run(self.connection, sql, arguments, limits)
        rows = [row for batch in stream for row in batch]
        stream.close()
        return rows

    def prepared(self) -> list[str]:
        cursor = self.connection.cursor()
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


@pytest.fixture
def session(postgresql: PostgreSQLServer) -> Iterator[Session]:
    made = Session(postgresql)
    made.run("SELECT 1")
    with postgresql.superuser("mantra") as connection:
        connection.cursor().execute(
            "DROP TABLE IF EXISTS often; CREATE TABLE often AS"
            " SELECT n AS id, 'no ' || n AS name, date '2020-01-01' + n AS day FROM generate_series(1, 5) AS n;"
            " GRANT SELECT ON often TO mantra"
        )
    yield made
    made.connection.close()


def test_it_works(session: Session) -> None:
    sql = "SELECT id, name FROM often WHERE name = %(name)s"
    for _ in range(RUNS):
        assert session.run(sql, name="no 3") == [(3, "no 3")]
    (statement,) = session.prepared()
    assert "often WHERE name =  $1" in statement
    assert session.run(sql, name="no 4") == [(4, "no 4")]
    assert session.run(sql, name=None) == []
    assert len(session.prepared()) == 1


@pytest.mark.parametrize(
    ("sql", "arguments"),
    [
        ("SELECT id FROM often WHERE day >= %(day)s ORDER BY id DESC", {"day": date(2020, 1, 4)}),
        ("SELECT id FROM often WHERE day >= %(day)s ORDER BY id DESC", {"day": "2020-01-04"}),
        ("SELECT id FROM often WHERE id = %(id)s OR %(id)s = 2 -- both %%", {"id": 2}),
        ("SELECT id / %(by)s AS half FROM often ORDER BY 1", {"by": 2}),
        ("SELECT name AS x, id AS x FROM often WHERE name LIKE %(name)s || '%%';", {"name": "no 1"}),
        ("WITH few AS (SELECT * FROM often LIMIT %(most)s) SELECT count(*) FROM few", {"most": 3}),
        ("SELECT %(text)s AS said, %(truth)s AS truth", {"text": "a 'b' \\ %", "truth": True}),
        ("SELECT id FROM often WHERE id < %(id)s", {"id": 2**40}),
    ],
)
def test_every_run_answers_the_same(session: Session, sql: str, arguments: dict[str, Any]) -> None:
    first = session.run(sql, **arguments)
    for _ in range(RUNS):
        assert session.run(sql, **arguments) == first


def test_a_statement_that_cannot_be_prepared_runs_on(session: Session) -> None:
    sql = "SELECT count(*) FROM often WHERE %(name)s IS NULL OR name = %(name)s"
    for _ in range(RUNS):
        assert session.run(sql, name=None) == [(5,)]
        assert session.run(sql, name="no 1") == [(1,)]
    assert session.prepared() == []
    assert session.adapter.unprepared == {sql}


def test_a_value_that_does_not_fit_is_refused_the_same(session: Session) -> None:
    sql = "SELECT id FROM often WHERE day = %(day)s"
    for _ in range(RUNS):
        session.run(sql, day="2020-01-02")
    assert len(session.prepared()) == 1
    with pytest.raises(QueryFailed) as refused:
        session.run(sql, day="soon")
    assert (refused.value.reason, refused.value.sqlstate) == ("data", "22007")
    assert session.run(sql, day="2020-01-02") == [(1,)]


def test_a_table_that_changes_under_it(session: Session, postgresql: PostgreSQLServer) -> None:
    sql = "SELECT * FROM often WHERE id = %(id)s"
    for _ in range(RUNS):
        assert len(session.run(sql, id=1)[0]) == 3
    with postgresql.superuser("mantra") as connection:
        connection.cursor().execute("ALTER TABLE often ADD COLUMN more text")
    assert len(session.run(sql, id=1)[0]) == 4


def test_a_session_that_forgot(session: Session) -> None:
    sql = "SELECT id FROM often WHERE id = %(id)s"
    for _ in range(RUNS):
        session.run(sql, id=1)
    session.connection.cursor().execute("DEALLOCATE ALL")
    assert session.run(sql, id=1) == [(1,)]


def test_an_answer_that_has_grown_comes_whole_and_never_at_once(session: Session) -> None:
    sql = "SELECT generate_series(1, %(last)s)"
    for _ in range(RUNS):
        session.run(sql, last=3)
    assert len(session.prepared()) == 1
    stream = session.adapter.run(session.connection, sql, {"last": 5 * BATCH}, LIMITS)
    sizes = [len(batch) for batch in stream]
    stream.close()
    assert sum(sizes) == 5 * BATCH
    assert max(sizes) <= BATCH
    assert session.adapter.small[sql] is False


def test_the_row_cap_holds(session: Session) -> None:
    sql = "SELECT id FROM often ORDER BY id"
    for _ in range(RUNS):
        assert session.run(sql, Limits(rows=2, seconds=5)) == [(1,), (2,), (3,)]  # the one more tells of more
        assert len(session.run(sql)) == 5


def test_prepared_statement_stays_read_only(session: Session) -> None:
    sql = "SELECT setval(pg_get_serial_sequence('counted', 'id'), 5) WHERE 1 = %(one)s"
    with session.connection.cursor() as cursor:
        cursor.execute("BEGIN READ WRITE; DROP TABLE IF EXISTS counted; CREATE TABLE counted (id serial); COMMIT")
    for _ in range(RUNS):
        session.run(sql, one=0)
    with pytest.raises(QueryFailed) as refused:
        session.run(sql, one=1)
    assert refused.value.reason == "read-only"


def test_what_is_prepared_does_not_pile_up(session: Session) -> None:
    for number in range(MOST_PREPARED + 20):
        for _ in range(RUNS):
            session.run(f"SELECT {number} WHERE 1 = %(one)s", one=1)
        assert len(session.connection.runs) <= MOST_PREPARED
    assert 0 < len(session.prepared()) <= MOST_PREPARED
