"""What step 2 holds: the chosen tables, columns, filters, order and limits, as its form has them.

It may be unfinished or wrong, so that nothing that was entered is lost. ``Query.spec`` makes the builder's form of it,
which is checked. The tables come with their columns, so that the page can be shown while the source is down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.utils.translation import gettext

from dataservices.builder import (
    INNER,
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
    parameter_names,
)

#: How the values of a filter are given.
REQUIRED, OPTIONAL, FIXED = "required", "optional", "fixed"
#: How rows are returned: in pages, at most a number of them, or up to the operation's own row limit.
PAGES, LIMIT, ALL = "pages", "limit", "all"

#: Columns of a table, and characters of a comment, that a draft holds.
MAX_COLUMNS, MAX_COMMENT = 300, 200


@dataclass(slots=True)
class TableColumn:
    """A column of a chosen table. ``kind`` is the bus's name of its type, None if it has none.

    ``link``: it is part of a foreign key.
    """

    name: str
    kind: str | None = None
    key: bool = False
    comment: str = ""
    link: bool = False


@dataclass(slots=True)
class ChosenTable:
    """A table of the query. ``on`` has, for a joined one, (earlier alias, its column, this table's column).

    ``manual``: the user chooses these columns; a pair may be unfinished, with "" for what is not chosen yet.
    """

    schema: str
    name: str
    alias: str
    comment: str = ""
    rows: int | None = None
    columns: list[TableColumn] = field(default_factory=list)
    kind: str = INNER
    on: list[tuple[str, str, str]] = field(default_factory=list)
    manual: bool = False

    def column(self, name: str) -> TableColumn | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(slots=True)
class ChosenColumn:
    """A column of the response, and its name there."""

    table: str
    column: str
    name: str


@dataclass(slots=True)
class Condition:
    """A filter. ``mode`` is one of REQUIRED, OPTIONAL (both: parameters) and FIXED (values, as they were typed)."""

    table: str
    column: str
    operator: str = "="
    mode: str = REQUIRED
    values: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The number of inputs that the operator needs; a list has one."""
        number = OPERATORS.get(self.operator, 1)
        return 1 if number is None else number

    def texts(self) -> list[str]:
        """Return the fixed values as they were typed: those of a list apart."""
        if OPERATORS.get(self.operator, 1) is not None:
            return [*self.values, "", ""][: self.count]
        return [part.strip() for part in "\n".join(self.values).replace("\n", ",").split(",") if part.strip()]


@dataclass(slots=True)
class Sorting:
    """A column that the rows are sorted by."""

    table: str
    column: str
    descending: bool = False


@dataclass(slots=True)
class Query:
    """All of step 2. ``number`` is that of the rows of a page, or of all rows."""

    tables: list[ChosenTable] = field(default_factory=list)
    columns: list[ChosenColumn] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    sortings: list[Sorting] = field(default_factory=list)
    delivery: str = ALL
    number: str = "100"

    @classmethod
    def load(cls, data: dict[str, Any]) -> Query:
        """Return what dump() has given; an empty one for {}."""
        tables = [
            ChosenTable(
                **{
                    **each,
                    "columns": [TableColumn(**column) for column in each["columns"]],
                    "on": [tuple(pair) for pair in each["on"]],
                }
            )
            for each in data.get("tables", ())
        ]
        return cls(
            tables,
            [ChosenColumn(**each) for each in data.get("columns", ())],
            [Condition(**each) for each in data.get("conditions", ())],
            [Sorting(**each) for each in data.get("sortings", ())],
            data.get("delivery", ALL),
            data.get("number", "100"),
        )

    def dump(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    # ------------------------------------------------------------------------------------ looking up

    def table(self, alias: str) -> ChosenTable | None:
        return next((table for table in self.tables if table.alias == alias), None)

    def column(self, alias: str, name: str) -> TableColumn | None:
        """Return a column of a chosen table."""
        table = self.table(alias)
        return table.column(name) if table else None

    def is_chosen(self, alias: str, name: str) -> bool:
        return any((each.table, each.column) == (alias, name) for each in self.columns)

    @property
    def shape(self) -> str:
        """Identify the lists that a form's fields belong to: one of another window's may have other ones."""
        rows = [
            *((each.name, each.alias) for each in self.tables),
            *((each.table, each.column) for each in self.sortings),
        ]
        rows += [(each.table, each.column) for each in self.conditions]
        return hashlib.sha256(repr((len(self.tables), len(self.sortings), rows)).encode()).hexdigest()[:16]

    # ------------------------------------------------------------------------------------ changing

    def add_table(self, table: ChosenTable) -> ChosenTable:
        """Add a table under an alias that is free. Return it."""
        used = {each.alias.lower() for each in self.tables}
        table.alias = _free(table.name, used)
        self.tables.append(table)
        return table

    def remove_table(self, alias: str) -> None:
        """Remove a joined table, those that are joined to it, and what uses their columns."""
        gone = {alias}
        for table in self.tables[1:]:
            if any(earlier in gone for earlier, _column, _own in table.on):
                gone.add(table.alias)
        self.tables = [table for table in self.tables if table.alias not in gone]
        for name in ("columns", "conditions", "sortings"):
            setattr(self, name, [each for each in getattr(self, name) if each.table not in gone])

    def choose(self, alias: str, names: list[str]) -> None:
        """Make these the columns of a table in the response. Those that were chosen keep their place and name."""
        self.columns = [each for each in self.columns if each.table != alias or each.column in names]
        for name in names:
            if not self.is_chosen(alias, name):
                used = {each.name.lower() for each in self.columns}
                free = name if name.lower() not in used else _free(f"{alias}_{name}", used)
                self.columns.append(ChosenColumn(alias, name, free))

    def add_condition(self, alias: str, column: str, operator: str = "=") -> Condition:
        """Add a filter with a parameter of the column's name."""
        condition = Condition(alias, column, operator)
        self.conditions.append(condition)
        self.name_parameters()
        return condition

    def name_parameters(self) -> None:
        """Give each filter with parameters as many names as its operator needs."""
        for each in self.conditions:
            wanted = 0 if each.mode == FIXED else each.count
            if len(each.parameters) != wanted:
                each.parameters = []
                taken = [name for other in self.conditions for name in other.parameters]
                each.parameters = [*parameter_names(each.column, each.operator, taken)] if wanted else []

    # ------------------------------------------------------------------------------------ the builder's form

    def spec(self) -> Spec:
        """Return the query in the builder's form. Raises SpecError; its path begins with one of this class's lists."""
        tables = self.tables_only()
        columns = _each("columns", self.columns, lambda each: Column(ColumnRef(each.table, each.column), each.name))
        filters = _each("conditions", self.conditions, self._filter)
        order = tuple(Order(ColumnRef(each.table, each.column), each.descending) for each in self.sortings)
        number = int(self.number) if self.number.isascii() and self.number.isdigit() else 0
        if self.delivery != ALL and not number > 0:
            raise SpecError(gettext("Enter a number of rows from 1 on."), "number")
        spec = replace(
            tables, columns=columns, filters=filters, order=order,
            row_limit=number if self.delivery == LIMIT else 0, page_size=number if self.delivery == PAGES else 0,
        )  # fmt: skip
        spec.check_complete()
        return spec

    def tables_only(self) -> Spec:
        """Return the tables and their joins in the builder's form. Raises SpecError."""
        if not self.tables:
            raise SpecError(gettext("Choose a table first."), "tables")
        first, *others = self.tables
        return Spec(Table(first.schema, first.name, first.alias), _each("tables", others, self._join, 1))

    def _join(self, table: ChosenTable) -> Join:
        pairs = tuple((ColumnRef(earlier, column), own) for earlier, column, own in table.on if column and own)
        return Join(table.kind, Table(table.schema, table.name, table.alias), pairs)

    def _filter(self, each: Condition) -> Filter:
        ref = ColumnRef(each.table, each.column)
        if each.count == 0:
            return Filter(ref, each.operator)
        if each.mode != FIXED:
            return Filter(ref, each.operator, (), tuple(each.parameters), each.mode == OPTIONAL)
        column = self.column(each.table, each.column)
        kind = column.kind if column else None
        return Filter(ref, each.operator, tuple(Value.of(kind, text) for text in each.texts()))


def without_parameters(spec: Spec) -> Spec:
    """Return a query without the filters whose values callers give, for a preview."""
    return replace(spec, filters=tuple(each for each in spec.filters if not each.parameters))


def _each(name: str, rows: list[Any], make: Callable[[Any], Any], first: int = 0) -> tuple[Any, ...]:
    """Return the builder's form of a list's rows. Raises SpecError with the row's path."""
    made = []
    for index, row in enumerate(rows, start=first):
        try:
            made.append(make(row))
        except SpecError as error:
            raise SpecError(error.message, f"{name}[{index}]") from None
    return tuple(made)


def _free(name: str, used: set[str]) -> str:
    """Return a name that is not in ``used``, in lower case."""
    number, free = 1, name
    while free.lower() in used:
        number += 1
        free = f"{name}_{number}"
    return free
