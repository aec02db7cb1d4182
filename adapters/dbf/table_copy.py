"""The copy of one DBF file: an SQLite file that never changes, replaced as a whole by the next one."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import quote

from adapters.dbf import cells
from adapters.dbf.tables import State

#: Changes with the content of a copy: one of another version is built again.
_VERSION = 1

#: Seconds within which a file system may give two changes the same time.
RACY = 2.0

COLLATION = "MANTRA_DECIMAL"

#: The table in which a copy describes itself.
NOTES = "mantra_meta"

#: Ends the name of an index that ignores the case of letters, as LIKE does.
NOCASE = " nocase"

_scans = count()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the SQLite table. ``kind`` is the bus's type name, or "" where values have several types.

    ``exact`` columns hold numbers as text with a numeric collation; other decimals are doubles that are shown with
    ``scale`` digits after the point.
    """

    name: str
    kind: str
    scale: int = 0
    exact: bool = False


@dataclass(slots=True)
class CopyNotes:
    """The notes in a copy. ``read`` is when the file was last seen in this state, epoch seconds.

    ``settled`` is False when the file had changed so shortly before that a further change may not show in its
    times. ``refused`` is the reason why there are no rows. The field names are stored: see _VERSION.
    """

    state: State
    read: float
    settled: bool
    seconds: float
    records: int = 0
    columns: list[Column] = field(default_factory=list)
    indices: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: str = ""
    memo: str = ""
    memo_missing: bool = False
    version: int = _VERSION


@dataclass(frozen=True, slots=True)
class TableCopy:
    """A complete copy in its place, or the records that a scan has found, which have no place but ``content``: the
    bytes of an SQLite file. ``identity`` differs between any two of them."""

    path: Path
    identity: tuple[int, int]
    meta: CopyNotes
    content: bytes = b""


def identity(path: Path) -> tuple[int, int] | None:
    """Return what distinguishes the file at a path from its successors; None if this account created none there."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    # A user who may write into an agency's folder must not be able to provide a database of his own.
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        return None
    return status.st_ino, status.st_mtime_ns


def load(path: Path) -> TableCopy | None:
    """Return the copy at a path, or None if there is none that can be used."""
    path_identity = identity(path)
    if path_identity is None:
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(os.fsencode(path))}?immutable=1", uri=True)) as connection:
            meta = _notes(connection)
    except (sqlite3.Error, ValueError, TypeError, KeyError):
        return None
    return TableCopy(path, path_identity, meta) if meta.version == _VERSION else None


def scanned(path: Path, content: bytes) -> TableCopy:
    """Return the result of a scan: an SQLite file in memory. ``path`` is where the complete copy will be."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(content)
        meta = _notes(connection)
    return TableCopy(path, (-1, next(_scans)), meta, content)


def _notes(connection: sqlite3.Connection) -> CopyNotes:
    raw = json.loads(connection.execute("SELECT about FROM mantra_meta").fetchone()[0])
    return CopyNotes(**{**raw, "columns": [Column(**column) for column in raw["columns"]]})


def compare(first: str, second: str) -> int:
    """Compare two texts as numbers; texts that are no numbers come after all numbers."""
    a, b = _key(first), _key(second)
    if a[0] is None or b[0] is None:
        left, right = (a[0] is None, a[1]), (b[0] is None, b[1])
        return (left > right) - (left < right)
    if a[0] != b[0]:
        return 1 if a[0] > b[0] else -1
    # Equal as doubles: the digits decide.
    exact, other = cells.number(a[1]), cells.number(b[1])
    return (exact > other) - (exact < other)


def _key(text: str) -> tuple[float | None, str]:
    try:
        value = float(text)
    except ValueError:
        return None, text
    return (value if value == value else None), text
