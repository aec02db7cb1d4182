"""How far the call history is behind the journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import orjson

from registry.journal import reader
from registry.models import JournalSegment

#: Lines of a segment in which the first that says a time is looked for.
_SEARCHED = 100


@dataclass(frozen=True, slots=True)
class Lag:
    """What of the journal is not in the call history yet: segments with such lines, their bytes, the oldest line."""

    segments: int
    bytes: int
    oldest: datetime | None = None


def lag() -> Lag:
    """Return the lag of this host's journal. Reads the folder, one query, and a few lines of each segment behind."""
    sizes: dict[Path, int] = {}
    for path in reader.segments():
        with suppress(FileNotFoundError):  # pruned meanwhile
            sizes[path] = path.stat().st_size
    rows = JournalSegment.objects.filter(name__in=[path.name for path in sizes])
    shipped = {name: (offset, lines) for name, offset, lines in rows.values_list("name", "offset", "lines")}
    begun = {path: shipped.get(path.name, (0, 0)) for path in sizes}
    behind = {path: size - begun[path][0] for path, size in sizes.items() if size > begun[path][0]}
    oldest = min((time for path in behind for time in _first_time(path, *begun[path])), default=None)
    return Lag(len(behind), sum(behind.values()), oldest)


def _first_time(path: Path, offset: int, number: int) -> Iterator[datetime]:
    """Yield the first time that a segment's lines say, from an offset on. Only the beginnings of calls have one."""
    with suppress(OSError):
        for line in islice(reader.lines(path, offset, number), _SEARCHED):
            with suppress(ValueError, TypeError, AttributeError, OverflowError):
                if moment := orjson.loads(line.body).get("at"):
                    yield datetime.fromtimestamp(moment, UTC)
                    return
