"""What the wizard chooses by itself: columns, filters, order, types and titles. All of it can be changed."""

from __future__ import annotations

from django.utils.translation import gettext

from mantra.wizard.naming import readable
from mantra.wizard.query import REQUIRED, ChosenTable, Query, TableColumn
from registry import personal_data

#: Columns that are chosen at first, at most.
MAX_CHOSEN = 50


def columns(table: ChosenTable) -> list[str]:
    """Return the columns of the main table that are chosen at first: all that a response can show well."""
    return [column.name for column in table.columns if column.kind != "bytes"][:MAX_CHOSEN]


def joined_columns(table: ChosenTable) -> list[str]:
    """Return the columns of a joined table that are chosen at first: no keys, and none that identifies a person."""
    linked = {own for _alias, _column, own in table.on}
    return [
        column.name for column in table.columns
        if column.kind != "bytes" and not column.key and not column.link and column.name not in linked
        and kind_of(column, table) not in personal_data.IDENTIFIERS
    ][:MAX_CHOSEN]  # fmt: skip


def search_column(table: ChosenTable) -> TableColumn | None:
    """Return the column by which callers probably look up one row: the NIK, or the key of a table about people.

    None for other tables, such as those of codes: callers probably want all of it.
    """
    niks = [column for column in table.columns if kind_of(column, table) == "NIK"]
    keys = [column for column in table.columns if column.key]
    if niks:
        return niks[0]
    people = any(personal_data.recognize(column.name, table=table.name) for column in table.columns)
    return keys[0] if people and len(keys) == 1 else None


def kind_of(column: TableColumn, table: ChosenTable) -> str:
    """Return what personal data a column has by its name, "" for none."""
    finding = personal_data.recognize(column.name, table=table.name)
    return finding.kind if finding else ""


def order(table: ChosenTable) -> list[TableColumn]:
    """Return the columns by which pages are sorted at first: the key, else the first column that has an order."""
    keys = [column for column in table.columns if column.key]
    sortable = [column for column in table.columns if column.kind not in (None, "bytes", "json", "interval")]
    return keys or sortable[:1]


def title(query: Query) -> str:
    """Return a title such as "Penduduk menurut NIK": the main table, and what callers search by."""
    if not query.tables:
        return ""
    name = query.tables[0].comment or readable(query.tables[0].name)
    by = [readable(each.column) for each in query.conditions if each.mode == REQUIRED and each.count]
    if not by or len(name) > 120:
        return name[:200]
    return (gettext("%(data)s by %(search)s") % {"data": name, "search": ", ".join(by)})[:200]
