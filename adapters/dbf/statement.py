"""Analysis of a statement before it runs: its tables, the columns that it compares, the origin of its result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.dbf.table_copy import NOCASE, Column

#: The columns of a table or subquery: names in lower case, and the table's column, if known.
Relation = list[tuple[str, Column | None]]

#: The schema of all tables, named as in every SQLite file.
SCHEMA = "main"

_COMPARING = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.Is, exp.NullSafeEQ)
_MIXED = Column("", "")


@dataclass(frozen=True, eq=False)
class Statement:
    """``tables`` are all names that may be a table's, in lower case. ``compared`` are (table or "", index name).

    ``text`` is what runs: the statement without the schema main, as each table is in a file of its own.
    """

    tables: frozenset[str]
    compared: frozenset[tuple[str, str]]
    tree: exp.Expression | None
    text: str

    def indices(self, table: str, schemas: Mapping[str, Sequence[str]]) -> set[str]:
        """Return the indexes of one table that this statement could use. ``schemas`` are column names in lower case."""
        return {
            index
            for owner, index in self.compared
            if owner == table or (not owner and index.removesuffix(NOCASE) in schemas[table])
        }


@lru_cache(512)
def parse_statement(sql: str) -> Statement:
    """Parse a statement. If that fails, all its words count as tables: SQLite will report the error."""
    text = re.sub(r"^\s*explain(\s+query\s+plan)?\s", "", sql, flags=re.I)
    try:
        tree = sqlglot.parse_one(text, dialect="sqlite")
    except (SqlglotError, RecursionError):
        return Statement(frozenset(word.lower() for word in re.findall(r"\w+", sql)), frozenset(), None, sql)
    names = frozenset(table.name.lower() for table in tree.find_all(exp.Table))
    plain = _without_schema(sql, tree) if text == sql else sql
    return Statement(names, frozenset(_compared(tree)), tree if text == sql else None, plain)


def _without_schema(sql: str, tree: exp.Expression) -> str:
    """Return the text with blanks for each ``main.`` before a table."""
    for node in tree.find_all(exp.Table, exp.Column):
        schema, name = node.args.get("db"), node.args.get("table" if isinstance(node, exp.Column) else "this")
        if isinstance(schema, exp.Identifier) and isinstance(name, exp.Identifier) and not node.args.get("catalog"):
            start, end = schema.meta.get("start"), name.meta.get("start")
            if schema.name.lower() == SCHEMA and start is not None and end is not None:
                sql = sql[:start] + re.sub(r"\S", " ", sql[start:end]) + sql[end:]
    return sql


def _compared(tree: exp.Expression) -> set[tuple[str, str]]:
    aliases = {table.alias_or_name.lower(): table.name.lower() for table in tree.find_all(exp.Table)}
    compared = set()
    for node in tree.find_all(*_COMPARING, exp.Like, exp.Glob):
        for side in (node.this, node.args.get("expression")):
            nocase = NOCASE if isinstance(node, exp.Like) or isinstance(side, exp.Collate) else ""
            column = side.this if isinstance(side, exp.Collate) else side
            if isinstance(column, exp.Column) and column.name:
                owner = column.table.lower()
                compared.add((aliases.get(owner, owner), column.name.lower() + nocase))
    for join in tree.find_all(exp.Join):
        for name in join.args.get("using") or ():
            compared.add(("", name.name.lower()))
    return compared


class _NotDerivable(Exception):
    """The result's columns cannot be derived from the statement."""


def outputs(statement: Statement, schemas: Mapping[str, Sequence[Column]]) -> list[Column | None] | None:
    """Return the table column of each result column, where it is one; None if the statement is not understood."""
    if statement.tree is None:
        return None
    tables: dict[str, Relation] = {
        name: [(column.name.lower(), column) for column in columns] for name, columns in schemas.items()
    }
    try:
        return [column for _, column in _query(statement.tree, tables)]
    except (_NotDerivable, RecursionError):
        return None


def _query(node: exp.Expression | None, tables: Mapping[str, Relation]) -> Relation:
    if isinstance(node, (exp.Subquery, exp.Paren)):
        return _query(node.this, tables)
    if not isinstance(node, (exp.Select, exp.SetOperation)):
        raise _NotDerivable
    known = dict(tables)
    for cte in node.ctes:
        # A name in a WITH hides a table, also for a recursive query.
        known.pop(cte.alias.lower(), None)
        columns = _query(cte.this, known)
        known[cte.alias.lower()] = _renamed(columns, cte.args["alias"])
    if isinstance(node, exp.SetOperation):
        left, right = _query(node.left, known), _query(node.right, known)
        if len(left) != len(right):
            raise _NotDerivable
        return [(name, _common(first, second)) for (name, first), (_, second) in zip(left, right, strict=True)]
    return _select(node, known)


def _common(first: Column | None, second: Column | None) -> Column | None:
    if first is None or second is None:
        return None
    same = (first.kind, first.scale, first.exact) == (second.kind, second.scale, second.exact)
    return first if same else None


def _renamed(columns: Relation, alias: exp.Expression | None) -> Relation:
    names = [column.name.lower() for column in alias.args.get("columns") or ()] if alias else []
    if not names:
        return columns
    if len(names) != len(columns):
        raise _NotDerivable
    return [(name, column) for name, (_, column) in zip(names, columns, strict=True)]


def _select(node: exp.Select, tables: Mapping[str, Relation]) -> Relation:
    sources: dict[str, Relation] = {}
    merged = False
    first = node.args.get("from_")
    for source in [first.this] if first else []:
        sources.update(_source(source, tables))
    for join in node.args.get("joins") or ():
        merged |= bool(join.args.get("using")) or join.method.upper() == "NATURAL"
        sources.update(_source(join.this, tables))
    out: Relation = []
    for item in node.expressions:
        if isinstance(item, exp.Star):
            if merged:
                raise _NotDerivable
            out += [column for relation in sources.values() for column in relation]
        elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            out += _relation(sources, item.table.lower())
        else:
            out.append((item.alias_or_name.lower(), _value(item.unalias(), sources, tables)))
    return out


def _source(node: exp.Expression, tables: Mapping[str, Relation]) -> dict[str, Relation]:
    name = node.alias_or_name.lower()
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier) and not node.args.get("joins"):
        return {name: _renamed(_relation(tables, node.name.lower()), node.args.get("alias"))}
    if isinstance(node, exp.Subquery) and not node.args.get("joins"):
        return {name or f" {id(node)}": _renamed(_query(node.this, tables), node.args.get("alias"))}
    raise _NotDerivable


def _relation(relations: Mapping[str, Relation], name: str) -> Relation:
    if name not in relations:
        raise _NotDerivable
    return relations[name]


def _value(node: exp.Expression, sources: Mapping[str, Relation], tables: Mapping[str, Relation]) -> Column | None:
    """Return the table column of an expression, or None. MIN and MAX of a column count as the column."""
    if isinstance(node, exp.Paren) or (isinstance(node, (exp.Min, exp.Max)) and not node.expressions):
        return _value(node.this, sources, tables)
    if isinstance(node, exp.Subquery):
        columns = _query(node.this, tables)
        return columns[0][1] if len(columns) == 1 else None
    if not isinstance(node, exp.Column):
        return None
    wanted = node.name.lower()
    relations = [_relation(sources, node.table.lower())] if node.table else list(sources.values())
    matches = [column for relation in relations for name, column in relation if name == wanted]
    return matches[0] if len(matches) == 1 else None
