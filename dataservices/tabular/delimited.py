"""CSV and its kin: which encoding, which delimiter, then the rows."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Any, Protocol

from dataservices.tabular.shapes import CELL_CHARACTERS, Cell, Refused
from dataservices.tabular.workbooks import text

DELIMITERS = ",;\t|"

#: Lines by which the delimiter is found, and bytes of them at most.
_LINES, _BYTES = 200, 1 << 20
_CHUNK = 1 << 20

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Openable(Protocol):
    """A file that is opened as a Path is."""

    @property
    def open(self) -> Callable[..., Any]: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written. ``skipped`` is 1 if its first line only names the delimiter (``sep=;``)."""

    encoding: str
    delimiter: str
    skipped: int = 0


def dialect_of(path: Openable) -> Dialect:
    """Return how a file is written. Raises Refused if it is no text."""
    encoding = _encoding_of(path)
    try:
        with _opened(path, encoding) as file:
            lines = [line[:_BYTES] for line in islice(file, _LINES)]
    except UnicodeError:
        raise Refused("encoding", line=1) from None
    first = lines[0].strip().lower() if lines else ""
    if first.startswith("sep=") and len(first) == 5:
        return Dialect(encoding, first[4], 1)
    return Dialect(encoding, _delimiter_of(lines))


def _encoding_of(path: Openable) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                return encoding
        # Letters of European languages have a zero for their other byte.
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) > len(head) // 3 and not min(even, odd):
            return "utf-16-be" if even else "utf-16-le"
        pieces = chain((head,), iter(lambda: file.read(_CHUNK), b""))
        return "utf-8" if _is_utf8(pieces) else "windows-1252"


def _is_utf8(pieces: Iterable[bytes]) -> bool:
    """Return True if a whole file is UTF-8. Raises Refused for a file that is no text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8 = True
    for chunk in pieces:
        if b"\0" in chunk:
            raise Refused("not-a-table", what="binary")
        try:
            if utf8:
                decoder.decode(chunk)
        except UnicodeDecodeError:
            utf8 = False
    return utf8


def _opened(path: Openable, encoding: str) -> IO[str]:
    # Windows-1252 has five bytes without a letter.
    errors = "replace" if encoding == "windows-1252" else "strict"
    opened: IO[str] = path.open(encoding=encoding, errors=errors, newline="")
    return opened


def _delimiter_of(lines: list[str]) -> str:
    """Return the delimiter that gives most rows the same number of values, more than one; "," if none does."""
    best, result = 0.0, ","
    for delimiter in DELIMITERS:
        widths = Counter(len(row) for row in _parsed(lines, delimiter) if row)
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda each: (each[1], each[0]))
        score = count / sum(widths.values()) * (width > 1) * (1 + min(width, 100) / 1000)
        if score > best:
            best, result = score, delimiter
    return result


def _parsed(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=delimiter)
    except csv.Error:
        return


def rows(path: Openable, dialect: Dialect) -> Iterator[list[Cell]]:
    """Yield the rows of a file. Raises Refused."""
    csv.field_size_limit(4 * CELL_CHARACTERS)
    with _opened(path, dialect.encoding) as file:
        reader = csv.reader(file, delimiter=dialect.delimiter)
        try:
            for row in islice(reader, dialect.skipped, None):
                yield [text(cell) for cell in row]
        except csv.Error:
            raise Refused("quote", line=reader.line_num) from None
        except UnicodeError:
            raise Refused("encoding", line=reader.line_num) from None
