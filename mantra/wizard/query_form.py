"""The form of step 2: what its fields and buttons do to a Query."""

from __future__ import annotations

from collections.abc import Callable, Sized

from django.http import QueryDict

from dataservices.builder import INNER, LEFT, operators_for
from dataservices.builder.spec import MAX_JOINS, MAX_PAIRS
from mantra.wizard import joins, proposals
from mantra.wizard.catalogue import Listing, TableInfo
from mantra.wizard.joins import Offer
from mantra.wizard.query import (
    ALL,
    FIXED,
    LIMIT,
    MAX_COLUMNS,
    MAX_COMMENT,
    OPTIONAL,
    PAGES,
    REQUIRED,
    ChosenTable,
    Condition,
    Query,
    Sorting,
    TableColumn,
)

#: Characters of an input that are kept.
_MAX_INPUT = 4000


def column_key(alias: str, column: str) -> str:
    """Return a column as the value of an option. No name has a colon."""
    return f"{alias}:{column}"


def apply(query: Query, data: QueryDict) -> None:
    """Take over what the fields of the form hold. A form without tables has no fields."""
    for index, table in enumerate(query.tables):
        if f"t{index}-shown" in data:
            names = set(data.getlist(f"t{index}-columns"))
            query.choose(table.alias, [column.name for column in table.columns if column.name in names])
            kind = data.get(f"t{index}-kind", table.kind)
            table.kind = kind if kind in (INNER, LEFT) else table.kind
            if table.manual:
                table.on = _pairs(query, index, data)
    for index, condition in enumerate(query.conditions):
        _apply_condition(query, condition, f"f{index}", data)
    query.name_parameters()
    for index, sorting in enumerate(query.sortings):
        sorting.descending = data.get(f"s{index}-direction", "down" if sorting.descending else "up") == "down"
    delivery = data.get("delivery", query.delivery)
    query.delivery = delivery if delivery in (ALL, LIMIT, PAGES) else query.delivery
    query.number = data.get("number", query.number).strip()[:10]


def _pairs(query: Query, index: int, data: QueryDict) -> list[tuple[str, str, str]]:
    """Return the pairs of columns of a join by hand, unfinished ones included."""
    pairs = []
    for number in range(MAX_PAIRS):
        alias, _, column = data.get(f"t{index}-left{number}", "").partition(":")
        own = data.get(f"t{index}-right{number}", "")
        known = query.column(alias, column) is not None and alias != query.tables[index].alias
        left = (alias, column) if known else ("", "")
        if left[1] or own:
            pairs.append((*left, own if query.tables[index].column(own) else ""))
    return pairs


def _apply_condition(query: Query, condition: Condition, prefix: str, data: QueryDict) -> None:
    column = query.column(condition.table, condition.column)
    operator = data.get(f"{prefix}-operator", condition.operator)
    if operator in operators_for(column.kind if column else None):
        condition.operator = operator
    mode = data.get(f"{prefix}-mode", condition.mode)
    condition.mode = mode if mode in (REQUIRED, OPTIONAL, FIXED) else condition.mode
    values = [data.get(f"{prefix}-value{number}") for number in range(2)]
    if condition.mode == FIXED and any(value is not None for value in values):
        condition.values = [(value or "")[:_MAX_INPUT] for value in values][: max(condition.count, 1)]


def press(query: Query, button: str, data: QueryDict, listing: Listing) -> None:
    """Do what a button says. A button that makes no sense any more does nothing."""
    word, _, rest = button.partition(":")
    action = _ACTIONS.get(word)
    if action is not None:
        action(query, rest, data, listing)


def choose_main(query: Query, schema: str, table: TableInfo) -> None:
    """Begin again with a table: its columns are chosen, and what its callers probably search by is a filter."""
    query.__init__()  # type: ignore[misc]
    chosen = query.add_table(chosen_table(schema, table))
    query.choose(chosen.alias, proposals.columns(chosen))
    by = proposals.search_column(chosen)
    if by is not None:
        query.add_condition(chosen.alias, by.name)
    else:
        query.delivery = PAGES
        query.sortings = [Sorting(chosen.alias, column.name) for column in proposals.order(chosen)]


