"""Invented recipients of rice: a list of 1,000 with every kind of difference from the register, and a table."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta

from mantra.demo.residents import Resident, resident

COLUMNS = ("nik", "nama", "tanggal_lahir")
Entry = tuple[str, str, str]

_MONTHS = (
    "Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November",
    "Desember",
)  # fmt: skip


def _same(one: Resident, _number: int) -> Entry:
    return one.nik, one.name, one.birth_date.isoformat()


def _titled(one: Resident, number: int) -> Entry:
    front = ("H. ", "Hj. ", "Drs. ", "Ir. ")[number % 4]
    behind = (", S.Pd.", ", S.Kom", " SE", "")[number % 4]
    return one.nik, f"{front}{one.name.upper()}{behind}", one.birth_date.isoformat()


def _other_date_form(one: Resident, number: int) -> Entry:
    born = one.birth_date
    forms = (
        f"{born:%d-%m-%Y}",
        f"{born:%d/%m/%Y}",
        f"{born.day} {_MONTHS[born.month - 1]} {born.year}",
        f"{born:%Y%m%d}",
    )
    return one.nik, one.name, forms[number % len(forms)]


def _abbreviated(one: Resident, _number: int) -> Entry:
    first, *rest = one.name.split()
    return one.nik, " ".join([first, *(f"{word[0]}." for word in rest)]), one.birth_date.isoformat()


def _reordered(one: Resident, _number: int) -> Entry:
    return one.nik, " ".join(reversed(one.name.split())), one.birth_date.isoformat()


def _slipped(one: Resident, number: int) -> Entry:
    """Two letters in the middle of the longest word change places."""
    words = one.name.split()
    at = max(range(len(words)), key=lambda place: len(words[place]))
    middle = len(words[at]) // 2
    word = words[at]
    words[at] = word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]
    return one.nik, " ".join(words), one.birth_date.isoformat()


def _other_name(one: Resident, number: int) -> Entry:
    return one.nik, resident(50_000 - number * 13).name, one.birth_date.isoformat()


def _other_date(one: Resident, number: int) -> Entry:
    return one.nik, one.name, (one.birth_date + timedelta(days=1 + number % 300)).isoformat()


def _other_person(one: Resident, number: int) -> Entry:
    return one.nik, resident(50_000 - number * 13).name, (one.birth_date + timedelta(days=400)).isoformat()


def _unknown(one: Resident, number: int) -> Entry:
    """The NIK of a district that the register does not have."""
    return f"339909{one.nik[6:]}", one.name, one.birth_date.isoformat()


def _without_date(one: Resident, _number: int) -> Entry:
    return one.nik, one.name, ""


def _without_name(one: Resident, _number: int) -> Entry:
    return one.nik, "", one.birth_date.isoformat()


def _mistyped_nik(one: Resident, number: int) -> Entry:
    broken = (one.nik[:15], one.nik.replace("0", "O"), f"{one.nik}7")
    return broken[number % 3], one.name, one.birth_date.isoformat()


#: Kind → how many rows of it there are, and what makes them. "twice" repeats rows of "same".
KINDS: dict[str, tuple[int, Callable[[Resident, int], Entry]]] = {
    "same": (600, _same),
    "titled": (80, _titled),
    "other date form": (60, _other_date_form),
    "abbreviated": (30, _abbreviated),
    "reordered": (30, _reordered),
    "slipped": (30, _slipped),
    "other name": (40, _other_name),
    "other date": (40, _other_date),
    "other person": (10, _other_person),
    "unknown": (40, _unknown),
    "without date": (15, _without_date),
    "without name": (5, _without_name),
    "mistyped NIK": (12, _mistyped_nik),
    "twice": (8, _same),
}


def entries() -> Iterator[tuple[str, Entry]]:
    """Yield the rows of the list with their kinds, always the same, the kinds mixed."""
    made = []
    number = 0
    for kind, (count, make) in KINDS.items():
        for at in range(count):
            number += 1
            one = resident(_with_two_words(at + 1 if kind == "twice" else number))
            made.append((kind, make(one, at)))
    yield from (made[at * 387 % len(made)] for at in range(len(made)))


def _with_two_words(number: int) -> int:
    """Return the number of the next resident from number × 61 on whose name has several words, all of some length."""
    found = number * 61
    while len(words := resident(found).name.split()) < 2 or min(map(len, words)) < 4:
        found += 1
    return found


def as_csv() -> str:
    """Return the list as a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(entry for _kind, entry in entries())
    return text.getvalue()


# ------------------------------------------------------------------------------------------- the table

#: Kind → how many rows of the table there are. All are of one district.
TABLE_KINDS = {"same": 1_000, "other name": 60, "other address": 80, "only here": 40, "twice": 20}
NUMBER = sum(TABLE_KINDS.values())
DISTRICT = "Pekalongan Utara"
_TABLE = """
CREATE TABLE penerima (
    nomor INTEGER PRIMARY KEY, nik TEXT NOT NULL, nama TEXT NOT NULL, alamat TEXT, kecamatan TEXT NOT NULL,
    kilogram INTEGER
)
"""


def fill(connection: sqlite3.Connection) -> None:
    """Make the table of recipients of one district."""
    connection.execute(_TABLE)
    connection.executemany("INSERT INTO penerima VALUES (?, ?, ?, ?, ?, ?)", table_rows())


def table_rows() -> Iterator[tuple[object, ...]]:
    """Yield the rows of the table, always the same: those of TABLE_KINDS, in its order."""
    number = 0
    for kind, count in TABLE_KINDS.items():
        for at in range(count):
            number += 1
            # The residents of the district are every fourth.
            one = resident(4 * (at + 1 if kind == "twice" else number))
            nik = _unknown(one, at)[0] if kind == "only here" else one.nik
            name = resident(50_000 + 4 * number).name if kind == "other name" else one.name
            address = f"Jl. Pahlawan No. {200 + at}" if kind == "other address" else one.address
            yield number, nik, name, address, DISTRICT, 10
