"""All processes' counts and gauges as one. Counts of processes that have ended are added up, and never lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from registry.metrics import counters, folder, gauges
from registry.metrics.counters import CELLS, MAX_ROWS, Key
from registry.metrics.gauges import Published


@dataclass(slots=True)
class Totals:
    """The sums of all processes' counts since the folder was created, and the gauges of those that are alive."""

    counts: dict[Key, list[int]] = field(default_factory=dict)
    alive: list[Published] = field(default_factory=list)

    def add(self, rows: dict[Key, list[int]]) -> None:
        """Add the counts of a process. What would be more than MAX_ROWS rows goes to the common row of its kind."""
        for key, cells in rows.items():
            if key not in self.counts and len(self.counts) >= MAX_ROWS:
                key = key[:1]
            known = self.counts.get(key)
            self.counts[key] = cells if known is None else [a + b for a, b in zip(known, cells, strict=True)]


def totals() -> Totals:
    """Return the counts and gauges of all processes. Raises OSError."""
    with folder.locked() as place:
        ended, names = _ended(place)
        result, living, dead = Totals(ended), Totals(), []
        for path in sorted(place.glob(f"*{folder.COUNTS}")):
            if path.name in names:
                dead.append(path)  # added up already, but not removed
                continue
            alive, rows = counters.counts_of(path)
            (living if alive else result).add(rows)
            if not alive:
                dead.append(path)
            elif (published := gauges.read(path.with_suffix(folder.GAUGES))) is not None:
                result.alive.append(published)
        if dead:
            _put_away(place, result, dead)
    result.add(living.counts)
    return result


def _ended(place: Path) -> tuple[dict[Key, list[int]], frozenset[str]]:
    """Return the counts of processes that have ended, and the names of the files that were added up last."""
    with suppress(OSError, orjson.JSONDecodeError):
        content = orjson.loads((place / folder.ENDED).read_bytes())
        return dict(_rows(content["rows"])), frozenset(content["files"])
    return {}, frozenset()


def _rows(rows: list[tuple[list[str], list[int]]]) -> Iterator[tuple[Key, list[int]]]:
    for key, cells in rows:
        yield tuple(key), (cells + [0] * CELLS)[:CELLS]


def _put_away(place: Path, ended: Totals, files: list[Path]) -> None:
    """Write the counts of ended processes, then remove their files. In between, their names say that they are added."""
    content = {"files": [path.name for path in files], "rows": list(ended.counts.items())}
    folder.write(place / folder.ENDED, orjson.dumps(content))
    for path in files:
        path.with_suffix(folder.GAUGES).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
