"""What a table is: columns with units, rows of plain values, links, and the charts that draw it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: The most rows of a ranking, and of another table.
TOP, MOST = 10, 100

Rows = list[tuple[Any, ...]]
#: Row and column → an address.
Links = dict[tuple[int, int], str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column. ``unit``: how its values are written, one of words.UNITS. ``bar``: a bar beside each value.

    ``minor``: it is left out where there is little room.
    """

    title: Any
    unit: str = "text"
    bar: bool = False
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of a table. ``series``: a column, and the colour of its line or bar."""

    title: Any
    kind: str
    series: tuple[tuple[int, str], ...]
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with plain values. ``links``: row and column → the page that a cell leads to."""

    name: str
    title: Any
    columns: tuple[Column, ...]
    rows: Rows
    links: Links = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()
    hint: Any = ""
    #: True if the colour of a number's cell says how large it is among the others.
    heat: bool = False
