"""What a query is like, for warnings to its author."""

from __future__ import annotations

from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dataservices.sql.template import Template


@dataclass(frozen=True, slots=True)
class Traits:
    """``every_column``: it selects * or t.*. ``unlimited``: it may return any number of rows, whatever the values."""

    every_column: bool = False
    unlimited: bool = False


def traits_of(template: Template, dialect: str) -> Traits:
    """Return the traits of a query with all its blocks; none of them for a text that cannot be parsed."""
    try:
        tree = sqlglot.parse_one(template.sample(template.placeholders), dialect=dialect)
    except (SqlglotError, RecursionError):
        return Traits()
    if not isinstance(tree, exp.Query):
        return Traits()
    return Traits(_selects_every_column(tree), not _is_limited(tree, template))


def _selects_every_column(tree: exp.Query) -> bool:
    selects = tree.selects
    return any(isinstance(item, exp.Star) or isinstance(getattr(item, "this", None), exp.Star) for item in selects if
               isinstance(item, (exp.Star, exp.Column)))  # fmt: skip


def _is_limited(tree: exp.Query, template: Template) -> bool:
    """Return True for a query with a limit, a single row of sums, or a condition that each call must fill."""
    required = bool(set(template.placeholders) - template.optional)
    sums = isinstance(tree, exp.Select) and not tree.args.get("group") and _is_one_row(tree)
    return required or sums or bool(tree.args.get("limit") or tree.args.get("fetch"))


def _is_one_row(tree: exp.Select) -> bool:
    return not tree.args.get("from_") or all(
        item.find(exp.AggFunc) and not item.find(exp.Window) for item in tree.selects
    )
