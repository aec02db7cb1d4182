"""A running bus with one service that has every type, for clients and for those who mean ill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from tests.proxy.upstream import Answer, Received, serve_upstream
from tests.servers.bus import Bus
from tests.servers.postgresql import PostgreSQLServer

_TABLES = """
    DROP TABLE IF EXISTS jenis, catatan;
    CREATE TABLE jenis (
        nomor integer PRIMARY KEY, teks text, bulat bigint, desimal numeric, pecahan double precision, ya boolean,
        hari date, jam time, saat timestamp, zona timestamptz, lama interval, bita bytea, jason jsonb, kode uuid
    );
    INSERT INTO jenis VALUES
        (1, 'Café & <b> "q" ]]> \U0001f600 名', 9223372036854775807, 12345678901234567890.1230, 1.5e300, true,
         '2024-02-29', '08:00:00.5', '2026-01-31 08:00:00.123456', '2026-01-31 08:00:00+07', '1 day 02:03:04',
         '\\x00ff', '{"a": [1, null]}', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'),
        (2, '', -9223372036854775808, 0.00, '-Infinity', false, '0001-01-01', '23:59:59', '9999-12-31 23:59:59',
         '1970-01-01 00:00:00+00', '0', '', '[]', '00000000-0000-0000-0000-000000000000');
    INSERT INTO jenis (nomor) VALUES (3);
    CREATE TABLE catatan (nomor serial PRIMARY KEY, isi text);
"""
#: The columns and the types that they are declared to be.
COLUMNS = {
    "nomor": "integer", "teks": "text", "bulat": "integer", "desimal": "decimal", "pecahan": "float", "ya": "boolean",
    "hari": "date", "jam": "time", "saat": "datetime", "zona": "datetime", "lama": "interval", "bita": "bytes",
    "jason": "json", "kode": "uuid",
}  # fmt: skip
#: Every parameter type: what SQL makes of it, and what it comes back as.
PARAMETERS = {
    "teks": ("text", "text"), "bulat": ("bigint", "integer"), "desimal": ("numeric", "decimal"),
    "ya": ("boolean", "boolean"), "hari": ("date", "date"), "saat": ("timestamp", "datetime"),
    "pilihan": ("text", "text"), "nik": ("text", "text"), "npwp": ("text", "text"),
}  # fmt: skip
_TYPES = {
    "teks": "text", "bulat": "integer", "desimal": "decimal", "ya": "boolean", "hari": "date", "saat": "datetime",
    "pilihan": "choice", "nik": "nik", "npwp": "npwp",
}  # fmt: skip

#: What a client has to hand back of the first two rows and of the echo, in XSD's own words; of the third all is NULL.
FIRST = {
    "nomor": "1", "teks": 'Café & <b> "q" ]]> \U0001f600 名', "bulat": "9223372036854775807",
    "desimal": "12345678901234567890.1230", "pecahan": "1.5e+300", "ya": "true", "hari": "2024-02-29",
    "jam": "08:00:00.5", "saat": "2026-01-31T08:00:00.123456", "zona": "2026-01-31T08:00:00+07:00",
    "lama": "P1DT2H3M4S", "bita": "AP8=", "jason": '{"a": [1, null]}', "kode": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
}  # fmt: skip
SECOND = {
    "nomor": "2", "teks": "", "bulat": "-9223372036854775808", "desimal": "0.00", "pecahan": "-INF", "ya": "false",
    "hari": "0001-01-01", "jam": "23:59:59", "saat": "9999-12-31T23:59:59", "zona": "1970-01-01T07:00:00+07:00",
    "lama": "PT0S", "bita": "", "jason": "[]", "kode": "00000000-0000-0000-0000-000000000000",
}  # fmt: skip
THIRD = dict.fromkeys(COLUMNS) | {"nomor": "3"}
ECHO = {
    "teks": "  Sitī & <Budi> \U0001f600 ", "bulat": "9007199254740993", "desimal": "12345678901234567.1250",
    "ya": "true", "hari": "2026-01-31", "saat": "2026-01-31T08:00:00", "pilihan": "dua & tiga",
    "nik": "3171011201850001", "npwp": "013000666091000",
}  # fmt: skip
DOCUMENT = {"nama": "Siti 007", "anak": [{"umur": 4}, None], "alamat": None, "1 x": True}


def _bundle(port: int, database: str, user: str, upstream_url: str) -> dict[str, Any]:
    def operation(code: str, sql: str, *parameters: dict[str, Any], fields: dict[str, str], **more: Any) -> Any:
        return {
            "code": code, "kind": "data", "source": "db", "state": "published", "access": "restricted",
            "title": f"Operasi {code} & lain", "sql": sql, "parameters": list(parameters),
            "fields": [{"name": name, "type": kind} for name, kind in fields.items()], **more,
        }  # fmt: skip

    echoed = [
        {"name": name, "type": kind, "required": False} | ({"choices": "satu\ndua & tiga"} if kind == "choice" else {})
        for name, kind in _TYPES.items()
    ]
    casts = ", ".join(f"CAST(:{name} AS {sql}) AS {name}" for name, (sql, _type) in PARAMETERS.items())
    columns = ", ".join(COLUMNS)
    operations = [
        operation("nilai", f"SELECT {columns} FROM jenis ORDER BY nomor", fields=COLUMNS),
        operation("gema", f"SELECT {casts}", *echoed, fields={name: kind for name, (_s, kind) in PARAMETERS.items()}),
        operation("satu", "SELECT nomor, teks FROM jenis WHERE nomor = :id",
                  {"name": "id", "type": "integer", "min": "0"}, fields={"nomor": "integer", "teks": "text"}),
        operation("kosong", "SELECT nomor FROM jenis WHERE nomor < 0", fields={"nomor": "integer"}),
        operation("bebas", 'SELECT nomor, teks AS "nama lengkap" FROM jenis WHERE nomor <> 2 ORDER BY 1', fields={}),
        operation("catat", "INSERT INTO catatan (isi) VALUES (:isi)", {"name": "isi"}, fields={}, writes=True),
        operation("banyak", "SELECT n AS nomor, 'Orang ' || n AS teks, n + 0.50 AS desimal "
                  "FROM generate_series(1, CAST(:jumlah AS integer)) AS n", {"name": "jumlah", "type": "integer"},
                  fields={"nomor": "integer", "teks": "text", "desimal": "decimal"}, max_rows=200_000),
        {"code": "telusur", "kind": "proxy", "style": "rest", "method": "GET", "path": "/orang", "state": "published",
         "access": "restricted", "title": "Telusur", "parameters": [{"name": "nip"}],
         "upstreams": [{"url": upstream_url}]},
    ]  # fmt: skip
    return {
        "agencies": [{"code": "prov", "name": "Penyedia"}, {"code": "kons", "name": "Konsumen"}],
        "sources": [{
            "agency": "prov", "code": "db", "engine": "postgresql", "host": "127.0.0.1", "port": port,
            "database": database, "user": user, "password": "env:SOURCE_PASSWORD",
        }],
        "services": [{"agency": "prov", "code": "jenis", "title": "Segala jenis", "operations": operations}],
        "applications": [{
            "agency": "kons", "code": "app", "title": "Aplikasi",
            "grants": [{"operation": f"prov/jenis/{each['code']}", "purpose": "uji"} for each in operations],
        }],
    }  # fmt: skip


def _answer(received: Received) -> Answer:
    """A document; who asks for panjang-… gets one with a name of its own that is 100 KB long."""
    long = received.path.partition("panjang-")[2]
    return Answer(json.dumps({long + "n" * 100_000: 1} if long else DOCUMENT).encode())


class Running(Bus):
    """The bus, with a key for all operations of its one service."""

    source: PostgreSQLServer

    @property
    def url(self) -> str:
        return f"{self.base}/soap/prov/jenis"

    def worker(self) -> int:
        """The process id of its only worker."""
        (worker,) = self.workers()
        return worker


@contextmanager
def bus(source: PostgreSQLServer, var: Path) -> Iterator[Running]:
    """Serve the bus by gunicorn with one worker, the tables in a real PostgreSQL, until the block is over."""
    with psycopg2.connect(source.dsn()) as connection, connection.cursor() as cursor:
        cursor.execute(_TABLES)
    connection.close()
    environment = {
        "MANTRA_UPSTREAM_NETWORKS": "127.0.0.0/8", "SOURCE_PASSWORD": source.password, "WEB_CONCURRENCY": "1"
    }  # fmt: skip
    with serve_upstream(_answer) as far:
        bundle = _bundle(source.port, source.database, source.user, far.url)
        with Running(var, bundle, "kons/app", **environment) as made:
            made.source = source
            yield made
