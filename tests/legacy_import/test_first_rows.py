"""Requests made from first rows, on real servers: SQL that each takes, and values as callers of 1.99x send them."""

from __future__ import annotations

from typing import Any

import pytest

from dataservices.models import DataOperation, DataSource
from mantra.legacy_import.comparing_hosts import first_rows
from mantra.legacy_import.comparing_hosts.asking import Host
from mantra.legacy_import.comparing_hosts.comparison import Options, compare
from mantra.legacy_import.comparing_hosts.first_rows import NotMade, SourceFailed
from mantra.legacy_import.comparing_hosts.keys import Keys
from registry.snapshot import holder
from tests.cast import Cast
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

#: The columns of the table, and the values of its only complete row as callers send them.
COLUMNS = {
    "kode-wil": ("varchar(20)", "'35.78%'", "35.78%"),
    "tanggal": ("date", "'2010-09-08'", "2010-09-08"),
    "jumlah": ("decimal(12,2)", "2500000.50", "2500000.50"),
    "nomor": ("bigint", "7", "7"),
    "nama": ("varchar(100)", "'Ünï & Co'", "Ünï & Co"),
}


def source_of(cast: Cast, values: dict[str, Any]) -> DataSource:
    kept = {name: value for name, value in values.items() if name in ("host", "port", "database", "user", "options")}
    source = DataSource(
        agency=cast.provider, code=values["engine"], engine=values["engine"], password=values["password"], **kept
    )
    source.full_clean()
    source.save()
    return source


def fill(cursor: Any, name: str, quote: str) -> None:
    columns = ", ".join(f"{quote}{column}{quote} {kind}" for column, (kind, _written, _sent) in COLUMNS.items())
    cursor.execute(f"DROP TABLE IF EXISTS {name}")
    cursor.execute(f"CREATE TABLE {name} ({columns})")
    values = [written for _kind, written, _sent in COLUMNS.values()]
    # The first row has no value in one column, and none that a caller could send in another.
    cursor.execute(f"INSERT INTO {name} VALUES ('', {', '.join(values[1:])})")
    cursor.execute(f"INSERT INTO {name} VALUES ({', '.join([*values[:-1], 'NULL'])})")
    cursor.execute(f"INSERT INTO {name} VALUES ({', '.join(values)})")


@pytest.fixture
def postgres(cast: Cast, postgresql: PostgreSQLServer) -> DataSource:
    with postgresql.superuser("mantra") as connection:
        fill(connection.cursor(), "contoh_pindah", '"')
        connection.cursor().execute("GRANT SELECT ON contoh_pindah TO PUBLIC")
    return source_of(cast, postgresql.source())


@pytest.fixture
def maria(cast: Cast, mariadb: MariaDBServer) -> DataSource:
    fill(mariadb.superuser().cursor(), "mantra.contoh_pindah", "`")
    return source_of(cast, mariadb.source())


@pytest.mark.parametrize("engine", ["postgres", "maria"])
def test_values_of_a_real_server(engine: str, cast: Cast, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(engine)
    quote = '"' if engine == "postgres" else "`"
    names = [column.replace("-", "_") for column in COLUMNS]
    conditions = " AND ".join(
        f"{quote}{column}{quote} {'LIKE' if column == 'nama' else '='} :{name}"
        for column, name in zip(COLUMNS, names, strict=True)
    )
    cast.operation(
        "pindah",
        f"SELECT * FROM contoh_pindah WHERE {quote}nama{quote} LIKE '%&%' AND {conditions} ORDER BY 1 LIMIT 5",
        parameters=tuple({"name": name} for name in names),
        source=source,
    )
    operation = holder.refresh().operation("prov", "data", "pindah")
    assert operation is not None
    row = DataOperation.objects.select_related("source__agency").get(code="pindah")
    expected = dict(zip(names, (sent for _kind, _written, sent in COLUMNS.values()), strict=True))
    assert first_rows.values_of_rows(operation, row, 2) == [expected | {"nama": "Ünï & Co%"}]


def test_a_source_that_does_not_respond(cast: Cast, refusing_port: int) -> None:
    values = {"engine": "postgresql", "password": "x", "user": "x", "database": "x", "host": "127.0.0.1"}
    source = source_of(cast, {**values, "port": refusing_port})
    cast.operation("mati", "SELECT a FROM t WHERE a = :a", parameters=({"name": "a"},), source=source)
    operation = holder.refresh().operation("prov", "data", "mati")
    assert operation is not None
    row = DataOperation.objects.select_related("source__agency").get(code="mati")
    with pytest.raises(SourceFailed, match="source"):
        first_rows.values_of_rows(operation, row, 2)


def test_a_table_that_is_gone_says_nothing_against_its_source(cast: Cast) -> None:
    cast.operation("hilang", "SELECT a FROM tiada WHERE a = :a", parameters=({"name": "a"},))
    operation = holder.refresh().operation("prov", "data", "hilang")
    assert operation is not None
    row = DataOperation.objects.select_related("source__agency").get(code="hilang")
    with pytest.raises(NotMade, match="source") as refused:
        first_rows.values_of_rows(operation, row, 2)
    assert not isinstance(refused.value, SourceFailed)


def test_nobody_waits_twice_for_a_dead_source(cast: Cast, refusing_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"engine": "postgresql", "password": "x", "user": "x", "database": "x", "host": "127.0.0.1"}
    source = source_of(cast, {**values, "port": refusing_port})
    keys = Keys()
    for code in ("mati1", "mati2", "mati3"):
        cast.operation(code, "SELECT a FROM t WHERE a = :a", parameters=({"name": "a"},), source=source)
        keys.add("prov", "data", code, "abcdefghij")
    keys.add("prov", "data", "satu", "abcdefghij")
    tried = []
    values_of_rows = first_rows.values_of_rows

    def counted(operation: Any, *more: Any) -> Any:
        tried.append(operation.code)
        return values_of_rows(operation, *more)

    monkeypatch.setattr(first_rows, "values_of_rows", counted)
    dead = Host.of(f"http://127.0.0.1:{refusing_port}")
    found = compare(dead, dead, keys, holder.refresh(), Options(pace=1000))
    assert tried == ["mati1", "satu"]
    for code in ("mati1", "mati2", "mati3"):
        assert found.operations[f"prov/data/{code}"].skipped == "source"
    assert set(found.operations["prov/data/satu"].kinds) == {"old-down"}
