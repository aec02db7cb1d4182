"""The files of imports, below the folder of exports: uploaded dumps and access logs, and keys for comparisons, all of
them encrypted; and how far a run or a comparison is.

The database does not say how far a run is: a dry run works aside of it, in one transaction, which shows nothing before
its end; and whoever cancels a run must not wait for what it writes.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from registry.exports import files

#: Seconds for which a dump may be there without a row.
_NEW_SECONDS = 3600
_DUMPS, _WORK = "dumps", "work"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: bytes or rows that were read, or rows of the old database that were looked at. Of a comparison:
    lines of a log, operations, or requests."""

    step: str
    done: int = 0
    total: int = 0


READING, TAKING = "reading", "taking"
#: What the files about a run or a comparison are named by: models.Work.mark.
Mark = int | str


def _folder(name: str) -> Path:
    place = files.folder() / "legacy-import" / name
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


# ----------------------------------------------------------------------------------------------- dumps


def store(chunks: Iterable[bytes]) -> tuple[str, str]:
    """Store an uploaded dump or log, or keys. Return its name and its key. Raises ExportError and OSError."""
    files.check_room()
    stored, key = files.new_name(), files.new_key()
    try:
        path = _folder(_DUMPS) / stored
        with files.EncryptedOutput(path, key, settings.MAX_LEGACY_DUMP_BYTES, lambda: None) as output:
            for chunk in chunks:
                output.write(chunk)
            output.finish()
    except BaseException:
        remove(stored)
        raise
    return stored, key


@contextmanager
def readable(stored: str, key: str, progress: Callable[[], None]) -> Iterator[str]:
    """Return the path of a plain copy of a dump or a log. Raises ExportError and OSError.

    The copy has no name, so that nothing of it stays if the process is killed: it holds passwords or personal data.
    """
    with tempfile.TemporaryFile(dir=_folder(_WORK)) as copy:
        for chunk in files.read_from(_folder(_DUMPS) / stored, key):
            copy.write(chunk)
            progress()
        copy.flush()
        yield f"/proc/self/fd/{copy.fileno()}"


def lines(stored: str, key: str) -> Iterator[str]:
    """Yield the lines of a stored text, which is in memory only. Raises ExportError."""
    rest = b""
    for chunk in files.read_from(_folder(_DUMPS) / stored, key):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)
    if rest:
        yield rest.decode()


def remove(stored: str) -> None:
    """Remove a file, if it is there."""
    if stored:
        with suppress(OSError):
            (_folder(_DUMPS) / stored).unlink(missing_ok=True)


def remove_others(known: Collection[str]) -> None:
    """Remove all files but those that are known."""
    with suppress(OSError):
        for path in _folder(_DUMPS).iterdir():
            # A file that was just uploaded is in the database soon.
            if path.name not in known and time.time() - path.stat().st_mtime > _NEW_SECONDS:
                remove(path.name)


# ---------------------------------------------------------------------------------------- runs under way


def report(run: Mark, progress: Progress) -> None:
    """Write how far a run is. Raises OSError."""
    place = _folder(_WORK)
    handle, name = tempfile.mkstemp(dir=place)
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(progress), file)
    os.replace(name, place / f"{run}.json")


def progress_of(run: Mark) -> Progress | None:
    """Return how far a run is; None if that is not known."""
    try:
        return Progress(**json.loads((_folder(_WORK) / f"{run}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def cancel(run: Mark) -> None:
    """Request that the worker cancels a run. Raises OSError."""
    (_folder(_WORK) / f"{run}.cancel").touch(mode=0o600)


def is_cancelled(run: Mark) -> bool:
    """Return True if a run is to be cancelled."""
    return (_folder(_WORK) / f"{run}.cancel").exists()


def clear(run: Mark) -> None:
    """Remove what is written about a run."""
    with suppress(OSError):
        for suffix in ("json", "cancel"):
            (_folder(_WORK) / f"{run}.{suffix}").unlink(missing_ok=True)
