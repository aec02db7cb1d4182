"""Make the demo's data: a table of 100,000 civil servants that do not exist. With --port, move its proxy along."""

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

from proxyservices.models import Upstream

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
    return Path(settings.SOURCE_FILE_DIRS[0]) / "bkn" / "simpeg.sqlite3"


class Command(BaseCommand):
    help = "Make the SQLite file that the demo's operations read, unless it is there already."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="let the demo's proxy operation call the bus at this port")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["port"]:
            for upstream in Upstream.objects.filter(url__regex=_LOOP_BACK):
                upstream.url = f"http://127.0.0.1:{options['port']}/json/bkn/simpeg"
                upstream.save()
            return
        path = demo_file()
        if complete(path):
            self.stdout.write(f"{path} is complete.")
            return
        make(path)
        self.stdout.write(f"{path} was made: {ROWS} rows.")


def complete(path: Path) -> bool:
    """Whether the table is there whole."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM pegawai").fetchone()
            return bool(count == ROWS)
    except sqlite3.Error:
        return False


def make(path: Path) -> None:
    """Write the file beside its place and move it there whole: readers never meet half of it."""
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
    starts = [(date(2000, 1, 1) + timedelta(days=n)).isoformat() for n in range(8000)]
    births = [(datetime(1970, 1, 1, 8) + timedelta(days=n)).isoformat(" ") for n in range(18000)]
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
