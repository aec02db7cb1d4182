"""A running bus with one service that has every type, for clients and for those who mean ill."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import urllib3
from django.conf import settings

from tests.proxy.upstream import Answer, Asked, upstream
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import free_port, wait_until

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
                  fields={"nomor": "integer", "teks": "text", "desimal": "decimal"}, row_cap=200_000),
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


def _answer(asked: Asked) -> Answer:
    """A document; who asks for panjang-… gets one with a name of its own that is 100 KB long."""
    long = asked.path.partition("panjang-")[2]
    return Answer(json.dumps({long + "n" * 100_000: 1} if long else DOCUMENT).encode())


@dataclass
class Running:
    """The bus, its address and a key for all of its operations."""

    base: str
    key: str
    var: Path
    source: PostgreSQLServer
    process: subprocess.Popen[bytes]
    http: urllib3.PoolManager

    @property
    def url(self) -> str:
        return f"{self.base}/soap/prov/jenis"

    def worker(self) -> int:
        """The process id of its only worker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (worker,) = children
        return int(worker)

    def ended(self) -> dict[str, dict[str, Any]]:
        """The journal's last word on each call, by request id."""
        found = {}
        for segment in (self.var / "journal").glob("*.journal"):
            for line in segment.read_bytes().splitlines():
                said = json.loads(line.rpartition(b" ")[0])
                if said["t"] == "end":
                    found[said["id"]] = said
        return found

    def log(self) -> str:
        return (self.var / "log").read_text(errors="replace")


def _ready(http: urllib3.PoolManager, url: str) -> bool:
    try:
        return http.request("GET", url, retries=False, timeout=5).status == 200
    except urllib3.exceptions.HTTPError:
        return False


@contextmanager
def bus(source: PostgreSQLServer) -> Iterator[Running]:
    """Serve the bus by gunicorn with one worker, the tables in a real PostgreSQL, until the block is over."""
    with psycopg2.connect(source.dsn()) as connection, connection.cursor() as cursor:
        cursor.execute(_TABLES)
    connection.close()
    var = Path(tempfile.mkdtemp(prefix="mantra-soap-"))
    for name in ("journal", "static", "sources"):
        (var / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MANTRA_", "AUDIT_"))}
    port = free_port()
    environment = kept | {
        "DJANGO_SETTINGS_MODULE": "mantra.settings",
        "MANTRA_VAR_DIR": str(var),
        "MANTRA_SECRET_KEY": secrets.token_urlsafe(48),
        "MANTRA_FIELD_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "MANTRA_KEY_PEPPERS": "1:" + secrets.token_hex(16),
        "MANTRA_JOURNAL_KEY": secrets.token_hex(16),
        "MANTRA_UPSTREAM_NETWORKS": "127.0.0.0/8",
        "SOURCE_PASSWORD": source.password,
        "WEB_CONCURRENCY": "1",
        "PORT": str(port),
    }

    def manage(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    http = urllib3.PoolManager()
    with upstream(_answer) as far:
        (var / "definisi.yaml").write_text(json.dumps(_bundle(source.port, source.database, source.user, far.url)))
        manage("migrate", "--verbosity", "0")
        manage("apply_definitions", str(var / "definisi.yaml"))
        key = manage("issue_key", "kons/app")
        with (var / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "mantra.wsgi:application"],
                cwd=settings.BASE_DIR, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            base = f"http://127.0.0.1:{port}"
            wait_until(lambda: _ready(http, f"{base}/readyz"), 60, "the bus")
            yield Running(base, key, var, source, process, http)
        finally:
            process.terminate()
            process.wait(60)
            shutil.rmtree(var, ignore_errors=True)
