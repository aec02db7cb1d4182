"""A provider's table, an operation on it, and a table of the consumer that is kept equal: on each engine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import MySQLdb
import psycopg2
import pytest
from django.conf import settings
from django.utils import timezone

from dataservices import pool
from dataservices.models import DataOperation, DataSource
from mantra.synchronization import runs
from mantra.synchronization.models import Sync, SyncRun
from mantra.synchronization.worker import Task
from registry.models import Agency, Application, Grant, Service
from registry.snapshot import holder
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

ENGINES = ("sqlite", "postgresql", "mariadb")
#: A column of each type that people have.
COLUMNS = {
    "sqlite": "nik varchar(16) NOT NULL PRIMARY KEY, nama varchar(100), lahir date, gaji decimal(12, 2), anak integer,"
    " diubah datetime",
    "postgresql": "nik varchar(16) PRIMARY KEY, nama varchar(100), lahir date, gaji numeric(12, 2), anak integer,"
    " diubah timestamp",
    "mariadb": "nik varchar(16) PRIMARY KEY, nama varchar(100), lahir date, gaji decimal(12, 2), anak integer,"
    " diubah datetime(6)",
}
NAMES = ("nik", "nama", "lahir", "gaji", "anak", "diubah")
MARKS = {"timestamp": {"sqlite": "datetime", "postgresql": "timestamp", "mariadb": "datetime"}, "flag": "smallint"}

Row = tuple[Any, ...]


@dataclass
class Database:
    """A database, and the source that leads to it."""

    engine: str
    connect: Callable[[], Any]
    schema: str
    values: dict[str, Any]

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement with ``?`` for each value, and commit."""
        text = sql if self.engine == "sqlite" else sql.replace("%", "%%").replace("?", "%s")
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(text, tuple(values)) if values else cursor.execute(text.replace("%%", "%"))
            found = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
        return [tuple(row) for row in found]

    def table(self, name: str, mark: str = "") -> None:
        """Make a table with COLUMNS, and a mark of a kind."""
        self.execute(f"DROP TABLE IF EXISTS {name}")
        kind = MARKS.get(mark, "")
        more = f", dihapus {kind[self.engine] if isinstance(kind, dict) else kind}" if mark else ""
        self.execute(f"CREATE TABLE {name} ({COLUMNS[self.engine]}{more})")

    def put(self, name: str, *rows: Row) -> None:
        for row in rows:
            self.execute(f"DELETE FROM {name} WHERE nik = ?", (row[0],))
            self.execute(f"INSERT INTO {name} ({', '.join(NAMES)}) VALUES (?, ?, ?, ?, ?, ?)", row)

    def rows(self, name: str, columns: Sequence[str] = NAMES, order: str = "nik") -> list[Row]:
        found = self.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY {order}")
        return [tuple(None if value is None else _plain(value) for value in row) for row in found]


def _plain(value: Any) -> str:
    """A value as all drivers agree on it."""
    text = str(value)
    return f"{float(text):.2f}" if text.replace(".", "", 1).isdigit() and "." in text else text


def _sqlite(folder: Path) -> Database:
    path = folder / "data.sqlite3"
    folder.mkdir(parents=True, exist_ok=True)
    sqlite3.connect(path).close()
    return Database("sqlite", lambda: sqlite3.connect(path), "main", {"engine": "sqlite", "database": str(path)})


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], Database]:
    """Return what makes the database of an engine, for files of an agency."""

    def made(engine: str, agency: str) -> Database:
        if engine == "sqlite":
            return _sqlite(Path(settings.SOURCE_FILE_DIRS[0]) / agency / tmp_path.name)
        if engine == "postgresql":
            server: PostgreSQLServer = request.getfixturevalue("postgresql")
            return Database(engine, lambda: psycopg2.connect(server.dsn()), "public", server.source())
        maria: MariaDBServer = request.getfixturevalue("mariadb")
        source = maria.source()
        return Database(
            engine,
            lambda: MySQLdb.connect(
                host="127.0.0.1", port=source["port"], user=source["user"], password=source["password"],
                database=source["database"], charset="utf8mb4",
            ),
            source["database"],
            source,
        )  # fmt: skip

    return made


def data_source(agency: Agency, code: str, database: Database) -> DataSource:
    row = DataSource(agency=agency, code=code, **database.values)
    row.full_clean()
    row.save()
    return row


