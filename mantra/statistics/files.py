"""Tables as files for a spreadsheet: one as CSV or Excel workbook, or all of a page as a workbook."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime
from importlib import import_module
from typing import Any

from django.utils import timezone

from mantra.csv_cells import csv_cell
from mantra.statistics import words
from mantra.statistics.table import Column, Table

#: Units whose values are written in words: their plain values are codes.
_IN_WORDS = frozenset(("classification", "agency", "hour_of_day"))
#: The most characters of a sheet's name, and those that Excel does not take in it.
_MAX_NAME, _FORBIDDEN = 31, str.maketrans("", "", "[]:*?/\\'")


def csv_of(table: Table) -> bytes:
    """Return a table as CSV (RFC 4180), with the mark by which Excel knows UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([heading(column) for column in table.columns])
    writer.writerows([[csv_cell(value) for value in _values(table, row)] for row in table.rows])
    return text.getvalue().encode("utf-8-sig")


def xlsx_of(tables: Sequence[Table]) -> bytes:
    """Return tables as a workbook, each on a sheet of its own."""
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    # On first use: web processes that write none need not load it.
    with import_module("xlsxwriter").Workbook(file, options) as workbook:
        formats = {kind: workbook.add_format({"num_format": kind}) for kind in ("yyyy-mm-dd", "yyyy-mm-dd hh:mm")}
        bold = workbook.add_format({"bold": True})
        for number, table in enumerate(tables, 1):
            sheet = workbook.add_worksheet(f"{number} {str(table.title).translate(_FORBIDDEN)}"[:_MAX_NAME])
            sheet.write_row(0, 0, [heading(column) for column in table.columns], bold)
            _write(sheet, table, formats)
            sheet.freeze_panes(1, 0)
            sheet.autofit()
    return file.getvalue()


def heading(column: Column) -> str:
    """Return a column's title with the unit of its plain values."""
    unit = words.UNIT_NAMES.get(column.unit)
    return f"{column.title} ({unit})" if unit and unit not in str(column.title) else str(column.title)


def _values(table: Table, row: tuple[Any, ...]) -> list[Any]:
    """Return the plain values of a row: numbers and times as they are, names for codes."""
    return [_plain(value, column.unit) for value, column in zip(row, table.columns, strict=True)]


def _plain(value: Any, unit: str) -> Any:
    if unit in _IN_WORDS:
        return words.text_of(value, unit)
    return round(value, 3) if isinstance(value, float) else value


def _write(sheet: Any, table: Table, formats: dict[str, Any]) -> None:
    for line, row in enumerate(table.rows, 1):
        for number, value in enumerate(_values(table, row)):
            if isinstance(value, datetime):
                local = timezone.localtime(value).replace(tzinfo=None)
                sheet.write_datetime(line, number, local, formats["yyyy-mm-dd hh:mm"])
            elif isinstance(value, date):
                sheet.write_datetime(line, number, value, formats["yyyy-mm-dd"])
            else:
                sheet.write(line, number, value)
