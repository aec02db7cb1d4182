"""The previews of a draft: the first rows of its query, and a sample response; personal columns are masked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import get_language

from dataservices import authoring
from dataservices.authoring import Outcome
from dataservices.builder import SpecError, to_sql
from dataservices.models import WizardDraft
from dataservices.unsaved import AuthoringError, UnsavedQuery
from mantra.wizard import making, protection
from mantra.wizard.query import FIXED, Query
from registry.journal import viewing
from registry.results import Fault

#: Rows of a sample response.
SAMPLE_ROWS = 3


@dataclass(frozen=True, slots=True)
class PreviewColumn:
    """A column's name, and whether its values are masked."""

    name: str
    masked: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """Rows as texts or None. ``error``: why there are none. ``without``: the parameters that were not used."""

    columns: tuple[PreviewColumn, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    error: str = ""
    without: str = ""


def context(request: HttpRequest, draft: WizardDraft) -> dict[str, Any]:
    """Return the context of preview.html: the first rows, without the filters by parameters."""
    return _shown(_preview, request, draft)


def sample_context(request: HttpRequest, draft: WizardDraft) -> dict[str, Any]:
    """Return the context of preview.html: what the operation returns for values from its first row."""
    return _shown(_sample, request, draft)


def _shown(
    make: Callable[[HttpRequest, WizardDraft], Preview], request: HttpRequest, draft: WizardDraft
) -> dict[str, Any]:
    try:
        return {"preview": make(request, draft)}
    except (SpecError, AuthoringError, Fault) as error:
        return {"preview": Preview(error=message_of(error))}


def message_of(error: SpecError | AuthoringError | Fault) -> str:
    """Return what to tell the user about a query that gave no rows."""
    if isinstance(error, SpecError):
        return error.message
    if isinstance(error, Fault):
        return error.message(get_language() or "id")
    return " ".join(finding.text for finding in error.findings)


def _preview(request: HttpRequest, draft: WizardDraft) -> Preview:
    assert draft.source is not None
    query = Query.load(draft.data.get("query", {}))
    outcome = protection.rows_of(query, draft.source, protection.PREVIEW)
    without = [name for each in query.conditions if each.mode != FIXED for name in each.parameters]
    return _masked(request, draft, query, outcome, ", ".join(without))


def _sample(request: HttpRequest, draft: WizardDraft) -> Preview:
    assert draft.source is not None
    query = Query.load(draft.data.get("query", {}))
    values = protection.sample_values(query, draft.source)
    parameters = making.parameters(draft, query)
    unsaved = UnsavedQuery(draft.source, to_sql(query.spec(), draft.source.engine), parameters, making.page_size(query))
    return _masked(request, draft, query, authoring.run(unsaved, values, SAMPLE_ROWS))


def _masked(request: HttpRequest, draft: WizardDraft, query: Query, outcome: Outcome, without: str = "") -> Preview:
    """Return the rows of a query with personal columns masked. Raises Fault if that cannot be recorded."""
    record(request, draft, query, len(outcome.rows))
    kinds = protection.kinds_of(query, protection.findings(query, outcome), draft.data.get("fields", {}))
    columns = [PreviewColumn(each.name, kind is not None) for each, kind in zip(query.columns, kinds, strict=True)]
    return Preview(tuple(columns), tuple(protection.masked(outcome.rows, kinds)), "", without)


def record(request: HttpRequest, draft: WizardDraft, query: Query, rows: int) -> None:
    """Record that the user sees rows of a source. Raises Fault: what is not recorded is not shown."""
    assert draft.source is not None
    source, tables = draft.source, "+".join(table.name for table in query.tables)
    names = tuple(column.name for column in query.columns)
    viewing.record(request, viewing.View("browse", source.agency.code, source.code, tables, fields=names, rows=rows))
