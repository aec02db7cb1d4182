"""What became of each row of the old database: the lines of this run, and those of the last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max, Model

from mantra.legacy_import.models import CODES, NAME, ImportedRow, LegacyImport, OldTable, Outcome
from mantra.legacy_import.old import OldOddity
from mantra.legacy_import.translating.remarks import Kind, Remark, Severity, remark

_OUTCOMES = {
    Severity.TAKEN: Outcome.TAKEN,
    Severity.CHANGED: Outcome.CHANGED,
    Severity.PERSON: Outcome.PERSON,
    Severity.REFUSED: Outcome.REFUSED,
}
#: Kind of an oddity → the remark on its row.
_ODDITIES = {
    "encoding": Kind.OTHER_ENCODING,
    "long": Kind.LONG_TEXT,
    "number": Kind.NO_NUMBER,
    "repeated": Kind.ID_REPEATED,
}
#: The most hosts that are listed.
_MOST_HOSTS = 50


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


def last_runs() -> dict[str, int]:
    """Return for each table the last run that was no dry one and was done with it; 0 for none.

    A run of some parts has no lines of the others.
    """
    done = ImportedRow.objects.filter(run__dry=False, run__state=LegacyImport.State.DONE)
    return {table: done.filter(table=table).aggregate(last=Max("run"))["last"] or 0 for table in OldTable.values}


class Ledger:
    """The lines of a run, and what the last run that was no dry one has said of each row.

    One that ended early has said it of the rows that it came to.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.counts: Counter[tuple[OldTable, Outcome]] = Counter()
        self.previous: dict[tuple[str, int], ImportedRow] = {}
        real = ImportedRow.objects.filter(run__dry=False).order_by("run", "id")
        for table, last in last_runs().items():
            for row in real.filter(table=table, run__gte=last):
                self.previous[row.table, row.old_id] = row
        #: Hosts of definitions, as they are stored here → the number of these.
        self.hosts: Counter[str] = Counter()
        self._oddities: dict[tuple[str, int], list[Remark]] = {}
        #: Lines that are stored.
        self._stored = 0

    def note_oddities(self, found: Iterable[OldOddity]) -> None:
        """Let the lines of rows that were not read as they are stored say so."""
        for each in found:
            said = self._oddities.setdefault((each.table, each.id), [])
            said.append(remark(_ODDITIES[each.kind], column=each.column))

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
        said = [*remarks, *self._oddities.get((table, old_id), ())]
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

    def found_hosts(self) -> dict[str, int]:
        """Return the hosts of the definitions, the most frequent ones first, with the number of definitions."""
        return {host[:255]: number for host, number in self.hosts.most_common(_MOST_HOSTS) if host}

    def missing_hosts(self) -> dict[str, int]:
        """Return the hosts that are the old server itself, with the number of rows that need a real address."""
        hosts: Counter[str] = Counter()
        for line in self.lines:
            for code, arguments in line.remarks:
                if code == Kind.LOCALHOST.value:
                    hosts[arguments["host"].lower()] += 1
        return dict(hosts.most_common(_MOST_HOSTS))

    def _keep(self, line: Line) -> Line:
        self.lines.append(line)
        self.counts[line.table, line.outcome] += 1
        return line

    def store(self, run: LegacyImport) -> None:
        """Write the lines of the run that are not written yet."""
        rows = [
            ImportedRow(
                run=run, table=line.table, old_id=line.old_id, outcome=line.outcome, remarks=line.remarks,
                kind=line.kind, ref=line.ref, name=line.name, code=line.code, parts=line.parts, codes=_codes(line),
            )
            for line in self.lines[self._stored :]
        ]  # fmt: skip
        ImportedRow.objects.bulk_create(rows, batch_size=500)
        self._stored = len(self.lines)


def _codes(line: Line) -> str:
    """Return the kinds of a line's remarks, each once and between blanks."""
    codes = " ".join(dict.fromkeys(code for code, _arguments in line.remarks))
    return f" {codes} "[:CODES] if codes else ""


def _name(row: Model) -> str:
    return (row.get_username() if hasattr(row, "get_username") else str(row))[:NAME]
