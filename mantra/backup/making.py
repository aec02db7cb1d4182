"""Makes a backup while the bus goes on.

The order makes its parts agree. Nothing is pruned meanwhile. Uploads and agreement files are copied first, then the
database, then the journal: so the journal has all lines that the database has as shipped, and those after them, which a
restore ships. Files that came while the database was copied are added at the end: they never change, so that each that
the database names is there.
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from mantra import VERSION
from mantra.backup import databases, keys, manifest
from mantra.backup.files import Archive, sources
from mantra.backup.manifest import BackupError, Manifest, Part
from registry import disk, leader
from registry.journal import head, reader, shipping
from registry.journal.chain import CHAIN_LENGTH
from registry.models import JournalSegment

#: The parts with files, and the signed head of the journal that the backup has.
JOURNAL, FILES, HEAD = "journal.tar.gz", "files.tar.gz", "journal.head"
#: The parts that a backup can be without.
SOURCES, ARCHIVE = "sources.tar.gz", "archive.tar.gz"
_NAME = re.compile(r"mantra-\d{8}T\d{6}Z")
_PARTIAL = ".partial"
_CHUNK = 1024 * 1024


def make(folder: Path, without: Collection[str] = ()) -> Path:
    """Make a backup below a folder. Return its own folder. Raises BackupError, and then there is none.

    ``without``: SOURCES, ARCHIVE.
    """
    with _alone(folder):
        place = folder / f"mantra-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        partial = folder / f".{place.name}{_PARTIAL}"
        try:
            partial.mkdir(mode=0o700)
            with _unpruned():
                _write(partial, without)
            _finish(partial, place)
        except (OSError, DatabaseError) as error:
            reason = error.strerror if isinstance(error, OSError) else "the database cannot be read"
            raise BackupError(f"No backup was made: {reason}.") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return place


def prune(folder: Path, keep: int) -> list[str]:
    """Remove the oldest backups of a folder above a number. Return their names."""
    with _alone(folder):
        made = sorted(
            path for path in folder.iterdir() if _NAME.fullmatch(path.name) and (path / manifest.NAME).exists()
        )
        for path in made[:-keep]:
            # Under another name, so that no half of a backup looks like one.
            removed = path.rename(folder / f".{path.name}{_PARTIAL}")
            shutil.rmtree(removed)
        return [path.name for path in made[:-keep]]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other backups from the folder, and remove what one that was killed has left behind. Raises BackupError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a")
    except OSError as error:
        raise BackupError(f"{folder} cannot be written: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"Another backup is being made in {folder}.") from None
        for path in folder.glob(f".mantra-*{_PARTIAL}"):
            shutil.rmtree(path)
        yield


@contextmanager
def _unpruned() -> Iterator[None]:
    """Keep the worker from pruning. Raises BackupError while it prunes."""
    with leader.only_one_in(Path(settings.JOURNAL_DIR), shipping.PRUNING) as alone:
        if not alone:
            raise BackupError("The worker is pruning the journal, or another backup is being made. Try again later.")
        yield


def _write(partial: Path, without: Collection[str]) -> None:
    """Write all parts into a folder, and the manifest last."""
    database = databases.own()
    migrations = sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())
    with Archive(partial / FILES) as files:
        _add_files(files)
        database.dump(partial / database.part)
        journal = _write_journal(partial)
        _add_files(files)
    parts = [manifest.part_of(partial / database.part), *journal, files.part]
    parts += [write(partial) for name, write in _OPTIONAL.items() if name not in without]
    made = Manifest(datetime.now(UTC).isoformat(), VERSION, connection.vendor, migrations, keys.needed(), parts)
    (partial / manifest.NAME).write_bytes(made.dump())


def _add_files(archive: Archive) -> None:
    """Add the files that the database names."""
    archive.add_folder(Path(settings.UPLOAD_DIR), "uploads")
    archive.add_folder(Path(settings.FILES_DIR), "files")


def _write_sources(partial: Path) -> Part:
    folders = [Path(folder) for folder in settings.SOURCE_FILE_DIRS]
    roots = [folder.resolve() for folder in folders]
    with Archive(partial / SOURCES) as archive:
        for number, folder in enumerate(folders):
            for path, real in sources(folder, roots):
                archive.add_source(real, f"{number}/{path.relative_to(folder)}")
    return archive.part


def _write_archive(partial: Path) -> Part:
    with Archive(partial / ARCHIVE) as archive:
        archive.add_folder(Path(settings.JOURNAL_ARCHIVE_DIR), "archive")
    return archive.part


#: Part → what writes it.
_OPTIONAL = {SOURCES: _write_sources, ARCHIVE: _write_archive}


def _write_journal(partial: Path) -> list[Part]:
    """Write the complete lines that the segments have now, and the head that proves them."""
    closed = dict(JournalSegment.objects.values_list("name", "closed_at"))
    entries = []
    with Archive(partial / JOURNAL) as archive:
        for path in reader.segments():
            lines, size, chain = _end(path)
            if lines:
                archive.add_file(path, f"journal/{path.name}", size)
                entries.append(head.Entry(path.name, lines, chain, closed.get(path.name)))
    (partial / HEAD).write_bytes(head.dump(head.Head(timezone.now(), tuple(entries))))
    return [archive.part, manifest.part_of(partial / HEAD)]


def _end(path: Path) -> tuple[int, int, str]:
    """Return the number of a segment's complete lines, their bytes, and the chain of the last one."""
    lines = size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if b"\n" in chunk:
                lines += chunk.count(b"\n")
                size = file.tell() - len(chunk) + chunk.rindex(b"\n") + 1
        file.seek(max(0, size - CHAIN_LENGTH - 1))
        return lines, size, file.read(CHAIN_LENGTH).decode("ascii", "replace")


def _finish(partial: Path, place: Path) -> None:
    """Give a backup its name when all of it is on the disk, for its owner only."""
    for path in partial.iterdir():
        path.chmod(0o600)
    for path in (*partial.iterdir(), partial):
        disk.sync(path)
    partial.rename(place)
    disk.sync(place.parent)
