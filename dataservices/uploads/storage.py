"""The files of uploaded tables.

Each version of a table is an SQLite file that never changes. The file that calls read, UPLOADS_FILE, has the current
version of every table of the source. It never changes either: a newer one is built beside it and moved into its place.
So a running call sees the old file to its end, and the next one the new file.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from dataservices.models import UPLOADS_FILE, DataSource, UploadedTable, UploadVersion
from dataservices.tabular.building import TABLE
from dataservices.uploads.folders import private
from dataservices.uploads.messages import UploadError
from registry import disk

#: Seconds after which a file is not being built any more.
_BUILT_SECONDS = 3600

#: Indexes of a table at most.
MAX_INDEXES = 8

#: Rows in which identifiers are looked for.
_LOOKED_AT = 100

_MARK = re.compile(r'"\s*/\* (\w+) \*/')


@dataclass(frozen=True, slots=True)
class Part:
    """The version of a table that the composed file has: the file that it is in, and the columns with an index."""

    stored: str
    searched: tuple[str, ...]


def part_of(table: UploadedTable, stored: str) -> Part:
    searched = [column["name"] for column in table.stored_columns if column["searched"]]
    return Part(stored, tuple(searched[:MAX_INDEXES]))


def parts_of(source: DataSource) -> dict[str, Part]:
    """Return the current versions of a source's tables, by the names of the tables."""
    tables = UploadedTable.objects.filter(source=source, current__isnull=False).select_related("current")
    return {table.name: part_of(table, table.current.stored) for table in tables if table.current}


def version_path(source: DataSource, stored: str) -> Path:
    return source.upload_folder / "versions" / f"{stored}.sqlite3"


@contextmanager
def locked(source: DataSource) -> Iterator[None]:
    """Hold the source's files against all other changes. Raises UploadError if there can be no files."""
    folder = source.upload_folder
    try:
        private(folder.name, "versions")
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        raise UploadError("folder") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def new_file(source: DataSource) -> Iterator[Path]:
    """Provide an empty private file in the source's folder. It is removed unless it was moved away."""
    with locked(source):  # only makes the folder
        descriptor, name = tempfile.mkstemp(".tmp", "new-", source.upload_folder)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def composed(source: DataSource, parts: Mapping[str, Part]) -> Iterator[Path]:
    """Provide a new file with these versions of the tables, for activate(). Called with the source locked."""
    descriptor, name = tempfile.mkstemp(".tmp", "tables-", source.upload_folder)
    os.close(descriptor)
    path = Path(name)
    try:
        _compose(source, path, parts)
        yield path
    except (OSError, sqlite3.Error):
        raise UploadError("folder") from None
    finally:
        path.unlink(missing_ok=True)


def _compose(source: DataSource, path: Path, parts: Mapping[str, Part]) -> None:
    before = source.upload_folder / UPLOADS_FILE
    if before.is_file() and not _is_loose(before):
        shutil.copyfile(before, path)
    with closing(sqlite3.connect(path.as_uri(), uri=True, isolation_level=None)) as connection:
        # A crash loses only this file, which nobody uses yet.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        present = _present(connection)
        for name in present.keys() - {name for name, part in parts.items() if present.get(name) == part.stored}:
            connection.execute(f'DROP TABLE "{name}"')
            present.pop(name)
        for name, part in parts.items():
            if name not in present:
                _add(connection, name, part, version_path(source, part.stored))
        connection.execute("PRAGMA analysis_limit = 400")
        connection.execute("ANALYZE")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _is_loose(path: Path) -> bool:
    """Return True if half of a file is empty: then it is better built from the start."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            (free,), (pages,) = (connection.execute(f"PRAGMA {each}_count").fetchone() for each in ("freelist", "page"))
    except sqlite3.Error:
        return True
    return bool(2 * free > pages)


def _present(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the tables of a composed file with the versions that they have: a comment in their definition says it."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    )
    marks = {name: _MARK.search(sql) for name, sql in rows.fetchall()}
    return {name: mark[1] if mark else "" for name, mark in marks.items()}


def _add(connection: sqlite3.Connection, name: str, part: Part, path: Path) -> None:
    """Copy a version into the file as a table. Its names are legal ones, without quotes."""
    connection.execute("ATTACH ? AS part", (f"{path.as_uri()}?mode=ro",))
    (definition,) = connection.execute("SELECT sql FROM part.sqlite_master WHERE name = ?", (TABLE,)).fetchone()
    columns = definition[definition.index("(") :]
    connection.execute("BEGIN")
    connection.execute(f'CREATE TABLE "{name}" /* {part.stored} */ {columns}')
    connection.execute(f'INSERT INTO main."{name}" SELECT * FROM part.{TABLE}')  # noqa: S608
    for column in part.searched:
        connection.execute(f'CREATE INDEX "{name} {column}" ON "{name}" ("{column}")')
    connection.execute("COMMIT")
    connection.execute("DETACH part")


def activate(source: DataSource, path: Path) -> None:
    """Move a composed file into its place: calls from now on see it."""
    os.replace(path, source.upload_folder / UPLOADS_FILE)
    disk.sync(source.upload_folder)


def refresh(source: DataSource) -> None:
    """Make a source's files what the database says: after a deletion, or a change that failed half-way."""
    with locked(source):
        with composed(source, parts_of(source)) as path:
            activate(source, path)
        remove_unused(source)


def remove_unused(source: DataSource) -> None:
    """Remove the files of versions that are no longer in the database. Called with the source locked."""
    known = set(UploadVersion.objects.filter(table__source=source).values_list("stored", flat=True))
    folder = source.upload_folder
    with suppress(OSError):
        for path in (folder / "versions").iterdir():
            if path.stem not in known:
                path.unlink(missing_ok=True)
        for path in folder.glob("*.tmp"):  # of processes that were killed
            if time.time() - path.stat().st_mtime > _BUILT_SECONDS:
                path.unlink(missing_ok=True)


def first_values(source: DataSource, stored: str) -> dict[str, list[Any]]:
    """Return the columns of a version with their values in its first rows. Raises UploadError."""
    path = version_path(source, stored)
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(f"SELECT * FROM {TABLE} LIMIT {_LOOKED_AT}")  # noqa: S608
            names = [each[0] for each in rows.description]
            return {name: list(values) for name, *values in zip(names, *rows.fetchall(), strict=True)}
    except sqlite3.Error:
        raise UploadError("no-version") from None


def check_space(source: DataSource, more: int) -> None:
    """Check that the source's files may grow by ``more`` bytes. Raises UploadError."""
    used = sum(path.stat().st_size for path in source.upload_folder.rglob("*.sqlite3"))
    # A version is stored twice: by itself, and in the file that calls read.
    if used + 2 * more > settings.MAX_UPLOADS_BYTES:
        raise UploadError("full", mib=settings.MAX_UPLOADS_BYTES >> 20)
