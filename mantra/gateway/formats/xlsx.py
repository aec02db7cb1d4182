"""An Excel workbook: one sheet ``data``, its bold first row the columns' names.

Text stays text (NIK and NPWP keep their zeros, no formula or link is made of it); dates are ISO text,
because Excel's own know neither all of them nor an offset; bytes are base64. A number is a number cell
if Excel's 15 digits hold it, shown with its own decimals, else text. NULL is an empty cell. A
truncated answer has a second sheet, ``truncated``. The file is complete before its first byte leaves;
what a sheet cannot hold (1,048,575 rows, 16,384 columns, 32,767 characters in a cell) is refused
whole, as is a nested document. An operation that writes answers the one column ``affected``.
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

MOST_ROWS = 1_048_575
MOST_COLUMNS = 16_384
CHUNK = 128 * 1024


class Number(str):
    """The exact text of a decimal."""

    __slots__ = ()


STYLE = Style(exact=Number)
OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def refusal() -> results.Fault:
    return results.Fault(faults.OUTPUT_FORMAT, format="xlsx")


def _fits(value: int | float) -> bool:
    # XlsxWriter writes a float with 16 significant digits, and Excel keeps 15 of an integer's.
    return float(f"{value:.16G}") == value if isinstance(value, float) else abs(value) < 10**15


class Sheet:
    """Writes rows to the sheet ``data`` of a workbook."""

    def __init__(self, workbook: xlsxwriter.Workbook, columns: Sequence[Column]) -> None:
        if len(columns) > MOST_COLUMNS:
            raise refusal()
        self.workbook = workbook
        self.sheet: Worksheet = workbook.add_worksheet("data")
        self.columns = columns
        self.formats: dict[int, Format] = {}
        self.plain: Format = workbook.add_format()
        self.row = 0
        bold = workbook.add_format({"bold": True})
        for place, name in enumerate(unique_names(columns)):
            self._text(place, name, bold)

    def write(self, batch: list[Row]) -> None:
        if self.row + len(batch) > MOST_ROWS:
            raise refusal()
        columns = [
            canonical_column(values, column.type, STYLE)
            for values, column in zip(columns_of(batch), self.columns, strict=bool(batch))
        ]
        for row in zip(*columns, strict=True):
            self.row += 1
            for place, value in enumerate(row):
                if value is not None:
                    self._cell(place, value)

    def _cell(self, place: int, value: Any) -> None:
        if isinstance(value, bool):
            self.sheet.write_boolean(self.row, place, value)
        elif isinstance(value, Number):
            self._number(place, value)
        elif isinstance(value, str):
            self._text(place, value)
        elif _fits(value):
            self.sheet.write_number(self.row, place, value)
        else:
            self._text(place, str(value))

    def _number(self, place: int, text: Number) -> None:
        value = Decimal(text)
        if len(value.as_tuple().digits) > 15 or (value.is_zero() and value.is_signed()):
            self._text(place, str(text))
            return
        self.sheet.write_number(self.row, place, float(value), self._scale(len(text.partition(".")[2])))

    def _scale(self, decimals: int) -> Format:
        if decimals not in self.formats:
            shown = "0." + "0" * decimals if decimals else "0"
            self.formats[decimals] = self.workbook.add_format({"num_format": shown})
        return self.formats[decimals]

    def _text(self, place: int, text: str, style: Format | None = None) -> None:
        text = clean(text)
        # XlsxWriter would take such text for its own mark-up of rich text.
        if text.startswith("<r>") and text.endswith("</r>"):
            outcome = self.sheet.write_rich_string(self.row, place, text[:1], self.plain, text[1:], style or self.plain)
        else:
            outcome = self.sheet.write_string(self.row, place, text, style)
        if outcome:
            raise refusal()


class Xlsx:
    name = "xlsx"
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    suffix = "xlsx"

    def render(self, rows: Rows, operation_name: str = "") -> Iterator[bytes]:
        # Heavy, and most workers never write a workbook.
        writer = importlib.import_module("xlsxwriter")
        with TemporaryDirectory(prefix="mantra-xlsx-") as folder:
            path = Path(folder, "answer.xlsx")
            workbook = writer.Workbook(str(path), {**OPTIONS, "tmpdir": folder})
            # The same rows make the same bytes, whenever they are written: an ETag depends on it.
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
