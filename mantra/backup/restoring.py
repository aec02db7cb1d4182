"""Restores a backup into an empty installation. Everything that can be refused is refused before anything changes."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from mantra.backup import databases, files, keys, making, manifest
from mantra.backup.manifest import BackupError, Manifest
from registry import leader
from registry.journal import archive, head, reader, shipping, verifying
from registry.models import Agency, CallRecord, JournalSegment, User

#: In MANTRA_VAR_DIR: ./run then loads no demo and creates no administrator.
MARK = "restored"
#: The models of which an empty installation has no rows, with the word for them.
_ROWS = ((Agency, "agencies"), (User, "users"), (CallRecord, "calls"), (JournalSegment, "journal segments' rows"))


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored. ``shipped``: the lines that the history did not have; ``broken``: what is not proven."""

    calls: int
    shipped: int
    lines: int
    broken: dict[str, str]


def check(backup: Path) -> Manifest:
    """Return the manifest of a backup that this installation can take. Raises BackupError with all that it lacks."""
    found = manifest.load(backup)
    manifest.verify(backup, found)
    lacks = keys.missing(found.keys)
    if lacks:
        raise BackupError(
            f"These keys are missing, named by their fingerprints: {', '.join(lacks)}. Put back the settings that were "
            "in force when the backup was made."
        )
    if found.engine != connection.vendor:
        raise BackupError(
            f"The backup is of {found.engine}: set MANTRA_DATABASE_URL to an empty database of that kind."
        )
    unknown = set(found.migrations) - {f"{app}.{name}" for app, name in _known_migrations()}
    if unknown:
        raise BackupError(
            f"The backup is of version {found.version}, which is newer: it has {len(unknown)} migrations that this "
            "version lacks. Install that version first."
        )
    database = databases.own()
    _check_parts(backup, found, database.part)
    database.check()
    return found


def _check_parts(backup: Path, found: Manifest, database: str) -> None:
    """Raise BackupError unless the manifest names what every backup has, and all of the rest that lies there."""
    named = {part.name for part in found.parts}
    whole = {making.JOURNAL, making.FILES, making.HEAD, database}
    if lacking := whole - named:
        raise BackupError(f"The manifest does not name {', '.join(sorted(lacking))}: take another copy.")
    others = {name for name in (making.SOURCES, making.ARCHIVE) if (backup / name).exists()} - named
    if others:
        raise BackupError(f"The manifest does not name {', '.join(sorted(others))}: remove it, or take another copy.")


def _known_migrations() -> set[tuple[str, str]]:
    """Return the migrations of this version, with those that others replace."""
    loader = MigrationLoader(None)
    replaced = {key for each in (loader.disk_migrations or {}).values() for key in each.replaces}
    return {*(loader.disk_migrations or {}), *replaced}


def present(backup: Path) -> list[str]:
    """Return what this installation has already, in words: a restore replaces it."""
    tables = set(connection.introspection.table_names())
    counts = [(model._default_manager.count(), word) for model, word in _ROWS if model._meta.db_table in tables]
    counts += [
        (len(reader.segments()), "files of the journal"),
        (len(archive.segments()) if (backup / making.ARCHIVE).exists() else 0, "archived segments"),
        (sum(1 for _path in _stored()), "uploads and agreement files"),
        (sum(1 for _path in _overwritten(backup)), "files of sources with the same names"),
    ]
    return [f"{number} {word}" for number, word in counts if number]


def _stored() -> Iterator[Path]:
    for folder in map(Path, (settings.UPLOAD_DIR, settings.FILES_DIR)):
        yield from (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")


def _overwritten(backup: Path) -> Iterator[Path]:
    if not (backup / making.SOURCES).exists():
        return
    with tarfile.open(backup / making.SOURCES, "r:gz") as tar:
        for member in tar:
            number, _slash, name = member.name.partition("/")
            if (path := _source_folder(int(number)) / name).exists():
                yield path


def _source_folder(number: int) -> Path:
    """Return a folder of file sources by its place in the setting; the first one if there are fewer now."""
    folders = settings.SOURCE_FILE_DIRS
    return Path(folders[number] if number < len(folders) else folders[0])


@contextmanager
def stopped_bus() -> Iterator[None]:
    """Keep a worker from starting. Raises BackupError while the bus runs."""
    folder = Path(settings.JOURNAL_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with leader.only_one_in(folder, "ship") as alone:
        if not alone or any(reader.has_writer(path) for path in reader.segments()):
            raise BackupError("The bus is running. Stop its server and its worker first.")
        yield


def restore(backup: Path) -> Restored:
    """Replace this installation by a backup that was checked. Raises BackupError, and then it must be repeated."""
    try:
        return _restore(backup)
    except (OSError, tarfile.TarError, DatabaseError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise BackupError(f"The restore was not completed ({reason}). Repeat it with --force.") from None


def _restore(backup: Path) -> Restored:
    database = databases.own()
    _clear(backup)
    database.clear()
    _extract(backup)
    database.load(backup / database.part)
    connection.close()
    call_command("migrate", interactive=False, verbosity=0)
    shipped = shipping.ship()
    with suppress(OSError):  # in a container this folder itself cannot be written, and nothing reads the mark
        Path(settings.VAR_DIR, MARK).write_text(f"{backup.name}\n", encoding="utf-8")
    rows = verifying.in_order(JournalSegment.objects.all())
    proof = head.load((backup / making.HEAD).read_bytes())
    report = verifying.verify(reader.segments(), rows, proof, timezone.now())
    return Restored(CallRecord.objects.count(), shipped, report.lines, report.broken)


def _clear(backup: Path) -> None:
    """Remove the files that a backup has all of."""
    for path in reader.segments():
        path.unlink()
    archived = [settings.JOURNAL_ARCHIVE_DIR] if (backup / making.ARCHIVE).exists() else []
    for folder in map(Path, (settings.UPLOAD_DIR, settings.FILES_DIR, *archived)):
        for path in folder.iterdir() if folder.exists() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _extract(backup: Path) -> None:
    folders = {
        "journal": settings.JOURNAL_DIR, "archive": settings.JOURNAL_ARCHIVE_DIR,
        "uploads": settings.UPLOAD_DIR, "files": settings.FILES_DIR,
    }  # fmt: skip
    for name in (making.JOURNAL, making.FILES, making.ARCHIVE):
        if (backup / name).exists():  # it is in the manifest, or was left out
            files.extract(backup / name, lambda first: Path(folders[first]))
    if (backup / making.SOURCES).exists():
        files.extract(backup / making.SOURCES, lambda number: _source_folder(int(number)))
