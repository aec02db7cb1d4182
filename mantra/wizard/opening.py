"""Drafts of the wizard that begin with something that exists: an uploaded table, or an operation that it can read."""

from __future__ import annotations

from typing import Any

from dataservices.builder import Filter, Spec, Table, from_sql
from dataservices.models import DataOperation, DataSource, WizardDraft
from mantra.wizard import catalogue, protection, query_form
from mantra.wizard.catalogue import Listing
from mantra.wizard.query import (
    ALL,
    FIXED,
    LIMIT,
    OPTIONAL,
    PAGES,
    REQUIRED,
    ChosenColumn,
    ChosenTable,
    Condition,
    Query,
    Sorting,
)
from registry import versions
from registry.models import Operation, User


class Unreadable(Exception):
    """The SQL of an operation is not one that the wizard could have made, or it names what the source does not have."""


def of_table(user: User, source: DataSource, name: str) -> WizardDraft:
    """Return a new draft, not saved, with a table of a source chosen. Raises AuthoringError, Unreadable."""
    listing = catalogue.listing(source)
    table = listing.table(name)
    if table is None:
        raise Unreadable
    query = Query()
    query_form.choose_main(query, listing.schema, table)
    return WizardDraft(owner=user, agency=source.agency, source=source, step=2, data={"query": query.dump()})


def of_operation(user: User, operation: DataOperation) -> WizardDraft:
    """Return the user's unfinished draft of an operation as it is now, or a new one, not saved.

    Of a published operation it is about the draft beside it, if there is one. Raises AuthoringError, Unreadable.
    """
    row = row_of(operation)
    for known in WizardDraft.of(user).filter(operation=operation, finished_at=None):
        if known.data.get("seen") == seen(row):
            return known
    query = _query_of(row)
    return WizardDraft(
        owner=user, agency=row.source.agency, source=row.source, operation=operation, step=4,
        data={"query": query.dump(), "seen": seen(row), **_protection_of(row, query), "operation": _names_of(row)},
    )  # fmt: skip


def row_of(operation: DataOperation) -> DataOperation:
    """Return the row that is edited: the draft beside a published operation if there is one, else the operation."""
    draft = versions.draft_of(operation) if operation.state != Operation.State.DRAFT else None
    return draft or operation


def seen(row: DataOperation) -> str:
    """Identify the state of an operation in which it was opened."""
    return f"{row.pk}:{row.updated_at.isoformat()}"


def _names_of(row: DataOperation) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("title", "description", "access")}


def _protection_of(row: DataOperation, query: Query) -> dict[str, Any]:
    """Return the operation's fields and parameters as the draft holds them."""
    fields = {
        each.name: {"type": each.type, "classification": each.classification, "description": each.description}
        for each in row.fields.all()
    }
    names = ("type", "subject", "description", "min", "max")
    return {
        "fields": {protection.key_of(column): fields[column.name] for column in query.columns if column.name in fields},
        "parameters": {each.name: {name: getattr(each, name) for name in names} for each in row.parameters.all()},
    }


def _query_of(row: DataOperation) -> Query:
    """Return the query of an operation with the tables' columns from its source."""
    spec = from_sql(row.sql, row.source.engine, row.page_size)
    if spec is None:
        raise Unreadable
    listings: dict[str, Listing] = {}
    tables = [_table(row.source, spec.table, listings)]
    for join in spec.joins:
        table = _table(row.source, join.table, listings)
        table.kind = join.kind
        table.on = [(earlier.table, earlier.column, own) for earlier, own in join.on]
        tables.append(table)
    return _filled(spec, tables)


def _table(source: DataSource, table: Table, listings: dict[str, Listing]) -> ChosenTable:
    if table.schema not in listings:
        listings[table.schema] = catalogue.listing(source, table.schema)
    listing = listings[table.schema]
    found = listing.table(table.name)
    if found is None:
        raise Unreadable
    chosen = query_form.chosen_table(listing.schema, found)
    chosen.alias = table.alias
    return chosen


def _filled(spec: Spec, tables: list[ChosenTable]) -> Query:
    delivery, number = (PAGES, spec.page_size) if spec.page_size else (LIMIT, spec.row_limit)
    query = Query(
        tables,
        [ChosenColumn(each.column.table, each.column.column, each.name) for each in spec.columns],
        [_condition(each) for each in spec.filters],
        [Sorting(each.column.table, each.column.column, each.descending) for each in spec.order],
        delivery if number else ALL,
        str(number or 100),
    )
    refs = [each.column for each in spec.columns] + [each.column for each in spec.filters]
    refs += [each.column for each in spec.order]
    if any(query.column(ref.table, ref.column) is None for ref in refs):
        raise Unreadable
    return query


def _condition(each: Filter) -> Condition:
    mode = FIXED if not each.parameters else OPTIONAL if each.optional else REQUIRED
    values = [value.text for value in each.values]
    return Condition(
        each.column.table, each.column.column, each.operator, mode,
        [", ".join(values)] if each.operator == "in" else values, list(each.parameters),
    )  # fmt: skip
