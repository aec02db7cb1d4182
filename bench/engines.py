"""Each engine: one row, 10,000 and 100,000 rows through the bus, against its driver's plain loop in the same run."""

from __future__ import annotations

import http.client
import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import MySQLdb
import psycopg2.extensions
import yaml

from adapters import adapter_class
from bench.bare import NIP
from bench.bus import COLUMNS, ROOT, ROWS, Bench, Gunicorn, manage
from tests import dbf_writer
from tests.dbf_writer import F
from tests.servers.mariadb import MariaDBServer
from tests.servers.oracle import OracleServer
from tests.servers.tds import TDSServer

ROUNDS = 3
SECONDS = 1.5
SOME = 10_000

ONE = f"SELECT {', '.join(COLUMNS)} FROM pegawai WHERE nip = :nip"
UP_TO = f"SELECT {', '.join(COLUMNS)} FROM pegawai WHERE nip <= :nip"

Row = tuple[Any, ...]


def rows() -> Iterator[Row]:
    """What each engine's table holds: the rows of bench/bus.py."""
    for n in range(1, ROWS + 1):
        yield (
            NIP % n, f"Pegawai {n}", ("II/a", "III/a", "III/b", "IV/a")[n % 4], f"Dinas {n % 37}",
            f"20{n % 25:02}-0{n % 9 + 1}-{n % 28 + 1:02}", f"{2_500_000 + n}.00", n % 2,
            f"19{n % 30 + 70}-0{n % 9 + 1}-{n % 28 + 1:02} 08:00:00", f"p{n}@contoh.go.id",
            f'catatan & <uji> "{n}"' if n % 5 else None,
        )  # fmt: skip


def _table(varchar: str, date: str, number: str, small: str, moment: str, null: str = "") -> str:
    return (
        f"CREATE TABLE pegawai (nip {varchar}(18) PRIMARY KEY, nama {varchar}(100){null}, golongan {varchar}(5){null},"
        f" unit_kerja {varchar}(100){null}, tmt {date}{null}, gaji {number}(12,2){null}, aktif {small}{null},"
        f" lahir {moment}{null}, email {varchar}(100){null}, catatan {varchar}(200){null})"
    )


@dataclass
class Engine:
    """``source`` is a data source of it; ``path`` the SQLite file that the driver's loop reads, for files."""

    name: str
    source: dict[str, Any]
    path: Callable[[], str] = str
    #: What a reader should know of the counterpart.
    note: str = ""
    #: Which of the ratios is held against the target: a server written in Python hides in its own wall time what
    #: the bus takes, so that there the client's CPU counts.
    judged: str = "wall"
    #: A DBF file, which dbfread's own loop reads too.
    file: str = ""

    def task(self, what: str, sql: str, **more: Any) -> dict[str, Any]:
        engine = self.source["engine"]
        return {"engine": engine, "source": self.source, "path": self.path(), "what": what, "sql": sql, **more}


def _inserted(cursor: Any, mark: str) -> None:
    batch: list[Row] = []
    sql = f"INSERT INTO pegawai VALUES ({', '.join([mark] * len(COLUMNS))})"
    for row in rows():
        batch.append(row)
        if len(batch) == 5000:
            cursor.executemany(sql, batch)
            batch.clear()
    cursor.executemany(sql, batch)


def _postgresql(bench: Bench, stack: ExitStack) -> Engine:
    # The table of the other measurements lies there already.
    return Engine("postgresql", bench.server.source())


def _mariadb(bench: Bench, stack: ExitStack) -> Engine:
    server = stack.enter_context(MariaDBServer())
    connection = MySQLdb.connect(
        host="127.0.0.1", port=server.port, user=server.user, password=server.password, database=server.database
    )
    cursor = connection.cursor()
    cursor.execute(_table("varchar", "date", "decimal", "smallint", "datetime"))
    _inserted(cursor, "%s")
    connection.commit()
    cursor.execute("ANALYZE TABLE pegawai")
    connection.close()
    return Engine("mariadb", server.source())


