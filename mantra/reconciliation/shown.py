"""What the page of a reconciliation shows of its runs: figures, tables and charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from mantra.reconciliation import exporting, problems, results
from mantra.reconciliation.engine import KINDS
from mantra.reconciliation.models import ReconciliationRun, Side
from mantra.statistics.shown import ShownTable, shown
from mantra.statistics.table import Chart, Column, Table
from mantra.statistics.words import number
from registry import faults, moments

State = ReconciliationRun.State
#: Runs of the trend, and rows of each kind that the page shows.
TREND, FIRST_ROWS = 30, 5
_COLOURS = {
    State.DONE: "yes",
    State.FAILED: "no",
    State.CANCELLED: "mute",
    State.WAITING: "mute",
    State.RUNNING: "warn",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline number, with what it says."""

    name: str
    title: str
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """The first rows of a kind, and how many there are."""

    kind: str
    title: Any
    headings: list[str]
    rows: list[list[Any]]
    number: int
    kept: int

    @property
    def is_cut(self) -> bool:
        return self.kept < self.number


@dataclass(frozen=True, slots=True)
class Line:
    """A run in a list."""

    run: ReconciliationRun

    @property
    def colour(self) -> str:
        return _COLOURS[State(self.run.state)]

    @property
    def problem(self) -> str:
        """What is wrong and what to do, of which list, and what the call said."""
        run = self.run
        if run.state != State.FAILED:
            return ""
        text = str(problems.sentence(run.problem))
        if run.problem_side:
            text = f"{Side.Place(run.problem_side).label.capitalize()}: {text}"
        kind = faults.TABLE.get(run.fault or 0)
        return f"{text} ({kind.code})" if kind is not None else text

    @property
    def differences(self) -> int:
        return self.run.only_left + self.run.only_right + self.run.different


def figures(run: ReconciliationRun) -> list[Figure]:
    """Return the headline numbers of a run."""
    aside = run.left_repeated + run.right_repeated
    found = [
        ("equal", _("Equal"), run.equal, _("in both lists, without a difference")),
        ("different", _("Different"), run.different, _("in both lists, with other values")),
        ("only_left", _("Only in A"), run.only_left, ""),
        ("only_right", _("Only in B"), run.only_right, ""),
        ("repeated", _("Repeated key"), aside, _("joined with nothing")),
        ("empty", _("Without a key"), run.left_empty + run.right_empty, _("joined with nothing")),
    ]
    return [Figure(name, title, number(value), hint) for name, title, value, hint in found]


def summary(run: ReconciliationRun) -> ShownTable:
    """Return the rows of both lists by what became of them, with a chart."""
    rows = [
        (_("Equal"), run.equal, run.equal),
        (_("Different"), run.different, run.different),
        (_("Only here"), run.only_left, run.only_right),
        (_("Repeated key"), run.left_repeated, run.right_repeated),
        (_("Without a key"), run.left_empty, run.right_empty),
    ]
    columns = (Column(_("Rows")), Column(_("List A"), "number"), Column(_("List B"), "number"))
    chart = Chart(_("Both lists"), "bar", ((1, "ok"), (2, "low")))
    return shown(Table("lists", _("Both lists"), columns, rows, charts=(chart,)))


def by_field(run: ReconciliationRun) -> ShownTable | None:
    """Return in which columns how many rows differ; None if none is compared."""
    fields = run.headings.get("fields", [])
    rows = [
        (left if left == right else f"{left} / {right}", count)
        for (left, right), count in zip(fields, run.by_field, strict=False)
    ]
    if not rows:
        return None
    columns = (Column(_("Column")), Column(_("Different rows"), "number", bar=True))
    chart = Chart(_("Different rows by column"), "bar", ((1, "refused"),))
    return shown(Table("fields", _("Different rows by column"), columns, rows, charts=(chart,)))


def trend(runs: list[ReconciliationRun]) -> ShownTable | None:
    """Return the numbers of the last runs, the oldest first; None for fewer than two."""
    done = [run for run in runs if run.state == State.DONE][:TREND][::-1]
    if len(done) < 2:
        return None
    columns = (
        Column(_("Run")), Column(_("Different"), "number"), Column(_("Only in A"), "number"),
        Column(_("Only in B"), "number"), Column(_("Equal"), "number", minor=True),
    )  # fmt: skip
    rows = [(moments.moment(run.created_at), run.different, run.only_left, run.only_right, run.equal) for run in done]
    chart = Chart(_("Differences over time"), "line", ((1, "refused"), (2, "ok"), (3, "low")))
    return shown(Table("trend", _("Differences over time"), columns, rows, charts=(chart,)))


def first_rows(run: ReconciliationRun) -> list[Rows]:
    """Return the first rows of each kind of which there are any."""
    numbers = {
        "only_left": run.only_left, "only_right": run.only_right, "different": sum(run.by_field),
        "aside_left": run.left_repeated + run.left_empty, "aside_right": run.right_repeated + run.right_empty,
    }  # fmt: skip
    found = []
    for kind in KINDS:
        if numbers[kind] and run.stored:
            headings, line = exporting.layout(run, kind)
            rows = [line(row) for row in results.first(run.stored, str(run.key), kind, FIRST_ROWS)]
            found.append(Rows(kind, exporting.TITLES[kind], headings, rows, numbers[kind], run.kept.get(kind, 0)))
    return found
