"""Tables as a page shows them: the texts, links and bars of their cells, and what their charts draw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mantra.statistics import words
from mantra.statistics.overall import ENDED
from mantra.statistics.table import Chart, Column, Table

#: The shades of a cell's colour.
SHADES = 5


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A cell. ``bar``: its number beside the largest, ``top``; None without a bar."""

    text: str
    url: str = ""
    classes: str = ""
    bar: int | None = None
    top: int = 1


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table with its texts. ``headings``: the title and the classes of each column."""

    table: Table
    headings: list[tuple[str, str]]
    rows: list[list[ShownCell]]
    charts: list[dict[str, Any]]


def shown(table: Table) -> ShownTable:
    """Return a table as a page shows it."""
    charts = [{"id": f"chart-{table.name}-{number}", "title": chart.title, "data": _drawn(table, chart)}
              for number, chart in enumerate(table.charts)] if _has_calls(table) else []  # fmt: skip
    headings = [(str(column.title), _classes(column)) for column in table.columns]
    return ShownTable(table, headings, list(_rows(table)), charts)


def _classes(column: Column) -> str:
    """Return the classes of a column's cells: numbers stand at the right."""
    right = "statistics-right" if column.unit in words.NUMBERS else ""
    return f"{right} statistics-minor" if column.minor else right


def _has_calls(table: Table) -> bool:
    """Return True if there is something to draw."""
    return any(isinstance(value, int) and value for row in table.rows for value in row[1:])


def _rows(table: Table) -> Iterator[list[ShownCell]]:
    tops = [_top(table, number) for number in range(len(table.columns))]
    highest = max(tops[1:], default=0)
    for line, row in enumerate(table.rows):
        yield [_cell(table, line, number, value, tops[number], highest) for number, value in enumerate(row)]


def _top(table: Table, number: int) -> int:
    """Return the largest number of a column; 0 if it has none."""
    if table.columns[number].unit not in words.NUMBERS:
        return 0
    return round(max((row[number] or 0 for row in table.rows), default=0))


def _cell(table: Table, line: int, number: int, value: Any, top: int, highest: int) -> ShownCell:
    column = table.columns[number]
    classes = _classes(column)
    if table.heat and column.unit in words.NUMBERS:
        classes += f" statistics-shade-{shade(value, highest)}"
    bar = round(value or 0) if column.bar else None
    return ShownCell(words.text_of(value, column.unit), table.links.get((line, number), ""), classes, bar, top or 1)


def shade(value: float, highest: float) -> int:
    """Return the shade of a number among others: 0 for none, SHADES for the highest."""
    return math.ceil(SHADES * value / highest) if highest and value else 0


def _drawn(table: Table, chart: Chart) -> dict[str, Any]:
    """Return what a chart draws: the labels of the lines, a series for each column, and where a line leads to."""
    return {
        "kind": chart.kind,
        "stacked": chart.stacked,
        "unit": table.columns[chart.series[0][0]].unit,
        "labels": [words.text_of(row[0], table.columns[0].unit) for row in table.rows],
        "series": [
            {"label": str(table.columns[number].title), "tone": tone, "values": [row[number] for row in table.rows]}
            for number, tone in chart.series
            if chart.kind == "doughnut" or any(row[number] for row in table.rows)
        ],
        "tones": [tone for _title, tone, _outcome in ENDED.values()] if chart.kind == "doughnut" else [],
        "links": [table.links.get((line, 0), "") for line in range(len(table.rows))],
    }
