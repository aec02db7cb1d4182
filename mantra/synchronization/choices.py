"""What a synchronisation can be made of: operations, applications, data sources, tables and columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from adapters.base import ColumnInfo
from dataservices import authoring
from dataservices.models import UPLOADS, DataSource
from dataservices.schema_browser import BrowseError, browse
from mantra.synchronization.models import ColumnPair
from registry.models import Agency, Application, Grant, Operation, Parameter

#: Operations and tables that a box offers.
MAX_OPERATIONS, MAX_TABLES = 500, 500


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns of a table, and those of its primary or unique keys."""

    columns: tuple[ColumnInfo, ...]
    keys: tuple[tuple[str, ...], ...]


def operations(agency: Agency, today: date | None = None) -> list[Operation]:
    """Return the operations that the agency offers itself, or that one of its applications may call today."""
    today = today or timezone.localdate()
    granted = Grant.objects.filter(
        Q(valid_until=None) | Q(valid_until__gte=today),
        application__agency=agency,
        application__active=True,
        state=Grant.State.APPROVED,
    )
    states = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)
    rows = Operation.objects.listed().filter(
        Q(service__agency=agency) | Q(pk__in=granted.values("operation")), state__in=states
    )
    # What changes data is not read.
    rows = rows.exclude(dataoperation__writes=True).select_related("service__agency")
    return list(rows.order_by("service__agency__code", "service__code", "code")[:MAX_OPERATIONS])


def applications(agency: Agency) -> QuerySet[Application]:
    """Return the applications as which the agency can call."""
    rows: QuerySet[Application] = Application.objects.filter(agency=agency, active=True)
    return rows.order_by("code")


def sources(agency: Agency) -> QuerySet[DataSource]:
    """Return the data sources that can be written to."""
    rows: QuerySet[DataSource] = DataSource.objects.filter(agency=agency).exclude(engine="dbase")
    return rows.exclude(engine="sqlite", database=UPLOADS).order_by("code")


def grant_of(application: Application, operation: Operation) -> Grant | None:
    """Return the grant by which an application may call an operation, None if there is none in force."""
    found: Grant | None = Grant.objects.filter(application=application, operation=operation).first()
    return found if found is not None and found.standing == Grant.Standing.IN_FORCE else None


def fields(operation: Operation, application: Application) -> list[str]:
    """Return the columns that the application gets of an operation; none if they are not known.

    Those of an own operation without declared columns are read from its source.
    """
    names = list(operation.fields.values_list("name", flat=True)[: settings.ROW_LIMITS["fields"]])
    of_its_kind = operation.of_its_kind
    if not names and operation.kind == "data" and operation.service.agency_id == application.agency_id:
        try:
            names = [column.name for column in authoring.result_columns(of_its_kind)]  # type: ignore[arg-type]
        except authoring.AuthoringError:
            return []
    grant = grant_of(application, operation)
    allowed = set(grant.fields.split()) if grant is not None else set()
    sent = grant.sent_masks if grant is not None and operation.fields.exists() else None
    return [name for name in names if (not allowed or name in allowed) and (sent is None or name in sent)]


def parameters(operation: Operation) -> list[Parameter]:
    """Return the parameters of an operation."""
    return list(operation.parameters.all()[: settings.ROW_LIMITS["parameters"]])


def tables(source: DataSource) -> list[tuple[str, str]]:
    """Return the (schema, table) pairs of a source, without views. Raises BrowseError."""
    view = browse(source)
    found = [(view.schema, name) for name, kind in view.tables if kind == "table"]
    for schema in view.schemas:
        if schema != view.schema and len(found) < MAX_TABLES:
            found += [(schema, name) for name, kind in browse(source, schema).tables if kind == "table"]
    return found[:MAX_TABLES]


def table_columns(source: DataSource, schema: str, table: str) -> TableColumns:
    """Return the columns and keys of a table. Raises BrowseError."""
    view = browse(source, schema, table)
    keys = [key.columns for key in view.keys if key.kind in ("primary", "unique")]
    return TableColumns(tuple(view.columns), tuple(keys))


def proposed(fields: Sequence[str], table: TableColumns) -> list[ColumnPair]:
    """Return the pairs of columns with equal names. The key is the table's first one that is filled as a whole."""
    by_name = {_bare(column.name): column.name for column in table.columns}
    pairs = [(name, by_name[_bare(name)]) for name in fields if _bare(name) in by_name]
    filled = {target for _source, target in pairs}
    key = next((columns for columns in table.keys if columns and filled.issuperset(columns)), ())
    return [ColumnPair(source, target, target in key) for source, target in pairs]


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


__all__ = [
    "BrowseError", "TableColumns", "applications", "fields", "grant_of", "operations", "parameters", "proposed",
    "sources", "table_columns", "tables",
]  # fmt: skip
