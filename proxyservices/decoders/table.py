"""CSV and NDJSON as tables."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

from proxyservices.decoders.json import decode_json
from proxyservices.decoders.limits import DecodeError, check_size

#: Cells of a table made of records: records without a common name would make it as wide as it is long.
MAX_CELLS = 5_000_000


class Table:
    """The rows of a CSV or JSON lines document, and the names of their columns."""

    __slots__ = ("names", "rows")

    def __init__(self, names: list[str], rows: list[tuple[Any, ...]]) -> None:
        self.names = names
        self.rows = rows


def decode_csv(body: bytes) -> Table:
    """Return a CSV document (RFC 4180) with a header row and rows of the same length. Raises DecodeError.

    An empty field is null, quoted or not.
    """
    check_size(body, b",", b"\n", b";")
    try:
        text = body.decode("utf-8-sig")
        reader = csv.reader(StringIO(text, newline=""), strict=True)
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


def decode_ndjson(body: bytes) -> Table:
    """Return a document of one JSON object per line. Raises DecodeError."""
    return table_of([decode_json(line) for line in body.splitlines() if line.strip()])


def table_of(records: list[Any]) -> Table:
    """Return records as a table. Its columns are all their names, in order of first appearance. Raises DecodeError."""
    if not all(isinstance(each, dict) for each in records):
        raise DecodeError("rows")
    names = list(dict.fromkeys(name for each in records for name in each))
    if len(names) * len(records) > MAX_CELLS:
        raise DecodeError("size")
    return Table(names, [tuple(each.get(name) for name in names) for each in records])
