"""Sheets of workbooks, by calamine. It gives the saved values of formulas, and nothing for a saved error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from dataservices.tabular.shapes import CELL_CHARACTERS, Bounds, Cell, Refused, SheetName

#: A merged range: first row, last row, first column, last column; rows count from 1, columns from 0.
Merge = tuple[int, int, int, int]


@dataclass(slots=True)
class Grid:
    """The rows of a sheet, from its row 1, and the ranges that are merged."""

    rows: Iterable[list[Cell]]
    merges: list[Merge] = field(default_factory=list)
    height: int | None = None


@contextmanager
def opened(path: Path) -> Iterator[CalamineWorkbook]:
    """Provide a workbook. Raises Refused."""
    try:
        workbook = CalamineWorkbook.from_path(path)
    except PasswordError:
        raise Refused("password") from None
    except (CalamineError, OSError):
        raise Refused("damaged") from None
    with workbook:
        yield workbook


def sheet_names(workbook: CalamineWorkbook) -> list[SheetName]:
    """Return the sheets that have cells, those that a reader sees first."""
    sheets = [
        SheetName(sheet.name, sheet.visible != SheetVisibleEnum.Visible)
        for sheet in workbook.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet
    ]
    return sorted(sheets, key=lambda sheet: sheet.hidden)


def grid(workbook: CalamineWorkbook, name: str, bounds: Bounds) -> Grid:
    """Return a sheet. Raises Refused."""
    try:
        sheet = workbook.get_sheet_by_name(name)
    except CalamineError:
        raise Refused("sheet-damaged", sheet=name) from None
    start, end = sheet.start, sheet.end
    if start is None or end is None:
        return Grid([], height=0)
    left = start[1]
    if end[1] - left + 1 > bounds.columns:
        raise Refused("columns", most=bounds.columns, found=end[1] - left + 1)
    merges = [
        (first[0] + 1, last[0] + 1, max(first[1] - left, 0), last[1] - left)
        for first, last in sheet.merged_cell_ranges or []
        if last[1] >= left
    ]
    return Grid(map(_cleaner(), sheet.iter_rows()), sorted(merges), end[0] + 1)


def _cleaner() -> Callable[[list[Cell]], list[Cell]]:
    """Return a function that makes a row's texts clean, and its empty cells None."""

    def clean(row: list[Cell]) -> list[Cell]:
        return [text(cell) if isinstance(cell, str) else cell for cell in row]

    return clean


def text(cell: str) -> str | None:
    """Return a text without blanks around it; None if nothing is left. Raises Refused."""
    if len(cell) > CELL_CHARACTERS:
        raise Refused("cell", most=CELL_CHARACTERS, begins=cell[:40])
    return cell.replace("\0", "").strip() or None
