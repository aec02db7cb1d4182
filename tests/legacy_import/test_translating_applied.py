"""Translated definitions are applied as a bundle, and their SQL runs on real servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.base import QueryFailed
from dataservices.models import DataOperation, DataSource
from dataservices.sql import parse
from mantra.definitions.apply import apply
from mantra.definitions.reading import Environment
from mantra.definitions.report import Report
from mantra.legacy_import.translating import DataDefinition, placeholder_source
from proxyservices.models import Backend, ParameterMapping, ProxyOperation
from tests.adapters import engines
from tests.legacy_import.written import data, program, proxy

#: One of each kind, with as many traps as fit.
DATA = {
    "mysql": {
        "conditions": "WHERE `kode-wil` = ''@@OR `b` LIKE ''@@AND `c` = 'x'",
        "orders": "`nip` ASC",
        "limrows": "5",
    },
    "mysqli": {"conditions": "WHERE `a` = ''@@AND `b` = 1; DROP TABLE x"},
    "postgres": {"tbname": "skema.tabel", "columns": "", "conditions": "WHERE \"tgl\" >= ''@@AND \"tgl\" <= ''"},
    "mssql": {"hostname": "SRV\\KEU", "port": ""},
    "oci8": {"dbname": "ORCL", "conditions": "WHERE \"NO_POLISI\" = ''"},
}


def bundle() -> tuple[str, dict[str, str]]:
    """Return a bundle of one operation of each kind, and the secrets that it refers to."""
    secrets: dict[str, str] = {}

    def reference(name: str, value: str) -> str:
        secrets[name] = value
        return f"env:{name}"

    sources: list[Any] = [placeholder_source("diknas", "program")]
    operations: list[Any] = [program("echo 1;", "nip:text='',a:numeric=1").bundle("program", "program")]
    for dbtype, texts in DATA.items():
        found = data(dbtype=dbtype, **texts)
        password = reference(f"source:{dbtype}", found.connection.password)
        sources.append(found.connection.bundle("diknas", dbtype, password))
        operations.append(found.bundle(dbtype, dbtype, legacy_name=f"_{dbtype}"))
    web = proxy(accesskey="env:HOME", request="a:text='${HOME}',k:password='x',kode-wil:text=''", wstype="restfull")
    assert web.upstream is not None
    references = {name: reference(f"mapping:{name}", value) for name, value in web.secrets().items()}
    backends = [web.upstream.bundle("diknas", "cuaca", reference("backend:cuaca", web.upstream.credential))]
    operations.append(web.bundle("cuaca", "cuaca", references=references))
    operations.append(proxy(endpoint="").bundle("buntu", ""))
    document = {
        "agencies": [{"code": "diknas", "name": "Dinas Pendidikan"}],
        "sources": sources,
        "backends": backends,
        "services": [{"agency": "diknas", "code": "lama", "title": "Lama", "operations": operations}],
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True), secrets


def applied() -> Report:
    text, secrets = bundle()
    # An operation without a required parameter is published for a reason.
    return apply(text, Environment(secrets, Path()), reason="MANTRA 1.99x")


@pytest.mark.django_db
def test_a_bundle_of_translated_definitions_is_applied_and_again_changes_nothing() -> None:
    report = applied()
    assert [str(each) for each in report.problems] == []
    states = dict(DataOperation.objects.values_list("code", "state"))
    assert states == {
        "program": "draft", "mysql": "published", "mysqli": "draft", "postgres": "draft", "mssql": "published",
        "oci8": "published",
    }  # fmt: skip
    assert set(DataOperation.objects.values_list("access", flat=True)) == {"restricted"}
    assert str(DataSource.objects.get(code="mysql").password) == "a&b"
    web = ProxyOperation.objects.get(code="cuaca")
    assert str(web.backend.credential) == "env:HOME"
    assert [(row.name, row.parameter, str(row.value), row.secret) for row in web.mappings.all()] == [
        ("a", "", "'${HOME}'", False), ("k", "", "'x'", True), ("kode-wil", "kode_wil", "", False),
    ]  # fmt: skip
    assert ProxyOperation.objects.get(code="buntu").backend is None
    assert (Backend.objects.count(), ParameterMapping.objects.count()) == (1, 3)
    again = applied()
    assert (again.problems, again.changes) == ([], [])


# -------------------------------------------------------------------------------- real servers

ROWS = (("0001", "Siti 100%", "11", 2017), ("2", "O'Brien", "12", 2018), ("3", "Ünï: a?", "11", 2018))


def engine_of(server: Any, quote: str) -> engines.Engine:
    engine: engines.Engine = getattr(engines, f"{server.name}_engine")(server)
    table, columns = f"{quote}data pegawai{quote}", ("nip", "NAMA LENGKAP", "kode-wil", "tahun")
    engine.write(f"DROP TABLE IF EXISTS {table}")
    types = ", ".join(f"{quote}{name}{quote} {'integer' if name == 'tahun' else 'varchar(40)'}" for name in columns)
    engine.write(f"CREATE TABLE {table} ({types})")
    for row in ROWS:
        engine.write(f"INSERT INTO {table} VALUES (:a, :b, :c, :d)", dict(zip("abcd", row, strict=True)))
    return engine


def nips(engine: engines.Engine, found: DataDefinition, **values: str) -> list[Any]:
    """The first column of the rows that a call with these texts gets."""
    with engine.connection() as (adapter, connection):
        template = parse(found.sql, found.connection.dialect)
        text, order = template.render(list(values), adapter.paramstyle)
        rows = engines.everything(adapter.run(connection, text, {name: values[name] for name in order}, engines.LIMITS))
    return [row[0] for row in rows]


@pytest.mark.parametrize(("fixture", "dbtype", "quote"), [("mariadb", "mysql", "`"), ("postgresql", "postgres", '"')])
def test_the_sql_finds_what_the_original_finds(
    request: pytest.FixtureRequest, fixture: str, dbtype: str, quote: str
) -> None:
    engine = engine_of(request.getfixturevalue(fixture), quote)

    def made(conditions: str, **texts: str) -> DataDefinition:
        own = {"tbname": "data pegawai", "columns": "`nip`,`NAMA LENGKAP`", "orders": "`nip` ASC", **texts}
        own = {name: text.replace("`", quote) for name, text in (own | {"conditions": conditions}).items()}
        return data(dbtype=dbtype, **own)

    assert nips(engine, made("WHERE `nip` = ''"), nip="0001") == ["0001"]
    assert nips(engine, made("WHERE `nip` = ''"), nip="1") == []
    assert nips(engine, made("WHERE `NAMA LENGKAP` LIKE ''"), NAMA_LENGKAP="%100%") == ["0001"]
    assert nips(engine, made("WHERE `NAMA LENGKAP` = 'O''Brien'@@OR `kode-wil` = ''"), kode_wil="x") == ["2"]
    assert nips(engine, made("WHERE `kode-wil` = ''@@AND `tahun` = 2018"), kode_wil="11") == ["3"]
    # AND binds closer than OR: no brackets were added.
    precedence = made("WHERE `nip` = ''@@AND `tahun` = 1900@@OR `kode-wil` = ''")
    assert nips(engine, precedence, nip="0001", kode_wil="11") == ["0001", "3"]
    assert nips(engine, made("", limrows="1", limoffset="1")) == ["2"]
    assert nips(engine, made("", orders="`nip` DESC", columns="")) == ["3", "2", "0001"]
    # Values are texts, whatever the column: MySQL finds a number in one, PostgreSQL fails.
    by_year = made("WHERE `tahun` = ''")
    assert nips(engine, by_year, tahun="2017") == ["0001"]
    if dbtype == "mysql":
        assert nips(engine, by_year, tahun="2017abc") == ["0001"]
    else:
        with pytest.raises(QueryFailed):
            nips(engine, by_year, tahun="2017abc")
    # The draft of what may not run returns its parameters, and no row of the table.
    unfinished = made("WHERE `nip` = ''@@AND `tahun` = 1; DROP TABLE x")
    assert nips(engine, unfinished, nip="0001") == ["0001"]
    assert unfinished.sql.splitlines()[-1] == "SELECT :nip AS p1"