def _tds(engine: str, bench: Bench, stack: ExitStack) -> Engine:
    server = stack.enter_context(TDSServer(engine))
    adapter = adapter_class(engine)(server.source())
    connection = adapter.connect(True)
    moment = "datetime" if engine == "sybase" else "datetime2(0)"
    connection.raw.execute(_table("varchar", "date", "decimal", "smallint", moment, " NULL"))
    connection.close()
    with sqlite3.connect(server.folder / "data.sqlite3") as behind:
        # The responder compares numbers by a collation of its own, which no index here is of.
        behind.create_collation("tdsnumber", lambda a, b: (a > b) - (a < b))
        _inserted(behind.cursor(), "?")
    behind.close()
    return Engine(engine, server.source(), note="the server is the tests' responder in Python", judged="cpu")


def _sqlserver(bench: Bench, stack: ExitStack) -> Engine:
    return _tds("sqlserver", bench, stack)


def _sybase(bench: Bench, stack: ExitStack) -> Engine:
    return _tds("sybase", bench, stack)


def _oracle(bench: Bench, stack: ExitStack) -> Engine:
    server = stack.enter_context(OracleServer())
    source = server.source()
    adapter = adapter_class("oracle")(source)
    connection = adapter.connect(True)
    connection.cursor().execute(_table("VARCHAR2", "DATE", "NUMBER", "NUMBER(5)", "DATE"))
    connection.commit()
    connection.close()
    behind = server.storage.superuser()
    cursor = behind.cursor()
    cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'pegawai'")
    schema = cursor.fetchone()[0]
    _copied(cursor, f'"{schema}".pegawai')
    behind.close()
    return Engine("oracle", source, note="the server is seerdb's mirror in Python", judged="cpu")


def _copied(cursor: psycopg2.extensions.cursor, table: str) -> None:
    lines = ["\t".join("\\N" if value is None else str(value) for value in row) for row in rows()]
    cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO("\n".join(lines)))
    cursor.execute(f"ANALYZE {table}")


def _folder(bench: Bench) -> Path:
    found = bench.folder / "sources" / "bkn"
    found.mkdir(exist_ok=True)
    return found


def _sqlite(bench: Bench, stack: ExitStack) -> Engine:
    path = _folder(bench) / "pegawai.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute(_table("varchar", "date", "decimal", "smallint", "datetime"))
        _inserted(connection.cursor(), "?")
    connection.close()
    return Engine("sqlite", {"engine": "sqlite", "database": path.name}, lambda: str(path))


_FIELDS = [
    F("NIP", "C", 18), F("NAMA", "C", 30), F("GOLONGAN", "C", 5), F("UNIT_KERJA", "C", 20), F("TMT", "D", 8),
    F("GAJI", "N", 12, 2), F("AKTIF", "N", 1), F("LAHIR", "D", 8), F("EMAIL", "C", 30), F("CATATAN", "C", 40),
]  # fmt: skip


def _dbase(bench: Bench, stack: ExitStack) -> Engine:
    folder = _folder(bench)

    def cells() -> Iterator[list[bytes]]:
        for row in rows():
            texts = ["" if value is None else str(value) for value in row]
            texts[4], texts[7] = texts[4].replace("-", ""), texts[7][:10].replace("-", "")
            texts[5] = texts[5].rjust(12)
            yield [text.encode() for text in texts]

    path = dbf_writer.write(folder / "pegawai.dbf", _FIELDS, cells())
    note = "the loop reads with sqlite3 the copy that the bus has made of the file"
    source = {"engine": "dbase", "database": "pegawai.dbf"}
    return Engine(
        "dbase", source, lambda: str(next(folder.glob(".mantra-pegawai-*.sqlite3"), "")), note, file=str(path)
    )


ENGINES: dict[str, Callable[[Bench, ExitStack], Engine]] = {
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "sqlserver": _sqlserver,
    "sybase": _sybase,
    "oracle": _oracle,
    "sqlite": _sqlite,
    "dbase": _dbase,
}


# -------------------------------------------------------------------------------------- the bus


