"""A bus of the benchmark's own: its folder, its definitions, its gunicorn."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from tests.servers.bus import GUNICORN, children, command_line
from tests.servers.database import migrated
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import ending_with_us, free_port, wait_until
from tests.servers.surroundings import environment

ROOT = Path(__file__).resolve().parent.parent
ROWS, MANY = 100_000, 1_000_000
KEY = "abcdefghij"
MANY_KEY = "bbbbbbbbbb"
VERIFY_KEY = "cccccccccc"

COLUMNS = ("nip", "nama", "golongan", "unit_kerja", "tmt", "gaji", "aktif", "lahir", "email", "catatan")

_TABLE = """
CREATE TABLE IF NOT EXISTS {name} (
    nip varchar(18) PRIMARY KEY, nama varchar(100), golongan varchar(5), unit_kerja varchar(100), tmt date,
    gaji decimal(12,2), aktif smallint, lahir timestamp, email varchar(100), catatan text
);
INSERT INTO {name}
SELECT '1980' || lpad(n::text, 14, '0'), 'Pegawai ' || n, (ARRAY['II/a', 'III/a', 'III/b', 'IV/a'])[n % 4 + 1],
    'Dinas ' || n % 37, date '2000-01-01' + n % 8000, 2500000 + n, n % 2,
    timestamp '1970-01-01 08:00:00' + n % 18000 * interval '1 day', 'p' || n || '@contoh.go.id',
    CASE WHEN n % 5 <> 0 THEN 'catatan & <uji> "' || n || '"' END
FROM generate_series(1, {rows}) AS n;
VACUUM ANALYZE {name};
"""

_BUNDLE = """
agencies:
  - {{code: bkn, name: BKN}}
  - {{code: dukcapil, name: Dukcapil}}
sources:
  - {{agency: bkn, code: db, engine: postgresql, host: 127.0.0.1, port: {port}, database: {database}, user: {user},
     password: "env:BENCH_PASSWORD", pool_size: 8}}
services:
  - agency: bkn
    code: simpeg
    title: Simpeg
    operations:
      - code: pegawai_by_nip
        kind: data
        title: One
        source: db
        access: restricted
        state: published
        max_rows: 10
        timeout_ms: 5000
        sql: "SELECT {columns} FROM pegawai WHERE nip = :nip"
        parameters:
          - {{name: nip, subject: true}}
      - code: cek_pegawai
        kind: verification
        title: Verify one
        base: bkn/simpeg/pegawai_by_nip
        state: published
        verified_fields:
          - {{name: nama, rule: text}}
          - {{name: tanggal_lahir, column: lahir, rule: date}}
      - code: semua
        kind: data
        title: All
        source: db
        access: restricted
        state: published
        max_rows: {many}
        timeout_ms: 600000
        sql: "SELECT {columns} FROM pegawai_banyak"
applications:
  - agency: dukcapil
    code: siak
    title: Siak
    keys:
      - {{legacy: {key}, operation: bkn/simpeg/pegawai_by_nip}}
      - {{legacy: {many_key}, operation: bkn/simpeg/semua}}
      - {{legacy: {verify_key}, operation: bkn/simpeg/cek_pegawai}}
    grants:
      - {{operation: bkn/simpeg/pegawai_by_nip, purpose: bench}}
      - {{operation: bkn/simpeg/semua, purpose: bench}}
      - {{operation: bkn/simpeg/cek_pegawai, purpose: bench}}
"""


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that a process's threads have used; one that ends takes its own with it."""
    used = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            used += int((task / "schedstat").read_text().split()[0])
    return used / 1e9


@dataclass
class Gunicorn:
    """A running gunicorn. ``environment`` is what it was given on top of the bus's own."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path

    def workers(self) -> list[int]:
        """The process ids of its workers: those children that are no shipper."""
        return [pid for pid in children(self.process.pid) if "ship_journal" not in command_line(pid)]

    def cpu(self) -> float:
        """Seconds of CPU that its workers have used."""
        return sum(cpu_seconds(pid) for pid in self.workers())

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Bench:
    """What every measurement needs: the database, and a registry that knows it."""

    server: PostgreSQLServer
    folder: Path
    environment: dict[str, str]
    _many: bool = False
    _running: list[Gunicorn] = field(default_factory=list)

    def connection(self) -> Any:
        return psycopg2.connect(self.server.dsn())

    def cpu(self) -> float:
        """Seconds of CPU that the database's sessions have used; a session that has ended takes its own with it."""
        assert self.server.process is not None
        return sum(cpu_seconds(pid) for pid in children(self.server.process.pid))

    def fill(self, name: str, rows: int) -> None:
        connection = self.connection()
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in _TABLE.format(name=name, rows=rows).split(";\n"):
                if statement.strip():
                    cursor.execute(statement)
        connection.close()

    def many(self) -> None:
        """See to it that the table of a million rows is there."""
        if not self._many:
            self.fill("pegawai_banyak", MANY)
            self._many = True

    @contextmanager
    def gunicorn(
        self,
        application: str = "mantra.wsgi:application",
        workers: int = 2,
        threads: int = 16,
        worker_class: str = "",
        **environment: str,
    ) -> Iterator[Gunicorn]:
        """Serve an application with the bus's own gunicorn configuration. Each has a journal of its own.

        ``worker_class``: one of gunicorn's in the place of the configuration's.
        """
        folder = Path(tempfile.mkdtemp(prefix="serve-", dir=self.folder))
        (folder / "journal").mkdir()
        port = free_port()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ending_with_us([*GUNICORN, *(["-k", worker_class] if worker_class else []), application]),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={
                    **self.environment,
                    "HOST": "127.0.0.1",
                    "PORT": str(port),
                    "WEB_CONCURRENCY": str(workers),
                    "WEB_THREADS": str(threads),
                    "MANTRA_JOURNAL_DIR": str(folder / "journal"),
                    **environment,
                },
            )
        found = Gunicorn(port, process, folder)
        try:
            wait_until(lambda: process.poll() is not None or _ready(port), 60, application)
            if process.poll() is not None:
                raise RuntimeError((folder / "log").read_text(errors="replace")[-2000:])
            yield found
        finally:
            found.end()


def _ready(port: int) -> bool:
    """Whether a worker answers, and has its picture of the book."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/readyz", timeout=5
        ):
            return True
    except OSError:
        return False


def manage(environment: dict[str, str], *words: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
    )


@contextmanager
def bench() -> Iterator[Bench]:
    """The database and the registry, until the measurements are over."""
    folder = Path(tempfile.mkdtemp(prefix="mantra-bench-"))
    with PostgreSQLServer() as server:
        # Several buses and their peers keep connections at the same time.
        server.stop()
        server.options = ["-c", "max_connections=400"]
        server.start()
        try:
            made = Bench(server, folder, environment(folder, BENCH_PASSWORD=server.password))
            made.fill("pegawai", ROWS)
            made.fill("pegawai_banyak", 0)  # its columns are looked at when the operation is published
            bundle = folder / "bench.yaml"
            bundle.write_text(
                _BUNDLE.format(
                    port=server.port,
                    database=server.database,
                    user=server.user,
                    columns=", ".join(COLUMNS),
                    many=MANY,
                    key=KEY,
                    many_key=MANY_KEY,
                    verify_key=VERIFY_KEY,
                )
            )
            shutil.copy(migrated(), folder / "mantra.sqlite3")
            manage(made.environment, "apply_definitions", str(bundle), "--reason", "measurement")
            yield made
        finally:
            shutil.rmtree(folder, ignore_errors=True)
