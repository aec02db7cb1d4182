"""The shapes of SQL that the check knows: a parse tree with any other part is refused.

A list of what is known, because a database calls functions in more ways than by ``name(…)``: ``(value).name``,
``OPERATOR(schema.name)``, ``CURRENT_USER``, a cast to a type that looks something up. A part that is not listed here
is refused until someone has found out what each engine does with it.

The parser makes no distinction between functions: each call that the lists of ``functions`` decide about is an
``exp.Anonymous``. The other kinds of function in ``_VALUES`` have a syntax of their own, as CAST and EXTRACT.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.parser import Parser
from sqlglot.tokens import Token

from dataservices.sql import functions

#: A problem: its code, the part of the tree, and the text that the message shows.
Finding = tuple[str, exp.Expression, str]

_QUERIES = (
    exp.Select, exp.Union, exp.Except, exp.Intersect, exp.Subquery, exp.Values, exp.With, exp.CTE, exp.From, exp.Join,
    exp.Lateral, exp.Where, exp.Group, exp.GroupingSets, exp.Cube, exp.Rollup, exp.Having, exp.Order, exp.Ordered,
    exp.Limit, exp.Offset, exp.Fetch, exp.LimitOptions, exp.Distinct, exp.Window, exp.WindowSpec, exp.Qualify,
    exp.RecursiveWithSearch, exp.TableFromRows, exp.Unnest,
)  # fmt: skip
_WRITES = (
    exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.When, exp.Whens, exp.OnConflict, exp.Returning,
    exp.NextValueFor, exp.Lock,
)  # fmt: skip
_NAMES = (
    exp.Identifier, exp.Column, exp.Table, exp.TableAlias, exp.Alias, exp.Aliases, exp.Schema, exp.ColumnDef, exp.Star,
    exp.Dot, exp.Var, exp.Pseudocolumn, exp.Tuple, exp.Paren,
)  # fmt: skip
_LITERALS = (
    exp.Literal, exp.National, exp.RawString, exp.HexString, exp.BitString, exp.ByteString, exp.Introducer, exp.Null,
    exp.Boolean, exp.Interval, exp.IntervalSpan, exp.DataType, exp.DataTypeParam, exp.CharacterSet,
)  # fmt: skip
_OPERATORS = (
    exp.And, exp.Or, exp.Xor, exp.Not, exp.Neg, exp.BitwiseNot, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv,
    exp.Mod, exp.Pow, exp.Sqrt, exp.Cbrt, exp.Abs, exp.DPipe, exp.Concat, exp.BitwiseAnd, exp.BitwiseOr,
    exp.BitwiseXor, exp.BitwiseLeftShift, exp.BitwiseRightShift, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE,
    exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.SimilarTo, exp.Escape,
    exp.Glob, exp.Match, exp.RegexpLike, exp.RegexpILike, exp.Overlaps, exp.Exists, exp.Any, exp.All, exp.Collate,
    exp.AtTimeZone, exp.Bracket, exp.Slice, exp.Array, exp.ArrayContainsAll, exp.ArrayContainedBy, exp.ArrayOverlaps,
    exp.Adjacent, exp.ExtendsLeft, exp.ExtendsRight, exp.Distance, exp.JSONExtract, exp.JSONExtractScalar,
    exp.JSONBExtract, exp.JSONBExtractScalar, exp.JSONBContains, exp.JSONBContainsTopKey, exp.JSONBContainsAnyTopKeys,
    exp.JSONBContainsAllTopKeys, exp.JSONBDeleteAtPath, exp.JSONBPathExists, exp.JSONArrayContains, exp.MatchAgainst,
    exp.StartsWith,
    exp.Case, exp.If, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls, exp.Kwarg, exp.PropertyEQ,
    exp.Variadic, exp.WithOperator,
)  # fmt: skip
#: Calls, and the functions with a syntax of their own.
_VALUES = (
    exp.Anonymous, exp.Cast, exp.TryCast, exp.Convert, exp.DateStrToDate, exp.Extract, exp.Trim, exp.Substring,
    exp.Overlay, exp.StrPosition, exp.GroupConcat, exp.Chr, exp.Decode, exp.DecodeCase, exp.Normalize, exp.Ceil,
    exp.Floor, exp.Initcap, exp.WeightString, exp.ArgMax, exp.ArgMin, exp.Soundex, exp.ToNumber,
    exp.JSONObject, exp.JSONObjectAgg, exp.JSONArray, exp.JSONArrayAgg, exp.JSONKeyValue, exp.JSONValue,
    exp.JSONExists, exp.JSONTable, exp.JSONSchema, exp.JSONColumnDef, exp.FormatJson, exp.OnCondition, exp.OpenJSON,
    exp.OpenJSONColumnDef, exp.XMLElement, exp.XMLTable, exp.XMLNamespace, exp.OverflowTruncateBehavior,
    exp.ColumnConstraint, exp.PathColumnConstraint, exp.NotNullColumnConstraint, exp.DefaultColumnConstraint,
    exp.JSON, exp.JSONPath, exp.JSONPathRoot, exp.JSONPathKey, exp.JSONPathSubscript, exp.JSONPathWildcard,
    exp.JSONPathSlice, exp.JSONPathRecursive, exp.JSONPathUnion, exp.JSONPathFilter, exp.JSONPathScript,
    exp.JSONPathSelector,
    exp.CurrentDate, exp.CurrentTime, exp.CurrentTimestamp, exp.CurrentDatetime, exp.Localtime, exp.Localtimestamp,
)  # fmt: skip
_HINTS = (exp.TableSample, exp.Pivot, exp.PivotAlias, exp.PivotAny, exp.UnpivotColumns, exp.Partition)

_ALL = frozenset((*_QUERIES, *_WRITES, *_NAMES, *_LITERALS, *_OPERATORS, *_VALUES, *_HINTS))
_OF: dict[str, frozenset[type[exp.Expression]]] = {
    "sqlite": frozenset(),
    "postgres": frozenset((exp.ObjectIdentifier,)),
    "mysql": frozenset((exp.IndexTableHint, exp.HistoricalData, exp.Version)),
    # Its variables are declared: tsql.split_batch() has checked that.
    "tsql": frozenset((
        exp.Parameter, exp.ForClause, exp.QueryOption, exp.WithTableHint, exp.Version, exp.XMLKeyValueOption,
    )),
    "oracle": frozenset((
        exp.Connect, exp.Prior, exp.ConnectByRoot, exp.Hint, exp.Version, exp.HistoricalData, exp.Systimestamp,
    )),
}  # fmt: skip


@cache
def _parser(dialect: str) -> type[Parser]:
    """Return the dialect's parser without its knowledge of functions."""
    base = Dialect.get_or_raise(dialect).parser_class
    return type("PlainParser", (base,), {"FUNCTIONS": {}})


