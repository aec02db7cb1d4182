"""The folders of reconciliations, below that of exports: uploaded lists, results, and what is at work.

Uploads and results are encrypted, each with a key of its own, which is in the database. The folder of what is at work
is emptied when a process takes the work over.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from registry.exports import files
from registry.exports.files import new_key, new_name

__all__ = ["EncryptedOutput", "check_room", "folder", "key_of", "new_key", "new_name", "read", "remove", "store"]

EncryptedOutput, check_room = files.EncryptedOutput, files.check_room
#: Seconds for which a file may be there without a row.
_NEW_SECONDS = 3600
UPLOADS, RESULTS, WORK = "uploads", "results", "work"


def folder(name: str) -> Path:
    """Return a folder, which is made when it is needed. Raises OSError."""
    place = files.folder() / "reconciliation" / name
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def key_of(key: str, name: str) -> str:
    """Return the key of one of several files: no two files have the same."""
    return base64.b64encode(hmac.digest(base64.b64decode(key), name.encode(), hashlib.sha256)).decode()


def store(chunks: Iterable[bytes], limit: int) -> tuple[str, str]:
    """Store an uploaded file. Return its name and its key. Raises ExportError and OSError."""
    check_room()
    stored, key = new_name(), new_key()
    try:
        with EncryptedOutput(folder(UPLOADS) / stored, key, limit, _nothing) as output:
            for chunk in chunks:
                output.write(chunk)
            output.finish()
    except BaseException:
        remove(UPLOADS, stored)
        raise
    return stored, key


def _nothing() -> None:
    pass


def read(path: Path, key: str) -> Iterator[bytes]:
    """Yield the content of an encrypted file. Raises ExportError if it is not there, or not as it was written."""
    return files.read_from(path, key)


def copy(path: Path, key: str, target: Path, progress: Callable[[], None]) -> None:
    """Write the content of an encrypted file to a private one. Raises ExportError and OSError."""
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in read(path, key):
            file.write(chunk)
            progress()


def remove(name: str, stored: str) -> None:
    """Remove an uploaded file, or the folder of a result, if it is there."""
    if not stored:
        return
    with suppress(OSError):
        path = folder(name) / stored
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def clear_work() -> None:
    """Remove what processes have left that were killed."""
    with suppress(OSError):
        for path in folder(WORK).iterdir():
            shutil.rmtree(path, ignore_errors=True)


def remove_others(name: str, known: Collection[str]) -> None:
    """Remove all uploads or results but those that are known."""
    with suppress(OSError):
        for path in folder(name).iterdir():
            # A file that was just uploaded is in the database soon.
            if path.name not in known and time.time() - path.stat().st_mtime > _NEW_SECONDS:
                remove(name, path.name)
