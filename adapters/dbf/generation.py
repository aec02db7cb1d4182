"""One finished reading of a DBF file: an SQLite file that never changes, made aside and renamed into place."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

from adapters.dbf import cells
from adapters.dbf.header import Field, Header, Refused, read
from adapters.dbf.memo import MemoFile
from adapters.dbf.records import Reader
from adapters.dbf.tables import State, Table

#: Changes with what a reading holds, so that one made by an older version is made anew.
_VERSION = 1

#: Seconds within which a file system may give two changes one and the same time.
RACY = 2.0

#: Seconds without a change that a file is waited for, and how long at most: who writes now may be half-way.
_QUIET = 0.1
_QUIET_MOST = 1.0

#: Seconds for which a file that somebody writes to without a pause is tried.
_PATIENCE = 60.0

COLLATION = "MANTRA_DECIMAL"

#: The table in which a reading notes what it is.
NOTES = "mantra_meta"

#: Ends the name of an index that takes capital letters for small ones, as LIKE does.
NOCASE = " nocase"

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
class _Begin:
    """When a reading began, by time.monotonic(), and the generation before it."""

    clock: float
    before: Generation | None


class FileBusy(Exception):
    """The file changed each time while it was read."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the SQLite table. ``kind`` is the bus's word, or "" where values are of several kinds.

    ``exact`` columns hold numbers as text that compares as numbers do; other decimals are doubles that are
    shown with ``scale`` digits behind the point.
    """

    name: str
    kind: str
    scale: int = 0
    exact: bool = False


@dataclass(slots=True)
class Meta:
    """What a reading knows of itself. ``read`` is when the file was last seen as it is here, epoch seconds.

    ``settled`` is False when the file had changed so shortly before that a further change may not show in
    its times. ``refused`` is the reason why there are no rows.
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
class Generation:
    """A reading in its place. ``identity`` differs between any two of them."""

    path: Path
    identity: tuple[int, int]
    meta: Meta


def identity(path: Path) -> tuple[int, int] | None:
    """What tells the file at a path from its successors; None when there is none that we made ourselves."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    # Whoever may write into an agency's folder must not hand us a database of his own making.
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        return None
    return status.st_ino, status.st_mtime_ns


def load(path: Path) -> Generation | None:
    """The reading at a path, or None when there is none that can be used."""
    found = identity(path)
    if found is None:
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(os.fsencode(path))}?immutable=1", uri=True)) as connection:
            raw = json.loads(connection.execute("SELECT about FROM mantra_meta").fetchone()[0])
        meta = Meta(**{**raw, "columns": [Column(**column) for column in raw["columns"]]})
    except (sqlite3.Error, ValueError, TypeError, KeyError):
        return None
    return Generation(path, found, meta) if meta.version == _VERSION else None


def build(
    table: Table, indices: Iterable[str], before: Generation | None, progress: Progress = lambda done, total: None
) -> None:
    """Read the file into a new generation, after that ``before`` it. A refused file makes one too.

    Raises FileBusy and OSError.
    """
    began = time.monotonic()
    attempt = 0
    while True:
        meta = _attempt(table, sorted(set(indices)), progress, _Begin(began, before), copied=attempt > 1)
        if meta is not None:
            return
        if time.monotonic() - began > _PATIENCE:
            raise FileBusy
        attempt += 1
        time.sleep(min(0.05 * attempt, 1.0))


def _attempt(table: Table, indices: list[str], progress: Progress, began: _Begin, copied: bool) -> Meta | None:
    """One reading of the file as it is now, or None when it changed under our hands."""
    _wait_for_quiet(table)
    first = table.state(None)
    try:
        header = table.header()
        memo_path = table.memo(header)
    except Refused as error:
        return _refuse(table, str(error), first, began)
    state = table.state(memo_path)
    if state[0] != first[0]:
        return None
    with _aside(table.cache) as path, _maybe_copied(table.path, memo_path, table.cache, copied) as (dbf, memo):
        if copied and table.state(memo_path) != state:
            return None
        try:
            meta = _fill(path, table.name, dbf, memo, table.encoding, indices, progress)
        except Refused as error:
            return _refuse(table, str(error), first, began)
        if not copied and table.state(memo_path) != state:
            return None
        meta.memo = str(memo_path or "")
        meta.memo_missing = memo_path is None and any(each.memo for each in header.fields)
        _finish(path, meta, state, began)
        os.replace(path, table.cache)
        return meta


def _wait_for_quiet(table: Table) -> None:
    until = time.monotonic() + _QUIET_MOST
    while 0 <= (age := time.time() - table.path.stat().st_mtime) < _QUIET and time.monotonic() < until:
        time.sleep(_QUIET - age)


def _refuse(table: Table, why: str, state: State, began: _Begin) -> Meta | None:
    """A generation that says why there is none."""
    if table.state(None) != state:
        return None
    meta = Meta([], 0, False, 0, warnings=[why], refused="file-format")
    with _aside(table.cache) as path:
        with closing(_writer(path)) as connection:
            connection.execute("CREATE TABLE mantra_meta (about)")
            connection.commit()
        _finish(path, meta, state, began)
        os.replace(path, table.cache)
    return meta


def _finish(path: Path, meta: Meta, state: State, began: _Begin) -> None:
    """Write down what the reading is of. The file counts as read when its state was looked at last."""
    meta.state = state
    meta.read = time.time()
    last = began.before.meta if began.before is not None else None
    # A file server whose clock is ahead gives times that never lie behind us: two looks will do then.
    again = last is not None and last.state == state and last.read < meta.read - RACY
    meta.settled = again or all(each[1] / 1e9 < meta.read - RACY for each in state)
    meta.seconds = round(time.monotonic() - began.clock, 3)
    with closing(_writer(path)) as connection:
        connection.execute("DELETE FROM mantra_meta")
        connection.execute("INSERT INTO mantra_meta VALUES (?)", (json.dumps(asdict(meta)),))
        connection.commit()


class _aside:  # noqa: N801
    """A new file beside the place where it will go, gone unless it was renamed."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> Path:
        self._target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp gives the file to us alone: it holds what the table holds.
        descriptor, name = tempfile.mkstemp(".tmp", self._target.name + "-", self._target.parent)
        os.close(descriptor)
        self._path = Path(name)
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


