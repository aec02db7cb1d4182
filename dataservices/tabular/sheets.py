"""A table in a file, whatever its format: from the file's first byte to rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dataservices.tabular import containers, delimited, workbooks
from dataservices.tabular.layout import Numbered, Reading, read
from dataservices.tabular.shapes import Bounds, Layout, Note, Refused, SheetName


@dataclass(slots=True)
class OpenTable:
    """A table that is being read. ``height`` is None where it is not known before the end."""

    format: str
    sheet: str
    sheets: list[SheetName]
    reading: Reading
    notes: list[Note]
    from_1904: bool = False


@contextmanager
def open_table(path: Path, sheet: str, layout: Layout, bounds: Bounds) -> Iterator[OpenTable]:
    """Provide the table of a file, or of one of its sheets; the first with cells for "". Raises Refused."""
    format = containers.format_of(path)
    if format == "csv":
        yield _delimited(path, layout, bounds)
        return
    contents = containers.Contents()
    if format != "xls":
        contents = containers.check_archive(path, bounds.unpacked)
    with workbooks.opened(path) as workbook:
        names = workbooks.sheet_names(workbook)
        if sheet and sheet not in [each.name for each in names]:
            raise Refused("no-sheet", sheet=sheet)
        for name in [sheet] if sheet else [each.name for each in names]:
            grid = workbooks.grid(workbook, name, bounds)
            if grid.height:
                break
        else:
            raise Refused("empty-sheet")
        if grid.height > bounds.rows + 2 * 1000:
            raise Refused("rows", most=bounds.rows)
        reading = read(grid, layout, bounds)
        yield OpenTable(format, name, names, reading, _notes(contents), contents.from_1904)


def _notes(contents: containers.Contents) -> list[Note]:
    counts = {"saved-errors": contents.errors, "unsaved-formulas": contents.unsaved}
    return [Note(code, {"count": count}) for code, count in counts.items() if count]


def _delimited(path: Path, layout: Layout, bounds: Bounds) -> OpenTable:
    dialect = delimited.dialect_of(path)
    reading = read(workbooks.Grid(delimited.rows(path, dialect)), layout, bounds)
    if reading.layout.header_row:
        reading.rows = _as_wide_as_header(reading.rows, len(reading.headers), dialect.delimiter)
    notes = [Note("dialect", {"encoding": dialect.encoding, "delimiter": dialect.delimiter})]
    return OpenTable("csv", "", [], reading, notes)


def _as_wide_as_header(rows: Iterator[Numbered], width: int, delimiter: str) -> Iterator[Numbered]:
    """Yield the rows. Raises Refused for one with more values than the header: they would be in wrong columns."""
    for number, row in rows:
        if len(row) > width and any(cell is not None for cell in row[width:]):
            raise Refused("too-many-values", row=number, found=len(row), expected=width, delimiter=delimiter)
        yield number, row[:width]
