"""Tables as CSV and as Excel workbooks, row by row: neither is ever in memory as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib import import_module
from typing import Protocol

from django.conf import settings
from django.utils import timezone

from mantra.csv_cells import Value, csv_cell
from registry.exports import ExportError, Work

#: The rows of a sheet: Excel has 1,048,576. And the bytes of a workbook's cell around its value.
SHEET_ROWS, _CELL = 1_000_000, 40
#: The most characters that Excel takes in a cell.
MAX_CELL = 32_767


class Sheet(Protocol):
    """A table that is being written."""

    def write(self, rows: Iterable[Sequence[Value]]) -> None: ...
    def begin(self, title: str, columns: Sequence[str]) -> None: ...
    def close(self) -> None: ...


def open_sheet(work: Work, title: str, columns: Sequence[str]) -> Sheet:
    """Begin the table of an export in its format, with the names of its columns."""
    return Csv(work, columns) if work.format == "csv" else Workbook(work, title, columns)


class Csv:
    """CSV by RFC 4180, with the mark by which Excel knows UTF-8. Times are ISO 8601 with their offset."""

    def __init__(self, work: Work, columns: Sequence[str]) -> None:
        self._output, self._text = work.output, io.StringIO(newline="")
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._text.write("\ufeff")
        self.write([columns])

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        self._writer.writerows([csv_cell(value) for value in row] for row in rows)
        self._output.write(self._text.getvalue().encode("utf-8", "replace"))
        self._text.seek(0)
        self._text.truncate()

    def begin(self, title: str, columns: Sequence[str]) -> None:
        """Raise ExportError: CSV has one table."""
        raise ExportError("error")

    def close(self) -> None:
        """Do nothing: all is written."""


class Workbook:
    """An Excel workbook. Text stays text; times are Excel's, in the bus's time zone.

    XlsxWriter keeps the rows in a temporary file, in the export's own folder, until the workbook is closed. What is
    written there counts for the most bytes of an export, as the file is packed later.
    """

    def __init__(self, work: Work, title: str, columns: Sequence[str]) -> None:
        options = {
            "constant_memory": True, "tmpdir": str(work.folder), "strings_to_formulas": False, "strings_to_urls": False,
            "strings_to_numbers": False, "nan_inf_to_errors": True,
        }  # fmt: skip
        self._book = import_module("xlsxwriter").Workbook(work.output, options)
        self._title, self._columns = title, columns
        self._bold = self._book.add_format({"bold": True})
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._written = self._sheets = 0
        self._begin()

    def begin(self, title: str, columns: Sequence[str]) -> None:
        """Begin another table, on a sheet of its own."""
        self._title, self._columns, self._sheets = title, columns, 0
        self._begin()

    def _begin(self) -> None:
        """Begin the next sheet of the table."""
        number = self._sheets = self._sheets + 1
        self._sheet = self._book.add_worksheet(self._title[:25] + (f" {number}" if number > 1 else ""))
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, len(self._columns) - 1, 18)
        for place, name in enumerate(self._columns):
            self._sheet.write_string(0, place, name, self._bold)
        self._row = 0

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        for row in rows:
            if self._row == SHEET_ROWS:
                self._begin()
            self._row += 1
            for place, value in enumerate(row):
                self._cell(place, value)
        if self._written > settings.MAX_EXPORT_BYTES:
            raise ExportError("too-large")

    def _cell(self, place: int, value: Value) -> None:
        self._written += _CELL + (len(value) if isinstance(value, str) else 0)
        if isinstance(value, datetime):
            self._sheet.write_datetime(self._row, place, timezone.localtime(value).replace(tzinfo=None), self._time)
        elif isinstance(value, str):
            self._sheet.write_string(self._row, place, value[:MAX_CELL])
        elif value is not None:
            self._sheet.write_number(self._row, place, value)

    def close(self) -> None:
        self._book.close()