def join(query: Query, offer: Offer) -> None:
    """Join a table. Its columns are chosen, but for keys and what identifies a person."""
    chosen = query.add_table(chosen_table(offer.join.table.schema, offer.table))
    chosen.kind = offer.join.kind
    chosen.on = [(earlier.table, earlier.column, own) for earlier, own in offer.join.on]
    query.choose(chosen.alias, proposals.joined_columns(chosen))


def chosen_table(schema: str, table: TableInfo) -> ChosenTable:
    """Return a table of the catalogue as the draft holds it."""
    links = {name for key in table.foreign_keys for name in key.columns}
    columns = [
        TableColumn(column.name, column.kind, column.key, column.comment[:MAX_COMMENT], column.name in links)
        for column in table.columns[:MAX_COLUMNS]
    ]
    return ChosenTable(schema, table.name, table.name, table.comment[:MAX_COMMENT], table.rows, columns)


def _main(query: Query, rest: str, data: QueryDict, listing: Listing) -> None:
    table = listing.table(rest)
    if table is not None:
        choose_main(query, listing.schema, table)


def _join(query: Query, rest: str, data: QueryDict, listing: Listing) -> None:
    offered = joins.offers(query, listing)
    offer = next((each for each in offered if each.key == rest), None)
    if offer is not None and len(query.tables) <= MAX_JOINS:
        join(query, offer)


def _by_hand(query: Query, rest: str, data: QueryDict, listing: Listing) -> None:
    """Join a table by columns that the user chooses; columns of the same name are proposed."""
    table = listing.table(data.get("new-table", ""))
    if table is None or not query.tables or len(query.tables) > MAX_JOINS:
        return
    earlier = query.tables[0]
    chosen = query.add_table(chosen_table(listing.schema, table))
    chosen.manual = True
    shared = [column.name for column in earlier.columns if chosen.column(column.name) is not None]
    chosen.on = [(earlier.alias, shared[0], shared[0])] if shared else []
    query.choose(chosen.alias, proposals.joined_columns(chosen))


def _drop(query: Query, rest: str, data: QueryDict, listing: Listing) -> None:
    if rest in {table.alias for table in query.tables[1:]}:
        query.remove_table(rest)


def _again(query: Query, rest: str, data: QueryDict, listing: Listing) -> None:
    query.__init__()  # type: ignore[misc]


def _add_filter(query: Query, rest: str, data: QueryDict, listing: Listing) -> None:
    alias, _, name = data.get("new-filter", "").partition(":")
    column = query.column(alias, name)
    if column is not None:
        condition = query.add_condition(alias, name, operators_for(column.kind)[0])
        condition.mode = OPTIONAL if len(query.conditions) > 1 else REQUIRED


def _drop_filter(query: Query, rest: str, data: QueryDict, listing: Listing) -> None:
    if _is_index(rest, query.conditions):
        del query.conditions[int(rest)]


def _add_order(query: Query, rest: str, data: QueryDict, listing: Listing) -> None:
    alias, _, name = data.get("new-order", "").partition(":")
    taken = {(each.table, each.column) for each in query.sortings}
    if query.column(alias, name) is not None and (alias, name) not in taken:
        query.sortings.append(Sorting(alias, name))


def _drop_order(query: Query, rest: str, data: QueryDict, listing: Listing) -> None:
    if _is_index(rest, query.sortings):
        del query.sortings[int(rest)]


def _is_index(text: str, rows: Sized) -> bool:
    """Return True if the text is the number of one of the rows."""
    return text in map(str, range(len(rows)))


#: The buttons: the word before the colon → what it does with what follows.
_ACTIONS: dict[str, Callable[[Query, str, QueryDict, Listing], None]] = {
    "main": _main,
    "join": _join,
    "by-hand": _by_hand,
    "drop": _drop,
    "again": _again,
    "add-filter": _add_filter,
    "drop-filter": _drop_filter,
    "add-order": _add_order,
    "drop-order": _drop_order,
}