@dataclass
class Stage:
    """The tables ``orang`` of the provider and ``salinan`` of the consumer, and what connects them."""

    provider: Agency
    consumer: Agency
    application: Application
    operation: DataOperation
    grant: Grant
    target_source: DataSource
    source: Database
    target: Database
    sync: Sync = field(init=False)

    def define(self, mark: str = "", **more: Any) -> Sync:
        """Define the synchronisation of all columns, by the NIK."""
        self.target.table("salinan", mark)
        values: dict[str, Any] = {
            "agency": self.consumer, "code": "orang", "title": "Salinan orang", "operation": self.operation,
            "application": self.application, "source": self.target_source, "schema": self.target.schema,
            "table": "salinan", "columns": [[name, name, name == "nik"] for name in NAMES],
            "deletions": mark or "none", "deleted_column": "dihapus" if mark else "",
        }  # fmt: skip
        self.sync = Sync(**values | more)
        self.sync.full_clean()
        self.sync.save()
        return self.sync

    def change(self, **columns: Any) -> None:
        for name, value in columns.items():
            setattr(self.sync, name, value)
        self.sync.full_clean()
        self.sync.save()

    def run(self, **how: Any) -> SyncRun:
        """Start a run by hand, without the limit unless it says so, and let a new worker make it."""
        how.setdefault("unlimited", True)
        started = runs.start(self.sync, timezone.now(), user="rini", **how)
        work()
        started.refresh_from_db()
        self.sync.refresh_from_db()
        return started

    def wait_for(self, sql: str, number: int) -> None:
        """Wait until a query on the target returns a number."""
        until = time.monotonic() + 60
        while (found := self.target.execute(sql)) != [(number,)]:
            assert time.monotonic() < until, found
            time.sleep(0.02)

    def done(self, **how: Any) -> SyncRun:
        run = self.run(**how)
        assert (run.state, run.problem, run.column) == ("done", "", "")
        return run


def with_rows(stage: Stage, number: int) -> None:
    rows = [person(n) for n in range(number)]
    for start in range(0, number, 200):
        part = rows[start : start + 200]
        marks = ", ".join("(?, ?, ?, ?, ?, ?)" for _ in part)
        stage.source.execute(f"INSERT INTO orang ({', '.join(NAMES)}) VALUES {marks}", [v for row in part for v in row])


def work() -> None:
    """Let a new worker do one round, as after a start."""
    Task().round()


def numbers(run: SyncRun) -> tuple[int, int, int, int, int]:
    return run.read, run.inserted, run.updated, run.unchanged, run.deleted


def person(number: int, nama: str = "", **more: Any) -> Row:
    values = {"lahir": f"19{70 + number % 30}-01-02", "gaji": f"{number}.50", "anak": number % 4,
              "diubah": "2026-11-01 08:30:00"} | more  # fmt: skip
    return (f"{3_500_000_000_000_000 + number}", nama or f"Orang {number}", *values.values())


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.EXPORT_DIR = tmp_path / "exports"
    return tmp_path / "exports"


@pytest.fixture(autouse=True)
def fresh_pools() -> Iterator[None]:
    yield
    pool.dispose_unused(set())


def assemble(source: Database, target: Database) -> Stage:
    provider = Agency.objects.create(code="prov", name="Dinas Penyedia")
    consumer = Agency.objects.create(code="kons", name="Dinas Konsumen")
    source.table("orang")
    service = Service.objects.create(agency=provider, code="data", title="Data")
    operation = DataOperation(
        service=service, code="orang", title="Orang", source=data_source(provider, "asal", source),
        sql=f"SELECT {', '.join(NAMES)} FROM orang ORDER BY nik", state="published", max_rows=100_000,
    )  # fmt: skip
    operation.full_clean()
    operation.save()
    application = Application.objects.create(agency=consumer, code="app", title="Aplikasi")
    grant = Grant.objects.create(application=application, operation=operation, purpose="uji")
    holder.refresh()
    return Stage(
        provider, consumer, application, operation, grant, data_source(consumer, "tujuan", target), source, target
    )


@pytest.fixture(params=ENGINES)
def stage(request: pytest.FixtureRequest, db: None, database: Any) -> Stage:
    """Source and target on the same engine."""
    return assemble(database(request.param, "prov"), database(request.param, "kons"))


@pytest.fixture(params=ENGINES[1:])
def servers(request: pytest.FixtureRequest, db: None, database: Any) -> Stage:
    """The same, on servers only."""
    return assemble(database(request.param, "prov"), database(request.param, "kons"))


@pytest.fixture
def files(db: None, database: Any) -> Stage:
    """Source and target in files of SQLite, for what no engine does otherwise."""
    return assemble(database("sqlite", "prov"), database("sqlite", "kons"))


def later(days: int) -> Any:
    return timezone.now() + timedelta(days=days)
