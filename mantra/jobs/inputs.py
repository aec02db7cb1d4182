"""The rows of a file that was sent for a job, whatever its format, one after the other."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from tempfile import TemporaryFile
from typing import Any

from django.conf import settings

from dataservices.tabular import delimited, layout
from dataservices.tabular.shapes import Bounds, Layout, Refused
from dataservices.tabular.workbooks import Grid
from dataservices.uploads import process
from dataservices.uploads.messages import UploadError
from mantra.jobs import files
from mantra.jobs.files import StoredFile
from mantra.jobs.problems import JobError

#: Format → its media type. The first is the one that a template has.
MEDIA_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
}
_OF_TYPE = {
    **{media_type: name for name, media_type in MEDIA_TYPES.items()},
    "application/csv": "csv", "text/plain": "csv", "application/jsonl": "ndjson", "application/x-jsonlines": "ndjson",
    "text/json": "json",
}  # fmt: skip
_OF_SUFFIX = {"csv": "csv", "txt": "csv", "tsv": "csv", "xlsx": "xlsx", "ndjson": "ndjson", "jsonl": "ndjson"} | {
    "json": "json"
}

#: The most characters of a row in JSON.
MAX_ROW = 1_000_000

#: The values of a row by the names of their columns, or in the order of the headers.
Values = Mapping[str, Any] | Sequence[Any]


def format_of(file_name: str, media_type: str) -> str:
    """Return the format of a file, by its name or the media type with which it was sent; "" if it has none of ours."""
    suffix = file_name.rpartition(".")[2].lower() if "." in file_name else ""
    return _OF_SUFFIX.get(suffix) or _OF_TYPE.get(media_type.partition(";")[0].strip().lower(), "")


@dataclass(slots=True)
class Table:
    """The rows of a file. ``headers`` is None where each row names its own columns; then a row is a mapping.

    A row comes with its number: in the file for CSV and XLSX, where the header has one too, else among the rows.
    """

    headers: list[str] | None
    rows: Iterator[tuple[int, Values]]


@contextmanager
def opened(file: StoredFile, format: str) -> Iterator[Table]:
    """Provide the rows of a stored file. Raises JobError, also while the rows are read."""
    try:
        if format == "xlsx":
            with _unnamed(file) as descriptor:
                yield _workbook(descriptor)
        elif format == "csv":
            yield _csv(file)
        else:
            rows = _objects_of_lines(file) if format == "ndjson" else _objects_of_list(file)
            yield Table(None, _numbered(rows))
    except Refused as refused:
        raise _refusal(refused.code, refused.details) from None
    except UploadError as error:
        raise _refusal(error.code, {}) from None


def _refusal(code: str, details: Mapping[str, Any]) -> JobError:
    """Return what is wrong with a file, without anything of its content."""
    if code == "rows":
        return JobError("too-many-rows", settings.MAX_JOB_ROWS)
    if code in ("no-header", "empty-sheet", "empty-file"):
        return JobError("header")
    if code == "busy":
        return JobError("busy")
    place = details.get("line") or details.get("row")
    return JobError("unreadable", f"{code}:{place}" if place else code)


def _numbered(rows: Iterable[Any]) -> Iterator[tuple[int, Values]]:
    for number, row in enumerate(rows, start=1):
        if number > settings.MAX_JOB_ROWS:
            raise JobError("too-many-rows", settings.MAX_JOB_ROWS)
        yield number, row


# ------------------------------------------------------------------------------------------ tables


def _csv(file: StoredFile) -> Table:
    """Return the rows of CSV: its first line has the names of the columns."""
    dialect = delimited.dialect_of(file)
    bounds = Bounds(settings.MAX_JOB_ROWS, settings.MAX_UPLOAD_COLUMNS, 0)
    reading = layout.read(Grid(delimited.rows(file, dialect)), Layout(1, 1, 0), bounds)
    return Table(reading.headers, reading.rows)


@contextmanager
def _unnamed(file: StoredFile) -> Iterator[int]:
    """Provide a decrypted copy without a name: the reading process needs one, and nobody else can open it."""
    try:
        with TemporaryFile(dir=files.folder()) as copy:
            for chunk in file.chunks():
                copy.write(chunk)
            copy.flush()
            yield copy.fileno()
    except OSError:
        raise JobError("disk") from None


def _workbook(descriptor: int) -> Table:
    rows = process.rows(descriptor, settings.MAX_JOB_ROWS, Layout(None, 1, 0))
    head = next(rows, None)
    if not isinstance(head, dict):
        raise JobError("header")
    return Table(head["headers"], ((number, values) for number, values in rows))


# -------------------------------------------------------------------------------------------- JSON

_decode: Callable[[str], Any] = json.JSONDecoder(parse_float=Decimal).decode
_raw_decode: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(parse_float=Decimal).raw_decode
_BETWEEN = " \t\r\n"


def _texts(file: StoredFile) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        for chunk in file.chunks():
            yield decoder.decode(chunk)
        yield decoder.decode(b"", True)
    except UnicodeDecodeError:
        raise JobError("unreadable", "encoding") from None


def _objects_of_lines(file: StoredFile) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of NDJSON, one a line."""
    rest, number = "", 0
    for text in chain(_texts(file), ("\n",)):
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            number += 1
            if line.strip():
                yield _object(line, number)
        if len(rest) > MAX_ROW:
            raise JobError("unreadable", f"json:{number + 1}")


def _object(line: str, number: int) -> Mapping[str, Any]:
    try:
        found = _decode(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise JobError("unreadable", f"json:{number}")
    return found


def _objects_of_list(file: StoredFile) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a JSON array, of which only a piece is in memory at a time."""
    buffer = _Buffer(_texts(file))
    number, separator = 0, buffer.next_letter()
    if separator != "[":
        raise JobError("unreadable", "json:1")
    if buffer.next_letter(peek=True) == "]":
        separator = buffer.next_letter()
    while separator != "]":
        number += 1
        if separator not in ("[", ",") or buffer.next_letter(peek=True) != "{":
            raise JobError("unreadable", f"json:{number}")
        yield buffer.object(number)
        separator = buffer.next_letter()
    buffer.check_end()


class _Buffer:
    """The text of a JSON array as far as it was read."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts, self._text, self._at = texts, "", 0

    def _more(self) -> bool:
        piece = next((piece for piece in self._texts if piece), "")
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)

    def next_letter(self, peek: bool = False) -> str:
        """Return the next letter that is not white space; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BETWEEN:
                self._at += 1
            if self._at < len(self._text):
                letter = self._text[self._at]
                self._at += not peek
                return letter
            if not self._more():
                return ""

    def object(self, number: int) -> Mapping[str, Any]:
        """Return the object that begins here. Raises JobError."""
        while True:
            try:
                found, self._at = _raw_decode(self._text, self._at)
                return found  # type: ignore[no-any-return]
            except (ValueError, RecursionError):
                if len(self._text) - self._at > MAX_ROW or not self._more():
                    raise JobError("unreadable", f"json:{number}") from None

    def check_end(self) -> None:
        """Raise JobError if something follows the array."""
        if self.next_letter():
            raise JobError("unreadable", "json")
