"""The JSON form of a query spec: what the admin stores of an unfinished one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from dataservices.builder.spec import (
    MAX_COLUMNS,
    MAX_FILTERS,
    MAX_JOINS,
    MAX_LIST,
    MAX_ORDER,
    MAX_PAIRS,
    MAX_ROWS,
    MAX_VALUE,
    Column,
    ColumnRef,
    Filter,
    Join,
    Order,
    Spec,
    SpecError,
    Table,
    Value,
)

Item = TypeVar("Item")


def to_json(spec: Spec) -> dict[str, Any]:
    """Return a spec as JSON's own types. ``from_json`` makes an equal spec of it."""
    return {
        "table": _table(spec.table),
        "joins": [
            {
                "kind": join.kind,
                "table": _table(join.table),
                "on": [{"earlier": _ref(earlier), "column": column} for earlier, column in join.on],
            }
            for join in spec.joins
        ],
        "columns": [{"column": _ref(each.column), "name": each.name} for each in spec.columns],
        "filters": [_filter(each) for each in spec.filters],
        "order": [{"column": _ref(each.column), "descending": each.descending} for each in spec.order],
        "row_limit": spec.row_limit,
        "page_size": spec.page_size,
    }


def _table(table: Table) -> dict[str, Any]:
    return {"schema": table.schema, "name": table.name, "alias": table.alias}


def _ref(ref: ColumnRef) -> dict[str, Any]:
    return {"table": ref.table, "column": ref.column}


def _filter(each: Filter) -> dict[str, Any]:
    return {
        "column": _ref(each.column),
        "operator": each.operator,
        "values": [{"type": value.type, "text": value.text} for value in each.values],
        "parameters": list(each.parameters),
        "optional": each.optional,
    }


def from_json(data: Any) -> Spec:
    """Return the spec of its JSON form, which may be incomplete: only ``table`` is required.

    Raises SpecError, with the place in ``path``, for an unknown or missing key, a value of another type, a list or text
    that is too long, and whatever a Spec cannot have.
    """
    node = _Node(data, "").object("table", "joins", "columns", "filters", "order", "row_limit", "page_size")
    return node.made(
        lambda: Spec(
            _read_table(node["table"]),
            node["joins"].list(MAX_JOINS, _read_join),
            node["columns"].list(MAX_COLUMNS, _read_column),
            node["filters"].list(MAX_FILTERS, _read_filter),
            node["order"].list(MAX_ORDER, _read_order),
            node["row_limit"].number(),
            node["page_size"].number(),
        )
    )


def _read_table(node: _Node) -> Table:
    node = node.object("schema", "name", "alias")
    return node.made(lambda: Table(node["schema"].text(), node["name"].text(), node["alias"].text()))


def _read_ref(node: _Node) -> ColumnRef:
    node = node.object("table", "column")
    return node.made(lambda: ColumnRef(node["table"].text(), node["column"].text()))


def _read_join(node: _Node) -> Join:
    node = node.object("kind", "table", "on")
    return node.made(
        lambda: Join(node["kind"].text(), _read_table(node["table"]), node["on"].list(MAX_PAIRS, _read_pair))
    )


def _read_pair(node: _Node) -> tuple[ColumnRef, str]:
    node = node.object("earlier", "column")
    return _read_ref(node["earlier"]), node["column"].text()


def _read_column(node: _Node) -> Column:
    node = node.object("column", "name")
    return node.made(lambda: Column(_read_ref(node["column"]), node["name"].text()))


def _read_filter(node: _Node) -> Filter:
    node = node.object("column", "operator", "values", "parameters", "optional")
    return node.made(
        lambda: Filter(
            _read_ref(node["column"]),
            node["operator"].text(),
            node["values"].list(MAX_LIST, _read_value),
            node["parameters"].list(2, lambda each: each.text()),
            node["optional"].flag(),
        )
    )


def _read_value(node: _Node) -> Value:
    node = node.object("type", "text")
    return node.made(lambda: Value(node["type"].text(), node["text"].text()))


def _read_order(node: _Node) -> Order:
    node = node.object("column", "descending")
    return Order(_read_ref(node["column"]), node["descending"].flag())


class _Node:
    """A value within the JSON form, and its place there. A missing value is None."""

    def __init__(self, data: Any, path: str) -> None:
        self.data = data
        self.path = path

    def __getitem__(self, key: str) -> _Node:
        return _Node(self.data.get(key), f"{self.path}.{key}".lstrip("."))

    def object(self, *keys: str) -> _Node:
        """Return the node itself, if it is an object with no other keys."""
        if not isinstance(self.data, Mapping):
            raise self._error(_("an object is expected"))
        unknown = [str(key)[:40] for key in self.data if key not in keys]
        if unknown:
            raise self._error(
                _("unknown key %(key)s; known are %(keys)s") % {"key": unknown[0], "keys": ", ".join(keys)}
            )
        return self

    def text(self) -> str:
        """Return a text; a missing one is ""."""
        data = "" if self.data is None else self.data
        if not isinstance(data, str) or len(data) > MAX_VALUE:
            raise self._error(_("a text of at most %(most)d characters is expected") % {"most": MAX_VALUE})
        return data

    def number(self) -> int:
        """Return a number from 0; a missing one is 0."""
        data = 0 if self.data is None else self.data
        if type(data) is not int or not 0 <= data <= MAX_ROWS:
            raise self._error(_("a whole number from 0 to %(most)d is expected") % {"most": MAX_ROWS})
        return data

    def flag(self) -> bool:
        """Return true or false; a missing one is false."""
        if self.data is not None and not isinstance(self.data, bool):
            raise self._error(_("true or false is expected"))
        return bool(self.data)

    def list(self, most: int, read: Callable[[_Node], Item]) -> tuple[Item, ...]:
        """Return what ``read`` makes of each item; a missing list is empty."""
        data = [] if self.data is None else self.data
        if not isinstance(data, list | tuple) or len(data) > most:
            raise self._error(_("a list of at most %(most)d items is expected") % {"most": most})
        return tuple(read(_Node(item, f"{self.path}[{index}]")) for index, item in enumerate(data))

    def made(self, make: Callable[[], Item]) -> Item:
        """Return what ``make`` returns. A SpecError without a place gets this node's."""
        try:
            return make()
        except SpecError as error:
            if error.path.startswith(self.path) and error.path:
                raise
            raise SpecError(error.message, f"{self.path}.{error.path}".strip(".")) from None

    def _error(self, reason: str) -> SpecError:
        return SpecError(f"{self.path or _('query')}: {reason}.", self.path or "query")
