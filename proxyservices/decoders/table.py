"""CSV and NDJSON as tables."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

from proxyservices.decoders.json import from_json
from proxyservices.decoders.limits import Unreadable, _bounded

#: Cells of a table that is made of records: those that share no name would make one as wide as it is long.
MOST_CELLS = 5_000_000


class Table:
    """Rows as CSV or JSON lines bring them."""

    __slots__ = ("names", "rows")

    def __init__(self, names: list[str], rows: list[tuple[Any, ...]]) -> None:
        self.names = names
        self.rows = rows


# ------------------------------------------------------------------------------------- tables as text


def from_csv(body: bytes) -> Table:
    """A header row, then rows as long as it; an empty field is null, except where it is quoted in vain."""
    _bounded(body, b",", b"\n", b";")
    try:
        text = body.decode("utf-8-sig")
        reader = csv.reader(StringIO(text, newline=""), strict=True)
        names = next(reader, None)
        if not names or len(set(names)) != len(names) or not all(names):
            raise Unreadable("csv")
        rows = []
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise Unreadable("csv")
            rows.append(tuple(value or None for value in row))
    except (ValueError, csv.Error):
        raise Unreadable("csv") from None
    return Table(names, rows)


def from_ndjson(body: bytes) -> Table:
    """One JSON object a line. Raises Unreadable."""
    return table([from_json(line) for line in body.splitlines() if line.strip()])


def table(records: list[Any]) -> Table:
    """Records as a table: its columns are all names, in the order in which they first come. Raises Unreadable."""
    if not all(isinstance(each, dict) for each in records):
        raise Unreadable("rows")
    names = list(dict.fromkeys(name for each in records for name in each))
    if len(names) * len(records) > MOST_CELLS:
        raise Unreadable("size")
    return Table(names, [tuple(each.get(name) for name in names) for each in records])
