"""The lines of the measurement, and the table that people read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Line = dict[str, Any]


def spread(values: Sequence[float], digits: int = 0) -> Line:
    """The median of the rounds as ``value``, with the least and the most."""
    figures = {"value": median(values), "least": min(values), "most": max(values)}
    return {name: round(figure, digits or None) for name, figure in figures.items()} | {"rounds": len(values)}


@dataclass(frozen=True)
class Target:
    """What the bus's figure, as a multiple of the peer's, has to reach."""

    ratio: float

    def judge(self, bus: Sequence[float], peer: Sequence[float]) -> Line:
        found = times(bus, peer)
        return {"ratio": round(found, 3), "target": self.ratio, "ok": found >= self.ratio}


def times(bus: Sequence[float], peer: Sequence[float]) -> float:
    """How many times the peer's figure the bus's is: the median over the rounds, whose two sides took turns."""
    return median(one / other for one, other in zip(bus, peer, strict=True))


_HEADINGS = {
    "bench": "work",
    "peer": "who",
    "duties": "what it does",
    "value": "median",
    "least": "least",
    "most": "most",
    "unit": "unit",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "cpu_us": "CPU µs",
    "memory_mib": "MiB more",
    "ratio": "bus is ×",
    "target": "target",
    "verdict": "",
}


def _cells(line: Line) -> list[str]:
    verdict = {True: "met", False: "MISSED", None: ""}[line.get("ok")]
    shown = {**line, "bench": line["bench"].removeprefix("peers-"), "verdict": verdict}
    return ["" if shown.get(name) is None else str(shown[name]) for name in _HEADINGS]


def write(lines: Iterable[Line]) -> None:
    """Write the lines as one table to standard error: standard output is for the lines as JSON."""
    rows = [list(_HEADINGS.values()), *map(_cells, lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip(), file=sys.stderr)