def parse(tokens: Sequence[Token], text: str, dialect: str) -> list[exp.Expression | None]:
    """Return the trees of a text's statements. Raises what sqlglot raises: SqlglotError and others."""
    return _parser(dialect)(dialect=Dialect.get_or_raise(dialect)).parse(list(tokens), text)  # type: ignore[return-value]


class ShapeCheck:
    """Is each part of a tree one that the check knows? ``allowed`` are the functions that may be called."""

    def __init__(self, dialect: str, writes: bool, allowed: Collection[str]) -> None:
        self.dialect = dialect
        self.writes = writes
        self.allowed = allowed
        self.known = _ALL | _OF[dialect]
        #: By the name of a function's result in FROM: the columns that it is known to have.
        self.results: dict[str, frozenset[str]] = {}

    def problems(self, tree: exp.Expression) -> Iterator[Finding]:
        """Yield the code, the node and the shown text of each part that is refused."""
        sources: frozenset[str] = _sources(tree) if self.dialect == "oracle" else frozenset()
        self.results = _function_results(tree) if self.dialect == "postgres" else {}
        for node in tree.walk():
            if type(node) not in self.known:
                yield "function" if isinstance(node, exp.Func) else "construct", node, _text(node, self.dialect)
            elif isinstance(node, exp.Dot):
                yield from self._dot(node)
            elif isinstance(node, exp.Column):
                yield from self._column(node, sources)
            elif isinstance(node, (exp.DataType, exp.ObjectIdentifier)):
                yield from self._type(node)
            elif isinstance(node, exp.Table) and self.dialect == "postgres":
                yield from self._from_item(node)

    def _from_item(self, node: exp.Table) -> Iterator[Finding]:
        """Check what PostgreSQL reads from that is no table: CURRENT_USER, or a value that gets a name by itself."""
        if _is_bare(node, functions.BARE["postgres"]):
            yield "function", node, node.name
        elif not isinstance(node.this, _NAMED) and node.this is not None and not node.alias:
            yield "construct", node, _text(node, self.dialect)

    def _dot(self, node: exp.Dot) -> Iterator[Finding]:
        """Check a dot that is not between plain names: it may be another spelling of a call.

        Known are a call behind names (``schema.f(…)``, which the check of functions decides about), T-SQL's
        ``value.method(…)``, all columns of a value (``(value).*``), and the name of a type or table.
        """
        right = node.expression
        if (type(node.parent), node.arg_key) in _OF_OTHER_RULES:
            return
        if isinstance(right, exp.Anonymous) and (self.dialect == "tsql" or _is_chain(node.this)):
            return
        if isinstance(right, exp.Star) and self.dialect == "postgres" and not isinstance(node.this, exp.Dot):
            return
        yield "attribute", node, f".{right.name or _text(right, self.dialect)}"

    def _column(self, node: exp.Column, sources: frozenset[str]) -> Iterator[Finding]:
        if not all(isinstance(part, (exp.Identifier, exp.Star)) for part in node.parts):
            yield "attribute", node, f".{_text(node.this, self.dialect)}"
            return
        name = node.name.lower()
        qualifiers = [part.name.lower() for part in node.parts[:-1]]
        if not qualifiers:
            # A quoted name is a column's.
            quoted = isinstance(node.this, exp.Identifier) and node.this.quoted
            if name in functions.BARE[self.dialect] and name not in self.allowed and not quoted:
                yield "function", node, node.name
        elif self.dialect == "postgres":
            # table.name is name(table) if the table has no such column.
            if (name in functions.OF_ROWS or name.startswith("pg_")) and name not in self.allowed:
                yield "function", node, node.name
            # The result of a function that returns one value is that value: alias.name is name(value).
            elif name not in self.results.get(qualifiers[-1], (name, "*")) and not isinstance(node.this, exp.Star):
                yield "function-column", node, f"{qualifiers[-1]}.{node.name}"
        elif self.dialect == "oracle":
            yield from self._package(node, qualifiers, sources)

    def _package(self, node: exp.Column, qualifiers: Sequence[str], sources: frozenset[str]) -> Iterator[Finding]:
        """Check Oracle's a.b: a function of the package a unless the statement reads from an a."""
        name = node.name.lower()
        known = sources - functions.PACKAGE_NAMES
        if any(qualifier in known for qualifier in qualifiers) or ".".join((*qualifiers, name)) in self.allowed:
            return
        if not (self.writes and name in ("nextval", "currval")):
            yield "function-qualified", node, node.name

    def _type(self, node: exp.Expression) -> Iterator[Finding]:
        """Check the name of a type: values of some are looked up among the server's objects and accounts."""
        kind = node.this if isinstance(node, exp.ObjectIdentifier) else node.args.get("kind") or ""
        written = kind.sql() if isinstance(kind, exp.Expression) else str(kind)
        name = written.split(".")[-1].strip('"`[]').lower()
        if name in functions.TYPES[self.dialect] or (self.dialect == "postgres" and name.startswith("pg_")):
            yield "type", node, name