def _bundle(engine: Engine) -> dict[str, Any]:
    """The engine's source and its two operations, each with a key of its own."""
    settings = dict(engine.source)
    known = {name: settings.pop(name) for name in ("engine", "host", "port", "database", "user") if name in settings}
    secret = {"password": "env:BENCH_ENGINE_PASSWORD"} if settings.pop("password", "") else {}
    source = {"agency": "bkn", "code": engine.name, **known, **secret, "options": settings, "pool_size": 8}

    def operation(code: str, sql: str) -> dict[str, Any]:
        return {
            "code": f"{engine.name}_{code}", "kind": "data", "title": code, "source": engine.name,
            "access": "restricted", "state": "published", "max_rows": ROWS, "timeout_ms": 600_000, "sql": sql,
            "parameters": [{"name": "nip"}],
        }  # fmt: skip

    service = f"uji_{engine.name}"
    names = {code: f"bkn/{service}/{engine.name}_{code}" for code in ("satu", "banyak")}
    return {
        "sources": [source],
        "services": [{
            "agency": "bkn", "code": service, "title": service,
            "operations": [operation("satu", ONE), operation("banyak", UP_TO)],
        }],
        "applications": [{
            "agency": "dukcapil", "code": service, "title": service,
            "keys": [{"legacy": _key(engine, code), "operation": name} for code, name in names.items()],
            "grants": [{"operation": name, "purpose": "bench"} for name in names.values()],
        }],
    }  # fmt: skip


def _key(engine: Engine, code: str) -> str:
    """Ten letters, as keys of the legacy wire have."""
    return (engine.name + code * 3)[:6].ljust(6, "x") + code[:4]


def _address(engine: Engine, code: str) -> str:
    return f"/rest/bkn/uji_{engine.name}/{engine.name}_{code}.json"


@dataclass
class Client:
    """One kept connection to the bus."""

    engine: Engine
    served: Gunicorn
    connection: http.client.HTTPConnection

    def ask(self, code: str, number: int, rows: int) -> None:
        headers = {"AccessKey": _key(self.engine, code), "User-Agent": "MANTRA"}
        self.connection.request("GET", f"{_address(self.engine, code)}?nip={NIP % number}", headers=headers)
        reply = self.connection.getresponse()
        end = b'"count":%d,"truncated":false}' % rows
        tail, buffer = b"", bytearray(256 * 1024)
        view = memoryview(buffer)
        while count := reply.readinto(view):
            tail = (tail + bytes(view[max(0, count - 64) : count]))[-64:]
        if reply.status != 200 or not tail.endswith(end):
            raise RuntimeError(f"{self.engine.name}: status {reply.status}, end {tail!r}")

    def one(self) -> dict[str, float]:
        number = 0
        for number in range(1, 51):
            self.ask("satu", number, 1)
        wall, cpu, count = time.perf_counter(), self.served.cpu(), 0
        while (now := time.perf_counter()) < wall + SECONDS:
            number = (number * 31 + 7) % ROWS + 1
            self.ask("satu", number, 1)
            count += 1
        return {"wall": (now - wall) / count, "cpu": (self.served.cpu() - cpu) / count}

    def many(self, rows: int) -> dict[str, float]:
        wall, cpu = time.perf_counter(), self.served.cpu()
        self.ask("banyak", rows, rows)
        return {"wall": time.perf_counter() - wall, "cpu": self.served.cpu() - cpu}


@contextmanager
def _client(engine: Engine, served: Gunicorn) -> Iterator[Client]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=600)
    try:
        yield Client(engine, served, connection)
    finally:
        connection.close()


# --------------------------------------------------------------------------------- side by side


