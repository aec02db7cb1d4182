"""The rows of a result: a file of JSON lines for each kind, encrypted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from mantra.reconciliation import files
from mantra.reconciliation.engine import KINDS
from registry.exports import ExportError

#: Rows that are encoded at once.
_BATCH = 500


class ResultFiles:
    """Writes the rows of a run. A kind of which there are more bytes than an export may have is cut off."""

    def __init__(self, place: Path, key: str, written: Callable[[], None]) -> None:
        place.mkdir(mode=0o700)
        self._outputs = {
            kind: files.EncryptedOutput(place / kind, files.key_of(key, kind), 2**62, written) for kind in KINDS
        }
        self._waiting: dict[str, list[Sequence[object]]] = {kind: [] for kind in KINDS}
        #: How many rows of each kind are kept.
        self.kept = dict.fromkeys(KINDS, 0)

    def add(self, kind: str, row: Sequence[object]) -> None:
        waiting = self._waiting[kind]
        waiting.append(row)
        if len(waiting) >= _BATCH:
            self._write(kind)

    def _write(self, kind: str) -> None:
        rows, self._waiting[kind] = self._waiting[kind], []
        output = self._outputs[kind]
        if output.size > settings.MAX_EXPORT_BYTES:
            return
        output.write(b"".join([orjson.dumps(row) + b"\n" for row in rows]))
        self.kept[kind] += len(rows)

    def finish(self) -> None:
        """Write what waits. Raises OSError."""
        for kind, output in self._outputs.items():
            if self._waiting[kind]:
                self._write(kind)
            output.finish()

    def close(self) -> None:
        for output in self._outputs.values():
            output.close()


def rows(stored: str, key: str, kind: str) -> Iterator[list[Any]]:
    """Yield the rows of a kind. Raises ExportError if they are not there."""
    rest = b""
    for chunk in files.read(files.folder(files.RESULTS) / stored / kind, files.key_of(key, kind)):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        yield from map(orjson.loads, lines)


def first(stored: str, key: str, kind: str, most: int) -> list[list[Any]]:
    """Return the first rows of a kind; none if they cannot be read."""
    try:
        return list(islice(rows(stored, key, kind), most))
    except (ExportError, OSError):
        return []
