"""Reads segments: which there are, their whole lines, and whether their writer lives."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from registry.journal.chain import CHAIN, ENDS, SUFFIX

# --------------------------------------------------------------------------------------- reading


@dataclass(slots=True)
class Line:
    """A whole line of a segment: its place, its JSON (unparsed) and the chain written behind it."""

    number: int
    end: int  # offset of the byte behind the line
    body: bytes
    chain: bytes


def segments(folder: Path | None = None) -> list[Path]:
    """The segments in the journal's folder, oldest first."""
    found = Path(folder or settings.JOURNAL_DIR).glob(f"*{SUFFIX}")
    return sorted(found, key=lambda path: path.name.rsplit("-", 2)[-2:])


def of_ends(path: Path) -> bool:
    """Whether the segment holds ends of calls that began in others."""
    return path.name.rsplit("-", 3)[1].startswith(ENDS)


def lines(path: Path, offset: int = 0, number: int = 0) -> Iterator[Line]:
    """The whole lines from ``offset`` on; ``number`` is the number of lines before it. A torn tail is left out."""
    with path.open("rb") as file:
        file.seek(offset)
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            offset += len(raw)
            number += 1
            yield Line(number, offset, raw[: -CHAIN - 2], raw[-CHAIN - 1 : -1])


def alive(path: Path) -> bool:
    """Whether the segment's writer still holds it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False
