"""The counts of one process: rows of numbers that only grow, in a file that is mapped into memory.

A count costs a few hundred nanoseconds: no file is written and nothing is encoded. Each chunk of the file has its
blocks on the disk before it is mapped: so a full disk is an error here, where otherwise a count would kill the process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import threading
import time
from collections.abc import Iterator
from operator import add
from pathlib import Path

from registry.metrics import folder

#: A row: the length of its key, the key, and the cells, unsigned numbers of 8 bytes in the machine's order.
ROW_BYTES, KEY_BYTES, CELLS = 512, 312, 24
_CELLS_AT = ROW_BYTES - CELLS * 8
CHUNK_BYTES = 64 * 1024
#: Rows of a process at most. What finds no row is counted in that of the key's kind without further parts.
MAX_ROWS = 16_384

#: What is counted: a kind, then codes and numbers.
Key = tuple[str, ...]
#: The beginning of the last part of a key whose row is a thread's own.
_THREAD = "\x01"


class Row:
    """The cells of one key. ``lock`` is held for the time of an addition."""

    __slots__ = ("cells", "lock")

    def __init__(self, cells: memoryview) -> None:
        self.cells = cells
        self.lock = threading.Lock()


class Counters:
    """The rows of this process. They are created as they are needed, and stay."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[Key, Row] = {}
        self._chunk: mmap.mmap | None = None
        self.stem = f"{socket.gethostname()[:80]}-{os.getpid()}-{time.time_ns()}"
        with folder.locked() as place:
            self.path = place / f"{self.stem}{folder.COUNTS}"
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)  # held while the process is alive

    def row(self, key: Key) -> Row:
        """Return the row of a key, or its kind's common row if there can be no more. Raises OSError."""
        return self._rows.get(key) or self._create(key)

    def own_row(self, key: Key) -> Row:
        """Return this thread's row of a key: for what each call counts, so that calls do not wait for each other.

        Readers add up the rows of all threads.
        """
        return self.row((*key, f"{_THREAD}{threading.get_ident():x}"))

    def _create(self, key: Key) -> Row:
        with self._lock:
            if key in self._rows:
                return self._rows[key]
            if len(self._rows) >= MAX_ROWS and len(key) > 1:
                key = key[:1]
            if key not in self._rows:
                self._rows[key] = self._new_row("\0".join(key).encode())
            return self._rows[key]

    def _new_row(self, key: bytes) -> Row:
        if len(key) > KEY_BYTES:
            raise ValueError("the key of a row is too long")
        at = len(self._rows) * ROW_BYTES % CHUNK_BYTES
        if at == 0:
            self._chunk = self._map(len(self._rows) * ROW_BYTES)
        assert self._chunk is not None
        self._chunk[at + 8 : at + 8 + len(key)] = key
        self._chunk[at : at + 8] = len(key).to_bytes(8, "little")  # last: from now on others read the row
        return Row(memoryview(self._chunk)[at + _CELLS_AT : at + ROW_BYTES].cast("Q"))

    def _map(self, at: int) -> mmap.mmap:
        os.posix_fallocate(self._fd, at, CHUNK_BYTES)
        return mmap.mmap(self._fd, CHUNK_BYTES, offset=at)


def read(content: bytes) -> Iterator[tuple[Key, list[int]]]:
    """Yield the rows of a process's file."""
    for at in range(0, len(content) - ROW_BYTES + 1, ROW_BYTES):
        length = int.from_bytes(content[at : at + 8], "little")
        if not 0 < length <= KEY_BYTES:
            continue
        key = content[at + 8 : at + 8 + length].decode(errors="replace")
        parts = tuple(key.split("\0"))
        yield (
            parts[:-1] if parts[-1].startswith(_THREAD) else parts,
            memoryview(content)[at + _CELLS_AT : at + ROW_BYTES].cast("Q").tolist(),
        )


def counts_of(path: Path) -> tuple[bool, dict[Key, list[int]]]:
    """Return whether the process that counts in a file is alive, and its rows. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        alive = folder.is_written(fd)
        rows: dict[Key, list[int]] = {}
        for key, cells in read(os.pread(fd, MAX_ROWS * ROW_BYTES + CHUNK_BYTES, 0)):
            rows[key] = list(map(add, rows[key], cells)) if key in rows else cells
        return alive, rows
    finally:
        os.close(fd)
