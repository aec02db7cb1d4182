"""How far the call history is behind the journal."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from registry.journal import reader
from registry.models import JournalSegment


@dataclass(frozen=True, slots=True)
class Lag:
    """What of the journal is not in the call history yet: segments with such lines, and their bytes."""

    segments: int
    bytes: int


def lag() -> Lag:
    """Return the lag of this host's journal. Reads the folder, and one query."""
    sizes: dict[str, int] = {}
    for path in reader.segments():
        with suppress(FileNotFoundError):  # pruned meanwhile
            sizes[path.name] = path.stat().st_size
    shipped = dict(JournalSegment.objects.filter(name__in=sizes).values_list("name", "offset"))
    behind = [size - shipped.get(name, 0) for name, size in sizes.items() if size > shipped.get(name, 0)]
    return Lag(len(behind), sum(behind))
