"""What the page of a run shows: how far it is, numbers that add up, what to do, and the rows with their sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from mantra.legacy_import import reports
from mantra.legacy_import.models import ImportedRow, LegacyImport, OldTable, Outcome
from mantra.legacy_import.pages import inputs, problems, runs, tasks
from registry.pages import address

State = LegacyImport.State
#: Rows of the report on a page, and characters of a search.
PAGE, SEARCH = 25, 100
STATE_COLOURS = {
    State.DONE: "yes",
    State.FAILED: "no",
    State.CANCELLED: "mute",
    State.WAITING: "mute",
    State.RUNNING: "warn",
}
OUTCOME_COLOURS = {
    Outcome.TAKEN: "yes",
    Outcome.MERGED: "yes",
    Outcome.CHANGED: "warn",
    Outcome.PERSON: "warn",
    Outcome.REFUSED: "no",
    Outcome.OMITTED: "mute",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A run in a list."""

    run: LegacyImport

    @property
    def colour(self) -> str:
        return STATE_COLOURS[State(self.run.state)]

    @property
    def problem(self) -> str:
        return problems.sentence(self.run)


# ------------------------------------------------------------------------------------- a run under way


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run: its rows that are done, and all of them."""

    name: Any
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Shown:
    """How far a run is. ``percent``: of its present step. ``tables``: while rows are looked at, each table's."""

    title: str
    percent: int
    tables: list[Step]


def progress(run: LegacyImport) -> Shown:
    """Return how far a run is."""
    if run.state == State.WAITING:
        return Shown(_("The run begins in a moment."), 0, [])
    found = inputs.progress_of(run.pk) or inputs.Progress(inputs.READING)
    percent = min(100, round(100 * found.done / found.total)) if found.total else 0
    if found.step == inputs.READING:
        return Shown(_("Step 1 of 2: the old database is read."), percent, [])
    title = _("Step 2 of 2: the rows are tried.") if run.dry else _("Step 2 of 2: the rows are imported.")
    return Shown(title, percent, list(_steps(run, found.done)))


def _steps(run: LegacyImport, done: int) -> Iterator[Step]:
    """Yield the tables in the order in which their rows are looked at."""
    for table in runs.tables_of(run.parts):
        total = run.counts.get(table, 0)
        yield Step(OldTable(table).label, min(done, total), total)
        done = max(0, done - total)


# ----------------------------------------------------------------------------------------- the numbers


@dataclass(frozen=True, slots=True)
class Cell:
    """How many rows of a table had an outcome."""

    outcome: Outcome
    number: int


@dataclass(frozen=True, slots=True)
class TableLine:
    """A table of the old database: its rows, and what became of them. ``others``: those that were not looked at."""

    table: str
    label: Any
    rows: int
    cells: list[Cell]
    others: int


def tables(run: LegacyImport) -> list[TableLine]:
    """Return the tables of which each row is accounted for."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for table, outcome, number in run.lines.order_by().values_list("table", "outcome").annotate(number=Count("id")):
        found[table][outcome] = number
    lines = []
    for table in OldTable:
        cells = [Cell(outcome, found[table].get(outcome, 0)) for outcome in Outcome]
        seen, rows = sum(cell.number for cell in cells), run.counts.get(table, 0)
        lines.append(TableLine(table, table.label, max(rows, seen), cells, max(0, rows - seen)))
    return lines


def further_tables(run: LegacyImport) -> list[tuple[str, int]]:
    """Return the tables of which nothing is taken but the number of calls, with their rows."""
    return sorted((table, rows) for table, rows in run.counts.items() if table not in OldTable.values)


def to_do(run: LegacyImport) -> list[tuple[tasks.Group, int, str]]:
    """Return what a person must do: the groups with the numbers of their rows, and the page where it is done."""
    codes = run.lines.exclude(codes="").order_by().values_list("codes").annotate(number=Count("id"))
    return [(group, number, address(group.page) if group.page else "") for group, number in tasks.counted(codes)]


# -------------------------------------------------------------------------------------------- the rows


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows of a report are wanted; "" for any."""

    outcome: str = ""
    table: str = ""
    task: str = ""
    search: str = ""

    @property
    def is_any(self) -> bool:
        return not (self.outcome or self.table or self.task or self.search)


def filter_of(query: Any) -> Filter:
    """Return the filter of an address. What it does not know is left out."""
    outcome, table, task = (query.get(name, "") for name in ("outcome", "table", "task"))
    return Filter(
        outcome if outcome in Outcome.values else "",
        table if table in OldTable.values else "",
        task if task in tasks.BY_NAME else "",
        query.get("q", "").replace("\x00", "").strip()[:SEARCH],
    )


def rows(run: LegacyImport, wanted: Filter) -> QuerySet[ImportedRow]:
    """Return the rows of a report."""
    found = run.lines.all()
    if wanted.outcome:
        found = found.filter(outcome=wanted.outcome)
    if wanted.table:
        found = found.filter(table=wanted.table)
    if wanted.task:
        found = found.filter(tasks.rows_of(tasks.BY_NAME[wanted.task]))
    if wanted.search:
        by_text = Q(name__icontains=wanted.search) | Q(code__icontains=wanted.search)
        number = wanted.search if wanted.search.isdecimal() and len(wanted.search) < 18 else ""
        found = found.filter(by_text | Q(old_id=int(number)) if number else by_text)
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the old database: what became of it, where ours is, and what a person must know."""

    line: ImportedRow
    url: str
    sentences: list[str]

    @property
    def colour(self) -> str:
        return OUTCOME_COLOURS[Outcome(self.line.outcome)]


def shown(run: LegacyImport, lines: Iterable[ImportedRow]) -> list[Row]:
    """Return rows as the page shows them. Those of a dry run lead nowhere: what it made is undone."""
    lines = list(lines)
    there = {} if run.dry else _there(lines)
    return [Row(line, there.get((line.kind, line.ref or 0), ""), reports.sentences(line)) for line in lines]


def _there(lines: Iterable[ImportedRow]) -> dict[tuple[str, int], str]:
    """Return the page of each of our rows that still exists, by its kind and id."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for line in lines:
        if line.kind and line.ref is not None:
            wanted[line.kind].add(line.ref)
    found: dict[tuple[str, int], str] = {}
    for kind, refs in wanted.items():
        app, _dot, model = kind.partition(".")
        for pk in apps.get_model(kind)._default_manager.filter(pk__in=refs).values_list("pk", flat=True):
            found[kind, pk] = address(f"admin:{app}_{model}_change", pk)
    return found
