"""F7, F12: on the legacy wire each value is as its database writes it; elsewhere it has its documented form (F8)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from adapters.postgresql import _interval
from dataservices.models import DataSource
from registry.models import Field
from registry.snapshot import holder
from tests.cast import Cast, call
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

Ask = Callable[..., Any]

#: What MANTRA 1.99 answered for these, and what REST answers.
POSTGRESQL = {
    "true": ("t", True),
    "false": ("f", False),
    "7::double precision": ("7", 7.0),
    "1e-7::double precision": ("1e-07", 1e-7),
    "1e20::double precision": ("1e+20", 1e20),
    "0.1::real": ("0.1", 0.1),
    "'NaN'::real": ("NaN", "NaN"),
    "'-Infinity'::double precision": ("-Infinity", "-Infinity"),
    "'2010-09-08 10:00:00+07'::timestamptz": ("2010-09-08 03:00:00+00", "2010-09-08T03:00:00+00:00"),
    "'13:14:15+07'::timetz": ("13:14:15+07", "13:14:15+07:00"),
    "'1 day 02:03:04'::interval": ("1 day 02:03:04", "P1DT2H3M4S"),
    "'\\x00ff'::bytea": ("\\x00ff", "AP8="),
    "12.50::numeric": ("12.50", 12.5),
    "'{\"a\":\n1}'::json": ('{"a":\n1}', {"a": 1}),
}
MARIADB: dict[str, tuple[Any, Any]] = {
    "7e0": ("7", 7.0),
    "1e20": ("1e20", 1e20),
    "1e-7": ("0.0000001", 1e-7),
    "tahun": ("0000", 0),
    "foto": (None, "AP8="),
    "surat": ("Surat é", "U3VyYXQgw6k="),
    "kecil": ("0.1", 0.1),
}


@pytest.fixture
def ask(cast: Cast) -> Ask:
    """Ask a source for the values of expressions, in one row of columns a0, a1, …, by REST or by the legacy wire."""

    def asked(source: DataSource, expressions: Any, protocol: str, kind: str = "", table: str = "") -> Any:
        columns = ", ".join(f"{each} AS a{place}" for place, each in enumerate(expressions))
        code = f"nilai{len(cast.operations)}"
        made = cast.operation(code, f"SELECT {columns}{table}", source=source)
        if kind:
            for place, _each in enumerate(expressions):
                Field.objects.create(operation=made, position=place, name=f"a{place}", type=kind)
            holder.refresh()
        if protocol == "rest":
            return list(json.loads(cast.get(f"{code}.json").body)["data"][0].values())
        body = call(f"/{protocol}/prov/data/{code}", accesskey=cast.key).body
        return body if protocol == "api" else list(json.loads(body)["response"]["data"][code]["0"].values())

    return asked


@pytest.fixture
def postgres(cast: Cast, postgresql: PostgreSQLServer) -> DataSource:
    source = {**postgresql.source(), "options": {"timezone": "UTC"}}
    return _source(cast, source)


@pytest.fixture
def maria(cast: Cast, mariadb: MariaDBServer) -> DataSource:
    cursor = mariadb.superuser().cursor()
    cursor.execute("CREATE OR REPLACE TABLE mantra.tulisan (tahun year, foto blob, surat varbinary(20), kecil float)")
    cursor.execute("INSERT INTO mantra.tulisan VALUES ('0000', x'00ff', 'Surat é', 0.1)")
    return _source(cast, mariadb.source())


def _source(cast: Cast, values: dict[str, Any]) -> DataSource:
    kept = {name: value for name, value in values.items() if name in ("host", "port", "database", "user", "options")}
    source = DataSource(
        agency=cast.provider, code=values["engine"], engine=values["engine"], password=values["password"], **kept
    )
    source.full_clean()
    source.save()
    return source


def test_f7_postgresql_s_own_text(postgres: DataSource, ask: Ask) -> None:
    assert ask(postgres, POSTGRESQL, "json") == [legacy for legacy, _ in POSTGRESQL.values()]
    assert ask(postgres, POSTGRESQL, "rest") == [rest for _, rest in POSTGRESQL.values()]


def test_f7_mariadb_s_own_text(maria: DataSource, ask: Ask) -> None:
    table = " FROM tulisan"
    assert ask(maria, MARIADB, "json", table=table) == [legacy for legacy, _ in MARIADB.values()]
    assert ask(maria, MARIADB, "rest", table=table) == [rest for _, rest in MARIADB.values()]
    serialized = ask(maria, MARIADB, "api", table=table)
    assert b's:2:"\x00\xff";' in serialized
    assert b's:4:"0000";' in serialized


@pytest.mark.parametrize("engine", ["postgres", "maria"])
def test_f7_a_declared_type_does_not_change_the_legacy_text(
    engine: str, ask: Ask, request: pytest.FixtureRequest
) -> None:
    source = request.getfixturevalue(engine)
    values, table = (POSTGRESQL, "") if engine == "postgres" else (MARIADB, " FROM tulisan")
    for kind in ("text", "boolean", "datetime"):
        assert ask(source, values, "json", kind, table) == [legacy for legacy, _ in values.values()]


def test_f8_a_value_that_is_declared_text_is_the_text_of_its_form(
    postgres: DataSource, maria: DataSource, ask: Ask
) -> None:
    expressions = {
        "true": "true", "false": "false", "7::double precision": "7.0", "'NaN'::real": "NaN", "0.1::real": "0.1",
        "1e-7::double precision": "1e-7", "'-Infinity'::real": "-Infinity", "NULL::boolean": None, "42::bigint": "42",
        "12.50::numeric": "12.50", "'2010-09-08'::date": "2010-09-08",
    }  # fmt: skip
    assert ask(postgres, expressions, "rest", "text") == list(expressions.values())
    assert ask(maria, ["7e0", "1e20", "1e-7", "5"], "rest", "text") == ["7.0", "1e+20", "1e-7", "5"]


def test_f8_on_sqlite(cast: Cast, ask: Ask) -> None:
    found = ask(cast.source, ["7.0", "1e-7", "9e999", "-9e999", "5", "x'00ff'"], "rest", "text")
    assert found == ["7.0", "1e-7", "Infinity", "-Infinity", "5", "AP8="]


INTERVALS = [
    "0", "1 day 02:03:04", "1 year 2 months", "-1 year -2 months", "1 mon -1 day 00:00:00.5", "-838:59:59.000001",
    "178000000 years", "1 year -1 day 1 hour", "-1 day 1 hour", "2 days", "1 sec", "-00:00:00.5", "100:00:00",
    "-1 mon 1 day", "1 mon -00:00:00.25", "13 mons 400 days 25:00:00.100",
]  # fmt: skip


@pytest.mark.parametrize("interval", INTERVALS)
def test_f7_an_interval_is_in_postgresql_s_default_style(postgresql: PostgreSQLServer, interval: str) -> None:
    with psycopg2.connect(postgresql.dsn()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s::interval::text", (interval,))
        (wanted,) = cursor.fetchone()
        cursor.execute("SET IntervalStyle = iso_8601")
        cursor.execute("SELECT %s::interval::text", (interval,))
        (iso,) = cursor.fetchone()
    connection.close()
    assert _interval(iso) == wanted
