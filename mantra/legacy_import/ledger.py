"""What became of each row of the old database: the lines of this run, and those of the last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max, Model

from mantra.legacy_import.models import NAME, ImportedRow, LegacyImport, OldTable, Outcome
from mantra.legacy_import.translating.remarks import Remark, Severity

_OUTCOMES = {
    Severity.TAKEN: Outcome.TAKEN,
    Severity.CHANGED: Outcome.CHANGED,
    Severity.PERSON: Outcome.PERSON,
    Severity.REFUSED: Outcome.REFUSED,
}


@dataclass(slots=True)
class Line:
    """What became of a row. ``row``: ours, None if there is none."""

    table: OldTable
    old_id: int
    outcome: Outcome
    remarks: list[list[Any]] = field(default_factory=list)
    kind: str = ""
    ref: int | None = None
    name: str = ""
    code: str = ""
    parts: dict[str, str] = field(default_factory=dict)


def outcome_of(remarks: Iterable[Remark]) -> Outcome:
    """Return what became of a row by the weightiest of its remarks."""
    heaviest = max((each.severity for each in remarks), key=lambda severity: severity.weight, default=Severity.TAKEN)
    return _OUTCOMES[heaviest]


class Ledger:
    """The lines of a run, and what the last run that was no dry one has said of each row."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.counts: Counter[tuple[OldTable, Outcome]] = Counter()
        self.previous: dict[tuple[str, int], ImportedRow] = {}
        done = ImportedRow.objects.filter(run__dry=False, run__state=LegacyImport.State.DONE)
        for table in OldTable.values:
            # A run of some parts has no lines of the others.
            last = done.filter(table=table).aggregate(Max("run"))["run__max"]
            for row in done.filter(table=table, run=last) if last is not None else ():
                self.previous[row.table, row.old_id] = row

    def before(self, table: OldTable, old_id: int) -> ImportedRow | None:
        """Return the line of the last run about a row."""
        return self.previous.get((table, old_id))

    def add(
        self,
        table: OldTable,
        old_id: int,
        remarks: Iterable[Remark] = (),
        row: Model | None = None,
        parts: dict[str, str] | None = None,
        outcome: Outcome | None = None,
    ) -> Line:
        """Note what became of a row: the outcome is that of its remarks, unless another one is given."""
        said = list(remarks)
        line = Line(
            table, old_id, outcome or outcome_of(said), [[each.kind.value, dict(each.arguments)] for each in said]
        )
        line.parts = parts or {}
        if row is not None:
            line.kind, line.ref, line.name = row._meta.label_lower, row.pk, _name(row)
            line.code = getattr(row, "code", "")
        return self._keep(line)

    def repeat(self, before: ImportedRow) -> Line:
        """Note again what the last run said of a row in which nothing has changed."""
        line = Line(
            OldTable(before.table), before.old_id, Outcome(before.outcome), before.remarks, before.kind, before.ref,
            before.name, before.code, before.parts,
        )  # fmt: skip
        return self._keep(line)

    def _keep(self, line: Line) -> Line:
        self.lines.append(line)
        self.counts[line.table, line.outcome] += 1
        return line

    def store(self, run: LegacyImport) -> None:
        """Write the lines of the run."""
        rows = [
            ImportedRow(
                run=run, table=line.table, old_id=line.old_id, outcome=line.outcome, remarks=line.remarks,
                kind=line.kind, ref=line.ref, name=line.name, code=line.code, parts=line.parts,
            )
            for line in self.lines
        ]  # fmt: skip
        ImportedRow.objects.bulk_create(rows, batch_size=500)


def _name(row: Model) -> str:
    return (row.get_username() if hasattr(row, "get_username") else str(row))[:NAME]
