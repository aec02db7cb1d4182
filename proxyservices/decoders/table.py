"""CSV and NDJSON as tables."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable
from io import StringIO
from typing import Any

from proxyservices.decoders.charset import text_of
from proxyservices.decoders.json import decode_json
from proxyservices.decoders.limits import DecodeError, check_size

#: Cells of a table made of records: records without a common name would make it as wide as it is long.
MAX_CELLS = 5_000_000
#: The characters in which a header line must end to be searched for its separator.
MAX_HEADER = 65_536
#: The first one wins where a header line has no more of another.
_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r"sep=([,;\t])\r?\n")
_QUOTED = re.compile(r'"[^"]*"')
_LINE_END = re.compile("[\r\n]+")


class Table:
    """The rows of a CSV or JSON lines document, and the names of their columns."""

    __slots__ = ("names", "rows")

    def __init__(self, names: list[str], rows: list[tuple[Any, ...]]) -> None:
        self.names = names
        self.rows = rows


def decode_csv(body: bytes, charset: str = "") -> Table:
    """Return a CSV document (RFC 4180) with a header row and rows of the same length. Raises DecodeError.

    Fields are separated by commas, semicolons or tabs: the header line shows by which. All values are texts. An empty
    field is null, quoted or not.
    """
    check_size(body, *(each.encode() for each in _SEPARATORS), b"\n")
    text, separator = _without_separator_line(text_of(body, charset))
    try:
        reader = csv.reader(StringIO(text, newline=""), delimiter=separator or _separator(text), strict=True)
        names = next(reader, None)
        if not names or len(set(names)) != len(names) or not all(names):
            raise DecodeError("csv")
        rows = []
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise DecodeError("csv")
            rows.append(tuple(value or None for value in row))
    except (ValueError, csv.Error):
        raise DecodeError("csv") from None
    return Table(names, rows)


def _without_separator_line(text: str) -> tuple[str, str]:
    """Return a text without the line ``sep=;`` that spreadsheets write before the header, and its separator."""
    line = _SEPARATOR_LINE.match(text)
    return (text[line.end() :], line[1]) if line is not None else (text, "")


def _separator(text: str) -> str:
    """Return the separator that the header line has most often outside quotes; a comma where none is ahead."""
    header = _QUOTED.sub("", text[:MAX_HEADER]).lstrip("\r\n").partition("\n")[0]
    return max(_SEPARATORS, key=header.count)


def decode_ndjson(body: bytes, charset: str = "") -> Table:
    """Return a document of one JSON object per line. Raises DecodeError."""
    lines = _LINE_END.split(text_of(body, charset))
    return table_of([decode_json(line.encode("utf-8", "surrogatepass")) for line in lines if line.strip()])


def table_of(records: list[Any], columns: Iterable[str] = ()) -> Table:
    """Return records as a table. Raises DecodeError.

    Its columns are these, and behind them all other names of the records in order of first appearance.
    """
    if not all(isinstance(each, dict) for each in records):
        raise DecodeError("rows")
    names = list(dict.fromkeys(itertools.chain(columns, *records)))
    if len(names) * len(records) > MAX_CELLS:
        raise DecodeError("size")
    return Table(names, [tuple(each.get(name) for name in names) for each in records])
