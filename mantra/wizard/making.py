"""From a draft of the wizard to an ordinary data operation with its parameters and fields."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext

from adapters.base import ColumnInfo
from dataservices import builder
from dataservices.builder import SpecError, to_sql
from dataservices.models import DataOperation, WizardDraft
from mantra.wizard import opening, protection
from mantra.wizard.query import FIXED, OPTIONAL, Condition, Query
from registry import child_rows, versions
from registry.models import Field, Parameter, Service, SnapshotVersion, User

#: What the wizard says about a parameter and a field. All else of an existing one stays as it is.
_PARAMETER = ("type", "required", "subject", "description", "min", "max")
_FIELD = ("type", "classification", "description")


def parameters_of(query: Query) -> list[tuple[Condition, int]]:
    """Return the filters with parameters, once for each parameter, and the place of its name."""
    return [
        (each, place)
        for each in query.conditions
        if each.mode != FIXED
        for place in range(min(each.count, len(each.parameters)))
    ]


def fields(draft: WizardDraft, query: Query) -> list[Field]:
    """Return the fields of the operation, not saved: as they were chosen, else as they are proposed."""
    rows = []
    for position, column in enumerate(query.columns):
        key = protection.key_of(column)
        values = {**draft.data.get("proposals", {}).get(key, {}), **draft.data.get("fields", {}).get(key, {})}
        rows.append(Field(position=position, name=column.name, **_only(values, _FIELD)))
    return rows


def parameters(draft: WizardDraft, query: Query) -> list[Parameter]:
    """Return the parameters of the operation, not saved: as they were chosen, else as they are proposed."""
    proposed = {each.name: _values_of(each) for each in _proposed(query)}
    rows = []
    for position, (condition, place) in enumerate(parameters_of(query)):
        name = condition.parameters[place]
        recognised = _recognised(draft, condition) if name in proposed else {}
        values = {**proposed.get(name, {}), **recognised, **draft.data.get("parameters", {}).get(name, {})}
        values["required"] = condition.mode != OPTIONAL
        rows.append(Parameter(position=position, name=name, **_only(values, _PARAMETER)))
    return rows


def _proposed(query: Query) -> list[builder.ParameterDraft]:
    """Return the builder's parameters; none while the query has an error."""
    columns = {
        (table.schema, table.name): [ColumnInfo(each.name, "", each.kind) for each in table.columns]
        for table in query.tables
    }
    try:
        return builder.parameters(query.spec(), columns)
    except SpecError:
        return []


def _values_of(proposed: builder.ParameterDraft) -> dict[str, Any]:
    return {name: getattr(proposed, name) for name in _PARAMETER}


def _recognised(draft: WizardDraft, condition: Condition) -> dict[str, Any]:
    """Return what the values of a filter's column say, which its name may not."""
    found = draft.data.get("proposals", {}).get(f"{condition.table}:{condition.column}", {})
    kind = str(found.get("kind", ""))
    if kind not in ("NIK", "NPWP") or condition.operator != "=":
        return {}
    return {"type": kind.lower(), "subject": True}


def _only(values: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


# -------------------------------------------------------------------------------------- the operation


@dataclass(slots=True)
class Target:
    """What step 4 says about the operation. ``service`` is saved with it if it is new."""

    service: Service
    code: str
    title: str
    description: str
    access: str
    listing: str


def operation(draft: WizardDraft, target: Target, query: Query) -> DataOperation:
    """Return the operation, not saved: the existing one that the draft is about, changed, or a new one.

    Raises SpecError.
    """
    assert draft.source is not None
    row = copy.copy(draft.operation) or DataOperation(service=target.service, code=target.code)
    row.title, row.description, row.access = target.title, target.description, target.access
    row.listing = target.listing
    row.source = draft.source
    row.sql = to_sql(query.spec(), draft.source.engine)
    row.page_size = page_size(query)
    row.writes = False
    return row


def page_size(query: Query) -> int:
    """Return the rows of a page; 0: the operation has no pages."""
    return query.spec().page_size


@transaction.atomic
def save(draft: WizardDraft, target: Target, user: User) -> tuple[DataOperation, bool]:
    """Save what a draft makes: an operation that callers do not get yet. Return its row and whether it is new.

    Of a published operation it is the draft beside it. Raises SpecError, and ValidationError by the models' own rules.
    """
    SnapshotVersion.lock()
    query = Query.load(draft.data.get("query", {}))
    if target.service.pk is None:
        target.service.full_clean()
        target.service.save()
    if draft.operation is not None:
        if draft.data.get("seen") != opening.seen(opening.row_of(draft.operation)):
            text = gettext("%(name)s was changed by another user meanwhile. Open it in the wizard again.")
            raise ValidationError(text % {"name": draft.operation})
        draft.operation = versions.open_draft(draft.operation, user)
    row = operation(draft, target, query)
    is_new = row.pk is None
    row.full_clean()
    row.save()
    _replace(row, Parameter, parameters(draft, query), _PARAMETER)
    _replace(row, Field, fields(draft, query), _FIELD)
    return row, is_new


def _replace(
    row: DataOperation, model: type[Parameter] | type[Field], wanted: Sequence[Any], names: Sequence[str]
) -> None:
    """Replace a list of the operation, checked row by row and as a whole. Raises ValidationError."""
    values = [{"name": each.name, **{name: getattr(each, name) for name in names}} for each in wanted]
    replacement = child_rows.replacement(model, row, ("name",), values, names)
    for child in replacement.rows:
        _check(child)
    model.check_list(row, replacement.rows)
    replacement.save()


def _check(child: Any) -> None:
    try:
        child.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise ValidationError([f"{child}: {message}" for message in error.messages]) from None