class _maybe_copied:  # noqa: N801
    """The files themselves, or copies: while somebody keeps writing, copying takes a shorter moment than reading."""

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
    """Remove what builders left that were killed. Only for who holds the table's lock."""
    with suppress(OSError):
        for path in target.parent.glob(target.name.replace("[", "[[]") + "-*.tmp"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _fill(
    path: Path, name: str, dbf: Path, memo_path: Path | None, encoding: str, indices: list[str], progress: Progress
) -> Meta:
    """Read the rows into an empty SQLite file. Raises Refused."""
    exact: set[str] = set()
    while True:
        with dbf.open("rb", buffering=0) as file:
            header = read(file, encoding)
            memo = None if memo_path is None else MemoFile(memo_path, header.version)
            try:
                reader = Reader(file, header, memo, exact, lambda done: progress(done, header.records))  # noqa: B023
                return _copy(path, name, reader, exact, indices)
            except cells.Inexact as error:
                # One number that a double or a 64-bit integer would change: its column is kept as text.
                exact.add(str(error))
                path.write_bytes(b"")
            finally:
                if memo is not None:
                    memo.close()


def _copy(path: Path, name: str, reader: Reader, exact: set[str], indices: list[str]) -> Meta:
    header = reader.header
    with closing(_writer(path)) as connection:
        columns = [_column(each, each.name in exact) for each in header.fields]
        described = ", ".join(f"{quoted(column.name)} {_declared(column)}" for column in columns)
        connection.execute("CREATE TABLE mantra_meta (about)")
        marks = ", ".join("?" * len(columns))
        try:
            connection.execute(f"CREATE TABLE {quoted(name)} ({described})")
            connection.executemany(f"INSERT INTO {quoted(name)} VALUES ({marks})", reader)  # noqa: S608
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                raise Refused("it has more fields than a table may have") from None
            raise OSError(str(error)) from None
        made = _index(connection, name, columns, indices)
        connection.commit()
        count = connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]  # noqa: S608
    columns = [Column(column.name, "") if column.name in reader.mixed else column for column in columns]
    return Meta([], 0, False, 0, count, columns, made, reader.warnings.all())


def add_indices(generation: Generation, name: str, indices: Iterable[str]) -> None:
    """A generation of the same rows with further indices, in the place of this one."""
    with _aside(generation.path) as path:
        shutil.copyfile(generation.path, path)
        with closing(_writer(path)) as connection:
            wanted = sorted(set(indices) - set(generation.meta.indices))
            made = _index(connection, name, generation.meta.columns, wanted)
            meta = {**asdict(generation.meta), "indices": sorted({*generation.meta.indices, *made})}
            connection.execute("UPDATE mantra_meta SET about = ?", (json.dumps(meta),))
            connection.commit()
        os.replace(path, generation.path)


def _writer(path: Path) -> sqlite3.Connection:
    """A connection for filling a file that nobody else knows: speed counts, and a crash costs only the file."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA cache_size = -32768")
    connection.create_collation(COLLATION, compare)
    return connection


def _index(connection: sqlite3.Connection, name: str, columns: list[Column], indices: Iterable[str]) -> list[str]:
    """Make the indices that the columns allow. Each is named after its column, in lower case, and maybe NOCASE."""
    by_name = {column.name.lower(): column for column in columns}
    made = []
    for index in indices:
        column = by_name.get(index.removesuffix(NOCASE))
        if column is None or column.kind == "bytes":
            continue
        collation = " COLLATE NOCASE" if index.endswith(NOCASE) and column.kind == "text" else ""
        on = f"{quoted(name)} ({quoted(column.name)}{collation})"
        connection.execute(f"CREATE INDEX {quoted('mantra ' + index)} ON {on}")
        made.append(index)
    if made:
        connection.execute("PRAGMA analysis_limit = 400")
        connection.execute("ANALYZE")
    return made


def columns_of(header: Header) -> list[Column]:
    """The columns as the header alone tells of them."""
    return [_column(each, False) for each in header.fields]


def _column(each: Field, exact: bool) -> Column:
    return Column(each.name, "decimal" if exact else each.kind, each.decimals, exact)


def _declared(column: Column) -> str:
    return f"TEXT COLLATE {COLLATION}" if column.exact else _STORED[column.kind]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def compare(first: str, second: str) -> int:
    """Texts as the numbers that they are; other texts come behind all numbers."""
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
