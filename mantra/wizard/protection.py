"""What step 3 proposes: types, descriptions and classifications, read from the result and recognised in its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.utils.text import capfirst

from dataservices import authoring
from dataservices.authoring import Outcome
from dataservices.builder import Column, ColumnRef, to_sql
from dataservices.models import DataSource
from dataservices.unsaved import UnsavedQuery
from mantra.wizard.naming import readable
from mantra.wizard.query import REQUIRED, ChosenColumn, Query, without_parameters
from registry import personal_data
from registry.models import Field

#: Rows from which personal data is recognised, and of a preview.
SAMPLES, PREVIEW = 100, 20
#: Classifications of which values are masked.
PERSONAL = frozenset((Field.Classification.PERSONAL, Field.Classification.SPECIFIC))
#: Types of columns that hold numbers which are names: their zeros count.
_NUMBERS = frozenset(("NIK", "KK", "NPWP", "PHONE", "ID_NUMBER"))


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for a column. ``reason`` says why it is personal data, "" for others; ``kind`` is what of.

    ``sample`` is its first value, masked if it is personal.
    """

    type: str
    description: str
    classification: str
    reason: str = ""
    kind: str = ""
    sample: str = ""

    def dump(self) -> dict[str, str]:
        return asdict(self)


def key_of(column: ChosenColumn) -> str:
    """Return the key of a column's proposal in a draft: it stays when the column is renamed."""
    return f"{column.table}:{column.column}"


def rows_of(query: Query, source: DataSource, limit: int) -> Outcome:
    """Return the first rows of a query, without the filters by parameters. Raises SpecError, AuthoringError."""
    spec = replace(without_parameters(query.spec()), row_limit=limit, page_size=0)
    return authoring.run(UnsavedQuery(source, to_sql(spec, source.engine)), {}, limit)


def sample_values(query: Query, source: DataSource) -> dict[str, str]:
    """Return values for the required parameters with which the query finds its first row; {} if it has none.

    Raises SpecError, AuthoringError. The values may be personal data: they are not shown.
    """
    required = [each for each in query.conditions if each.mode == REQUIRED and each.parameters]
    if not required:
        return {}
    columns = [Column(ColumnRef(each.table, each.column), f"v{place}") for place, each in enumerate(required)]
    spec = replace(without_parameters(query.spec()), columns=tuple(columns), row_limit=1, page_size=0, order=())
    outcome = authoring.run(UnsavedQuery(source, to_sql(spec, source.engine)), {}, 1)
    row = outcome.rows[0] if outcome.rows else ()
    return {name: value for each, value in zip(required, row, strict=False) for name in each.parameters if value}


def findings(query: Query, outcome: Outcome) -> list[personal_data.Finding | None]:
    """Return what each column of a result has of personal data, by its name, its table and its values."""
    return [
        finding_of(query, column.table, column.column, [row[place] for row in outcome.rows])
        for place, column in enumerate(query.columns)
    ]


def finding_of(
    query: Query, alias: str, column: str, values: Sequence[str | None] = ()
) -> personal_data.Finding | None:
    """Return what one column has of personal data, by its name, its table and some values."""
    table = query.table(alias)
    return personal_data.recognize(column, values, table.name if table else "")


def propose(query: Query, source: DataSource) -> dict[str, dict[str, str]]:
    """Return the proposals for all columns by key_of(). Raises SpecError, AuthoringError."""
    outcome = rows_of(query, source, SAMPLES)
    found = {}
    for place, (column, finding) in enumerate(zip(query.columns, findings(query, outcome), strict=True)):
        values = [row[place] for row in outcome.rows]
        found[key_of(column)] = _proposal(query, column, outcome.columns[place].type, finding, values).dump()
    return found


def _proposal(
    query: Query, column: ChosenColumn, type_: str, finding: personal_data.Finding | None, values: Sequence[str | None]
) -> Proposal:
    known = query.column(column.table, column.column)
    description = (known.comment if known else "") or readable(column.column)
    first = next((value for value in values if value), "") or ""
    if finding is None:
        return Proposal(type_, description, Field.Classification.INTERNAL, sample=first[:60])
    if finding.kind in _NUMBERS and type_ in (Field.Type.INTEGER, Field.Type.DECIMAL):
        type_ = Field.Type.TEXT
    return Proposal(
        type_,
        description,
        finding.classification,
        f"{capfirst(str(personal_data.KINDS[finding.kind]))}. {finding.reason}",
        finding.kind,
        personal_data.mask(first, finding.kind)[:60],
    )


def masked(rows: Sequence[Sequence[str | None]], kinds: Sequence[str | None]) -> list[tuple[str | None, ...]]:
    """Return rows with the values of some columns masked. ``kinds``: what a column has of personal data, or None."""
    return [
        tuple(
            value if value is None or kind is None else personal_data.mask(value, kind)
            for value, kind in zip(row, kinds, strict=True)
        )
        for row in rows
    ]


def kinds_of(query: Query, found: Sequence[personal_data.Finding | None], chosen: dict[str, Any]) -> list[str | None]:
    """Return by what each column is masked: what was recognised, or that the user classified it as personal."""
    kinds: list[str | None] = []
    for column, finding in zip(query.columns, found, strict=True):
        classified = chosen.get(key_of(column), {}).get("classification", "")
        kinds.append(finding.kind if finding else "" if classified in PERSONAL else None)
    return kinds
