"""The check of a job's file: its columns, each value by its parameter, and rows that are repeated.

Its result is the file ``rows``: a line for each row with its number, the texts of its values in the order of the
operation's parameters, and what is wrong with one of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import orjson

from mantra.jobs import inputs
from mantra.jobs.files import INPUT, ROWS, JobFolder
from mantra.jobs.inputs import Table, Values
from mantra.jobs.models import HEADER as NAME
from mantra.jobs.models import Job
from mantra.jobs.problems import JobError
from registry.parameter_values import InvalidValue, as_text
from registry.snapshot.types import Operation, Parameter

#: Rows that a report names, columns that it says are ignored, characters of a reason, and of a value of a row that
#: cannot be run.
REPORTED, IGNORED, REASON, SHOWN = 40, 40, 120, 100
#: The columns of a file that a report names to choose from.
HEADERS = 200
#: Rows between two reports of progress; lines that are written at once.
STEP = 500

#: What is wrong with a row: the place of the parameter, and the reason in Indonesian and English.
Wrong = tuple[int, str, str]
_MISSING = ("harus diisi", "it must be given")
_WIDE = ("baris ini berisi lebih banyak nilai daripada kepala kolomnya", "the row has more values than the header")


@dataclass(slots=True)
class Report:
    """What the check has found."""

    #: Parameter → column of the file.
    columns: dict[str, str] = field(default_factory=dict)
    #: Columns that no parameter has.
    ignored: list[str] = field(default_factory=list)
    #: The first rows that cannot be run: number, parameter, reason in Indonesian and English.
    invalid: list[tuple[int, str, str, str]] = field(default_factory=list)
    #: How many rows cannot be run.
    invalid_rows: int = 0
    parameters: list[str] = field(default_factory=list)


class ColumnsMissing(JobError):
    """Parameters that must be given have no column. ``header``: the columns of the file."""

    def __init__(self, names: Sequence[str], header: Sequence[str], report: Report) -> None:
        super().__init__("columns-missing", ", ".join(names))
        self.header, self.report = [name[:NAME] for name in header[:HEADERS]], report


@dataclass(slots=True)
class Checked:
    """The numbers of a check."""

    report: Report
    rows: int = 0
    duplicates: int = 0


def check(job: Job, operation: Operation, folder: JobFolder, limit: int, progress: Callable[[int], None]) -> Checked:
    """Check a job's file and write its rows. Raises JobError, and what ``progress`` raises.

    ``limit``: the most bytes of the rows.
    """
    parameters = operation.parameters
    found = Checked(Report(parameters=[parameter.name for parameter in parameters]))
    hashes = array("Q")
    with (
        inputs.opened(folder.file(INPUT), job.input_format) as table,
        folder.writing(ROWS, limit) as output,
    ):
        picked = _picked(table, parameters, job.mapping, found.report)
        lines: list[bytes] = []
        for number, supplied in picked:
            texts, wrong = _read(supplied, parameters)
            found.rows += 1
            if wrong is not None:
                found.report.invalid_rows += 1
                if len(found.report.invalid) < REPORTED:
                    found.report.invalid.append((number, _name_of(parameters, wrong), *wrong[1:]))
            else:
                hashes.append(_hash(texts))
            lines.append(orjson.dumps((number, texts, wrong)))
            if len(lines) == STEP:
                output.write(b"\n".join(lines) + b"\n")
                lines.clear()
                progress(found.rows)
        output.write(b"".join(line + b"\n" for line in lines))
        if not found.rows:
            raise JobError("no-rows")
    found.duplicates = sum(one == other for one, other in pairwise(sorted(hashes)))
    progress(found.rows)
    return found


def _hash(texts: Sequence[str | None]) -> int:
    """Return 8 bytes of a hash: among a million rows two that differ have the same one once in 37 million times."""
    return int.from_bytes(blake2b(orjson.dumps(texts), digest_size=8).digest(), "big")


def _name_of(parameters: Sequence[Parameter], wrong: Wrong) -> str:
    return parameters[wrong[0]].name if wrong[0] >= 0 else ""


# ----------------------------------------------------------------------------------------- columns


def _picked(
    table: Table, parameters: Sequence[Parameter], mapping: Mapping[str, str], report: Report
) -> Iterator[tuple[int, Sequence[Any] | None]]:
    """Yield the number of each row and its values in the order of the parameters; None for one that is too wide."""
    wanted = _wanted(parameters, mapping)
    if table.headers is None:
        yield from _picked_by_name(table, parameters, wanted, report)
        return
    places: list[int | None] = [None] * len(parameters)
    for place, header in enumerate(table.headers):
        index = wanted.get(_key(header))
        if index is None:
            if header and len(report.ignored) < IGNORED:
                report.ignored.append(header[:SHOWN])
            continue
        if places[index] is not None:
            raise JobError("columns-repeated", header)
        places[index] = place
        report.columns[parameters[index].name] = header[:SHOWN]
    missing = [
        parameter.name
        for parameter, place in zip(parameters, places, strict=True)
        if place is None and parameter.must_be_given
    ]
    if missing or not report.columns:
        names = missing or [parameter.name for parameter in parameters]
        raise ColumnsMissing(names, table.headers, report)
    width = len(table.headers)
    for number, row in table.rows:
        assert isinstance(row, Sequence)
        if len(row) > width and any(cell is not None for cell in row[width:]):
            yield number, None
            continue
        yield number, [row[place] if place is not None and place < len(row) else None for place in places]


def _wanted(parameters: Sequence[Parameter], mapping: Mapping[str, str]) -> dict[str, int]:
    """Return the place of a parameter by the name of its column. Raises JobError for an unknown parameter."""
    places = {parameter.lower: index for index, parameter in enumerate(parameters)}
    unknown = [name for name in mapping if name.lower() not in places]
    if unknown:
        raise JobError("mapping", ", ".join(unknown))
    mapped = {name.lower(): header for name, header in mapping.items() if header}
    wanted = {_key(header): places[name] for name, header in mapped.items()}
    for parameter in parameters:
        if parameter.lower not in mapped:
            for name in (parameter.lower, parameter.legacy_name):
                if name:
                    wanted.setdefault(_key(name), places[parameter.lower])
    return wanted


def _key(header: str) -> str:
    """Return a header as it is compared: without regard to case, blanks, and signs between words."""
    return "".join(letter for letter in header.casefold() if letter.isalnum())


def _picked_by_name(
    table: Table, parameters: Sequence[Parameter], wanted: Mapping[str, int], report: Report
) -> Iterator[tuple[int, Sequence[Any] | None]]:
    known: dict[str, int] = {}
    for number, row in table.rows:
        assert isinstance(row, Mapping)
        values: list[Any] = [None] * len(parameters)
        for name, value in row.items():
            index = known.get(name)
            if index is None:
                index = known[name] = wanted.get(_key(name), -1) if len(known) < 10_000 else -1
                if index < 0:
                    if name and len(report.ignored) < IGNORED and name[:SHOWN] not in report.ignored:
                        report.ignored.append(name[:SHOWN])
                else:
                    report.columns.setdefault(parameters[index].name, name[:SHOWN])
            if index >= 0:
                values[index] = value
        yield number, values


# ------------------------------------------------------------------------------------------ values


def _read(supplied: Sequence[Any] | None, parameters: Sequence[Parameter]) -> tuple[list[str | None], Wrong | None]:
    """Return the texts of a row, and what is wrong with it."""
    if supplied is None:
        return [None] * len(parameters), (-1, *_WIDE)
    texts: list[str | None] = []
    wrong: Wrong | None = None
    for index, (value, parameter) in enumerate(zip(supplied, parameters, strict=True)):
        try:
            text = _text(value)
            if text is not None:
                parameter.parse(text)
            elif parameter.must_be_given:
                raise InvalidValue(*_MISSING)
        except InvalidValue as error:
            text = str(value)[:SHOWN] if value is not None else None
            text = text and text.encode("utf-8", "replace").decode()
            wrong = wrong or (index, error.id[:REASON], error.en[:REASON])
        texts.append(text)
    return texts, wrong


def _text(value: Any) -> str | None:
    """Return the text of a value, None for an empty one. Raises InvalidValue."""
    if value is None:
        return None
    text = value if isinstance(value, str) else as_text(value)
    return text.strip() or None


def arguments(texts: Sequence[str | None], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the arguments of a row that was checked. Raises InvalidValue if a parameter was changed since."""
    return {
        parameter.name: parameter.default if text is None else parameter.parse(text)
        for text, parameter in zip(texts, parameters, strict=True)
    }


__all__ = ["Checked", "Report", "Values", "arguments", "check"]
