"""Lists of real servers: each engine gives dates, numbers and texts in its own way, and equal ones are equal."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import MySQLdb
import orjson
import psycopg2
import pytest

from dataservices.models import DataSource
from mantra.reconciliation.models import Reconciliation
from mantra.reconciliation.pairs import Pair
from registry.models import Field, Grant, Operation, Service, User
from tests.cast import Cast, recorded
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.reconciliation.conftest import kept, ran
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

TYPES = {"nik": "text", "nama": "text", "lahir": "date", "nilai": "decimal", "diubah": "datetime", "jumlah": "integer"}
_TABLE = """CREATE TABLE cocok (
    nik {nik}, nama varchar(50), lahir date, nilai decimal(12,3), diubah {datetime}, jumlah int)"""
_ROWS = """INSERT INTO cocok VALUES
    ({first}, 'Siti Aminah', '1990-02-01', 1.234, '2026-01-31 08:00:00', 7),
    (3201234567890002, '{name}', '1985-12-31', 1234.500, '2026-01-31 08:00:00', {number}),
    (3201234567890003, NULL, NULL, NULL, NULL, NULL)"""
RULES = {"nama": "text", "lahir": "date", "nilai": "number", "diubah": "exact", "jumlah": "number"}


def fill(connection: Any, nik: str, datetime: str, **values: Any) -> None:
    with closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute("DROP TABLE IF EXISTS cocok")
        cursor.execute(_TABLE.format(nik=nik, datetime=datetime))
        cursor.execute(_ROWS.format(**values))
        connection.commit()


def connect(server: MariaDBServer) -> Any:
    account = {"user": server.user, "password": server.password, "database": server.database}
    return MySQLdb.connect(host="127.0.0.1", port=server.port, **account)


def published(cast: Cast, code: str, source: dict[str, Any]) -> Operation:
    row = DataSource.objects.create(agency=cast.consumer, code=code, **source)
    cast.service, before = Service.objects.create(agency=cast.consumer, code=f"data-{code}"), cast.service
    operation = cast.operation(code, f"SELECT {', '.join(TYPES)} FROM cocok", source=row)
    cast.service = before
    for position, (name, type) in enumerate(TYPES.items()):
        Field.objects.create(operation=operation, name=name, position=position, type=type)
    return operation


def between(cast: Cast, user: User, left: Operation, right: Operation, pairs: list[Pair]) -> Reconciliation:
    row = Reconciliation.objects.create(
        agency=cast.consumer, code="antar", title="Antar", responsible=user, pairs=[pair.stored() for pair in pairs]
    )
    row.sides.create(place="left", kind="operation", as_own=True, operation=left)
    row.sides.create(place="right", kind="operation", as_own=True, operation=right)
    return row


def test_lists_of_two_engines_are_equal_where_their_values_are(
    cast: Cast, rina: User, postgresql: PostgreSQLServer, mariadb: MariaDBServer
) -> None:
    """The NIK is a text in one list and a number in the other; decimals, dates and moments are of both engines."""
    nik = "'3201234567890001'"
    fill(psycopg2.connect(postgresql.dsn()), "varchar(20)", "timestamp", first=nik, name="Budi", number=1)
    fill(connect(mariadb), "bigint", "datetime", first="3201234567890001", name="Boedi", number=2)
    left = published(cast, "kiri", postgresql.source())
    right = published(cast, "kanan", mariadb.source())
    pairs = [Pair("nik", "nik", True, "exact"), *(Pair(name, name, rule=rule) for name, rule in RULES.items())]
    run = ran(between(cast, rina, left, right, pairs))
    assert (run.state, run.problem, run.fault) == ("done", "", None)
    assert (run.left_rows, run.right_rows, run.equal, run.different) == (3, 3, 2, 1)
    found = {tuple(row[3:]) for row in kept(run, "different")}
    assert found == {(0, "Budi", "Boedi"), (4, "1", "2")}


def test_a_list_may_come_from_an_upstream(cast: Cast, reconciliation: Reconciliation) -> None:
    """A proxied operation of another agency, by the grant of the application: its columns only leave."""
    people = [
        {"nik": "3201234567890001", "nama": "Siti Aminah", "gaji": 5},
        {"nik": "3201234567890009", "nama": "Hanya di hulu", "gaji": 6},
    ]
    body = orjson.dumps({"data": people})
    with serve_upstream(Answer(body)) as upstream:
        operation = publish_proxy(
            cast, upstream.url, style="rest", code="hulu", records_path="data", fields=("nik", "nama", "gaji"),
            grant="nik, nama",
        )  # fmt: skip
        reconciliation.sides.filter(place="left").update(operation=operation)
        reconciliation.pairs = [Pair("nik", "nik", True, "exact").stored(), Pair("nama", "nama").stored()]
        reconciliation.save()
        run = ran(reconciliation)
        assert (run.state, run.problem, run.fault) == ("done", "", None)
        assert (run.left_rows, run.equal, run.only_left) == (2, 1, 1)
        assert run.headings["left"] == ["nik", "nama"]
        assert kept(run, "only_left") == [[2, "3201234567890009", "Hanya di hulu"]]
        (end,) = [line for line in recorded() if line["t"] == "end" and line.get("from", [""])[0] == "backend"]
        assert (end["rows"], end["code"]) == (2, 200)
        assert len(upstream.received) == 1
    run = ran(reconciliation)
    assert (run.state, run.problem, run.problem_side) == ("failed", "source", "left")


@pytest.mark.parametrize("fields", ["nik, nama", ""])
def test_the_columns_that_a_form_offers_are_those_of_the_grant(
    reconciliation: Reconciliation, cast: Cast, fields: str
) -> None:
    from mantra.reconciliation import sides

    Grant.objects.filter(pk=cast.grants["daftar"].pk).update(fields=fields)
    found = [column.name for column in sides.columns(reconciliation.side("left"))]
    assert found == (["nik", "nama"] if fields else ["nik", "nama", "tgl_lahir", "jumlah", "alamat"])
