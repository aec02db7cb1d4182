"""Refusals and notes of the reading process, as sentences for the user."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dataservices.tabular.shapes import Note

#: Why a file is refused, and what to do.
REFUSALS: dict[str, Any] = {
    "empty-file": _("The file is empty. Choose the file that has the table."),
    "not-a-table": _(
        "This is no Excel, OpenDocument or CSV file ({what}). Open the table in Excel or LibreOffice and save it "
        "as .xlsx or .csv."
    ),
    "web-page": _(
        "This file is a web page with the name of an Excel file, as some applications export it. Open it in Excel "
        "and save it as .xlsx."
    ),
    "xml-table": _("This file is XML, such as “XML Spreadsheet 2003”. Open it in Excel and save it as .xlsx."),
    "password": _(
        "The file is protected by a password. Open it in Excel, remove the password (File, Info, Protect Workbook)"
        " and save it."
    ),
    "damaged": _(
        "The file is damaged, or it was not saved completely. Open it in Excel, save it as a new .xlsx file and "
        "upload that."
    ),
    "unpacked": _(
        "The file has more than {mib} MiB when it is unpacked. Delete sheets and images that are not needed, or "
        "save the sheet as CSV."
    ),
    "memory": _(
        "The file needs more memory than an upload may use. Save the sheet as CSV, or divide it into several files."
    ),
    "time": _(
        "Reading the file takes longer than {seconds} seconds. Save the sheet as CSV, or divide it into several files."
    ),
    "failed": _(
        "The file cannot be read: the reading process failed. Save it as a new .xlsx or .csv file and try again. "
        "If that fails too, ask an administrator of the server."
    ),
    "busy": _("Other uploads are being read. Try again in a minute."),
    "too-large": _(
        "The file is larger than {mib} MiB. Save the sheet alone, or as CSV; or ask an administrator of the server"
        " to raise MANTRA_MAX_UPLOAD_MIB."
    ),
    "rows": _(
        "The sheet has more than {most} rows. Divide it into several files; or ask an administrator of the server "
        "to raise MANTRA_MAX_UPLOAD_ROWS."
    ),
    "columns": _("The sheet has {found} columns, at most {most} are possible. Delete the columns that are not needed."),
    "cell": _("A cell has more than {most} characters. It begins with: {begins}"),
    "sheet-damaged": _("The sheet {sheet} cannot be read. Save the file again in Excel, or choose another sheet."),
    "no-sheet": _("There is no sheet named {sheet} in the file. Choose another one."),
    "empty-sheet": _("The sheet is empty. Choose another one."),
    "no-header": _("The sheet has no row {row}. Enter the number of the row with the names of the columns."),
    "no-rows": _("There are no rows below the header in row {row}. Choose another header row or sheet."),
    "quote": _(
        "Near line {line} a quotation mark is opened and not closed. Correct that line, or save the file again as "
        "CSV from Excel."
    ),
    "encoding": _(
        "Near line {line} there are letters in another encoding than at the beginning. Save the file again as “CSV"
        " UTF-8”."
    ),
    "too-many-values": _(
        "Row {row} has {found} values, but the header has {expected}. A text with “{delimiter}” in it must be "
        "between quotation marks. Correct the file, or save it as .xlsx."
    ),
    "unfit": _("Column {column}, row {row}: “{value}” is not a {kind}. Choose text as the type, or correct the file."),
    "gone": _("The uploaded file is no longer there: it is kept for a day. Upload it again."),
    "full": _(
        "The uploads of this source would need more than {mib} MiB. Delete old versions or tables, or ask an "
        "administrator of the server to raise MANTRA_MAX_UPLOADS_MIB."
    ),
    "open": _(
        "The column {column} has NIK, KK or NPWP in this file, and everybody may call {operations}, which returns it. "
        "Restrict access to the operation first, or remove the column from its result."
    ),
    "no-columns": _("Choose at least one column."),
    "no-version": _("This version is no longer stored."),
    "other-columns": _(
        "The columns of the file are not those of the table, so the table was not replaced: {differences} Correct "
        "the file, or upload it as a new table."
    ),
    "folder": _("The server cannot store uploads. Ask its administrator to check the folder MANTRA_UPLOAD_DIR."),
}

#: What the user should know about a file.
NOTES: dict[str, Any] = {
    "dialect": _("CSV in {encoding}, values separated by {delimiter}."),
    "saved-errors": _("{count} cells have an error of Excel, such as #N/A. They become empty."),
    "unsaved-formulas": _(
        "{count} formulas have no saved result and become empty. Open the file in Excel and save it to keep their "
        "results."
    ),
    "blank-rows": _("{count} empty rows are left out."),
    "blank-columns": _("{count} empty columns are left out."),
    "filled-down": _("{count} merged cells over several rows: each of their rows gets the value."),
    "no-header-row": _("No row with names of columns was found. If there is one, enter its number."),
    "header-lines": _("The header has {count} lines: their texts are joined to one name."),
    "numbering": _("The line that numbers the columns, (1) (2) (3), is left out."),
    "lonely": _(
        "{count} rows have a value in one column only, the first is row {row}. They may be headings within the data."
    ),
}

#: What the user should know about a column.
COLUMN_NOTES: dict[str, Any] = {
    "no-header": _("It has no name in the file."),
    "same-header": _("Another column has the same name, so this one got a number."),
    "rounded": _(
        "Excel has rounded {count} numbers of this column: beyond 15 digits it stores zeros. The first is in row "
        "{row}: {value}. The true digits are lost. Format the column as text in Excel, enter the numbers again, "
        "and upload the file again."
    ),
    "number-identifier": _(
        "The file stores it as numbers: zeros at the beginning are lost there. If there were any, format the "
        "column as text in Excel and enter them again."
    ),
    "nearly": _("Nearly all values are a {kind}; {count} are not. The first is in row {row}: {value}."),
    "ambiguous-number": _(
        "1.234 is read as one thousand two hundred thirty-four, and 1,5 as one and a half. If that is wrong, "
        "choose the other type."
    ),
    "ambiguous-date": _("The day is read before the month. If that is wrong, choose the other type."),
    "day-numbers": _("These may be dates that Excel stores as numbers of days. If so, choose that type."),
    "absent": _("{count} values such as “-” mean “no value” and become empty."),
    "errors": _("{count} cells have an error such as #N/A. They become empty."),
}

#: The kinds of columns, in the order of a form.
KINDS: dict[str, Any] = {
    "text": _("text"),
    "integer": _("whole number"),
    "integer-id": _("whole number, as 1.234"),
    "integer-en": _("whole number, as 1,234"),
    "decimal-id": _("decimal number, as 1.234,56"),
    "decimal-en": _("decimal number, as 1,234.56"),
    "date": _("date, day first"),
    "date-us": _("date, month first"),
    "date-serial": _("date, as Excel's number of days"),
    "datetime": _("date and time, day first"),
    "datetime-us": _("date and time, month first"),
    "boolean": _("yes or no"),
}
#: The types of columns.
TYPES: dict[str, Any] = {
    "text": _("text"),
    "integer": _("whole number"),
    "decimal": _("decimal number"),
    "date": _("date"),
    "datetime": _("date and time"),
    "boolean": _("yes or no"),
}

_DELIMITERS: dict[str, Any] = {"\t": _("tab"), ",": ",", ";": ";", "|": "|"}
_WHAT: dict[str, Any] = {"binary": _("unknown"), "image": _("an image"), "zip": _("a ZIP archive")}


class UploadError(Exception):
    """The reason why an upload is refused, as a message for the user. ``code`` is a key of REFUSALS."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(sentence(REFUSALS[code], details))
        self.code = code


def sentence(template: Any, details: dict[str, Any]) -> str:
    """Return a message of one of the tables above with its details, in the current language."""
    return str(template).format_map({name: _shown(name, value) for name, value in details.items()})


def _shown(name: str, value: Any) -> str:
    if name == "kind":
        return str(KINDS[value])
    if name == "delimiter":
        return str(_DELIMITERS.get(value, value))
    if name == "what":
        return str(_WHAT.get(value, value))
    return str(value)


def notes(found: list[Note], templates: dict[str, Any] = NOTES) -> list[str]:
    """Return notes as sentences."""
    return [sentence(templates[note.code], note.details) for note in found]


def listed(names: list[str]) -> str:
    """Return names as a list in a sentence; of many only the first."""
    more = gettext(" and %d more") % (len(names) - 10) if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
