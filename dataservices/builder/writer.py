"""From a query spec to SQL in an engine's dialect: text that an author of SQL would like to go on with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _

from dataservices.builder.dialects import Dialect, dialect_of
from dataservices.builder.spec import INNER, Column, ColumnRef, Filter, Join, Order, Spec, SpecError, Table, Value
from dataservices.sql.template import MAX_LENGTH

_WIDTH = 100
#: A text is split behind such a colon: the check of SQL takes it for a placeholder in quotation marks.
_LIKE_PLACEHOLDER = re.compile(r"(?<=:)(?=[A-Za-z_])")
_JOINS = {INNER: "JOIN", "left": "LEFT JOIN"}


def to_sql(spec: Spec, engine: str) -> str:
    """Return the query as SQL in the engine's dialect, with :placeholders and [[ optional blocks ]].

    Raises SpecError if something is missing, or if the engine does not have it.
    """
    spec.check_complete()
    text = _Writer(spec, dialect_of(engine)).text()
    if len(text) > MAX_LENGTH:
        raise SpecError(_("The query is too long. Choose fewer columns, or fewer values in its lists."))
    return text


class _Writer:
    def __init__(self, spec: Spec, dialect: Dialect) -> None:
        self.spec = spec
        self.dialect = dialect
        self.qualified = bool(spec.joins)

    def text(self) -> str:
        return "\n".join([*self._select(), *self._from(), *self._where(), *self._end()])

    def _select(self) -> Iterator[str]:
        spec = self.spec
        top = f"TOP {spec.row_limit} " if spec.row_limit and self.dialect.limit == "TOP" else ""
        line = f"SELECT {top}"
        for index, column in enumerate(spec.columns):
            piece = self._column(column) + ("," if index < len(spec.columns) - 1 else "")
            if index and len(line) + len(piece) > _WIDTH:
                yield line.rstrip()
                line = "  "
            line += f"{piece} "
        yield line.rstrip()

    def _column(self, column: Column) -> str:
        written = self._ref(column.column)
        if column.name == column.column.column:
            return written
        return f"{written} AS {self.dialect.name(column.name)}"

    def _ref(self, ref: ColumnRef) -> str:
        name = self.dialect.name(ref.column)
        return f"{self.dialect.name(ref.table)}.{name}" if self.qualified else name

    def _used(self, ref: ColumnRef) -> str:
        """Return a column as it is behind WHERE and ORDER BY, where a name may also be one of the response."""
        if any(each.name.lower() == ref.column.lower() and each.column != ref for each in self.spec.columns):
            return f"{self.dialect.name(ref.table)}.{self.dialect.name(ref.column)}"
        return self._ref(ref)

    def _from(self) -> Iterator[str]:
        yield f"FROM {self._table(self.spec.table)}"
        for join in self.spec.joins:
            yield self._join(join)

    def _table(self, table: Table) -> str:
        dialect = self.dialect
        schema = "" if table.schema == dialect.default_schema else table.schema
        written = ".".join(dialect.name(name) for name in (schema, table.name) if name)
        return written if table.alias == table.name else f"{written} {dialect.alias}{dialect.name(table.alias)}"

    def _join(self, join: Join) -> str:
        pairs = (
            f"{self._ref(ColumnRef(join.table.alias, column))} = {self._ref(earlier)}" for earlier, column in join.on
        )
        return f"{_JOINS[join.kind]} {self._table(join.table)} ON {' AND '.join(pairs)}"

    def _where(self) -> Iterator[str]:
        filters = list(self.spec.filters)
        if not filters:
            return
        # A block begins with AND, so that something must come before it.
        yield "WHERE 1 = 1" if filters[0].optional else f"WHERE {self._condition(filters.pop(0))}"
        for each in filters:
            condition = f"AND {self._condition(each)}"
            yield f"  [[ {condition} ]]" if each.optional else f"  {condition}"

    def _condition(self, each: Filter) -> str:
        marks = [f":{name}" for name in each.parameters] or [self._literal(value) for value in each.values]
        low, high = marks if len(marks) == 2 else ("", "")
        holes = {"column": self._used(each.column), "value": "".join(marks[:1]), "low": low, "high": high}
        pattern = self.dialect.condition(each.operator, bool(each.parameters))
        return pattern.format(list=", ".join(marks), **holes)

    def _literal(self, value: Value) -> str:
        if value.type in ("integer", "decimal"):
            return value.text
        if value.type == "boolean":
            return self.dialect.truth[value.text != "true"]
        if value.type in self.dialect.literals:
            return self.dialect.literals[value.type].format(text=self.dialect.day(value.text))
        return self._joined(map(self.dialect.quoted_text, _LIKE_PLACEHOLDER.split(value.text)))

    def _joined(self, literals: Iterable[str]) -> str:
        pieces = list(literals)
        if len(pieces) == 1:
            return pieces[0]
        if not self.dialect.concatenation:
            return f"CONCAT({', '.join(pieces)})"
        return f" {self.dialect.concatenation} ".join(pieces)

    def _end(self) -> Iterator[str]:
        spec, limit = self.spec, self.dialect.limit
        if spec.order:
            yield f"ORDER BY {', '.join(map(self._order, spec.order))}"
        if spec.page_size:
            if not self.dialect.paging:
                raise SpecError(_("This database has no pages. Choose a row limit instead."), "page_size")
            yield self.dialect.paging
        elif spec.row_limit and limit != "TOP":
            yield f"LIMIT {spec.row_limit}" if limit == "LIMIT" else f"FETCH FIRST {spec.row_limit} ROWS ONLY"

    def _order(self, order: Order) -> str:
        written = self._used(order.column)
        return f"{written} DESC" if order.descending else written
