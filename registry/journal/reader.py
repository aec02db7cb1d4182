"""Reads segments: their files, their complete lines, and whether their writer is alive."""

from __future__ import annotations

import fcntl
import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.conf import settings

from registry.journal.chain import CALLS, CHAIN_LENGTH, COMPLETIONS, SUFFIX
from registry.journal.lines import commitment, next_digest

#: Seconds in which a writer has surely locked a new file.
OPENING_SECONDS = 60

#: COMPLETIONS before the migration 0002_plain_names.
_OLD_COMPLETIONS = "ends"


@dataclass(slots=True)
class Line:
    """A complete line of a segment: its position, its JSON (unparsed) and its chain.

    The JSON of a line of format 2 is that of facts and content together; ``fields`` has it as it is in the file.
    """

    number: int
    end: int  # offset of the byte after the line
    body: bytes
    chain: bytes
    #: Facts, content, seal and mark of a line of format 2; None for format 1.
    fields: tuple[bytes, bytes, bytes, bytes] | None = None

    @property
    def is_erased(self) -> bool:
        """True if the line's content was erased."""
        return self.fields is not None and not self.fields[1] and bool(self.fields[2])

    @property
    def has_content(self) -> bool:
        """True if the line has content that can be erased."""
        return self.fields is not None and bool(self.fields[1])

    def digest(self, previous: bytes) -> bytes:
        """Return the public digest of a line of format 2, after that of the previous line."""
        facts, content, seal, _mark = self.fields or (b"", b"", b"", b"")
        return next_digest(previous, facts, commitment(seal, content) if content else seal)

    def chained(self, digest: bytes) -> bytes:
        """Return what the chain is made of: the public digest after that of the previous line, or the JSON."""
        return self.digest(digest) if self.fields else self.body


def line_of(raw: bytes, number: int, end: int) -> Line:
    """Return a line from its bytes."""
    parts = raw[:-1].split(b"\t")
    if len(parts) != 5:
        return Line(number, end, raw[: -CHAIN_LENGTH - 2], raw[-CHAIN_LENGTH - 1 : -1])
    facts, content, seal, mark, chain = parts
    return Line(number, end, facts[:-1] + b"," + content[1:] if content else facts, chain, (facts, content, seal, mark))


def segments(folder: Path | None = None) -> list[Path]:
    """Return the segments in the journal's folder, oldest first."""
    paths = Path(folder or settings.JOURNAL_DIR).glob(f"*{SUFFIX}")
    return sorted(paths, key=lambda path: path.name.rsplit("-", 2)[-2:])


def is_read_last(path: Path) -> bool:
    """Return True if the segment has ends or calls that belong to lines of other segments, which are read first."""
    return path.name.rsplit("-", 3)[1].startswith((COMPLETIONS, _OLD_COMPLETIONS, CALLS))


def holds_calls(path: Path) -> bool:
    """Return True if the segment has calls of the fast lane."""
    return path.name.rsplit("-", 3)[1].startswith(CALLS)


def is_archived(path: Path) -> bool:
    """Return True for the path of a segment in the archive (archive.py)."""
    return path.suffix == ".gz"


def name_of(path: Path) -> str:
    """Return the name of a segment, also of an archived one."""
    return path.stem if is_archived(path) else path.name


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if is_archived(path) else path.open("rb")  # type: ignore[return-value]


def process_of(name: str) -> str:
    """Return the host and the process that wrote a segment, from its name."""
    return name.rsplit("-", 3)[0]


def lines(path: Path, offset: int = 0, number: int = 0) -> Iterator[Line]:
    """Yield the complete lines from ``offset`` on. ``number`` lines precede it. An incomplete last line is left out."""
    with _open(path) as file:
        file.seek(offset)
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            offset += len(raw)
            number += 1
            yield line_of(raw, number, offset)


def has_writer(path: Path) -> bool:
    """Return True if the segment's writer holds its lock, or is about to take it: a new file has no line yet."""
    stat = path.stat()
    if not stat.st_size and time.time() - stat.st_mtime < OPENING_SECONDS:
        return True
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False
