"""From which columns of the source the columns of a result are built, behind aliases and subqueries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dataservices.sql.template import Template, words

#: Stands for all columns of a table, where a query takes a whole row as one value or renames a table's columns.
WHOLE_ROW = "*"

#: The key of the columns without a name of their own, such as max(…): the source names them.
UNNAMED = ""

#: How the statements begin that can be read; sqlglot logs others, such as CALL.
_STATEMENTS = frozenset(("select", "with", "values", "(", "insert", "update", "delete", "merge", "replace"))
#: What uses values and returns none of them.
_WITHOUT_VALUES = (
    exp.Predicate, exp.Count, exp.Length, exp.From, exp.Where, exp.Having, exp.Group, exp.DataType,
)  # fmt: skip
#: The parts of an expression that choose among values, or order them.
_CHOOSING: dict[type[exp.Expression], frozenset[str]] = {
    exp.Case: frozenset({"this"}),
    exp.If: frozenset({"this"}),
    exp.Order: frozenset({"expressions"}),
    exp.Window: frozenset({"partition_by", "order"}),
    exp.Select: frozenset({"joins", "with_", "limit", "offset", "distinct"}),
}

#: A column of a result → the names of which its values come, all in lower case.
Origins = dict[str, frozenset[str]]


def built_from(template: Template, dialect: str) -> Origins | None:
    """Return the columns of a statement's result with the names that their values come from.

    Columns that only a star returns, and that no subquery renames, are not in it: they have their own names. None: the
    statement cannot be read. Two subqueries with a column of the same name are not told apart: it has both origins.
    """
    text = template.sample(template.placeholders)
    if not _STATEMENTS.intersection(words(text, dialect)[:1]):
        return None
    try:
        return _Statement(sqlglot.parse_one(text, dialect=dialect), dialect).columns()
    except (SqlglotError, RecursionError):
        return None


class _Statement:
    def __init__(self, tree: exp.Expression, dialect: str) -> None:
        self._results = _results(tree)
        outer = {id(item) for items in self._results for item in items}
        self._rows = _whole_rows(tree) if dialect == "postgres" else set()
        #: What subqueries return: they may be used further out under these names.
        self._inner: dict[str, set[str]] = {}
        for select in tree.find_all(exp.Select):
            named = [item for item in select.expressions if id(item) not in outer]
            self._add([item.alias_or_name for item in named], [set(_names(item)) for item in named])
        for alias in tree.find_all(exp.TableAlias):
            if alias.columns:
                self._rename(alias)

    def _add(self, names: Sequence[str], origins: Sequence[set[str]]) -> None:
        for name, found in zip(names, origins, strict=False):
            if name and name != WHOLE_ROW:
                self._inner.setdefault(name.lower(), set()).update(found)

    def _rename(self, alias: exp.TableAlias) -> None:
        """Note what a list of new names, as in t (a, b), stands for."""
        names, renamed = [each.name for each in alias.columns], alias.parent
        query = renamed.this if renamed is not None else None
        for items in _results(query) if isinstance(query, exp.Query) else ():
            starred = any(item.is_star for item in items)
            self._add(names, [{WHOLE_ROW} if starred else set(_names(item)) for item in items])
            if starred:
                self._add(names, [{WHOLE_ROW}] * len(names))
        if isinstance(renamed, exp.Table) and isinstance(query, exp.Identifier):
            self._add(names, [{WHOLE_ROW}] * len(names))
        elif renamed is not None and not isinstance(query, exp.Query):  # what a function returns
            self._add(names, [set(_names(renamed))] * len(names))

    def columns(self) -> Origins:
        """Return the result's columns. Those of a union have the names of its first part."""
        found: dict[str, set[str]] = {}
        for items in self._results:
            for first, item in zip(self._results[0], items, strict=False):
                if not (first.is_star or item.is_star):
                    found.setdefault(first.alias_or_name.lower(), set()).update(_names(item))
        if any(item.is_star for items in self._results for item in items):
            found = {**{name: set(origins) for name, origins in self._inner.items()}, **found}
        return {name: self._resolved(origins) for name, origins in found.items()}

    def _resolved(self, names: set[str]) -> frozenset[str]:
        """Return the names and all that they stand for."""
        known: set[str] = set()
        waiting = set(names)
        while waiting:
            name = waiting.pop()
            known.add(name)
            further = set(self._inner.get(name, ()))
            if name in self._rows:
                further |= {WHOLE_ROW, *self._inner}
            waiting |= further - known
        return frozenset(known)


def _results(tree: exp.Expression) -> list[Sequence[exp.Expression]]:
    """Return the lists of columns that a statement returns, one for each part of a union."""
    if isinstance(tree, (exp.Subquery, exp.Paren)):
        return _results(tree.this)
    if isinstance(tree, exp.SetOperation):
        return [*_results(tree.this), *_results(tree.expression)]
    if isinstance(tree, exp.Select):
        return [tree.expressions]
    returning = tree.args.get("returning")
    return [returning.expressions if returning is not None else ()]


def _whole_rows(tree: exp.Expression) -> set[str]:
    """Return the names by which expressions take a table's whole row as one value.

    An alias is not taken for a column of that name. A table's own name often is one: provinsi.provinsi.
    """
    sources = [*tree.find_all(exp.Table), *tree.find_all(exp.Subquery)]
    aliases = {each.alias.lower() for each in sources if each.alias}
    own = {each.name.lower() for each in sources if not each.alias}
    used = {column.name.lower() for column in tree.find_all(exp.Column) if not column.table and _takes_rows(column)}
    return aliases | (own & used)


def _takes_rows(column: exp.Column) -> bool:
    parent = column.parent
    return isinstance(parent, (exp.Anonymous, exp.Cast, exp.ArrayAgg)) or "JSON" in type(parent).__name__


def _names(node: exp.Expression) -> Iterator[str]:
    """Yield the names of the columns, and of the members of documents, whose values an expression returns."""
    if isinstance(node, _WITHOUT_VALUES):
        return
    if isinstance(node, exp.Column):
        yield node.name.lower()
    elif isinstance(node, exp.JSONPathKey) and isinstance(node.this, str):
        yield node.this.lower()
    elif isinstance(node, exp.Dot):
        yield node.name.lower()
    for child in _children(node):
        yield from _names(child)


def _children(node: exp.Expression) -> Iterator[exp.Expression]:
    chosen: Mapping[type[exp.Expression], frozenset[str]] = _CHOOSING
    for name, value in node.args.items():
        if name not in chosen.get(type(node), ()):
            children = value if isinstance(value, list) else [value]
            yield from (child for child in children if isinstance(child, exp.Expression))
