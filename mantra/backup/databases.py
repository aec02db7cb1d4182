"""The database's part of a backup, by the engine's own means: each copy is of one moment while the bus goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from django.db import connection
from psycopg2.extensions import make_dsn

from mantra.backup.manifest import BackupError

#: Seconds for which an SQLite file may be locked.
_LOCKED_SECONDS = 20.0


class Database(ABC):
    """The bus's database. ``part``: the name of its file in a backup."""

    part: str

    @abstractmethod
    def dump(self, path: Path) -> None:
        """Write the database into a file. Raises BackupError or OSError."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Read a file that dump has written into the database, which has no tables. Raises BackupError or OSError."""

    @abstractmethod
    def check(self) -> None:
        """Raise BackupError if a program that load needs is missing."""

    def clear(self) -> None:
        """Remove all tables."""
        tables = connection.introspection.table_names()
        if tables:
            names = ", ".join(connection.ops.quote_name(table) for table in tables)
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {names} CASCADE")
        connection.close()


class SQLite(Database):
    part = "database.sqlite3"

    @property
    def _path(self) -> Path:
        return Path(connection.settings_dict["NAME"])

    def dump(self, path: Path) -> None:
        connection.ensure_connection()
        try:
            with closing(sqlite3.connect(path)) as copy:
                # All pages in one step: that reads one state, and in WAL mode stops no writer.
                connection.connection.backup(copy, progress=_give_up_after(_LOCKED_SECONDS))
                copy.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise BackupError(f"The database cannot be copied: {error}.") from None

    def load(self, path: Path) -> None:
        part = self._path.with_name(f".{self._path.name}.part")
        shutil.copyfile(path, part)
        os.replace(part, self._path)

    def check(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        connection.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


class PostgreSQL(Database):
    part = "database.dump"
    _package = "postgresql-client, of the server's version or newer"

    def dump(self, path: Path) -> None:
        words = ["-Fc", "--no-owner", "--no-privileges", "--lock-wait-timeout=60s", "-f", str(path), "-d", self._dsn]
        _run(["pg_dump", *words], self._package, PGPASSWORD=self._password)

    def load(self, path: Path) -> None:
        # Functions and the like, which migrations have made in an empty database, are replaced.
        words = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
        _run(["pg_restore", *words, "-d", self._dsn, str(path)], self._package, PGPASSWORD=self._password)

    def check(self) -> None:
        _run(["pg_restore", "--version"], self._package)

    @property
    def _dsn(self) -> str:
        """Where the database is, without the password: other users of this machine see a command's words."""
        wanted = {name: value for name, value in connection.get_connection_params().items() if name != "password"}
        return str(make_dsn(**{name: value for name, value in wanted.items() if isinstance(value, str | int)}))

    @property
    def _password(self) -> str:
        return str(connection.settings_dict["PASSWORD"] or "")


class MariaDB(Database):
    part = "database.sql"
    _package = "mariadb-client"

    def dump(self, path: Path) -> None:
        words = ["--single-transaction", "--quick", "--hex-blob", "--no-tablespaces", "--skip-comments"]
        program = [_either("mariadb-dump", "mysqldump"), *self._server, *words, f"--result-file={path}", self._name]
        _run(program, self._package, MYSQL_PWD=self._password)

    def load(self, path: Path) -> None:
        program = [_either("mariadb", "mysql"), *self._server, self._name]
        _run(program, self._package, given=path, MYSQL_PWD=self._password)

    def check(self) -> None:
        _run([_either("mariadb", "mysql"), "--version"], self._package)

    def clear(self) -> None:
        with connection.constraint_checks_disabled():
            super().clear()

    @property
    def _server(self) -> list[str]:
        given = connection.settings_dict
        host = given["HOST"] or "localhost"
        place = [f"--socket={host}" if host.startswith("/") else f"--host={host}"]
        port = [f"--port={given['PORT']}"] if given["PORT"] else []
        return [*place, *port, f"--user={given['USER']}", "--default-character-set=utf8mb4"]

    @property
    def _name(self) -> str:
        return str(connection.settings_dict["NAME"])

    @property
    def _password(self) -> str:
        return str(connection.settings_dict["PASSWORD"] or "")


def _give_up_after(seconds: float) -> Callable[[int, int, int], None]:
    """Return what Python asks after each attempt of a copy: it would repeat one without end while a lock is held."""
    until = time.monotonic() + seconds

    def attempted(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > until:
            raise BackupError("The database cannot be copied: another process has locked it.")

    return attempted


_ENGINES: dict[str, type[Database]] = {"sqlite": SQLite, "postgresql": PostgreSQL, "mysql": MariaDB}


def own() -> Database:
    """Return the bus's database."""
    return _ENGINES[connection.vendor]()


def _either(*names: str) -> str:
    """Return the first of several programs that is installed, or the first."""
    return next((name for name in names if shutil.which(name)), names[0])


def _run(words: list[str], package: str, given: Path | None = None, **environment: str) -> None:
    """Run a program. Raises BackupError with the last line of its errors, or the package that it is missing."""
    try:
        with open(given or os.devnull, "rb") as standard_input:
            done = subprocess.run(
                words, stdin=standard_input, capture_output=True, env={**os.environ, **environment}, check=False
            )
    except FileNotFoundError:
        raise BackupError(f"{words[0]} is missing: install {package}.") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [""]
        raise BackupError(f"{words[0]} failed. {next((line for line in lines if 'rror' in line), lines[-1])}")
