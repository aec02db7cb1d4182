"""A table of 100,000 invented civil servants."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

NUMBER = 100_000
_GRADES = ("II/a", "III/a", "III/b", "IV/a")
_TABLE = """
CREATE TABLE pegawai (
    nip TEXT PRIMARY KEY, nama TEXT, golongan TEXT, unit_kerja TEXT, tmt DATE, gaji NUMERIC, aktif INTEGER,
    lahir DATETIME, email TEXT, catatan TEXT
) WITHOUT ROWID
"""


def fill(connection: sqlite3.Connection) -> None:
    """Make the table with all rows."""
    connection.execute(_TABLE)
    connection.executemany("INSERT INTO pegawai VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows())
    connection.execute("CREATE INDEX pegawai_unit ON pegawai (unit_kerja, nip)")


def rows() -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the table, always the same."""
    starts = [(date(2000, 1, 1) + timedelta(days=day)).isoformat() for day in range(8000)]
    births = [(datetime(1970, 1, 1, 8) + timedelta(days=day)).isoformat(" ") for day in range(18000)]
    for n in range(1, NUMBER + 1):
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