#: Where a dot is in a name that another rule decides about: a longer chain (its last dot), a type's, a table's.
_OF_OTHER_RULES = frozenset(((exp.Dot, "this"), (exp.DataType, "kind"), (exp.Table, "this")))


#: What FROM has that is a table, gives records, or gets the name of its function.
_RECORDS = (exp.Identifier, exp.Subquery, exp.XMLTable, exp.JSONTable)
_NAMED = (*_RECORDS, exp.Anonymous)
#: Values that FROM may have without brackets.
_VALUES_IN_FROM = frozenset((
    "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp",
))  # fmt: skip


def _is_bare(node: exp.Expression, names: Collection[str]) -> bool:
    """Return True for one of ``names`` in FROM that is a function's and not a table's."""
    table = node.this if isinstance(node, exp.Table) and not node.db else None
    return isinstance(table, exp.Identifier) and not table.quoted and table.name.lower() in names


#: Names of columns that functions give their results, and that are names of no function of PostgreSQL.
_RESULT_COLUMNS = frozenset(("key", "value", "ordinality", "lexeme", "positions", "weights"))


def _function_results(tree: exp.Expression) -> dict[str, frozenset[str]]:
    """Return the names, in lower case, of what FROM has of functions, with the columns that each is known to have."""
    found: dict[str, frozenset[str]] = {}
    for node in tree.find_all(exp.Table, exp.Unnest, exp.Lateral):
        if isinstance(node.this, _RECORDS) and not _is_bare(node, _VALUES_IN_FROM):
            continue
        alias = node.args.get("alias")
        name = (node.alias or _function_name(node)).lower()
        declared = [column.name.lower() for column in (alias.columns if isinstance(alias, exp.TableAlias) else ())]
        if isinstance(node.args.get("offset"), exp.Identifier):  # the number that WITH ORDINALITY adds
            declared.append(node.args["offset"].name.lower())
        columns = _RESULT_COLUMNS.union(declared or [name])
        found[name] = found.get(name, columns) & columns
    return found


def _function_name(node: exp.Expression) -> str:
    """Return the name that PostgreSQL gives a function's result without an alias: the function's."""
    return "unnest" if isinstance(node, exp.Unnest) else str(getattr(node.this, "name", "") or "")


def _is_chain(node: exp.Expression) -> bool:
    """Return True for names joined by dots."""
    if isinstance(node, exp.Dot):
        return _is_chain(node.this) and isinstance(node.expression, exp.Identifier)
    return isinstance(node, (exp.Identifier, exp.Column))


def _sources(tree: exp.Expression) -> frozenset[str]:
    """Return the names and aliases of all that the statement reads from or writes to, in lower case."""
    names = [table.name for table in tree.find_all(exp.Table)]
    for alias in tree.find_all(exp.TableAlias):
        names.append(alias.name)
    return frozenset(name.lower() for name in names if name)


def _text(node: exp.Expression, dialect: str) -> str:
    """Return a node as SQL, shortened for a message."""
    try:
        return node.sql(dialect)[:40]
    except Exception:
        return node.key.upper()
