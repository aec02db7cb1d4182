"""What the author of a data operation does with SQL that is not saved: look up tables, try it, see what is wrong.

The SQL passes the same check as a saved operation's, and runs as a call's does: on a reading connection, within limits,
and whatever it does is rolled back. The database's own words are for the author alone: they are in no log, and no
caller gets them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from adapters.base import Adapter, Catalogue, FullScan, Limits, QueryFailed, Row, Stream
from dataservices import sql as sql_text
from dataservices.models import DataOperation, DataSource
from dataservices.schema_browser import BrowseError, pooled_connection, printable
from dataservices.unsaved import AuthoringError, Finding, Statement, UnsavedQuery, statement_of
from registry import child_rows, personal_data, tenancy
from registry.models import Field

#: Seconds that the queries of one request may take together, and the most tables, rows and plan's lines of it.
SECONDS, MAX_TABLES, MAX_ROWS, MAX_PLAN = 10.0, 500, 100, 200

#: Rows by whose values the type of a column is told that the source declares none for.
TYPE_ROWS = 20

#: Rows from which reading all of a table is worth a warning.
LARGE_TABLE = 10_000


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of a query's result. ``type`` is one of Field.Type."""

    name: str
    type: str

    @property
    def label(self) -> Any:
        """The type's name in the current language."""
        return Field.Type(self.type).label


@dataclass(frozen=True, slots=True)
class SchemaListing:
    """The names of a source's schemas, and what is in one of them."""

    schemas: list[str]
    schema: str
    catalogue: Catalogue


@dataclass(slots=True)
class Outcome:
    """What a run gave: at most MAX_ROWS rows of texts or None. ``more``: there are further rows."""

    columns: list[ResultColumn]
    rows: list[tuple[str | None, ...]]
    more: bool
    milliseconds: int
    plan: list[str] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)


def may_author(user: tenancy.AnyUser, source: DataSource) -> bool:
    """Return True if a user may write SQL for a source, run it and see the rows: who may change its operations."""
    return user.has_perm("dataservices.change_dataoperation") and tenancy.may_change(user, source)


def schema(source: DataSource, name: str = "") -> SchemaListing:
    """Return a source's schemas and the tables of one, the first without a ``name``. Raises AuthoringError."""
    deadline = time.monotonic() + SECONDS
    with _connection(source) as (adapter, connection):
        schemas = adapter.schemas(connection)
        chosen = name if name in schemas else schemas[0] if schemas else ""
        left = deadline - time.monotonic()
        catalogue = adapter.catalogue(connection, chosen, MAX_TABLES, left) if chosen else Catalogue(())
        return SchemaListing(schemas[:MAX_TABLES], chosen, catalogue)


def describe(query: UnsavedQuery, values: Mapping[str, str] | None = None) -> list[ResultColumn]:
    """Return the columns of a query's result, which is not fetched. Raises AuthoringError.

    Parameters without a value are NULL, or a number or date where one must be; all optional blocks take part. Where a
    source's columns have no declared types, a few rows tell them.
    """
    statement = statement_of(query, values or {}, described=True)
    with _connection(query.source, statement) as (adapter, connection):
        text, bound = statement.bound(adapter)
        columns = adapter.describe(connection, text, bound, _limits(TYPE_ROWS, SECONDS))
        if all(type_ for _, type_ in columns):
            return _typed(columns, ())
        _columns, rows = _fetched(adapter.run(connection, text, bound, _limits(TYPE_ROWS, SECONDS)))
        return _typed(columns, rows)


def column_names(query: UnsavedQuery) -> list[str]:
    """Return the names of the columns of a query's result. The query is not run. Raises AuthoringError."""
    statement = statement_of(query, {}, described=True)
    with _connection(query.source, statement) as (adapter, connection):
        columns = adapter.describe(connection, *statement.bound(adapter), _limits(1, SECONDS))
    return [name for name, _type in columns]


def run(query: UnsavedQuery, values: Mapping[str, str], limit: int = MAX_ROWS) -> Outcome:
    """Run a query as a call would with these values, for at most ``limit`` rows. Raises AuthoringError.

    It takes SECONDS at most. What it does beside reading is refused or rolled back.
    """
    statement, limit = statement_of(query, values), max(1, min(limit, MAX_ROWS))
    with _connection(query.source, statement) as (adapter, connection):
        began = time.monotonic()
        columns, rows = _fetched(adapter.run(connection, *statement.bound(adapter), _limits(limit, SECONDS)))
        seconds = time.monotonic() - began
    shown = [tuple(map(printable, row)) for row in rows[:limit]]
    # On connections of their own: a result that was cut may have cost the first one.
    with suppress(AuthoringError):
        columns = _declared(query.source, statement, columns, max(1.0, SECONDS - seconds))
    outcome = Outcome(_typed(columns, rows), shown, len(rows) > limit, round(seconds * 1000))
    with suppress(AuthoringError):
        outcome.plan, scans = _plan(query.source, statement, max(1.0, SECONDS - seconds))
        outcome.warnings = warnings(query, scans)
    outcome.warnings += _personal_warnings(outcome.columns, rows)
    return outcome


def result_columns(operation: DataOperation) -> list[ResultColumn]:
    """Return the columns of a saved operation's result. Raises AuthoringError."""
    if operation.writes:
        advice = gettext(
            "The columns of an operation that changes data are not known before it runs. Enter them by hand."
        )
        raise AuthoringError(Finding("check", advice))
    parameters = list(operation.parameters.all())
    return describe(UnsavedQuery(operation.source, operation.sql, parameters, operation.page_size))


