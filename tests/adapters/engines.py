"""Each engine as the contract tests see it: settings that work, and the same things said in its SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters import adapter_class
from adapters.base import Adapter, Limits, Row, Stream
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

LIMITS = Limits(rows=10_000, seconds=10)
WRITES = Limits(rows=100, seconds=10, writes=True)


@dataclass
class Engine:
    """``sql`` holds what the dialects say differently, by name."""

    source: dict[str, Any]
    sql: dict[str, str]
    server: PostgreSQLServer | MariaDBServer | None = None
    schema: str = "main"
    adapters: dict[bool, Adapter] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.source["engine"])

    def adapter(self, **changes: Any) -> Adapter:
        return adapter_class(self.name)({**self.source, **changes})

    def mark(self, sql: str) -> str:
        """A statement written with :name marks, in the adapter's own style. For SQL without other colons."""
        if adapter_class(self.name).paramstyle == "named":
            return sql
        words = sql.replace("%", "%%").split(":")
        return words[0] + "".join(_pyformat(word) for word in words[1:])

    @contextmanager
    def connection(self, writes: bool = False) -> Iterator[tuple[Adapter, Any]]:
        adapter = self.adapter()
        connection = adapter.connect(writes)
        try:
            yield adapter, connection
        finally:
            # Whatever became of it in between: closing twice does no harm.
            connection.close()

    def query(self, sql: str, arguments: Mapping[str, Any] | None = None, limits: Limits = LIMITS) -> list[Row]:
        with self.connection(limits.writes) as (adapter, connection):
            return everything(adapter.run(connection, self.mark(sql), arguments or {}, limits))

    def write(self, sql: str, arguments: Mapping[str, Any] | None = None) -> Stream:
        with self.connection(writes=True) as (adapter, connection):
            return adapter.run(connection, self.mark(sql), arguments or {}, WRITES)


def _pyformat(word: str) -> str:
    length = next((i for i, char in enumerate(word) if not (char.isalnum() or char == "_")), len(word))
    return f"%({word[:length]})s{word[length:]}"


def everything(stream: Stream) -> list[Row]:
    try:
        return [row for batch in stream for row in batch]
    finally:
        stream.close()


POSTGRESQL = {
    "series": "SELECT n, 'baris ' || n AS teks FROM generate_series(1, :last) AS s(n)",
    "slow": "SELECT pg_sleep(30)",
    "slow_rows": "SELECT n, pg_sleep(0.001) FROM generate_series(1, 100000) AS s(n)",
    "exact": "CREATE TABLE exact (id integer PRIMARY KEY, angka numeric(38, 10), teks text, kosong text, besar bigint,"
    " kecil bigint, nip varchar(18), isi bytea, tgl date, waktu timestamp, benar boolean, pecahan double precision)",
    "counter": "CREATE TABLE counter (id integer PRIMARY KEY, nama varchar(40) NOT NULL)",
    "view": "CREATE VIEW counter_view AS SELECT id FROM counter",
}

MARIADB = {
    "series": "SELECT seq, concat('baris ', seq) AS teks FROM seq_1_to_100000 WHERE seq <= :last",
    "slow": "SELECT sleep(30)",
    "slow_rows": "SELECT seq, sleep(0.001) FROM seq_1_to_100000",
    "exact": "CREATE TABLE exact (id integer PRIMARY KEY, angka decimal(38, 10), teks text, kosong text, besar bigint,"
    " kecil bigint, nip varchar(18), isi longblob, tgl date, waktu datetime, benar tinyint(1), pecahan double)"
    " CHARACTER SET utf8mb4",
    "counter": "CREATE TABLE counter (id integer PRIMARY KEY, nama varchar(40) NOT NULL) ENGINE=InnoDB",
    "view": "CREATE VIEW counter_view AS SELECT id FROM counter",
}

_ENDLESS = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {last})"
SQLITE = {
    "series": _ENDLESS.format(last=":last") + " SELECT n, 'baris ' || n AS teks FROM s",
    "slow": _ENDLESS.format(last="1e12") + " SELECT max(n) FROM s",
    # SQLite gives its rows while it works, so a result that takes long is just a long one.
    "slow_rows": _ENDLESS.format(last="1e12") + " SELECT n, n % 7 FROM s",
    "exact": "CREATE TABLE exact (id integer PRIMARY KEY, angka text, teks text, kosong text, besar bigint,"
    " kecil bigint, nip varchar(18), isi blob, tgl date, waktu datetime, benar boolean, pecahan double)",
    "counter": "CREATE TABLE counter (id integer PRIMARY KEY, nama varchar(40) NOT NULL)",
    "view": "CREATE VIEW counter_view AS SELECT id FROM counter",
}


def sqlite_engine(folder: Path) -> Engine:
    path = folder / "data.sqlite3"
    connection = sqlite3.connect(path)
    for name in ("exact", "counter", "view"):
        connection.execute(SQLITE[name])
    connection.close()
    return Engine({"engine": "sqlite", "database": str(path), "roots": [str(folder)]}, SQLITE)


def postgresql_engine(server: PostgreSQLServer) -> Engine:
    return _with_tables(Engine(server.source(), POSTGRESQL, server, schema="public"))


def mariadb_engine(server: MariaDBServer) -> Engine:
    return _with_tables(Engine(server.source(), MARIADB, server, schema="mantra"))


def _with_tables(engine: Engine) -> Engine:
    with engine.connection(writes=True) as (_, connection):
        cursor = connection.cursor()
        cursor.execute("DROP VIEW IF EXISTS counter_view")
        cursor.execute("DROP TABLE IF EXISTS exact, counter")
        for name in ("exact", "counter", "view"):
            cursor.execute(engine.sql[name])
    return engine
