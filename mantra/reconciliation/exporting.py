"""The rows of a result as an export: a workbook with a sheet for each kind, or CSV with one kind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mantra.exports.sheets import open_sheet
from mantra.reconciliation import results, sides
from mantra.reconciliation.engine import (
    ASIDE_LEFT,
    ASIDE_RIGHT,
    DIFFERENT,
    KINDS,
    ONLY_LEFT,
    ONLY_RIGHT,
    REPEATED,
    REPEATED_THERE,
    WITHOUT_KEY,
)
from mantra.reconciliation.models import ReconciliationRun
from registry.exports import ExportError, Kind, Work
from registry.exports.kinds import Parameters
from registry.models import User

#: Kind of rows → the title of its sheet, at most 25 characters.
TITLES: dict[str, Any] = {
    ONLY_LEFT: gettext_lazy("Only in A"),
    ONLY_RIGHT: gettext_lazy("Only in B"),
    DIFFERENT: gettext_lazy("Different"),
    ASIDE_LEFT: gettext_lazy("Not joined in A"),
    ASIDE_RIGHT: gettext_lazy("Not joined in B"),
}
#: Why a row is set aside.
REASONS: dict[str, Any] = {
    REPEATED: gettext_lazy("The key occurs several times in this list."),
    REPEATED_THERE: gettext_lazy("The key occurs several times in the other list."),
    WITHOUT_KEY: gettext_lazy("The row has no key."),
}
#: Rows that are written at once.
_BATCH = 2_000


def make(work: Work) -> None:
    """Write the rows of a run. Raises ExportError."""
    run = run_of(work.parameters)
    if run is None or not run.stored or not _may(work.user, work.parameters):
        raise ExportError("denied")
    wanted = work.parameters.get("kind", "")
    kinds = [kind for kind in KINDS if kind == wanted or (work.format == "xlsx" and not wanted)]
    total, written = sum(run.kept.get(kind, 0) for kind in kinds) or 1, 0
    sheet = None
    for kind in kinds:
        columns, line = layout(run, kind)
        if sheet is None:
            sheet = open_sheet(work, str(TITLES[kind]), columns)
        else:
            sheet.begin(str(TITLES[kind]), columns)
        rows = results.rows(run.stored, str(run.key), kind)
        while batch := list(islice(rows, _BATCH)):
            sheet.write(map(line, batch))
            written += len(batch)
            work.progress(written, 100 * written / total)
    if sheet is None:
        raise ExportError("filter")
    sheet.close()


def layout(run: ReconciliationRun, kind: str) -> tuple[list[str], Callable[[list[Any]], list[Any]]]:
    """Return the headings of a kind of rows, and a function from a row to its cells."""
    headings = run.headings
    if kind == DIFFERENT:
        fields = [left if left == right else f"{left} / {right}" for left, right in headings["fields"]]
        at = 2 + len(headings["key"])
        columns = [_("row in A"), _("row in B"), *headings["key"], _("column"), _("value in A"), _("value in B")]
        return columns, lambda row: [*row[:at], fields[row[at]], *row[at + 1 :]]
    names = headings["left" if kind in (ONLY_LEFT, ASIDE_LEFT) else "right"]
    if kind in (ONLY_LEFT, ONLY_RIGHT):
        return [_("row"), *names], list
    return [_("reason"), _("row"), *names], lambda row: [str(REASONS[row[0]]), *row[1:]]


def run_of(parameters: Parameters) -> ReconciliationRun | None:
    """Return the run that an export is of; None if it was deleted."""
    rows = ReconciliationRun.objects.select_related("reconciliation__agency")
    return rows.filter(pk=parameters["run"], state=ReconciliationRun.State.DONE).first()


def _may(user: User, parameters: Parameters) -> bool:
    run = run_of(parameters)
    return run is not None and sides.may_use(user, run.reconciliation)


def _title(parameters: Parameters) -> str:
    run = run_of(parameters)
    kind = TITLES.get(parameters.get("kind", ""))
    title = run.reconciliation.title if run is not None else _("Reconciliation")
    return f"{title}: {kind}" if kind else title


def _file_name(parameters: Parameters) -> str:
    run = run_of(parameters)
    parts = [_("reconciliation"), run.reconciliation.code if run is not None else "", str(parameters["run"])]
    return "-".join(part for part in (*parts, parameters.get("kind", "")) if part)


KIND = Kind(
    right=sides.CHANGE,
    formats=("xlsx", "csv"),
    make="mantra.reconciliation.exporting.make",
    title=_title,
    file_name=_file_name,
    may=_may,
)
