"""Queries without SQL: a spec of tables, joins, columns, filters and limits, and its conversion to SQL and back.

The admin's wizard works on a Spec; what is stored and runs is the SQL that ``to_sql`` makes of it. ``from_sql`` reads
such SQL again, also after it was formatted otherwise, and returns None for any other: it never reads part of a query.
"""

from __future__ import annotations

from dataservices.builder.drafts import ParameterDraft, parameter_names, parameters
from dataservices.builder.form import from_json, to_json
from dataservices.builder.joins import alias_for, suggested_joins
from dataservices.builder.reader import from_sql
from dataservices.builder.spec import (
    INNER,
    LEFT,
    OPERATOR_LABELS,
    OPERATORS,
    Column,
    ColumnRef,
    Filter,
    Join,
    Order,
    Spec,
    SpecError,
    Table,
    Value,
    operators_for,
)
from dataservices.builder.writer import to_sql

__all__ = (
    "INNER",
    "LEFT",
    "OPERATORS",
    "OPERATOR_LABELS",
    "Column",
    "ColumnRef",
    "Filter",
    "Join",
    "Order",
    "ParameterDraft",
    "Spec",
    "SpecError",
    "Table",
    "Value",
    "alias_for",
    "from_json",
    "from_sql",
    "operators_for",
    "parameter_names",
    "parameters",
    "suggested_joins",
    "to_json",
    "to_sql",
)
