"""An Excel workbook: one sheet ``data`` with the columns' names in a bold first row.

Text stays text (NIK and NPWP keep their zeros, none becomes a formula or link). Dates are ISO text, because Excel's
dates cover neither all of them nor an offset. Bytes are base64. A number is a number cell with its own decimals if it
fits Excel's 15 digits, else text. NULL is an empty cell. A truncated response has a second sheet, ``truncated``. The
file is complete before its first byte is sent. Results that exceed a sheet (1,048,575 rows, 16,384 columns, 32,767
characters in a cell) are refused as a whole, as are nested documents. The response of a writing operation has the one
column ``affected``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mantra.gateway.formats.values import Style, canonical_column, clean, columns_of, unique_names
from registry import faults, results
from registry.results import Affected, Column, Document, Row, Rows

if TYPE_CHECKING:
    import xlsxwriter
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

MAX_ROWS = 1_048_575
MAX_COLUMNS = 16_384
CHUNK = 128 * 1024


class Number(str):
    """The exact text of a decimal."""

    __slots__ = ()


STYLE = Style(exact=Number)
OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def refusal() -> results.Fault:
    """Return the fault of a result that does not fit a workbook."""
    return results.Fault(faults.FORMAT_IMPOSSIBLE, format="xlsx")


def _fits(value: int | float) -> bool:
    # XlsxWriter writes a float with 16 significant digits, and Excel keeps 15 of an integer's.
    return float(f"{value:.16G}") == value if isinstance(value, float) else abs(value) < 10**15


class Sheet:
    """Writes rows to the sheet ``data`` of a workbook."""

    def __init__(self, workbook: xlsxwriter.Workbook, columns: Sequence[Column]) -> None:
        if len(columns) > MAX_COLUMNS:
            raise refusal()
        self.workbook = workbook
        self.sheet: Worksheet = workbook.add_worksheet("data")
        self.columns = columns
        self.formats: dict[int, Format] = {}
        self.plain: Format = workbook.add_format()
        self.row = 0
        bold = workbook.add_format({"bold": True})
        for index, name in enumerate(unique_names(columns)):
            self._text(index, name, bold)

    def write(self, batch: list[Row]) -> None:
        if self.row + len(batch) > MAX_ROWS:
            raise refusal()
        columns = [
            canonical_column(values, column.type, STYLE)
            for values, column in zip(columns_of(batch), self.columns, strict=bool(batch))
        ]
        for row in zip(*columns, strict=True):
            self.row += 1
            for index, value in enumerate(row):
                if value is not None:
                    self._cell(index, value)

    def _cell(self, index: int, value: Any) -> None:
        if isinstance(value, bool):
            self.sheet.write_boolean(self.row, index, value)
        elif isinstance(value, Number):
            self._number(index, value)
        elif isinstance(value, str):
            self._text(index, value)
        elif _fits(value):
            self.sheet.write_number(self.row, index, value)
        else:
            self._text(index, str(value))

    def _number(self, index: int, text: Number) -> None:
        value = Decimal(text)
        if len(value.as_tuple().digits) > 15 or (value.is_zero() and value.is_signed()):
            self._text(index, str(text))
            return
        self.sheet.write_number(self.row, index, float(value), self._scale(len(text.partition(".")[2])))

    def _scale(self, decimals: int) -> Format:
        if decimals not in self.formats:
            number_format = "0." + "0" * decimals if decimals else "0"
            self.formats[decimals] = self.workbook.add_format({"num_format": number_format})
        return self.formats[decimals]

    def _text(self, index: int, text: str, style: Format | None = None) -> None:
        text = clean(text)
        # XlsxWriter would read such text as its own mark-up of rich text.
        if text.startswith("<r>") and text.endswith("</r>"):
            error = self.sheet.write_rich_string(self.row, index, text[:1], self.plain, text[1:], style or self.plain)
        else:
            error = self.sheet.write_string(self.row, index, text, style)
        if error:
            raise refusal()


class Xlsx:
    name = "xlsx"
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    suffix = "xlsx"

    def render(self, rows: Rows, operation_name: str = "") -> Iterator[bytes]:
        # The import is slow, and most worker processes never write a workbook.
        writer = importlib.import_module("xlsxwriter")
        with TemporaryDirectory(prefix="mantra-xlsx-") as folder:
            path = Path(folder, "answer.xlsx")
            workbook = writer.Workbook(str(path), {**OPTIONS, "tmpdir": folder})
            # The same rows result in the same bytes at any time: the ETag depends on it.
            workbook.set_properties({"created": datetime(2000, 1, 1)})
            sheet = Sheet(workbook, rows.columns)
            for batch in rows.batches:
                sheet.write(batch)
            if rows.truncated:
                workbook.add_worksheet("truncated").write_boolean(0, 0, True)
            workbook.close()
            with path.open("rb") as file:
                yield from iter(lambda: file.read(CHUNK), b"")

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        count = affected.count if affected.count >= 0 else None
        return b"".join(self.render(Rows((Column("affected", "integer"),), iter([[(count,)]]))))

    def render_document(self, document: Document) -> bytes:
        raise refusal()


FORMAT = Xlsx()
