"""Building the copy of a table: a new SQLite file beside its place, renamed into it when it is complete."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adapters.dbf import cells
from adapters.dbf.header import Field, Header, Refused, read
from adapters.dbf.memo import MemoFile
from adapters.dbf.records import Reader
from adapters.dbf.table_copy import COLLATION, NOCASE, RACY, Column, CopyNotes, TableCopy, compare
from adapters.dbf.tables import State, Table

#: Seconds without a change that a file is waited for, and how long at most: a writer may not have finished.
_QUIET = 0.1
_MAX_QUIET_WAIT = 1.0

#: Seconds after which a file that changes without a pause is given up.
_GIVE_UP_SECONDS = 60.0

_STORED = {
    "integer": "INTEGER",
    "decimal": "REAL",
    "boolean": "INTEGER",
    "float": "REAL",
    "bytes": "BLOB",
    "text": "TEXT",
    "date": "TEXT",
    "datetime": "TEXT",
}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Start:
    """When a reading began, by time.monotonic(), and the copy before it."""

    clock: float
    before: TableCopy | None


class FileBusy(Exception):
    """The file changed each time while it was read."""


def build(
    table: Table, indices: Iterable[str], before: TableCopy | None, progress: Progress = lambda done, total: None
) -> None:
    """Read the file into a new copy. ``before`` is the one it replaces. A refused file gets a copy without rows.

    Raises FileBusy and OSError.
    """
    began = time.monotonic()
    attempt = 0
    while True:
        meta = _attempt(table, sorted(set(indices)), progress, _Start(began, before), copied=attempt > 1)
        if meta is not None:
            return
        if time.monotonic() - began > _GIVE_UP_SECONDS:
            raise FileBusy
        attempt += 1
        time.sleep(min(0.05 * attempt, 1.0))


def _attempt(table: Table, indices: list[str], progress: Progress, began: _Start, copied: bool) -> CopyNotes | None:
    """Read the file once; None if it changed meanwhile."""
    wait_for_quiet(table)
    first = table.state(None)
    try:
        header = table.header()
        memo_path = table.memo(header)
    except Refused as error:
        return _build_refusal(table, str(error), first, began)
    state = table.state(memo_path)
    if state[0] != first[0]:
        return None
    with _temporary_file(table.cache) as path, _source_files(table.path, memo_path, table.cache, copied) as (dbf, memo):
        if copied and table.state(memo_path) != state:
            return None
        try:
            meta = _fill(path, table.name, dbf, memo, table.encoding, indices, progress)
        except Refused as error:
            return _build_refusal(table, str(error), first, began)
        if not copied and table.state(memo_path) != state:
            return None
        meta.memo = str(memo_path or "")
        meta.memo_missing = memo_path is None and any(each.memo for each in header.fields)
        _write_notes(path, meta, state, began)
        os.replace(path, table.cache)
        return meta


def wait_for_quiet(table: Table) -> None:
    """Wait until nobody has written to the file for a moment, at most a second."""
    until = time.monotonic() + _MAX_QUIET_WAIT
    while 0 <= (age := time.time() - table.path.stat().st_mtime) < _QUIET and time.monotonic() < until:
        time.sleep(_QUIET - age)


def _build_refusal(table: Table, why: str, state: State, began: _Start) -> CopyNotes | None:
    """Build a copy that only says why the file is refused."""
    if table.state(None) != state:
        return None
    meta = CopyNotes([], 0, False, 0, warnings=[why], refused="file-format")
    with _temporary_file(table.cache) as path:
        with closing(_writer(path)) as connection:
            connection.execute("CREATE TABLE mantra_meta (about)")
            connection.commit()
        _write_notes(path, meta, state, began)
        os.replace(path, table.cache)
    return meta


def _write_notes(path: Path, meta: CopyNotes, state: State, began: _Start) -> None:
    """Write the notes. The file counts as read when its state was checked last."""
    meta.state = state
    meta.read = time.time()
    last = began.before.meta if began.before is not None else None
    # A file server whose clock is ahead gives times in the future: then two checks with the same state are enough.
    again = last is not None and last.state == state and last.read < meta.read - RACY
    meta.settled = again or all(each[1] / 1e9 < meta.read - RACY for each in state)
    meta.seconds = round(time.monotonic() - began.clock, 3)
    with closing(_writer(path)) as connection:
        store_notes(connection, meta)


def store_notes(connection: sqlite3.Connection, meta: CopyNotes) -> None:
    """Replace the notes in a copy."""
    connection.execute("DELETE FROM mantra_meta")
    connection.execute("INSERT INTO mantra_meta VALUES (?)", (json.dumps(asdict(meta)),))
    connection.commit()


class _temporary_file:  # noqa: N801
    """A new file beside its final place, removed unless it was renamed."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> Path:
        self._target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes the file readable for this account alone: it has the table's data.
        descriptor, name = tempfile.mkstemp(".tmp", self._target.name + "-", self._target.parent)
        os.close(descriptor)
        self._path = Path(name)
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


