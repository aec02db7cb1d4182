"""The results of a job: parts, each a file, that begin with a row of the job and have the results of some rows.

The first line of a part has its numbers. Each other line is a row of the result: the row's number in the caller's file,
how it ended, a sentence about it, the values of its parameters as they were sent, and the operation's row.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from mantra.gateway.formats.values import TEXT, canonical, clean, columns_of, text_column, unique_names
from mantra.jobs.files import JobFolder
from mantra.jobs.models import Job
from mantra.jobs.problems import JobError
from registry.results import Column, Row, Rows

__all__ = ["unique_names"]

#: How a row ended. One with a fault has the fault's code.
OK, NOT_FOUND, INVALID = "ok", "not-found", "invalid"
#: The columns before those of the parameters.
LEADING = (Column("baris", "integer"), Column("status", "text"), Column("keterangan", "text"))
#: Rows of the result in one batch.
BATCH = 500


@dataclass(slots=True)
class Numbers:
    """What a part, or all parts together, have."""

    first: int = 1
    rows: int = 0
    found: int = 0
    not_found: int = 0
    faults: int = 0
    invalid: int = 0
    lines: int = 0
    bytes: int = 0

    def add(self, other: Numbers) -> None:
        for name in ("rows", "found", "not_found", "faults", "invalid", "lines", "bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def run(self) -> int:
        """Rows that were run, which the quota counts."""
        return self.rows - self.invalid

    @property
    def next(self) -> int:
        """The row after the last one."""
        return self.first + self.rows


@dataclass(slots=True)
class Part:
    """A part that is being made. ``columns``: those of the operation's rows, (name, type) each."""

    numbers: Numbers
    columns: list[list[str | None]]
    lines: list[bytes] = field(default_factory=list)

    def add_line(
        self, number: int, status: str, message: str, sent: Sequence[str | None], values: Sequence[Any] | None
    ) -> None:
        line = orjson.dumps((number, status, message, sent, values))
        self.lines.append(line)
        self.numbers.lines += 1
        self.numbers.bytes += len(line)

    def content(self) -> Iterator[bytes]:
        yield orjson.dumps({"numbers": asdict(self.numbers), "columns": self.columns}) + b"\n"
        for start in range(0, len(self.lines), BATCH):
            yield b"\n".join(self.lines[start : start + BATCH]) + b"\n"


Columns = list[list[str | None]]


def head_of(folder: JobFolder, first: int) -> tuple[Numbers, Columns]:
    """Return the numbers of a part, and its columns. Raises JobError."""
    try:
        head = orjson.loads(next(folder.part(first).lines()))
        return Numbers(**head["numbers"]), head["columns"]
    except (StopIteration, ValueError, TypeError, KeyError):
        raise JobError("files") from None


def total(folder: JobFolder) -> tuple[Numbers, Columns]:
    """Return the numbers of all parts, which follow one another from the first row on, and the columns of the last.

    Raises JobError.
    """
    together = Numbers()
    columns: Columns = []
    for first in folder.parts():
        if first != together.next:
            raise JobError("files")
        numbers, columns = head_of(folder, first)
        together.add(numbers)
    return together, columns


# ------------------------------------------------------------------------------------------ values


def stored_rows(columns: Sequence[Column], rows: list[Row]) -> list[Sequence[Any]]:
    """Return rows as they are stored: the texts of values of a known type, else what JSON can hold."""
    if not rows:
        return []
    kept = [
        [_stored(value) for value in values]
        if column.type is None
        else [value and clean(value) for value in text_column(values, column.type, TEXT)]
        for column, values in zip(columns, columns_of(rows), strict=True)
    ]
    return list(zip(*kept, strict=True))


def _stored(value: Any) -> Any:
    """Return a value of a column without a type: what JSON has not is marked."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else {"i": str(value)}
    if isinstance(value, Decimal) and value.is_finite():
        return {"d": format(value, "f")}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b": base64.b64encode(value).decode()}
    if isinstance(value, dict | list | tuple):
        return {"j": canonical(value, None, TEXT)}
    return canonical(value, None, TEXT)


def _loaded(value: Any) -> Any:
    """Return a value as it was before _stored()."""
    ((mark, text),) = value.items()
    if mark == "i":
        return int(text)
    if mark == "d":
        return Decimal(text)
    return base64.b64decode(text) if mark == "b" else orjson.loads(text)


# ----------------------------------------------------------------------------------------- reading


def columns_of_job(job: Job) -> tuple[Column, ...]:
    """Return the columns of a job's results: each has a name of its own, as formats write it."""
    sent = [Column(name, "text") for name in job.report.get("parameters", ())]
    columns = [*LEADING, *sent, *(Column(name, type) for name, type in job.columns)]
    return tuple(Column(name, column.type) for name, column in zip(unique_names(columns), columns, strict=True))


def lines_from(job: Job, folder: JobFolder, first: int) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of the result from the ``first``-th row of the job on, each with that row's place."""
    for part in folder.parts():
        numbers, _columns = head_of(folder, part)
        if numbers.next <= first:
            continue
        lines = folder.part(part).lines()
        next(lines)
        place, before = part - 1, None
        for line in lines:
            loaded = orjson.loads(line)
            if loaded[0] != before:
                place, before = place + 1, loaded[0]
            if place >= first:
                yield place, loaded


def batches(job: Job, folder: JobFolder, first: int = 1, last: int | None = None) -> Iterator[list[Row]]:
    """Yield the rows of the result of a job's rows from ``first`` to ``last``. Raises JobError."""
    sent, width = len(job.report.get("parameters", ())), len(job.columns)
    batch: list[Row] = []
    for place, (number, status, message, texts, values) in lines_from(job, folder, first):
        if last is not None and place > last:
            break
        values = [] if values is None else values[:width]
        if dict in map(type, values):
            values = [_loaded(value) if isinstance(value, dict) else value for value in values]
        # Columns of later rows are missing in earlier ones.
        values += [None] * (width - len(values))
        batch.append((number, status, message or None, *(texts or [None] * sent), *values))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def page(job: Job, folder: JobFolder, first: int, most: int, lines: int) -> tuple[list[Row], int]:
    """Return the rows of the result of at most ``most`` rows of a job, and the row of the job that follows.

    They are few enough for the memory: at most ``lines``, or those of one row of the job. Raises JobError.
    """
    rows: list[Row] = []
    follows = first
    for batch in batches(job, folder, first, first + most - 1):
        for row in batch:
            if not rows or row[0] != rows[-1][0]:
                if len(rows) >= lines:
                    return rows, follows
                follows += 1
            rows.append(row)
    return rows, follows


def rows_of(job: Job, folder: JobFolder, first: int = 1, last: int | None = None) -> Rows:
    """Return results as the formats of responses write them. Their ``count`` grows while they are read."""
    rows = Rows(columns_of_job(job), iter(()))

    def counted() -> Iterator[list[Row]]:
        for batch in batches(job, folder, first, last):
            rows.count += len(batch)
            yield batch

    rows.batches = counted()
    return rows
