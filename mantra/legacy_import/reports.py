"""The report of a run as text: what became of each row, and numbers that add up to all rows of the old database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.utils.translation import gettext as _

from mantra.legacy_import.models import ImportedRow, LegacyImport, OldTable, Outcome
from mantra.legacy_import.translating.remarks import Kind, Remark

_KINDS = {kind.value: kind for kind in Kind}


def sentences(line: ImportedRow) -> list[str]:
    """Return what a person must know about a row, in the active language."""
    return [Remark(_KINDS[code], tuple(values.items())).text() for code, values in line.remarks if code in _KINDS]


def listed(run: LegacyImport, everything: bool = False) -> Iterator[str]:
    """Yield a line for each row of which somebody must know something; of all rows with ``everything``."""
    rows = run.lines.all()
    if not everything:
        rows = rows.exclude(outcome__in=(Outcome.TAKEN, Outcome.OMITTED, Outcome.MERGED))
    for line in rows.iterator(chunk_size=500):
        head = f"{line.table} {line.old_id} {line.name}".rstrip()
        yield f"{line.get_outcome_display()}: {head}"
        for sentence in sentences(line):
            yield f"    {sentence}"


def counts(run: LegacyImport) -> dict[str, Counter[str]]:
    """Return for each table of the old database how many of its rows had which outcome."""
    found: dict[str, Counter[str]] = {table: Counter() for table in OldTable.values}
    for table, outcome in run.lines.values_list("table", "outcome"):
        found[table][outcome] += 1
    return found


def summary(run: LegacyImport) -> Iterator[str]:
    """Yield a line for each table of the old database: its rows, and what became of them."""
    found = counts(run)
    for table, rows in sorted(run.counts.items()):
        if table in found:
            outcomes = found[table]
            parts = [f"{outcomes[outcome]} {outcome.label}" for outcome in Outcome if outcomes[outcome]]
            missing = rows - outcomes.total()
            parts += [_("%(number)d not looked at") % {"number": missing}] if missing else []
            yield f"{table}: {rows} = " + " + ".join(parts)
        else:
            yield f"{table}: {rows} " + _("are not taken")
