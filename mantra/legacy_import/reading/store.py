"""What is read of an old database, in a temporary SQLite file: its tables come in any order, and history is long."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from mantra.legacy_import.old import (
    OldAgency,
    OldCalls,
    OldOddity,
    OldOperation,
    OldOrder,
    OldService,
    OldUser,
)
from mantra.legacy_import.reading.problems import UnreadableDatabase
from mantra.legacy_import.reading.schema import TABLES, TRACK_COLUMNS, TRACKS, Columns, is_read
from mantra.legacy_import.reading.sql_text import CutValue

#: The most of the file, in pages of 4 KiB: 4 GiB.
_MAX_PAGES = 1 << 20
_PRAGMAS = (
    "journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "temp_store = MEMORY",
    f"max_page_count = {_MAX_PAGES}",
)  # fmt: skip
#: The most oddities that are listed; the most tables, of all databases of a dump.
MAX_ODDITIES, MAX_TABLES = 10_000, 10_000
#: Counters in memory before they are added to those of the file.
_MAX_COUNTERS = 10_000
#: The most characters of a name in the history: its columns have 128.
_MAX_NAME = 128

#: A place of rows: the name of the database, "" for the one of the dump, and of the table.
Place = tuple[str, str]
Values = Sequence[bytes | None]


class Store:
    """The tables of the databases of a dump or server, as they are filled. ``close`` drops them.

    The file has no name, so that nothing stays of it if the process is killed: it holds passwords.
    """

    def __init__(self) -> None:
        folder = Path(settings.VAR_DIR)
        with _disk():
            folder.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=folder, prefix="legacy-import-")  # its owner alone can read it
            os.close(handle)
            self.file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in (
                "journal_mode = OFF",
                "synchronous = OFF",
                "locking_mode = EXCLUSIVE",
                "temp_store = MEMORY",
            ):
                self.file.execute(f"PRAGMA {pragma}")
            self.file.execute(f"PRAGMA max_page_count = {_MAX_PAGES}")
            self.file.execute("CREATE TABLE oddities (place TEXT, id INTEGER, column TEXT, kind TEXT)")
            os.unlink(path)
            self.file.execute("BEGIN")
        self.columns: dict[Place, tuple[str, ...]] = {}
        self.counts: Counter[Place] = Counter()
        self._fillers: dict[Place, Filler] = {}
        self._made = 0

    def close(self) -> None:
        """Drop all rows."""
        self.file.close()

    def begin(self, place: Place, columns: Sequence[str]) -> None:
        """Begin a table, with the names of its columns. Rows that it had are dropped."""
        self.drop(place)
        if len(self.columns) >= MAX_TABLES:
            raise UnreadableDatabase(_("The dump has more than 10,000 tables. Make a dump of one database."))
        self.columns[place] = tuple(columns)

    def drop(self, place: Place) -> None:
        """Drop a table, if it is there."""
        self.columns.pop(place, None)
        self.truncate(place)

    def truncate(self, place: Place) -> None:
        """Drop the rows of a table, if it is there."""
        self.counts.pop(place, None)
        filler = self._fillers.pop(place, None)
        if filler is not None:
            with _disk():
                self.file.execute(f"DROP TABLE {filler.table}")
                self.file.execute("DELETE FROM oddities WHERE place = ?", (filler.table,))

    def filler(self, place: Place) -> Filler | None:
        """Return what takes the rows of a table; None where only their number counts."""
        if place not in self._fillers and (
            is_read(place[1], self.columns[place])
            or (place[1] == TRACKS and set(TRACK_COLUMNS) <= set(self.columns[place]))
        ):
            kind = TracksFiller if place[1] == TRACKS else RowsFiller
            self._made += 1
            with _disk():
                self._fillers[place] = kind(self.file, f"t{self._made}_{place[1]}", self.columns[place])
        return self._fillers.get(place)

    def databases(self) -> dict[str, Columns]:
        """Return the tables and their columns, by database."""
        found: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for (database, table), columns in self.columns.items():
            found[database][table] = columns
        return dict(found)

    def finished(self, database: str) -> StoredDatabase:
        """Return the rows of a database, when all are here. Raises UnreadableDatabase if it has none."""
        if not self.counts[database, "users"]:
            raise UnreadableDatabase(_("The tables have no rows. Make the dump again with its data."))
        for filler in self._fillers.values():
            filler.flush()
        with _disk():
            self.file.execute("COMMIT")
        counts = {place[1]: self.counts[place] for place in sorted(self.columns) if place[0] == database}
        tables = {place[1]: filler.table for place, filler in self._fillers.items() if place[0] == database}
        return StoredDatabase(self.file, tables, counts)


class Filler:
    """Takes the rows of a table. ``columns``: those whose values it takes."""

    columns: tuple[str, ...]

    def __init__(self, file: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
        self._file, self.table = file, table

    def add(self, values: Values, encoding: str) -> bool:
        """Add a row. Return False if one with its id is there already. Raises ValueError if its id is no number."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what is still in memory."""


