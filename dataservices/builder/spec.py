"""A query without SQL: tables, joins, columns, filters, order and limits, as the forms of the admin have them.

All classes are frozen, and a Spec checks itself when it is made: one that exists is well-formed and bounded. It may
still be incomplete (no columns yet); ``Spec.check_complete`` says so before SQL is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from dataservices.sql import PAGING_NAMES
from registry.legacy_names import parameter_key
from registry.parameter_values import CONVERTERS, InvalidValue

#: The most of each part, and characters of names and of fixed values.
MAX_JOINS, MAX_PAIRS, MAX_COLUMNS, MAX_FILTERS, MAX_ORDER, MAX_LIST = 9, 5, 200, 30, 10, 100
MAX_NAME, MAX_OUTPUT_NAME, MAX_VALUE = 128, 63, 500
MAX_ROWS, MAX_PAGE = 1_000_000, 10_000

#: The kinds of joins: rows without a partner drop out, or remain with empty columns.
INNER, LEFT = "inner", "left"

#: Operators, and the number of their values: 0, 1 or 2; None for a list.
OPERATORS: dict[str, int | None] = {
    "=": 1, "<>": 1, "<": 1, ">": 1, "<=": 1, ">=": 1, "between": 2, "contains": 1, "begins": 1, "in": None,
    "empty": 0, "not-empty": 0, "blank": 0, "not-blank": 0,
}  # fmt: skip
#: The operators in words, for forms. "blank" is NULL or a text without characters, "empty" is NULL.
OPERATOR_LABELS = {
    "=": gettext_lazy("is equal to"),
    "<>": gettext_lazy("is not equal to"),
    "<": gettext_lazy("is less than"),
    ">": gettext_lazy("is greater than"),
    "<=": gettext_lazy("is at most"),
    ">=": gettext_lazy("is at least"),
    "between": gettext_lazy("is between"),
    "contains": gettext_lazy("contains"),
    "begins": gettext_lazy("begins with"),
    "in": gettext_lazy("is one of"),
    "empty": gettext_lazy("is empty"),
    "not-empty": gettext_lazy("is not empty"),
    "blank": gettext_lazy("is empty"),
    "not-blank": gettext_lazy("is not empty"),
}
_ORDERED = ("=", "<>", "<", ">", "<=", ">=", "between", "in", "empty", "not-empty")
_TEXTUAL = ("=", "<>", "contains", "begins", "in", "<", ">", "<=", ">=", "between", "blank", "not-blank")
#: Values of these types have neither an order nor a literal that all engines agree on.
_OPAQUE = frozenset(("bytes", "json", "interval"))

#: Types of characters, in each engine's words; dBase has letters: C(20).
_CHARACTERS = re.compile(r"char|text|clob|string|enum\(|set\(|^[CMV]\(", re.I)

#: What a fixed value can be.
VALUE_TYPES = ("text", "integer", "decimal", "boolean", "date", "datetime")
_VALUE_TYPE_OF = {"float": "decimal"}
#: In quotation marks these names are the same for all engines and for the check of SQL.
_NAME = re.compile(r"""(?!.*(?:--|/\*|:[A-Za-z_]))[^"`\[\]]+\Z""")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")


class SpecError(ValueError):
    """A query that cannot be: the message, in the current language, says what to do.

    ``path`` is where it is in the JSON form, such as "filters[2].values"; "" for the whole.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path


def operators_for(kind: str | None, type_: str = "") -> tuple[str, ...]:
    """Return the operators for a column, the most useful first. ``kind`` and ``type_`` are those of its ColumnInfo.

    Engines have types, such as PostgreSQL's enumerations, that are texts for the bus but cannot be searched as texts.
    """
    if kind == "text" and type_ and not _CHARACTERS.search(type_):
        return ("=", "<>", "in", "empty", "not-empty")
    if kind in _OPAQUE:
        return ("empty", "not-empty")
    if kind == "boolean":
        return ("=", "<>", "empty", "not-empty")
    return _TEXTUAL if kind == "text" else _ORDERED


@dataclass(frozen=True, slots=True)
class Value:
    """A fixed value. ``text`` is its canonical form: what ``of`` makes of a person's input."""

    type: str
    text: str

    @classmethod
    def of(cls, kind: str | None, text: str) -> Value:
        """Return the value that a person entered for a column of this type, as in ColumnInfo.kind. Raises SpecError."""
        type_ = _VALUE_TYPE_OF.get(kind or "", kind or "")
        return cls(type_ if type_ in VALUE_TYPES else "text", text.strip())

    def __post_init__(self) -> None:
        if self.type not in VALUE_TYPES:
            raise SpecError(_("Unknown type of a value: %(type)s.") % {"type": self.type[:40]})
        if not self.text:
            raise SpecError(_("Enter a value, or choose “is empty”."))
        if len(self.text) > MAX_VALUE:
            raise SpecError(_("Enter at most %(most)d characters as a value.") % {"most": MAX_VALUE})
        if not self.text.isprintable():
            raise SpecError(_("A value can have no line breaks and no control characters."))
        try:
            object.__setattr__(self, "text", _canonical(self.type, self.text))
        except InvalidValue as error:
            raise SpecError(_invalid(self.text, error)) from None


