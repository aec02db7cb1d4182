"""What a run keeps on the disk while it works: encrypted, and without a name, so that nothing stays if it is killed."""

from __future__ import annotations

import hashlib
import os
import pickle
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from mantra.synchronization.problems import Problem
from registry.exports import ExportError, files


def check_room() -> None:
    """Raise Problem if the disk has no room."""
    try:
        files.check_room()
    except (ExportError, OSError):
        raise Problem("disk") from None


class Spool:
    """Records, written one after the other and then read in that order. They are encrypted with a key in memory."""

    def __init__(self) -> None:
        check_room()
        try:
            self._file = tempfile.TemporaryFile(dir=files.folder(), prefix="sync-")  # noqa: SIM115 (closed by close())
        except OSError:
            raise Problem("disk") from None
        self._cipher, self._count, self._size = AESGCM(AESGCM.generate_key(256)), 0, 0

    def put(self, record: Any) -> None:
        """Add a record. Raises Problem if the disk is full, or the limit of exports is reached."""
        # Only what this process wrote is unpickled: another's record has no valid tag.
        data = self._cipher.encrypt(self._count.to_bytes(12, "big"), pickle.dumps(record), None)
        self._size += len(data) + 8
        if self._size > settings.MAX_EXPORT_BYTES:
            raise Problem("disk")
        try:
            self._file.write(len(data).to_bytes(8, "big") + data)
        except OSError:
            raise Problem("disk") from None
        self._count += 1

    def __iter__(self) -> Iterator[Any]:
        try:
            self._file.seek(0)
        except OSError:  # what was buffered did not fit
            raise Problem("disk") from None
        for number in range(self._count):
            length = int.from_bytes(self._file.read(8), "big")
            yield pickle.loads(  # noqa: S301 (authenticated)
                self._cipher.decrypt(number.to_bytes(12, "big"), self._file.read(length), None)
            )

    def close(self) -> None:
        """Drop all records."""
        self._file.close()


class KeySet:
    """The keys that a run has seen, as keyed hashes, in a file: their number is not limited by memory."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        try:
            handle, path = tempfile.mkstemp(dir=files.folder(), prefix="sync-")
            os.close(handle)
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = OFF")
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
            os.unlink(path)
            self._database.execute("BEGIN")
        except (OSError, sqlite3.Error):
            raise Problem("disk") from None

    def _digest(self, key: Sequence[Any]) -> bytes:
        return hashlib.blake2b(repr(tuple(key)).encode(), digest_size=16, key=self._secret).digest()

    def add(self, key: Sequence[Any]) -> bool:
        """Add a key. Return False if it is there already."""
        try:
            return bool(self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (self._digest(key),)).rowcount)
        except sqlite3.Error:
            raise Problem("disk") from None

    def __contains__(self, key: Sequence[Any]) -> bool:
        found = self._database.execute("SELECT 1 FROM seen WHERE key = ?", (self._digest(key),))
        return found.fetchone() is not None

    def close(self) -> None:
        """Drop all keys."""
        self._database.close()