class _source_files:  # noqa: N801
    """The files themselves, or copies of them: while they keep changing, copying is quicker than reading."""

    def __init__(self, dbf: Path, memo: Path | None, target: Path, copied: bool) -> None:
        self._paths = (dbf, memo)
        self._target = target
        self._copied = copied
        self._folder: str | None = None

    def __enter__(self) -> tuple[Path, Path | None]:
        if not self._copied:
            return self._paths
        self._folder = tempfile.mkdtemp(".tmp", self._target.name + "-", self._target.parent)
        dbf, memo = (
            None if path is None else Path(shutil.copyfile(path, Path(self._folder) / path.name))
            for path in self._paths
        )
        assert dbf is not None
        return dbf, memo

    def __exit__(self, *_: object) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def sweep(target: Path) -> None:
    """Remove the temporary files of builders that were killed. The caller must hold the table's lock."""
    with suppress(OSError):
        for path in target.parent.glob(target.name.replace("[", "[[]") + "-*.tmp"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _fill(
    path: Path, name: str, dbf: Path, memo_path: Path | None, encoding: str, indices: list[str], progress: Progress
) -> CopyNotes:
    """Read the rows into an empty SQLite file. Raises Refused."""
    exact: set[str] = set()
    while True:
        with dbf.open("rb", buffering=0) as file:
            header = read(file, encoding)
            memo = None if memo_path is None else MemoFile(memo_path, header.version)
            try:
                reader = Reader(file, header, memo, exact, lambda done: progress(done, header.records))  # noqa: B023
                return _copy_rows(path, name, reader, exact, indices)
            except cells.Inexact as error:
                # A double or a 64-bit integer would change this number: its column is stored as text.
                exact.add(str(error))
                path.write_bytes(b"")
            finally:
                if memo is not None:
                    memo.close()


def _copy_rows(path: Path, name: str, reader: Reader, exact: set[str], indices: list[str]) -> CopyNotes:
    with closing(_writer(path)) as connection:
        columns = fill(connection, name, reader.header, reader, exact)
        created = index(connection, name, columns, indices)
        _analyze(connection, created)
        connection.commit()
        count = connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]  # noqa: S608
    return CopyNotes([], 0, False, 0, count, described(columns, reader), created, reader.warnings.all())


def fill(
    connection: sqlite3.Connection, name: str, header: Header, rows: Iterable[Sequence[Any]], exact: Collection[str]
) -> list[Column]:
    """Create the table and its notes, and insert the rows. Returns its columns. Raises Refused and OSError."""
    columns = [_column(each, each.name in exact) for each in header.fields]
    definitions = ", ".join(f"{quoted(column.name)} {_declared(column)}" for column in columns)
    connection.execute("CREATE TABLE mantra_meta (about)")
    question_marks = ", ".join("?" * len(columns))
    try:
        connection.execute(f"CREATE TABLE {quoted(name)} ({definitions})")
        connection.executemany(f"INSERT INTO {quoted(name)} VALUES ({question_marks})", rows)  # noqa: S608
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            raise Refused("it has more fields than a table can have") from None
        raise OSError(str(error)) from None
    return columns


def described(columns: list[Column], reader: Reader) -> list[Column]:
    """Return the columns as the reader has found them."""
    return [Column(column.name, "") if column.name in reader.mixed else column for column in columns]


def add_indices(copy: TableCopy, name: str, indices: Iterable[str]) -> None:
    """Replace a copy by one with the same rows and further indexes."""
    with _temporary_file(copy.path) as path:
        shutil.copyfile(copy.path, path)
        with closing(_writer(path)) as connection:
            wanted = sorted(set(indices) - set(copy.meta.indices))
            created = index(connection, name, copy.meta.columns, wanted)
            _analyze(connection, created)
            meta = {**asdict(copy.meta), "indices": sorted({*copy.meta.indices, *created})}
            connection.execute("UPDATE mantra_meta SET about = ?", (json.dumps(meta),))
            connection.commit()
        os.replace(path, copy.path)


def _writer(path: Path) -> sqlite3.Connection:
    """Return a connection for filling a temporary file: fast, as a crash loses only that file."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA cache_size = -32768")
    connection.create_collation(COLLATION, compare)
    return connection


def index(connection: sqlite3.Connection, name: str, columns: list[Column], indices: Iterable[str]) -> list[str]:
    """Create the indexes that the columns allow. Each is named after its column, in lower case, plus NOCASE or not."""
    by_name = {column.name.lower(): column for column in columns}
    created = []
    for named in indices:
        column = by_name.get(named.removesuffix(NOCASE))
        if column is None or column.kind == "bytes":
            continue
        collation = " COLLATE NOCASE" if named.endswith(NOCASE) and column.kind == "text" else ""
        on = f"{quoted(name)} ({quoted(column.name)}{collation})"
        connection.execute(f"CREATE INDEX {quoted('mantra ' + named)} ON {on}")
        created.append(named)
    return created


def _analyze(connection: sqlite3.Connection, created: list[str]) -> None:
    """Count what new indexes distinguish, so that SQLite chooses among them."""
    if created:
        connection.execute("PRAGMA analysis_limit = 400")
        connection.execute("ANALYZE")


def _column(each: Field, exact: bool) -> Column:
    return Column(each.name, "decimal" if exact else each.kind, each.decimals, exact)


def _declared(column: Column) -> str:
    return f"TEXT COLLATE {COLLATION}" if column.exact else _STORED[column.kind]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