class RowsFiller(Filler):
    """Keeps the rows of a table that is imported."""

    def __init__(self, file: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
        super().__init__(file, table, columns)
        self._table = TABLES[table.partition("_")[2]]
        self.columns = tuple(column for column in self._table.columns if column in columns)
        self._oddities = 0
        numbers = [f"{column} INTEGER" for column in self._table.numbers[1:]]
        definitions = ", ".join(["id INTEGER PRIMARY KEY", *numbers, *(f"{text} TEXT" for text in self._table.texts)])
        file.execute(f"CREATE TABLE {table} ({definitions})")
        places = ", ".join(f":{column}" for column in self._table.columns)
        self._insert = f"INSERT OR IGNORE INTO {table} VALUES ({places})"  # noqa: S608 (our own names)

    def add(self, values: Values, encoding: str) -> bool:
        by_name = dict(zip(self.columns, values, strict=True))
        row: dict[str, int | str] = dict.fromkeys(self._table.texts, "")
        row["id"] = number = _number(by_name["id"])
        for column in self._table.numbers[1:]:
            try:
                row[column] = _number(by_name[column])
            except ValueError:
                row[column] = -1
                self._note(number, column, "number")
        for column in self._table.texts:
            value = by_name.get(column)
            if value is not None:
                row[column], is_odd = decoded(value, encoding)
                if is_odd:
                    self._note(number, column, "encoding")
                if isinstance(value, CutValue):
                    self._note(number, column, "long")
        with _disk():
            is_new = self._file.execute(self._insert, row).rowcount == 1
        if not is_new:
            self._note(number, "id", "repeated")
        return is_new

    def _note(self, number: int, column: str, kind: str) -> None:
        self._oddities += 1
        if self._oddities <= MAX_ODDITIES:
            with _disk():
                self._file.execute("INSERT INTO oddities VALUES (?, ?, ?, ?)", (self.table, number, column, kind))


class TracksFiller(Filler):
    """Counts the calls of the history. Visits of the old program's pages are no calls."""

    columns = TRACK_COLUMNS

    def __init__(self, file: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
        super().__init__(file, table, columns)
        self._counts: Counter[tuple[bytes | None, ...]] = Counter()
        file.execute(
            f"CREATE TABLE {table} (day TEXT, agency TEXT, username TEXT, status TEXT, calls INTEGER,"
            " PRIMARY KEY (day, agency, username, status)) WITHOUT ROWID"
        )
        self._encoding = ""

    def add(self, values: Values, encoding: str) -> bool:
        registered, agency, username, name, status = values
        if name is None or name.lower() != b"api":
            return True
        if encoding != self._encoding or len(self._counts) >= _MAX_COUNTERS:
            self.flush()
            self._encoding = encoding
        self._counts[(registered or b"")[:10], agency, username, status] += 1
        return True

    def flush(self) -> None:
        rows = [
            (day, *(decoded(text or b"", self._encoding)[0][:_MAX_NAME] for text in texts), calls)
            for (registered, *texts), calls in self._counts.items()
            if (day := _day(registered))
        ]
        self._counts.clear()
        with _disk():
            self._file.executemany(
                f"INSERT INTO {self.table} VALUES (?, ?, ?, ?, ?)"  # noqa: S608 (our own name)
                " ON CONFLICT DO UPDATE SET calls = calls + excluded.calls",
                rows,
            )


class StoredDatabase:
    """An OldDatabase whose rows are all in the file. ``tables``: the names of its tables there."""

    def __init__(self, file: sqlite3.Connection, tables: dict[str, str], counts: dict[str, int]) -> None:
        self._file, self._tables, self._counts = file, tables, counts

    def agencies(self) -> Iterator[OldAgency]:
        return (OldAgency(*row) for row in self._rows("instances"))

    def users(self) -> Iterator[OldUser]:
        for number, agency, *texts, activity in self._rows("users"):
            name, email, username, password, role = texts
            yield OldUser(number, agency, name, email, username, password, role, activity == "on")

    def services(self) -> Iterator[OldService]:
        return (OldService(*row) for row in self._rows("services"))

    def operations(self) -> Iterator[OldOperation]:
        for number, service, code, kind, restricted, source, description in self._rows("methods"):
            yield OldOperation(number, service, code, kind, restricted == "off", source, description)

    def orders(self) -> Iterator[OldOrder]:
        for number, operation, username, key, status in self._rows("orders"):
            yield OldOrder(number, username, key, operation, status == "on")

    def calls(self) -> Iterator[OldCalls]:
        if TRACKS in self._tables:
            for day, *others in self._file.execute(f"SELECT * FROM {self._tables[TRACKS]}"):  # noqa: S608
                yield OldCalls(date.fromisoformat(day), *others)

    def oddities(self) -> Iterator[OldOddity]:
        names = {stored: name for name, stored in self._tables.items()}
        for stored, number, column, kind in self._file.execute("SELECT * FROM oddities ORDER BY place, id"):
            if stored in names:
                yield OldOddity(names[stored], number, column, kind)

    def counts(self) -> dict[str, int]:
        return dict(self._counts)

    def _rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        if table in self._tables:
            yield from self._file.execute(f"SELECT * FROM {self._tables[table]} ORDER BY id")  # noqa: S608


def decoded(value: bytes, encoding: str) -> tuple[str, bool]:
    """Return a text, and True if it is not in the encoding that the dump states: then it is read as Windows-1252."""
    try:
        return value.decode(encoding), False
    except UnicodeDecodeError:
        pass
    try:
        return value.decode("cp1252"), True
    except UnicodeDecodeError:
        return value.decode("latin-1"), True


def _number(value: bytes | None) -> int:
    """Return a whole number. Raises ValueError for anything else, and for one that SQLite cannot store."""
    if value is None or re.fullmatch(rb"\s*[-+]?[0-9]{1,19}\s*", value) is None:
        raise ValueError("no number")
    number = int(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("no bigint")
    return number


def _day(text: bytes | None) -> str:
    """Return the day of a time; "" if it is none, like 0000-00-00."""
    try:
        return date.fromisoformat((text or b"").decode("ascii")).isoformat()
    except ValueError:
        return ""


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error):
        raise UnreadableDatabase(
            _("The server has no room for what is read. Ask its operator to check the folder MANTRA_VAR_DIR.")
        ) from None
