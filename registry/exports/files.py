"""Files of exports: below settings.EXPORT_DIR, encrypted with a key of their own, which is in the row of the export.

A file is a sequence of chunks of AES-GCM. The nonce of a chunk is its number and whether it is the last one, so that
chunks can be neither exchanged nor cut off (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
"""

from __future__ import annotations

import base64
import io
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from registry.exports.kinds import ExportError

CHUNK, _TAG = 64 * 1024, 16
#: The suffix of the folder of temporary files of an export.
TEMPORARY = ".tmp"
#: The names of files and of their folders; others in the folder are not the exports' own.
_NAME = re.compile(rf"[0-9a-f]{{32}}(?:{re.escape(TEMPORARY)})?")
#: The bytes that exports leave free on their disk. The journal is often there too: without room no call is served.
LEFT_FREE = 256 * 1024 * 1024


def folder() -> Path:
    """Return the folder, which is made when it is needed. Raises OSError."""
    place = Path(settings.EXPORT_DIR)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def check_room() -> None:
    """Raise ExportError if the disk has no room for exports."""
    disk = os.statvfs(folder())
    if disk.f_bavail * disk.f_frsize < LEFT_FREE:
        raise ExportError("disk")


def new_name() -> str:
    """Return a name for a file, which says nothing."""
    return secrets.token_hex(16)


def new_key() -> str:
    return base64.b64encode(AESGCM.generate_key(256)).decode()


def _cipher(key: str) -> AESGCM:
    return AESGCM(base64.b64decode(key))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes((last,))


class EncryptedOutput(io.RawIOBase):
    """Writes a file, encrypted. Raises ExportError beyond ``limit`` bytes. It cannot be read and has no place.

    ``written`` is called after each chunk. ``head`` is written before the first one, as it is.
    """

    def __init__(self, path: Path, key: str, limit: int, written: Callable[[], None], head: bytes = b"") -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._file.write(head)
        self._cipher, self._limit, self._written = _cipher(key), limit, written
        self._waiting, self._number = bytearray(), 0
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.size += len(data)
        if self.size > self._limit:
            raise ExportError("too-large")
        self._waiting += data
        # One chunk is kept back: the last one is marked.
        while len(self._waiting) > CHUNK:
            self._put(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(data)

    def _put(self, chunk: bytes, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), chunk, None))
        self._number += 1
        self._written()

    def finish(self) -> None:
        """Write the last chunk, and wait for the disk."""
        self._put(bytes(self._waiting), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
        super().close()


def read(stored: str, key: str) -> Iterator[bytes]:
    """Yield the content of an export's file. Raises ExportError as read_from() does."""
    return read_from(folder() / stored, key)


def read_from(path: Path, key: str) -> Iterator[bytes]:
    """Yield the content of a file. Raises ExportError if it is not there, or not as it was written."""
    try:
        with open(path, "rb") as file:
            yield from decrypted(file, key)
    except (OSError, InvalidTag, ValueError):
        raise ExportError("disk") from None


def decrypted(file: io.BufferedReader, key: str) -> Iterator[bytes]:
    """Yield the content of an open file, from its first chunk on. Raises OSError, InvalidTag."""
    cipher = _cipher(key)
    number, chunk = 0, file.read(CHUNK + _TAG)
    while following := file.read(CHUNK + _TAG):
        yield cipher.decrypt(_nonce(number, last=False), chunk, None)
        number, chunk = number + 1, following
    yield cipher.decrypt(_nonce(number, last=True), chunk, None)


def remove_temporary(stored: str) -> None:
    """Remove the temporary files of an export, if there are any."""
    shutil.rmtree(folder() / f"{stored}{TEMPORARY}", ignore_errors=True)


def remove(stored: str) -> None:
    """Remove a file and the temporary files of its export, if they are there."""
    if stored:
        with suppress(OSError):
            (folder() / stored).unlink(missing_ok=True)
            remove_temporary(stored)


def remove_others(known: Iterable[str]) -> None:
    """Remove all files of exports but those that are known."""
    kept = set(known)
    for path in folder().iterdir():
        if _NAME.fullmatch(path.name) and path.name.removesuffix(TEMPORARY) not in kept:
            remove(path.name.removesuffix(TEMPORARY))
