"""Create the demo's data: a table of 100,000 fictitious civil servants. With --port, set the port of its upstream."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from proxyservices.models import BackendServer

ROWS = 100_000
_LOOP_BACK = r"^http://127\.0\.0\.1:[0-9]+/json/bkn/simpeg$"
_GRADES = ("II/a", "III/a", "III/b", "IV/a")
_TABLE = """
CREATE TABLE pegawai (
    nip TEXT PRIMARY KEY, nama TEXT, golongan TEXT, unit_kerja TEXT, tmt DATE, gaji NUMERIC, aktif INTEGER,
    lahir DATETIME, email TEXT, catatan TEXT
) WITHOUT ROWID
"""


def demo_file() -> Path:
    """Return the path of the demo's SQLite file."""
    return Path(settings.SOURCE_FILE_DIRS[0]) / "bkn" / "simpeg.sqlite3"


class Command(BaseCommand):
    help = "Create the demo's SQLite file, unless it exists."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="port of the bus that the demo's proxy operation calls")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["port"]:
            for server in BackendServer.objects.filter(url__regex=_LOOP_BACK):
                server.url = f"http://127.0.0.1:{options['port']}/json/bkn/simpeg"
                server.save()
            return
        path = demo_file()
        if is_complete(path):
            self.stdout.write(f"{path} is complete.")
            return
        create(path)
        self.stdout.write(f"{path} created: {ROWS} rows.")


def is_complete(path: Path) -> bool:
    """Return True if the table exists with all its rows."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM pegawai").fetchone()
            return bool(count == ROWS)
    except sqlite3.Error:
        return False


def create(path: Path) -> None:
    """Write the file under another name and rename it: readers never see a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        with closing(sqlite3.connect(name)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_TABLE)
            connection.executemany("INSERT INTO pegawai VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows())
            connection.execute("CREATE INDEX pegawai_unit ON pegawai (unit_kerja, nip)")
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def rows() -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the table, always the same."""
    starts = [(date(2000, 1, 1) + timedelta(days=day)).isoformat() for day in range(8000)]
    births = [(datetime(1970, 1, 1, 8) + timedelta(days=day)).isoformat(" ") for day in range(18000)]
    for n in range(1, ROWS + 1):
        yield (
            f"1980{n:014d}",
            f"Pegawai {n}",
            _GRADES[n % 4],
            f"Dinas {n % 37}",
            starts[n % 8000],
            2_500_000 + n,
            n % 2,
            births[n % 18000],
            f"p{n}@contoh.go.id",
            None if n % 5 == 0 else f'catatan & <uji> "{n}"',
        )
