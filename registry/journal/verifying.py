"""Verifies segments: every line is as it was written, none is missing."""

from __future__ import annotations

from pathlib import Path

import orjson
from django.conf import settings

from registry.journal import reader
from registry.journal.chain import link
from registry.models import JournalSegment


def verify(path: Path, row: JournalSegment | None) -> tuple[int, str]:
    """Verify one segment. Return (number of valid lines, the fault of the first invalid one or "")."""
    previous = path.name.encode()
    number = 0
    end = 0
    shipped_hash = ""
    for line in reader.lines(path):
        if link(settings.JOURNAL_KEY, previous, line.body) != line.chain:
            return number, f"line {line.number} was changed, or a line before it was removed"
        previous, number, end = line.chain, line.number, line.end
        if row is not None and number == row.lines:
            shipped_hash = line.chain.decode()
    if row is not None and number < row.lines:
        return number, f"line {number + 1} is missing: {row.lines} lines were shipped to the call history"
    if row is not None and row.lines and shipped_hash != row.last_hash:
        return number, f"line {row.lines} is not the line that was shipped to the call history"
    torn = path.stat().st_size - end
    if torn and not reader.has_writer(path):
        return number, f"line {number + 1} is incomplete: {torn} bytes without a line end"
    return number, ""


def predecessor(path: Path) -> str:
    """Return the name of the segment that this one continues, "" for the first one of a writer."""
    first = next(reader.lines(path), None)
    if first is None:
        return ""
    after = orjson.loads(first.body).get("after")
    return str(after[0]) if after else ""
