"""Looks through a whole table: its layout, and what each column is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataservices.tabular import kinds, names
from dataservices.tabular.layout import Reading
from dataservices.tabular.profile import ColumnProfile, Profiler, describe
from dataservices.tabular.shapes import (
    SAMPLE_ROWS,
    SHOWN_CHARACTERS,
    Bounds,
    Cell,
    ColumnFound,
    Layout,
    Note,
    Refused,
    TableFound,
)
from dataservices.tabular.sheets import OpenTable, open_table


def inspect(path: Path, sheet: str, layout: Layout, bounds: Bounds) -> TableFound:
    """Return what a file has, without storing any of it. Raises Refused."""
    with open_table(path, sheet, layout, bounds) as table:
        profiler, sample = Profiler(), list[list[Cell]]()
        for number, row in table.reading.rows:
            if len(sample) < SAMPLE_ROWS:
                sample.append(row)
            profiler.add(number, row)
        profiler.flush()
        if not profiler.rows:
            raise Refused("no-rows", row=table.reading.layout.header_row)
        return _found(table, profiler, sample, bounds)


def _found(table: OpenTable, profiler: Profiler, sample: list[list[Cell]], bounds: Bounds) -> TableFound:
    reading = table.reading
    columns = _columns(reading.headers, profiler.columns)
    if len(columns) > bounds.columns:
        raise Refused("columns", most=bounds.columns, found=len(columns))
    layout = replace(reading.layout, skip_last=len(reading.last))
    return TableFound(
        table.format, table.sheet, table.sheets, layout, profiler.rows, columns,
        sample=[_shown(row, columns) for row in sample],
        titles=reading.titles,
        last_lines=[_shown(row, columns) for _number, row in reading.last],
        notes=[*table.notes, *_notes(reading, profiler, columns)],
    )  # fmt: skip


def _columns(headers: list[str], profiles: list[ColumnProfile]) -> list[ColumnFound]:
    """Return the columns that have a header or values, with names that are different."""
    width = max(len(headers), len(profiles))
    headers = headers + [""] * (width - len(headers))
    profiles = profiles + [ColumnProfile() for _ in range(width - len(profiles))]
    kept = [index for index in range(width) if headers[index] or profiles[index].seen]
    proposed = [names.legal(headers[index], f"kolom_{index + 1}") for index in kept]
    columns = []
    for index, name, first in zip(kept, names.unique(proposed), proposed, strict=True):
        found = describe(profiles[index], ColumnFound(index, headers[index][:200], name))
        if not headers[index]:
            found.notes.insert(0, Note("no-header"))
        elif name != first:
            found.notes.insert(0, Note("same-header"))
        columns.append(found)
    return columns


def _shown(row: Sequence[Cell], columns: list[ColumnFound]) -> list[str | None]:
    """Return the cells of the columns as texts that a page can show."""
    cells = (row[column.index] if column.index < len(row) else None for column in columns)
    return [None if cell is None else kinds.as_text(cell)[:SHOWN_CHARACTERS] for cell in cells]


def _notes(reading: Reading, profiler: Profiler, columns: list[ColumnFound]) -> list[Note]:
    dropped = max(len(reading.headers), len(profiler.columns)) - len(columns)
    counts = {"blank-rows": reading.blank, "blank-columns": dropped, "filled-down": reading.filled_down}
    notes = [Note(code, {"count": count}) for code, count in counts.items() if count]
    if not reading.layout.header_row:
        notes.append(Note("no-header-row"))
    if reading.grouped:
        notes.append(Note("header-lines", {"count": reading.layout.header_lines}))
    if reading.numbering:
        notes.append(Note("numbering"))
    if profiler.lonely and len(columns) > 3:
        notes.append(Note("lonely", {"count": profiler.lonely, "row": profiler.first_lonely}))
    return notes
