"""Files as people upload them, made on the spot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import msoffcrypto.format.ooxml
import xlsxwriter
import xlwt

Rows = Sequence[Sequence[Any]]


def xlsx(rows: Rows, more: Callable[[Any, Any], None] | None = None, **options: Any) -> bytes:
    """A workbook with one sheet. Dates get a date format. ``more(workbook, sheet)`` adds to it."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"default_date_format": "dd/mm/yyyy", **options}) as workbook:
        sheet = workbook.add_worksheet("Data")
        for number, row in enumerate(rows):
            for index, value in enumerate(row):
                if isinstance(value, str):
                    sheet.write_string(number, index, value)
                elif value is not None:
                    sheet.write(number, index, value)
        if more is not None:
            more(workbook, sheet)
    return file.getvalue()


def xls(rows: Rows) -> bytes:
    """A workbook of Excel 97–2003 (BIFF 8)."""
    file = io.BytesIO()
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Data")
    day = xlwt.easyxf(num_format_str="DD/MM/YYYY")
    for number, row in enumerate(rows):
        for index, value in enumerate(row):
            style = (day,) if isinstance(value, date | datetime) else ()
            sheet.write(number, index, value, *style)
    workbook.save(file)
    return file.getvalue()


def protected(workbook: bytes, password: str = "rahasia") -> bytes:
    """A workbook that Excel opens with a password only."""
    file = io.BytesIO()
    msoffcrypto.format.ooxml.OOXMLFile(io.BytesIO(workbook)).encrypt(password, file)
    return file.getvalue()


def changed(workbook: bytes, name: str, content: bytes) -> bytes:
    """A workbook with one of its parts replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(entry, content if entry == name else old.read(entry))
    return file.getvalue()


def bomb(mib: int) -> bytes:
    """A workbook with a sheet of this many MiB of blanks, a thousandth of that when packed."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(xlsx([["a"], [1]]))) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.namelist():
            if entry != "xl/worksheets/sheet1.xml":
                new.writestr(entry, old.read(entry))
        with new.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for _ in range(mib):
                sheet.write(b" " * (1 << 20))
    return file.getvalue()


def lying(workbook: bytes, part: str, size: int) -> bytes:
    """A workbook with a directory that states another size of a part."""
    data = bytearray(workbook)
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        place = archive.start_dir
    while data[place : place + 4] == b"PK\x01\x02":
        lengths = [int.from_bytes(data[place + at : place + at + 2], "little") for at in (28, 30, 32)]
        if data[place + 46 : place + 46 + lengths[0]] == part.encode():
            data[place + 24 : place + 28] = size.to_bytes(4, "little")
        place += 46 + sum(lengths)
    return bytes(data)


def ods(rows: Rows) -> bytes:
    """An OpenDocument spreadsheet with texts and numbers."""
    cells = "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
    names = "urn:oasis:names:tc:opendocument:xmlns:"
    content = (
        f'<?xml version="1.0"?><office:document-content xmlns:office="{names}office:1.0"'
        f' xmlns:table="{names}table:1.0" xmlns:text="{names}text:1.0" office:version="1.2"><office:body>'
        f'<office:spreadsheet><table:table table:name="Data">{cells}</table:table></office:spreadsheet>'
        "</office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        f'<manifest:manifest xmlns:manifest="{names}manifest:1.0"><manifest:file-entry manifest:full-path="/"'
        f' manifest:media-type="{kind}"/></manifest:manifest>'
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", kind, zipfile.ZIP_STORED)
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", manifest)
    return file.getvalue()


def _ods_cell(value: Any) -> str:
    kind = "string" if isinstance(value, str) else "float"
    number = "" if kind == "string" else f' office:value="{value}"'
    return f'<table:table-cell office:value-type="{kind}"{number}><text:p>{value}</text:p></table:table-cell>'
