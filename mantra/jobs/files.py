"""The files of jobs: a folder for each below settings.JOB_DIR, with encrypted files only.

``input`` is the file that was sent, ``rows`` its checked rows, and ``p`` with the number of a row a part of the results
that begins with it. A part is written under another name and gets its own when it is on the disk: what is there is
whole. The key of a file is made from the job's key, the file's name and a salt in it, so that files cannot be
exchanged, and no key encrypts two contents.
"""

from __future__ import annotations

import base64
import errno
import hmac
import io
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from django.conf import settings

from mantra.jobs.problems import JobError
from registry import disk
from registry.exports.files import EncryptedOutput, decrypted, new_key, new_name
from registry.exports.kinds import ExportError

__all__ = ["INPUT", "ROWS", "JobFolder", "StoredFile", "check_room", "new_key", "new_name", "remove_others"]

INPUT, ROWS = "input", "rows"
#: The bytes that jobs leave free on their disk. The journal is often there too: without room no call is served.
LEFT_FREE = 256 * 1024 * 1024
_SALT = 16
_PART = re.compile(r"p([0-9]{9})")
_FOLDER = re.compile(r"[0-9a-f]{32}")
#: Errors of a disk that has no room for us.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def folder() -> Path:
    """Return the folder of all jobs, which is made when it is needed. Raises OSError."""
    place = Path(settings.JOB_DIR)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def check_room() -> None:
    """Raise JobError if the disk has no room for files of jobs."""
    try:
        free = os.statvfs(folder())
    except OSError:
        raise JobError("disk") from None
    if free.f_bavail * free.f_frsize < LEFT_FREE:
        raise JobError("disk")


class JobFolder:
    """The files of a job. ``stored``: the name of the folder; ``key``: the job's key."""

    def __init__(self, stored: str, key: str) -> None:
        self.path = Path(settings.JOB_DIR) / stored
        self._key = base64.b64decode(key)

    def make(self) -> None:
        """Make the folder. Raises JobError."""
        try:
            folder()
            self.path.mkdir(mode=0o700)
        except OSError:
            raise JobError("disk") from None

    def file(self, name: str) -> StoredFile:
        """Return a file, which may not be there."""
        return StoredFile(self.path / name, self._key)

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    @contextmanager
    def writing(self, name: str, limit: int, written: Callable[[], None] = lambda: None) -> Iterator[EncryptedOutput]:
        """Provide the output of a file, which is there when the block has ended well: with its bytes on the disk.

        Raises JobError "disk" without room, "too-large" beyond ``limit`` bytes, and FileExistsError if there is a
        file of this name: then another process has written it, and it stays.
        """
        check_room()
        salt = secrets.token_bytes(_SALT)
        temporary = self.path / f"new-{secrets.token_hex(8)}"
        try:
            with EncryptedOutput(temporary, _derived(self._key, name, salt), limit, written, salt) as output:
                yield output
                output.finish()
            os.link(temporary, self.path / name)
            disk.sync(self.path)
        except FileExistsError:
            raise
        except ExportError as error:
            raise JobError(error.problem, limit >> 20) from None
        except OSError as error:
            raise JobError("disk" if error.errno in _FULL else "files") from None
        finally:
            temporary.unlink(missing_ok=True)

    def write_part(self, first: int, content: Iterable[bytes]) -> None:
        """Write the part of the results that begins with a row. Raises as writing() does."""
        with self.writing(f"p{first:09}", 1 << 62) as output:
            for piece in content:
                output.write(piece)

    def parts(self) -> list[int]:
        """Return the first rows of all parts, in order. Raises JobError."""
        try:
            names = os.listdir(self.path)
        except OSError:
            raise JobError("files") from None
        return sorted(int(match[1]) for match in map(_PART.fullmatch, names) if match)

    def part(self, first: int) -> StoredFile:
        return self.file(f"p{first:09}")

    def remove(self, name: str) -> None:
        with suppress(OSError):
            (self.path / name).unlink(missing_ok=True)

    def remove_unfinished(self) -> None:
        """Remove what a process has left that died while it was writing."""
        with suppress(OSError):
            for path in self.path.glob("new-*"):
                path.unlink(missing_ok=True)

    def remove_all(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def size(self) -> int:
        """Return the bytes of all files."""
        size = 0
        with suppress(OSError):
            for entry in os.scandir(self.path):
                with suppress(OSError):
                    size += entry.stat().st_size
        return size


def _derived(key: bytes, name: str, salt: bytes) -> str:
    return base64.b64encode(hmac.digest(key, b"file:" + name.encode() + b":" + salt, sha256)).decode()


class StoredFile:
    """An encrypted file of a job. It is opened as a Path is, by readers that know nothing of the encryption."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key

    def chunks(self) -> Iterator[bytes]:
        """Yield the content. Raises JobError if it is not there, or not as it was written."""
        try:
            with self._path.open("rb") as file:
                salt = file.read(_SALT)
                yield from decrypted(file, _derived(self._key, self._path.name, salt))
        except (OSError, InvalidTag, ValueError):
            raise JobError("files") from None

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, without their ends. Raises JobError."""
        rest = b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def open(self, mode: str = "r", **text: Any) -> Any:
        """Return a stream of the content: of bytes for "rb", else of text."""
        raw = io.BufferedReader(_Plain(self), 128 * 1024)
        return raw if "b" in mode else io.TextIOWrapper(raw, **text)


class _Plain(io.RawIOBase):
    """The content of a stored file as a stream. It can go back to its beginning only."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self._chunks = file.chunks()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        if not self._ready:
            self._ready = next(self._chunks, b"")
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def remove_others(known: Iterable[str], before: float) -> None:
    """Remove all folders of jobs but those that are known, and those that were changed after a time."""
    kept = set(known)
    for path in folder().iterdir():
        if _FOLDER.fullmatch(path.name) and path.name not in kept:
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    shutil.rmtree(path, ignore_errors=True)
