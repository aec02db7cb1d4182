"""Rows in parts by their keys, in a file that has no name: what does not fit into memory while two lists are joined.

Rows with the same key are in the same part of both lists, so that one part at a time is joined. The file is removed
when it is made: the system frees it with the process, however that ends. Its content is encrypted with a key that is
in memory only.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mantra.gateway.formats.values import clean

#: Parts of a list. One part of each list is in memory at a time: of a million rows some eight thousand.
PARTS = 128
#: Rows and characters that wait in memory before they are written.
CHUNK_ROWS, WAITING = 128, 8_000_000
#: The most bytes of a list.
MOST_BYTES = 4 * 1024**3

#: Key, number in its list, and the texts of its columns.
Row = tuple[str, int, tuple[str | None, ...]]


class TooLarge(Exception):
    """A list is larger than MOST_BYTES."""


class Spill:
    """A list in parts. Rows are added; after finish() each part is read once. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by close()
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._waiting: list[list[Row]] = [[] for _ in range(PARTS)]
        #: Where the chunks of each part are: offset, length and number.
        self._chunks: list[list[tuple[int, int, int]]] = [[] for _ in range(PARTS)]
        self._size = self._number = self._weight = 0

    def add(self, rows: Sequence[Row], weight: int) -> None:
        """Add rows with ``weight`` characters. Raises TooLarge."""
        waiting, mask = self._waiting, PARTS - 1
        for row in rows:
            # Python's hash of a text has a random key for each process: nobody can choose the part of a row.
            part = hash(row[0]) & mask
            buffer = waiting[part]
            buffer.append(row)
            if len(buffer) >= CHUNK_ROWS:
                self._write(part)
        self._weight += weight
        if self._weight > WAITING:
            self.finish()

    def finish(self) -> None:
        """Write what waits."""
        for part in range(PARTS):
            if self._waiting[part]:
                self._write(part)
        self._weight = 0

    def _write(self, part: int) -> None:
        rows, self._waiting[part] = self._waiting[part], []
        try:
            plain = orjson.dumps(rows)
        except TypeError:  # a text that is no Unicode, as some sources have
            plain = orjson.dumps([_cleaned(row) for row in rows])
        chunk = self._cipher.encrypt(self._number.to_bytes(12, "big"), plain, None)
        if self._size + len(chunk) > MOST_BYTES:
            raise TooLarge
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._file.fileno(), view) :]
        self._chunks[part].append((self._size, len(chunk), self._number))
        self._size += len(chunk)
        self._number += 1

    def rows(self, part: int) -> Iterator[list[Row]]:
        """Yield the rows of a part."""
        for offset, length, number in self._chunks[part]:
            chunk = os.pread(self._file.fileno(), length, offset)
            rows: list[Row] = orjson.loads(self._cipher.decrypt(number.to_bytes(12, "big"), chunk, None))
            yield rows

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self._size

    def close(self) -> None:
        self._file.close()


def _cleaned(row: Row) -> Row:
    key, number, texts = row
    return clean(key), number, tuple(None if text is None else clean(text) for text in texts)