def _apart(environment: dict[str, str], task: dict[str, Any]) -> dict[str, float]:
    """A task of bench/bare.py in a process of its own."""
    words = [sys.executable, "-m", "bench.bare", json.dumps(task)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _ratio(found: dict[str, list[dict[str, float]]], bare: str, bus: str, what: str = "wall") -> float:
    """How fast the bus is as a part of the loop's speed: the median over the rounds."""
    return round(median(a[what] / b[what] for a, b in zip(found[bare], found[bus], strict=True)), 3)


def _wall(found: dict[str, list[dict[str, float]]], name: str, what: str = "wall") -> float:
    return median(each[what] for each in found[name])


def _measured(bench: Bench, engine: Engine, served: Gunicorn) -> Iterator[dict[str, Any]]:
    door = engine.task("door", ONE, seconds=SECONDS, key=_key(engine, "satu"), address=_address(engine, "satu"))
    environment = {**bench.environment, "BENCH_ENGINE_PASSWORD": str(engine.source.get("password") or "")}
    environment["MANTRA_JOURNAL_DIR"] = str(served.folder / "journal")
    found: dict[str, list[dict[str, float]]] = {}

    def keep(name: str, took: dict[str, float]) -> None:
        found.setdefault(name, []).append(took)

    with _client(engine, served) as client:
        client.many(ROWS)  # and, of a DBF file, the copy
        for _ in range(ROUNDS):
            keep("one", _apart(environment, engine.task("one", ONE, seconds=SECONDS)))
            keep("door", _apart(environment, door))
            keep("http", client.one())
            keep("many", _apart(environment, engine.task("many", UP_TO, rows=ROWS)))
            keep("bus", client.many(ROWS))
            if engine.file:
                task = engine.task("many", UP_TO, rows=ROWS) | {"engine": "dbfread", "file": engine.file}
                keep("dbfread", _apart(environment, task))
            keep("json", _apart(environment, engine.task("json", UP_TO, rows=SOME)))
            keep("some", client.many(SOME))
    note = {"note": engine.note} if engine.note else {}
    yield {
        "bench": f"{engine.name}-one-row", "ratio": _ratio(found, "one", "door"), "target": 0.35,
        "ok": _ratio(found, "one", "door", engine.judged) >= 0.35, "judged": engine.judged,
        "ratio_cpu": _ratio(found, "one", "door", "cpu"), "ratio_http": _ratio(found, "one", "http"),
        **{f"{name}_us": round(1e6 * _wall(found, name)) for name in ("one", "door", "http")},
        **{f"{name}_cpu_us": round(1e6 * _wall(found, name, "cpu")) for name in ("one", "door", "http")},
        "rounds": ROUNDS, **note,
    }  # fmt: skip
    plain = {"ratio_dbfread": _ratio(found, "dbfread", "bus")} if engine.file else {}
    yield _line(engine, found, "many", "bus", 0.6, ROWS) | plain | note
    yield _line(engine, found, "json", "some", round(1 / 1.3, 2), SOME) | note


def _line(
    engine: Engine, found: dict[str, list[dict[str, float]]], bare: str, bus: str, target: float, rows: int
) -> dict[str, Any]:
    return {
        "bench": f"{engine.name}-{rows}", "value": round(rows / _wall(found, bus)), "unit": "rows/s",
        "ratio": _ratio(found, bare, bus), "target": target,
        "ok": _ratio(found, bare, bus, engine.judged) >= target, "judged": engine.judged,
        "ratio_cpu": _ratio(found, bare, bus, "cpu"), "plain_per_second": round(rows / _wall(found, bare)),
        "plain_cpu_s": round(_wall(found, bare, "cpu"), 3), "cpu_s": round(_wall(found, bus, "cpu"), 3),
        "rounds": ROUNDS,
    }  # fmt: skip


def engines(bench: Bench) -> Iterator[dict[str, Any]]:
    """Every engine in turn; BENCH_ENGINES in the environment names those wanted, with commas between."""
    wanted = [name for name in os.environ.get("BENCH_ENGINES", "").split(",") if name]
    for name in wanted or ENGINES:
        with ExitStack() as stack:
            engine = ENGINES[name](bench, stack)
            bundle = bench.folder / f"{name}.yaml"
            bundle.write_text(yaml.safe_dump(_bundle(engine)))
            password = {"BENCH_ENGINE_PASSWORD": str(engine.source.get("password") or "")}
            manage({**bench.environment, **password}, "apply_definitions", str(bundle), "--reason", "measurement")
            with bench.gunicorn(workers=1) as served:
                yield from _measured(bench, engine, served)
