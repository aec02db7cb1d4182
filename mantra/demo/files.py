"""The demo's SQLite files, below the folder of source files of each agency."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from mantra.demo import civil_servants, recipients, residents


@dataclass(frozen=True, slots=True)
class DemoFile:
    """A file with one table."""

    #: The agency's folder, and the file's name in it.
    agency: str
    name: str
    table: str
    rows: int
    fill: Callable[[sqlite3.Connection], None]

    @property
    def path(self) -> Path:
        return Path(settings.SOURCE_FILE_DIRS[0]) / self.agency / self.name

    def is_complete(self) -> bool:
        """Return True if the table exists with all its rows."""
        if not self.path.is_file():
            return False
        try:
            with closing(sqlite3.connect(self.path)) as connection:
                (count,) = connection.execute(f"SELECT count(*) FROM {self.table}").fetchone()  # noqa: S608
                return bool(count == self.rows)
        except sqlite3.Error:
            return False

    def create(self) -> None:
        """Write the file under another name and rename it: readers never see a part of it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path.parent, suffix=".part")
        os.close(handle)
        try:
            with closing(sqlite3.connect(name)) as connection, connection:
                connection.execute("PRAGMA synchronous = OFF")
                self.fill(connection)
            Path(name).chmod(0o644)
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


CIVIL_SERVANTS = DemoFile("bkn", "simpeg.sqlite3", "pegawai", civil_servants.NUMBER, civil_servants.fill)
RESIDENTS = DemoFile("dukcapil", "siak.sqlite3", "penduduk", residents.NUMBER, residents.fill)
RECIPIENTS = DemoFile("dinsos", "bansos.sqlite3", "penerima", recipients.NUMBER, recipients.fill)
FILES = (CIVIL_SERVANTS, RESIDENTS, RECIPIENTS)
