"""Finds the records that a statement may need by reading all of a file once, in a process of its own.

Its result is a small SQLite file with these records in the table's own types. Whatever it cannot do as a complete copy
would have it, it leaves to the copy.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from adapters.dbf import building, cells
from adapters.dbf.comparisons import Comparison, from_json
from adapters.dbf.filters import are_short, filters
from adapters.dbf.header import Field, Refused, read
from adapters.dbf.memo import MemoFile
from adapters.dbf.records import Reader, RecordBlock
from adapters.dbf.table_copy import CopyNotes
from adapters.dbf.tables import Table

#: Exit code of the process for what the copy must answer.
GAVE_UP = 75

#: Records, and bytes of their values, that one scan may find.
MAX_RECORDS = 20_000
MAX_BYTES = 16 * 1024 * 1024

#: Scans of one table at a time, over all processes of the machine.
SCANS_OF_TABLE = 2


class GaveUp(Exception):
    """The copy must answer this statement."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What is to be found: the values of ``columns`` (in lower case) where the comparisons may hold.

    ``deadline`` is a time.monotonic() value.
    """

    columns: Collection[str]
    comparisons: Sequence[Comparison]
    indices: Sequence[str]
    deadline: float


def main(task: dict[str, Any]) -> int:
    """Run the process for a task of scan_process, and write the result to standard output. Returns the exit code."""
    try:
        content = run(task)
    except (GaveUp, Refused):
        return GAVE_UP
    sys.stdout.buffer.write(content)
    return 0


def run(task: dict[str, Any]) -> bytes:
    """Return the result of a task of scan_process. Raises as scan() does."""
    table = Table(task["name"], Path(task["path"]), task["encoding"], Path(task["cache"]))
    comparisons = [from_json(each) for each in task["comparisons"]]
    wanted = Scan(frozenset(task["columns"]), comparisons, task["indices"], time.monotonic() + task["seconds"])
    with _slot(table):
        return scan(table, wanted)


class _slot:  # noqa: N801
    """One of the scans that a table may have. Raises GaveUp if there are as many."""

    def __init__(self, table: Table) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        table.scans_path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(table.scans_path(), flags, 0o600)

    def __enter__(self) -> None:
        # Each scan locks a byte of the file. The lock ends with the process.
        for place in range(SCANS_OF_TABLE):
            with suppress(OSError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                return
        raise GaveUp

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def scan(table: Table, wanted: Scan) -> bytes:
    """Return an SQLite file with the records that may match. Raises GaveUp, Refused and OSError.

    The file was the same before and after it, as for a copy.
    """
    building.wait_for_quiet(table)
    first = table.state(None)
    memo_path = table.memo(table.header())
    state = table.state(memo_path)
    if state[0] != first[0]:
        raise GaveUp
    with closing(sqlite3.connect(":memory:")) as connection:
        meta = _found(connection, table, memo_path, wanted)
        if table.state(memo_path) != state:
            raise GaveUp
        meta.state, meta.read = state, time.time()
        building.store_notes(connection, meta)
        return connection.serialize()


def _found(connection: sqlite3.Connection, table: Table, memo_path: Path | None, wanted: Scan) -> CopyNotes:
    """Fill the table with the records that may match, and return its notes."""
    with table.path.open("rb", buffering=0) as file:
        header = read(file, table.encoding)
        memo = None if memo_path is None else MemoFile(memo_path, header.version)
        try:
            reader = Reader(file, header, memo)
            rows = _bounded(_rows(reader, _matching(reader, wanted), wanted.columns), wanted.deadline)
            columns = building.fill(connection, table.name, header, rows, ())
        except cells.Inexact:
            # The column is text in the copy, which only all of its records tell.
            raise GaveUp from None
        finally:
            if memo is not None:
                memo.close()
    created = building.index(connection, table.name, columns, wanted.indices)
    return CopyNotes([], 0, False, 0, columns=building.described(columns, reader), indices=created)


def _matching(reader: Reader, wanted: Scan) -> Iterator[RecordBlock]:
    """Read all records, and return those that may match."""
    tests = filters(wanted.comparisons, reader)
    numbers = [field for field in reader.header.fields if field.type in "NFY" and field.name.lower() in wanted.columns]
    found = 0
    for block in reader.blocks():
        if time.monotonic() > wanted.deadline:
            raise GaveUp
        for field in numbers:
            _check_numbers(reader, field, block)
        for test in tests:
            if block.numbers:
                block = test(block)
        found += len(block.numbers)
        if found > MAX_RECORDS:
            raise GaveUp
        if block.numbers:
            yield block


def _check_numbers(reader: Reader, field: Field, block: RecordBlock) -> None:
    """Raise cells.Inexact if the column's storage would change a number of the block."""
    if field.type == "Y":
        high_bytes = [block.data[field.offset + at :: block.width] for at in (6, 7)]
        plain = all(map(_is_small, *high_bytes))
    else:
        plain = are_short(field, block)
    if not plain:
        list(reader.values(field, block))


def _is_small(low: int, high: int) -> bool:
    """Return True if the two high bytes of a 64-bit number say that it is below 2^48, and so has at most 15 digits."""
    return low == high and high in (0, 255)


def _rows(reader: Reader, blocks: Iterable[RecordBlock], columns: Collection[str]) -> Iterator[Sequence[Any]]:
    """Return the blocks as rows. Columns that the statement does not name are NULL."""
    for block in blocks:
        values = [
            reader.values(field, block) if field.name.lower() in columns else repeat(None, len(block.numbers))
            for field in reader.header.fields
        ]
        yield from zip(*values, strict=True)


def _bounded(rows: Iterable[Sequence[Any]], deadline: float) -> Iterator[Sequence[Any]]:
    """Return the rows as long as there are time and space."""
    size = 0
    for row in rows:
        size += sum([len(value) for value in row if isinstance(value, (str, bytes))])
        if size > MAX_BYTES or time.monotonic() > deadline:
            raise GaveUp
        yield row
