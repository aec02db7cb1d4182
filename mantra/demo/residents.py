"""A population register of 100,000 invented residents of a town."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from mantra.demo.names import person

NUMBER = 100_000
TABLE = """
CREATE TABLE penduduk (
    nik TEXT PRIMARY KEY, nama TEXT NOT NULL, tempat_lahir TEXT, tanggal_lahir DATE NOT NULL,
    jenis_kelamin TEXT NOT NULL, alamat TEXT, kelurahan TEXT, kecamatan TEXT NOT NULL, telepon TEXT,
    diubah TIMESTAMP NOT NULL, meninggal DATE
) WITHOUT ROWID
"""
#: Codes of districts that no town has: a NIK of the demo is nobody's.
_DISTRICTS = {"339901": "Utara", "339902": "Selatan", "339903": "Timur", "339904": "Barat"}
_PLACES = ("Pekalongan", "Batang", "Pemalang", "Tegal", "Semarang", "Kendal")
_STREETS = (
    "Merdeka",
    "Kenanga",
    "Melati",
    "Diponegoro",
    "Ahmad Yani",
    "Gajah Mada",
    "Cendrawasih",
    "Mawar",
    "Sudirman",
)
_VILLAGES = ("Bendan", "Kauman", "Poncol", "Sapuro", "Tirto", "Noyontaan", "Krapyak", "Medono")


@dataclass(frozen=True, slots=True)
class Resident:
    """A row of the register."""

    nik: str
    name: str
    birthplace: str
    birth_date: date
    sex: str
    address: str
    village: str
    district: str
    phone: str | None

    def row(self, number: int) -> tuple[object, ...]:
        changed = f"2026-{1 + number % 9:02d}-{1 + number % 28:02d} {number % 24:02d}:{number % 60:02d}:00"
        died = "2026-08-17" if number % 997 == 0 else None
        return (
            self.nik, self.name, self.birthplace, self.birth_date.isoformat(), self.sex, self.address, self.village,
            self.district, self.phone, changed, died,
        )  # fmt: skip


def resident(number: int) -> Resident:
    """Return a resident by number, from 1 on. The NIK has the date of birth, as real ones have."""
    female = number % 2 == 0
    born = date(1945, 1, 1) + timedelta(days=number * 37 % 22_000)
    code, district = list(_DISTRICTS.items())[number % 4]
    day = born.day + (40 if female else 0)
    # The last four digits count the births of a day and a district: 22,000 days, 4 districts, 100,000 people.
    serial = 1 + number // 22_000
    street = _STREETS[number % len(_STREETS)]
    return Resident(
        nik=f"{code}{day:02d}{born:%m%y}{serial:04d}",
        name=person(number, female),
        birthplace=_PLACES[number % len(_PLACES)],
        birth_date=born,
        sex="P" if female else "L",
        address=f"Jl. {street} No. {1 + number % 180} RT {1 + number % 9:03d}/RW {1 + number % 6:03d}",
        village=_VILLAGES[number // 9 % len(_VILLAGES)],
        district=f"Pekalongan {district}",
        phone=None if number % 3 == 0 else f"0899{number:08d}",
    )


def fill(connection: sqlite3.Connection) -> None:
    """Make the table with all residents."""
    connection.execute(TABLE)
    marks = ", ".join("?" * 11)
    connection.executemany(f"INSERT INTO penduduk VALUES ({marks})", rows())  # noqa: S608  # marks only
    connection.execute("CREATE INDEX penduduk_kecamatan ON penduduk (kecamatan, nik)")
    connection.execute("CREATE INDEX penduduk_diubah ON penduduk (diubah, nik)")


def rows() -> Iterator[tuple[object, ...]]:
    """Yield the rows of the table, always the same."""
    for number in range(1, NUMBER + 1):
        yield resident(number).row(number)
