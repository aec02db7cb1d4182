"""Step 3: the columns of the response and their protection, and the parameters, all of it proposed."""

from __future__ import annotations

import hashlib
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext

from dataservices.builder import SpecError
from dataservices.models import WizardDraft
from dataservices.unsaved import AuthoringError
from mantra.wizard import drafts, making, pages, preview, protection, query_step
from mantra.wizard.query import OPTIONAL, REQUIRED, Query
from registry.models import Field, Parameter, User
from registry.results import Fault

#: Characters of an input that are kept.
_MAX_INPUT = 300


def show(request: HttpRequest, user: User, draft: WizardDraft) -> HttpResponse:
    """Return the page, or keep what its form holds and go on."""
    query = Query.load(draft.data.get("query", {}))
    if draft.source is None or query_step.problem(query, draft) is not None:
        return pages.go_to(request, draft, 2)
    trouble = _propose(request, draft, query)
    if request.method != "POST":
        return _page(request, draft, trouble)
    with drafts.saving(draft) as stored:
        query = Query.load(stored.data.get("query", {}))
        stale = request.POST.get("shape") != shape(query)
        if not stale:
            stored.data = {**stored.data, **_taken(query, stored.data, request.POST), "query": query.dump()}
        wrong = problems(stored)
        going_on = "next" in request.POST and not (wrong or trouble or stale)
        stored.step = max(stored.step, 4) if going_on else stored.step
    if going_on:
        return pages.go_to(request, draft, 4)
    if stale:
        wrong[""] = gettext("The columns or filters were changed in another window. This is how they are now.")
    if "next" in request.POST or stale:
        return _page(request, draft, trouble, wrong)
    return _page(request, draft, trouble) if pages.is_part(request) else pages.go_to(request, draft, 3)


def shape(query: Query) -> str:
    """Identify the rows that the form's fields belong to."""
    columns = [(each.table, each.column) for each in query.columns]
    filters = [(each.table, each.column, place) for each, place in making.parameters_of(query)]
    return hashlib.sha256(repr((columns, filters)).encode()).hexdigest()[:16]


def is_proposed(draft: WizardDraft, query: Query) -> bool:
    """Return True if each column was looked at in this step, so that none is published unprotected."""
    known = {**draft.data.get("fields", {}), **draft.data.get("proposals", {})}
    return all(protection.key_of(column) in known for column in query.columns)


def _propose(request: HttpRequest, draft: WizardDraft, query: Query) -> str:
    """Read proposals if a column has none yet. Return why the source gave none, "" if it did."""
    known = draft.data.get("proposals", {})
    if all(protection.key_of(column) in known for column in query.columns):
        return ""
    assert draft.source is not None
    try:
        found = protection.propose(query, draft.source)
        preview.record(request, draft, query, 1)  # the page shows a value of each column
    except (AuthoringError, SpecError, Fault) as error:
        return preview.message_of(error)
    with drafts.saving(draft) as stored:
        stored.data = {**stored.data, "proposals": found}
    return ""


def _taken(query: Query, data: dict[str, Any], posted: QueryDict) -> dict[str, Any]:
    """Return the fields and parameters as the form has them, and rename columns and parameters in the query."""
    fields, parameters = dict(data.get("fields", {})), {}
    for index, column in enumerate(query.columns):
        if f"c{index}-name" in posted:
            column.name = posted.get(f"c{index}-name", "").strip()[:127]
            fields[protection.key_of(column)] = _values(posted, f"c{index}", ("type", "classification", "description"))
    for index, (condition, place) in enumerate(making.parameters_of(query)):
        old = condition.parameters[place]
        parameters[old] = data.get("parameters", {}).get(old, {})
        if f"p{index}-name" in posted:
            name = posted.get(f"p{index}-name", "").strip()[:63]
            condition.mode = REQUIRED if f"p{index}-required" in posted else OPTIONAL
            condition.parameters[place] = name
            kept = parameters.pop(old)
            parameters[name] = {**kept, **_values(posted, f"p{index}", ("type", "description"))}
            parameters[name]["subject"] = f"p{index}-subject" in posted
    return {"fields": fields, "parameters": parameters}


def _values(posted: QueryDict, prefix: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: posted.get(f"{prefix}-{name}", "").strip()[:_MAX_INPUT] for name in names}


def problems(draft: WizardDraft) -> dict[str, str]:
    """Return what is wrong with the columns and parameters: the prefix of a row's inputs → why; "" for the whole."""
    query = Query.load(draft.data.get("query", {}))
    found: dict[str, str] = {}
    for index, field in enumerate(making.fields(draft, query)):
        _check(field, f"c{index}", found, {"operation"})
    for index, parameter in enumerate(making.parameters(draft, query)):
        _check(parameter, f"p{index}", found, {"operation"})
    error = query_step.problem(query, draft)
    if error is not None and not found:
        found[_prefix(error.path)] = error.message
    return found


def _prefix(path: str) -> str:
    """Return the prefix of the inputs of a query's part."""
    name, _, rest = path.partition("[")
    return f"c{rest.rstrip(']')}" if name == "columns" and rest else ""


def _check(row: Field | Parameter, prefix: str, found: dict[str, str], exclude: set[str]) -> None:
    try:
        row.full_clean(exclude=exclude, validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        found[prefix] = " ".join(error.messages)


def _page(request: HttpRequest, draft: WizardDraft, trouble: str, wrong: dict[str, str] | None = None) -> HttpResponse:
    query = Query.load(draft.data.get("query", {}))
    wrong = wrong or {}
    context: dict[str, Any] = {
        "trouble": trouble,
        "shape": shape(query),
        "wrong": wrong.get("", ""),
        "columns": [] if trouble else _columns(draft, query, wrong),
        "parameters": _parameters(draft, query, wrong),
        "field_types": Field.Type.choices,
        "classifications": Field.Classification.choices,
        "parameter_types": [choice for choice in Parameter.Type.choices if choice[0] != Parameter.Type.CHOICE],
    }
    return pages.render(request, "columns", draft, 3, **context)


def _columns(draft: WizardDraft, query: Query, wrong: dict[str, str]) -> list[dict[str, Any]]:
    proposals = draft.data.get("proposals", {})
    rows = []
    for index, (column, field) in enumerate(zip(query.columns, making.fields(draft, query), strict=True)):
        proposal = proposals.get(protection.key_of(column), {})
        rows.append(
            {
                "prefix": f"c{index}",
                "origin": f"{column.table}.{column.column}",
                "field": field,
                "reason": proposal.get("reason", ""),
                "sample": proposal.get("sample", ""),
                "wrong": wrong.get(f"c{index}", ""),
            }
        )
    return _focused(rows)


def _parameters(draft: WizardDraft, query: Query, wrong: dict[str, str]) -> list[dict[str, Any]]:
    rows = []
    pairs = zip(making.parameters_of(query), making.parameters(draft, query), strict=True)
    for index, ((condition, _place), parameter) in enumerate(pairs):
        rows.append(
            {
                "prefix": f"p{index}",
                "origin": f"{condition.table}.{condition.column}",
                "parameter": parameter,
                "wrong": wrong.get(f"p{index}", ""),
            }
        )
    return _focused(rows)


def _focused(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark the first row with an error: it gets the focus."""
    first = next((row for row in rows if row["wrong"]), None)
    if first is not None:
        first["focus"] = True
    return rows
