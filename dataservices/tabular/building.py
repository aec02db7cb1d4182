"""Stores the chosen columns of a table in a new SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from dataservices.tabular import kinds
from dataservices.tabular.layout import Numbered
from dataservices.tabular.shapes import SHOWN_CHARACTERS, Bounds, Cell, ColumnWanted, Layout, Refused
from dataservices.tabular.sheets import OpenTable, open_table

#: Rows that are converted and written at once.
_BATCH = 5_000

#: By type: what SQLite is told about a column. The bus's SQLite adapter reads the type back from it.
DECLARED = {
    "text": "TEXT", "integer": "INTEGER", "decimal": "DECIMAL", "boolean": "BOOLEAN", "date": "DATE",
    "datetime": "DATETIME",
}  # fmt: skip

#: The table of a built file.
TABLE = "rows"


def build(path: Path, target: Path, sheet: str, layout: Layout, columns: Sequence[ColumnWanted], bounds: Bounds) -> int:
    """Fill the empty file ``target`` with the rows of a table. Returns their number. Raises Refused."""
    with open_table(path, sheet, layout, bounds) as table, closing(sqlite3.connect(target)) as connection:
        # A crash loses only this file, which nobody uses yet.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"CREATE TABLE {TABLE} ({', '.join(map(_definition, columns))})")
        marks = ", ".join("?" * len(columns))
        insert = f"INSERT INTO {TABLE} VALUES ({marks})"  # noqa: S608
        count = connection.executemany(insert, _converted(table, columns)).rowcount
        connection.commit()
    return count


def _definition(column: ColumnWanted) -> str:
    return f'"{column.name}" {DECLARED[kinds.type_of(column.kind)]}'


def _converted(table: OpenTable, columns: Sequence[ColumnWanted]) -> Iterator[tuple[Any, ...]]:
    converters = [kinds.converter(column.kind, table.from_1904) for column in columns]
    rows = iter(table.reading.rows)
    while batch := list(islice(rows, _BATCH)):
        yield from zip(*(_column(batch, *each) for each in zip(columns, converters, strict=True)), strict=True)


def _column(batch: list[Numbered], column: ColumnWanted, convert: Callable[[Cell], Any]) -> list[Any]:
    index = column.index
    result = []
    for number, row in batch:
        value = row[index] if index < len(row) else None
        try:
            result.append(None if value is None else convert(value))
        except kinds.Unfit:
            shown = kinds.as_text(value)[:SHOWN_CHARACTERS]
            raise Refused("unfit", column=column.name, kind=column.kind, row=number, value=shown) from None
    return result
