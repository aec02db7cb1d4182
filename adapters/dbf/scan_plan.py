"""Which statements a scan of the file can answer: those of one table that compare a column with known values.

The plan only says which records may matter. The statement itself then runs over these in SQLite, so that it needs no
second implementation: its other conditions, functions, groups, order and limits hold as over a complete copy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from adapters.dbf.comparisons import Comparison, Interval
from adapters.dbf.header import Field
from adapters.dbf.statement import Statement

#: Numbers that SQLite and Python read as the same value.
_NUMBER = re.compile(r"[+-]?(?=[0-9.]{1,16}\Z)[0-9]+(\.[0-9]+)?")

_TEXTS = ("text", "date", "datetime")
_NUMBERS = ("integer", "decimal", "float", "boolean")
_ROW_IDS = frozenset(("rowid", "oid", "_rowid_"))

#: The parts of a comparison that are understood.
_PARTS = ("this", "expression", "expressions", "low", "high")

_FLIPPED = {exp.EQ: exp.EQ, exp.GT: exp.LT, exp.GTE: exp.LTE, exp.LT: exp.GT, exp.LTE: exp.GTE}


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """``columns`` are those that the statement names, in lower case. All ``comparisons`` hold for its rows."""

    columns: frozenset[str]
    comparisons: tuple[Comparison, ...]


class _NotComparable(Exception):
    """A condition that selects no records before SQLite sees them."""


def plan(statement: Statement, fields: Mapping[str, Field], values: Mapping[str, Any]) -> ScanPlan | None:
    """Return how a scan answers the statement; None if it cannot. ``fields`` have their names in lower case."""
    tree = statement.tree
    if not isinstance(tree, exp.Select) or not _of_one_table(tree):
        return None
    columns, where = _columns(tree, fields), tree.args.get("where")
    if columns is None or where is None:
        return None
    comparisons = []
    for condition in _conditions(where.this):
        try:
            comparisons.append(_comparison(condition, fields, values))
        except _NotComparable:
            continue
    return ScanPlan(columns, tuple(comparisons)) if comparisons else None


def _of_one_table(tree: exp.Select) -> bool:
    tables = list(tree.find_all(exp.Table))
    others = tree.find_all(exp.Query, exp.UDTF, exp.Join, exp.CTE)
    return len(tables) == 1 and isinstance(tables[0].this, exp.Identifier) and all(each is tree for each in others)


def _columns(tree: exp.Select, fields: Mapping[str, Field]) -> frozenset[str] | None:
    """Return the columns that the statement names; None if it names anything else, such as the number of a row."""
    aliases = {each.alias.lower() for each in tree.expressions if isinstance(each, exp.Alias)}
    if any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star)):
        return frozenset(fields)
    named = {column.name.lower() for column in tree.find_all(exp.Column)}
    if not named <= fields.keys() | (aliases - _ROW_IDS):
        return None
    return frozenset(named & fields.keys())


def _conditions(node: exp.Expression) -> list[exp.Expression]:
    """Return the conditions that must all hold."""
    if isinstance(node, exp.Paren):
        return _conditions(node.this)
    if isinstance(node, exp.And):
        return _conditions(node.this) + _conditions(node.expression)
    return [node]


def _comparison(node: exp.Expression, fields: Mapping[str, Field], values: Mapping[str, Any]) -> Comparison:
    """Return what a condition requires of a column. Raises _NotComparable."""
    operator: Any = type(node)
    if any(value for name, value in node.args.items() if name not in _PARTS):
        # Such as the NOT of NOT LIKE, or IN with a query.
        raise _NotComparable
    column, other = node.this, node.args.get("expression")
    if operator in _FLIPPED and not isinstance(column, exp.Column):
        operator, column, other = _FLIPPED[operator], other, column
    field = fields.get(column.name.lower()) if isinstance(column, exp.Column) else None
    if field is None or field.memo:
        raise _NotComparable
    if operator is exp.Like:
        return _like(field, _value(other, values))
    if operator not in _INTERVALS:
        raise _NotComparable
    operands = [_operand(field, _value(each, values)) for each in _operands(node, other)]
    return Comparison(field.name, tuple(_INTERVALS[operator](operands)))


def _operands(node: exp.Expression, other: exp.Expression | None) -> list[exp.Expression | None]:
    if isinstance(node, exp.Between):
        return [node.args.get("low"), node.args.get("high")]
    if isinstance(node, exp.In):
        return list(node.expressions)
    return [other]


def _value(node: exp.Expression | None, values: Mapping[str, Any]) -> Any:
    """Return the value of a literal, a parameter, or such texts joined by ||. Raises _NotComparable."""
    if isinstance(node, exp.Paren):
        return _value(node.this, values)
    if isinstance(node, exp.Placeholder) and node.name in values:
        value = values[node.name]
        return int(value) if isinstance(value, bool) else value
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Boolean):
        return int(node.this)
    if isinstance(node, exp.DPipe):
        return _joined(_value(node.this, values), _value(node.expression, values))
    return _literal(node)


def _joined(first: Any, second: Any) -> str | None:
    if first is None or second is None:
        return None
    if isinstance(first, str) and isinstance(second, str):
        return first + second
    raise _NotComparable


def _literal(node: exp.Expression | None) -> str | int | float:
    if isinstance(node, exp.Neg):
        value = _literal(node.this)
        if not isinstance(value, str):
            return -value
    if isinstance(node, exp.Literal):
        return str(node.this) if node.is_string else _number(node.this)
    raise _NotComparable


def _number(text: str) -> int | float:
    if not _NUMBER.fullmatch(text):
        raise _NotComparable
    return float(text) if "." in text else int(text)


def _operand(field: Field, value: Any) -> Any:
    """Return the value as SQLite compares it with this column: texts with texts, numbers with numbers."""
    if value is None:
        return None
    if field.kind in _TEXTS and type(value) in (str, int):
        return _text(str(value))
    if field.kind in _NUMBERS and isinstance(value, str):
        value = _number(value)
    if field.kind in ("decimal", "float") and type(value) is int:
        value = float(value)
    if field.kind in _NUMBERS and (type(value) is int or (isinstance(value, float) and math.isfinite(value))):
        return value
    raise _NotComparable


def _text(value: str) -> str:
    """Return a text that SQLite takes as it is."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _NotComparable from None
    if "\0" in value:
        raise _NotComparable
    return value


def _like(field: Field, pattern: Any) -> Comparison:
    if pattern is None:
        return Comparison(field.name)
    if not isinstance(pattern, str) or field.kind != "text":
        raise _NotComparable
    prefix = re.split("[%_]", _text(pattern), maxsplit=1)[0]
    if not prefix:
        raise _NotComparable
    return Comparison(field.name, prefix=prefix)


def _one_of(values: list[Any]) -> list[Interval]:
    return [(value, value) for value in values if value is not None]


def _between(values: list[Any]) -> list[Interval]:
    low, high = values
    return [] if low is None or high is None else [(low, high)]


def _above(values: list[Any]) -> list[Interval]:
    return [(value, None) for value in values if value is not None]


def _below(values: list[Any]) -> list[Interval]:
    return [(None, value) for value in values if value is not None]


_INTERVALS: dict[Any, Callable[[list[Any]], list[Interval]]] = {
    exp.EQ: _one_of,
    exp.In: _one_of,
    exp.Between: _between,
    exp.GT: _above,
    exp.GTE: _above,
    exp.LT: _below,
    exp.LTE: _below,
}
