"""The agencies that call each other most, as a grid: a line for each that offers, a column for each that calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mantra.statistics import words
from mantra.statistics.shown import ShownCell, shade
from mantra.statistics.table import Table

#: The most lines and columns.
SIDE = 12


@dataclass(frozen=True, slots=True)
class Grid:
    callers: list[str]
    lines: list[tuple[str, list[ShownCell]]]


def grid(table: Table) -> Grid:
    """Return the grid of the table "matrix"."""
    calls = {row[:2]: (row[2], table.links[line, 0]) for line, row in enumerate(table.rows)}
    offers, callers = (_busiest(table, side) for side in (0, 1))
    highest = max((row[2] for row in table.rows), default=0)
    lines = [(words.agency(one), [_cell(*calls.get((one, other), (0, "")), highest) for other in callers])
             for one in offers]  # fmt: skip
    return Grid([words.agency(code) for code in callers], lines)


def _busiest(table: Table, side: int) -> list[str]:
    counted: Counter[str] = Counter()
    for row in table.rows:
        counted[row[side]] += row[2]
    return [code for code, _calls in counted.most_common(SIDE)]


def _cell(calls: int, url: str, highest: int) -> ShownCell:
    classes = f"statistics-right statistics-shade-{shade(calls, highest)}"
    return ShownCell(words.number(calls) if calls else "", url=url, classes=classes)
