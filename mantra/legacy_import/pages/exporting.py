"""The report of a run as an export: a row for each row of the old database."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from django.utils.translation import gettext as _

from mantra.csv_cells import Value
from mantra.exports.sheets import open_sheet
from mantra.legacy_import import reports
from mantra.legacy_import.models import LegacyImport
from registry import tenancy
from registry.exports import ExportError, Kind, Work
from registry.exports.kinds import Parameters

RIGHT = "legacy_import.view_legacyimport"
_BATCH = 500


def make(work: Work) -> None:
    """Write the rows of a run. Raises ExportError."""
    run = _run(work.parameters)
    if run is None or not tenancy.is_administrator(work.user):
        raise ExportError("denied")
    columns = [_("table"), _("old id"), _("outcome"), _("name here"), _("code here"), _("remarks")]
    sheet = open_sheet(work, _("Import report"), columns)
    rows, total, written = _rows(run), max(1, run.lines.count()), 0
    while batch := list(islice(rows, _BATCH)):
        sheet.write(batch)
        written += len(batch)
        work.progress(written, 100 * written / total)
    sheet.close()


def _rows(run: LegacyImport) -> Iterator[list[Value]]:
    for line in run.lines.iterator(chunk_size=_BATCH):
        yield [
            line.table, line.old_id, str(line.get_outcome_display()), line.name, line.code,
            " ".join(reports.sentences(line)),
        ]  # fmt: skip


def _run(parameters: Parameters) -> LegacyImport | None:
    return LegacyImport.objects.filter(pk=parameters["run"]).first()


def _title(parameters: Parameters) -> str:
    run = _run(parameters)
    return _("Import report of %(source)s") % {"source": run.source} if run is not None else _("Import report")


KIND = Kind(
    right=RIGHT,
    formats=("csv", "xlsx"),
    make="mantra.legacy_import.pages.exporting.make",
    title=_title,
    file_name=lambda parameters: "-".join((_("import-report"), str(parameters["run"]))),
    may=lambda user, parameters: tenancy.is_administrator(user),
)
