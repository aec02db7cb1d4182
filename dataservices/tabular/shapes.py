"""What the reading process gets and gives: bounds, layouts, refusals, notes. All of it goes through JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: Characters of a cell, as many as Excel allows.
CELL_CHARACTERS = 32_767
#: Characters of a cell that a preview shows.
SHOWN_CHARACTERS = 60
#: Rows that a preview shows.
SAMPLE_ROWS = 20

#: A cell as the readers give it; None is an empty one.
Cell = Any


class Refused(Exception):
    """The reason why a file or a sheet cannot be read: a code of uploads/messages.py, with its details."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most rows, columns, and unpacked bytes of a file."""

    rows: int
    columns: int
    unpacked: int


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a file or a column: a code of uploads/messages.py, with its details."""

    code: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which rows of a sheet are what. Rows count from 1; ``header_row`` is 0 if there is no header.

    ``skip_last`` is the number of rows at the end that are no data, such as totals. None: to be found out.
    """

    header_row: int | None = None
    header_lines: int = 1
    skip_last: int | None = None


@dataclass(slots=True)
class SheetName:
    """A sheet of a workbook."""

    name: str
    hidden: bool = False


@dataclass(slots=True)
class ColumnFound:
    """A column of a sheet.

    ``index`` counts from 0. ``kind`` is the proposed one of kinds.KINDS. ``unfit`` has the number of values that do
    not fit a kind, with the row and the text of the first, by kind. ``filled`` counts the cells that are not empty.
    ``selective``: few rows have the same value, so that callers may search by it.
    """

    index: int
    header: str
    name: str
    kind: str = "text"
    filled: int = 0
    selective: bool = False
    unfit: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class TableFound:
    """What was found in a file.

    ``format`` is xlsx, xlsb, xls, ods or csv. ``titles`` are the lines above the header. ``last_lines`` are the rows
    at the end, oldest first, of which ``layout.skip_last`` are left out. ``rows`` is the number of rows of data.
    """

    format: str
    sheet: str
    sheets: list[SheetName]
    layout: Layout
    rows: int
    columns: list[ColumnFound]
    sample: list[list[str | None]]
    titles: list[str]
    last_lines: list[list[str | None]]
    notes: list[Note]


@dataclass(frozen=True, slots=True)
class ColumnWanted:
    """A column to be stored: its index in the sheet, its name in the table, and its kind."""

    index: int
    name: str
    kind: str