def field_changes(operation: DataOperation, columns: Sequence[ResultColumn]) -> child_rows.Replacement:
    """Return the changes of an operation's fields to these columns, not yet saved.

    Types, names and order are the result's; classifications and descriptions of known fields stay, and new ones get the
    classification that their name suggests. Raises AuthoringError if these cannot be its fields.
    """
    types = {column.name: column.type for column in reversed(columns)}
    wanted = [{"name": name, "type": types[name]} for name in reversed(types)]
    changes = child_rows.replacement(Field, operation, ("name",), wanted, ("type",))
    try:
        for row in changes.added:
            row.classification = _proposed_classification(row.name)
            row.clean_fields()
        Field.check_list(operation, changes.rows)
    except ValidationError as error:
        raise AuthoringError(Finding("check", _naming_advice(" ".join(error.messages)))) from None
    return changes


def _proposed_classification(name: str) -> str:
    found = personal_data.recognize(name)
    return found.classification if found else Field.Classification.INTERNAL


def _naming_advice(reason: str) -> str:
    advice = gettext("Give every column of the result a name, with AS, and each one once.")
    return f"{reason} {advice}"


def warnings(query: UnsavedQuery, scans: Sequence[FullScan] = ()) -> list[Finding]:
    """Return what is allowed but seldom meant in a query that passes the check. ``scans`` are those of its plan."""
    operation = query.operation()
    traits = sql_text.traits_of(operation.template(), operation.dialect)
    texts = []
    if traits.every_column:
        texts.append(gettext("SELECT * returns every column, also those that are added later. Name the columns."))
    if traits.unlimited and not query.page_size:
        texts.append(gettext("The query has neither a required parameter nor a limit: each call returns all rows."))
    texts += [
        gettext("The database reads all rows of %(table)s (about %(rows)d). Filter by a column with an index.")
        % {"rows": scan.rows, "table": scan.table}
        for scan in scans
        if scan.rows is not None and scan.rows >= LARGE_TABLE
    ]
    return [Finding("warning", text) for text in texts]


def _personal_warnings(columns: Sequence[ResultColumn], rows: Sequence[Row]) -> list[Finding]:
    """Return a warning that names the columns which look like personal data, by their names and values."""
    found = [
        f"{column.name} ({personal_data.KINDS[recognized.kind]})"
        for place, column in enumerate(columns)
        if (recognized := personal_data.recognize(column.name, [row[place] for row in rows]))
    ]
    if not found:
        return []
    text = gettext("Personal data: %(columns)s. Return only what callers need, and classify these columns.")
    return [Finding("warning", text % {"columns": ", ".join(found)})]


def _plan(source: DataSource, statement: Statement, seconds: float) -> tuple[list[str], list[FullScan]]:
    """Return the plan's lines, and its full scans with the numbers of rows of their tables. Raises AuthoringError."""
    deadline = time.monotonic() + seconds
    with _connection(source, statement) as (adapter, connection):
        plan = adapter.explain(connection, *statement.bound(adapter), _limits(1, seconds))
        scans = [
            scan if scan.rows is not None else FullScan(scan.table, _rows_of(adapter, connection, scan.table, deadline))
            for scan in adapter.full_scans(plan)
        ]
    return plan[:MAX_PLAN], scans


def _rows_of(adapter: Adapter, connection: Any, table: str, deadline: float) -> int | None:
    with suppress(QueryFailed):
        return adapter.row_estimate(connection, table, deadline) if time.monotonic() < deadline else None
    return None


@contextmanager
def _connection(source: DataSource, statement: Statement | None = None) -> Iterator[tuple[Adapter, Any]]:
    """Provide an adapter and a reading connection. Raises AuthoringError, with the database's words if it has any."""
    adapter: Adapter | None = None
    try:
        with pooled_connection(source, SECONDS) as (adapter, connection):
            yield adapter, connection
    except BrowseError as error:
        words = error.cause.words if error.cause is not None else None
        if words is None or statement is None or adapter is None:
            raise AuthoringError(Finding("source", str(error))) from None
        raise AuthoringError(statement.finding(words, adapter)) from None


def _limits(rows: int, seconds: float) -> Limits:
    return Limits(rows, seconds, width=settings.ROW_BYTES, author=True)


def _fetched(stream: Stream) -> tuple[tuple[tuple[str, str | None], ...], list[Row]]:
    """Return the columns and all rows of a result."""
    try:
        return stream.columns, [row for batch in stream for row in batch]
    finally:
        stream.close()


def _declared(
    source: DataSource, statement: Statement, columns: tuple[tuple[str, str | None], ...], seconds: float
) -> tuple[tuple[str, str | None], ...]:
    """Return the columns of a result with the types that the source declares, where the result has none."""
    if all(type_ for _, type_ in columns):
        return columns
    with _connection(source, statement) as (adapter, connection):
        declared = adapter.describe(connection, *statement.bound(adapter), _limits(1, seconds))
    if len(declared) != len(columns):  # a table was changed in between
        return columns
    return tuple((name, type_ or known) for (name, type_), (_, known) in zip(columns, declared, strict=True))


def _typed(columns: Sequence[tuple[str, str | None]], rows: Sequence[Row]) -> list[ResultColumn]:
    """Return the columns with the types of fields; those that the source does not tell by the values in some rows."""
    return [
        ResultColumn(name, type_ or _type_of([row[place] for row in rows if row[place] is not None]))
        for place, (name, type_) in enumerate(columns)
    ]


def _type_of(values: Sequence[Any]) -> str:
    """Return the type of values that Python's classes tell; text for others, and for none at all."""
    kinds = {type(value) for value in values}
    if kinds and kinds <= {int}:
        return Field.Type.INTEGER
    if kinds and kinds <= {int, float}:
        return Field.Type.FLOAT
    return Field.Type.BYTES if kinds == {bytes} else Field.Type.TEXT
