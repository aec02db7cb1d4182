"""SQL Server and Sybase as the contract tests see them: our own responder, or a real server by environment variable.

tests/servers/real.py has the variables; the account must own an empty database. What needs a server that can be
stopped is then left out.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from adapters.base import Adapter
from adapters.sqlserver import SQLServer
from adapters.sybase import Sybase
from tests.adapters.engines import Engine, _pyformat
from tests.servers import real
from tests.servers.tds import TDSServer

CLASSES: dict[str, type[Adapter]] = {"sqlserver": SQLServer, "sybase": Sybase}

_NUMBERS = "WITH s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {last})"
SQLSERVER = {
    "series": _NUMBERS.format(last=":last")
    + " SELECT n, CONCAT('baris ', n) AS teks FROM s WHERE n <= :last OPTION (MAXRECURSION 0)",
    "slow": "WAITFOR DELAY '00:00:30'",
    "slow_rows": _NUMBERS.format(last="1000000000") + " SELECT n, n + 1 AS m FROM s OPTION (MAXRECURSION 0)",
    "exact": "CREATE TABLE exact (id int PRIMARY KEY, angka decimal(38, 10), teks nvarchar(max), kosong nvarchar(max),"
    " besar bigint, kecil bigint, nip varchar(18), isi varbinary(max), tgl date, waktu datetime2(0), benar bit,"
    " pecahan float)",
    "counter": "CREATE TABLE counter (id int PRIMARY KEY, nama varchar(40) NOT NULL)",
    "view": "CREATE VIEW counter_view AS SELECT id FROM counter",
}
SYBASE = {
    "series": "SELECT n, 'baris ' + convert(varchar(10), n) AS teks FROM deret WHERE n <= :last ORDER BY n",
    "slow": "WAITFOR DELAY '00:00:30'",
    "slow_rows": "SELECT a.n, b.n AS m FROM deret a, deret b",
    "exact": "CREATE TABLE exact (id int PRIMARY KEY, angka decimal(38, 10) NULL, teks univarchar(200) NULL,"
    " kosong univarchar(200) NULL, besar bigint NULL, kecil bigint NULL, nip varchar(18) NULL, isi varbinary(256) NULL,"
    " tgl date NULL, waktu datetime NULL, benar tinyint NULL, pecahan float NULL)",
    "counter": "CREATE TABLE counter (id int PRIMARY KEY, nama varchar(40) NOT NULL)",
    "view": "CREATE VIEW counter_view AS SELECT id FROM counter",
}


class TDSEngine(Engine):
    @property
    def real(self) -> bool:
        return self.server is None

    def adapter(self, **changes: Any) -> Adapter:
        # The other engines' word for it.
        if changes.pop("sslmode", "") == "require" or changes.pop("ssl_mode", "") == "REQUIRED":
            changes["encryption"] = "require"
        changes.pop("ssl_mode", None)
        return CLASSES[self.name]({**self.source, **changes})

    def mark(self, sql: str) -> str:
        words = sql.replace("%", "%%").split(":")
        return words[0] + "".join(_pyformat(word) for word in words[1:])


def with_tables(engine: TDSEngine) -> TDSEngine:
    """The engine with the contract's tables, empty."""
    with engine.connection(writes=True) as (_, connection):
        for drop in ("DROP VIEW counter_view", "DROP TABLE exact", "DROP TABLE counter"):
            with suppress(Exception):
                connection.raw.execute(drop)
        for name in ("exact", "counter", "view"):
            connection.raw.execute(engine.sql[name])
        if engine.name == "sybase":
            _series(connection.raw)
    return engine


def _series(raw: Any) -> None:
    """A table of the numbers 1 to 100,000, which Sybase cannot count by itself."""
    with suppress(Exception):
        if raw.execute("SELECT count(*) FROM deret").fetchone()[0] == 100_000:
            return
    with suppress(Exception):
        raw.execute("DROP TABLE deret")
    raw.execute("CREATE TABLE deret (n int PRIMARY KEY)")
    raw.execute("INSERT INTO deret VALUES (1)")
    for power in range(17):
        raw.execute(f"INSERT INTO deret (n) SELECT n + {2**power} FROM deret WHERE n <= {100_000 - 2**power}")


def engine_of(name: str, server: TDSServer | None) -> TDSEngine:
    source = real.source(name) if server is None else server.source()
    sql = SQLSERVER if name == "sqlserver" else SYBASE
    return with_tables(TDSEngine(source, sql, server, schema="dbo"))  # type: ignore[arg-type]
