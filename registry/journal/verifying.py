"""Proves segments: every line as it was written, none missing."""

from __future__ import annotations

from pathlib import Path

import orjson

from registry.journal import chain, reader
from registry.models import JournalSegment

# -------------------------------------------------------------------------------------- verifying


def verify(path: Path, row: JournalSegment | None) -> tuple[int, str]:
    """Prove one segment: (lines proved, what is wrong with the first broken line or "")."""
    previous = path.name.encode()
    number = 0
    end = 0
    shipped_hash = ""
    for line in reader.lines(path):
        if chain.chain(previous, line.body) != line.chain:
            return number, f"line {line.number} was changed, or a line before it was taken out"
        previous, number, end = line.chain, line.number, line.end
        if row is not None and number == row.lines:
            shipped_hash = line.chain.decode()
    if row is not None and number < row.lines:
        return number, f"line {number + 1} is missing: {row.lines} lines had been taken into the history"
    if row is not None and row.lines and shipped_hash != row.last_hash:
        return number, f"line {row.lines} is not the one that was taken into the history"
    torn = path.stat().st_size - end
    if torn and not reader.alive(path):
        return number, f"line {number + 1} is torn: {torn} bytes without an end"
    return number, ""


def succession(path: Path) -> str:
    """The name of the segment that this one follows on, "" for the first of a writer."""
    first = next(reader.lines(path), None)
    if first is None:
        return ""
    after = orjson.loads(first.body).get("after")
    return str(after[0]) if after else ""