def _invalid(text: str, error: InvalidValue) -> str:
    reason = error.id if get_language() == "id" else error.en
    return _("“%(value)s” does not fit: %(reason)s.") % {"value": text[:40], "reason": reason}


def _canonical(type_: str, text: str) -> str:
    """Return the one spelling of a value. Raises InvalidValue."""
    value = CONVERTERS[type_](text)
    if type_ == "boolean":
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise InvalidValue("tulis waktu setempat, tanpa zona", "write local time, without a zone")
        if value.microsecond:
            raise InvalidValue("tulis sampai detik", "write whole seconds")
        return value.isoformat(" ")
    return format(value, "f") if type_ == "decimal" else str(value)


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. ``schema`` and ``name`` are as the schema browser names them: on SQLite and dBase, in "main".

    ``alias`` is unique in the query: by default it is the name.
    """

    schema: str
    name: str
    alias: str = ""

    def __post_init__(self) -> None:
        if not self.alias:
            object.__setattr__(self, "alias", self.name)
        if self.schema:
            _check_name(self.schema)
        _check_name(self.name)
        _check_name(self.alias)


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A column of a table. ``table`` is the table's alias in the query."""

    table: str
    column: str

    def __post_init__(self) -> None:
        _check_name(self.column)


@dataclass(frozen=True, slots=True)
class Join:
    """A further table. ``on`` has pairs: a column of an earlier table, and the joined table's column equal to it."""

    kind: str
    table: Table
    on: tuple[tuple[ColumnRef, str], ...]

    def __post_init__(self) -> None:
        if self.kind not in (INNER, LEFT):
            raise SpecError(_("Unknown kind of join: %(kind)s.") % {"kind": self.kind[:40]})
        _check_number(self.on, MAX_PAIRS, _("pairs of columns in a join"))
        if not self.on:
            raise SpecError(_("Choose the columns by which %(table)s is joined.") % {"table": self.table.alias})
        for _earlier, column in self.on:
            _check_name(column)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the response. ``name`` is its name there: by default the column's."""

    column: ColumnRef
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.column.column)
        _check_name(self.name, MAX_OUTPUT_NAME)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on a column: with fixed ``values``, or with the names of ``parameters``.

    ``optional``: without the parameters' values the filter is left out. "in" takes one parameter: the caller gives
    several values, separated by commas.
    """

    column: ColumnRef
    operator: str
    values: tuple[Value, ...] = ()
    parameters: tuple[str, ...] = ()
    optional: bool = False

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise SpecError(_("Unknown operator: %(operator)s.") % {"operator": self.operator[:40]})
        if self.values and self.parameters:
            raise SpecError(_("A filter has either fixed values or parameters."))
        if self.optional and not self.parameters:
            raise SpecError(_("Only a filter with a parameter can be optional."))
        if self.operator in ("contains", "begins") and any(value.type != "text" for value in self.values):
            raise SpecError(_("Only texts can be searched for a part of them."))
        self._check_counts()
        for name in self.parameters:
            _check_parameter(name)

    def _check_counts(self) -> None:
        expected, given = OPERATORS[self.operator], len(self.values or self.parameters)
        if expected is None:
            _check_number(self.values, MAX_LIST, _("values in a list"))
            expected = 1 if self.parameters else max(given, 1)
        if given != expected:
            raise SpecError(
                _("“%(operator)s” needs %(number)d values.")
                % {"operator": OPERATOR_LABELS[self.operator], "number": expected}
            )


@dataclass(frozen=True, slots=True)
class Order:
    """A column that the rows are sorted by."""

    column: ColumnRef
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """A query. ``row_limit`` and ``page_size`` are numbers of rows; 0 means none. Only one of them can be set."""

    table: Table
    joins: tuple[Join, ...] = ()
    columns: tuple[Column, ...] = ()
    filters: tuple[Filter, ...] = ()
    order: tuple[Order, ...] = ()
    row_limit: int = 0
    page_size: int = 0

    def __post_init__(self) -> None:
        _check_number(self.joins, MAX_JOINS, _("joins"))
        _check_number(self.columns, MAX_COLUMNS, _("columns"))
        _check_number(self.filters, MAX_FILTERS, _("filters"))
        _check_number(self.order, MAX_ORDER, _("columns to sort by"))
        self._check_limits()
        self._check_tables()
        _check_once((column.name for column in self.columns), _("Two columns have the name %(name)s. Rename one."))
        _check_once(map(parameter_key, self.parameters), _("Two filters use the parameter %(name)s. Rename one."))
        self._check_refs("columns", self.columns)
        self._check_refs("filters", self.filters)
        self._check_refs("order", self.order)

    def _check_refs(self, part: str, users: Sequence[Column | Filter | Order]) -> None:
        for index, each in enumerate(users):
            if each.column.table not in self.aliases:
                message = _("No table of the query is called %(name)s.") % {"name": each.column.table[:40]}
                raise SpecError(message, f"{part}[{index}]")

    def _check_limits(self) -> None:
        if not 0 <= self.row_limit <= MAX_ROWS:
            raise SpecError(_("Enter a row limit of at most %(most)d.") % {"most": MAX_ROWS}, "row_limit")
        if not 0 <= self.page_size <= MAX_PAGE:
            raise SpecError(_("Enter at most %(most)d rows per page.") % {"most": MAX_PAGE}, "page_size")
        if self.row_limit and self.page_size:
            raise SpecError(_("Choose either pages or a row limit."), "page_size")

    def _check_tables(self) -> None:
        _check_once((table.alias for table in self.tables), _("Two tables have the name %(name)s. Rename one."))
        known = {self.table.alias}
        for index, join in enumerate(self.joins):
            for earlier, _column in join.on:
                if earlier.table not in known:
                    message = _("%(name)s is not a table that comes before the join.") % {"name": earlier.table[:40]}
                    raise SpecError(message, f"joins[{index}].on")
            known.add(join.table.alias)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The first table and the joined ones, in their order."""
        return (self.table, *(join.table for join in self.joins))

    @property
    def aliases(self) -> dict[str, Table]:
        """The tables by their aliases."""
        return {table.alias: table for table in self.tables}

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the filters' parameters, in their order."""
        return tuple(name for each in self.filters for name in each.parameters)

    def check_complete(self) -> None:
        """Raise SpecError if something is missing without which there is no SQL."""
        if not self.columns:
            raise SpecError(_("Choose at least one column."), "columns")
        if self.page_size and not self.order:
            raise SpecError(_("Choose a column to sort by: without an order, pages repeat and miss rows."), "order")


def _check_name(name: str, most: int = MAX_NAME) -> None:
    if not name or len(name) > most or not name.isprintable() or not _NAME.match(name):
        raise SpecError(
            _("“%(name)s” cannot be a name here. Use 1 to %(most)d letters, digits and spaces, without quotes.")
            % {"name": name[:40], "most": most}
        )


def _check_parameter(name: str) -> None:
    if not _PARAMETER.match(name):
        raise SpecError(
            _("“%(name)s” cannot be a parameter. Use letters, digits and _, starting with a letter.")
            % {"name": name[:40]}
        )
    if name.lower() in PAGING_NAMES:
        raise SpecError(_("Paging uses the name %(name)s itself. Choose another name.") % {"name": name})


def _check_number(parts: Sequence[object], most: int, what: str) -> None:
    if len(parts) > most:
        raise SpecError(_("At most %(most)d %(what)s are possible.") % {"most": most, "what": what})


def _check_once(names: Iterator[str], message: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise SpecError(message % {"name": name})
        seen.add(name.lower())
