"""The joins that the wizard offers: along the foreign keys of the chosen tables, in both directions."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.base import TableInfo
from dataservices.builder import INNER, Join, SpecError, suggested_joins
from mantra.wizard.catalogue import Listing
from mantra.wizard.query import Query


@dataclass(frozen=True, slots=True)
class Offer:
    """A table that can be joined, in the builder's form and as the source describes it."""

    join: Join
    table: TableInfo

    @property
    def key(self) -> str:
        """The value of its button."""
        pairs = ",".join(f"{earlier.table}.{earlier.column}={own}" for earlier, own in self.join.on)
        return f"{self.table.name}:{pairs}"

    @property
    def many(self) -> bool:
        """True if a row can find several there."""
        return self.join.kind == INNER


def offers(query: Query, listing: Listing) -> list[Offer]:
    """Return the joins along foreign keys, those that find one row first; none while a join by hand is unfinished."""
    keys = {(listing.schema, table.name): table.foreign_keys for table in listing.tables}
    try:
        suggested = suggested_joins(query.tables_only(), keys)
    except SpecError:
        return []
    found = []
    for join in suggested:
        table = listing.table(join.table.name)
        if table is not None and join.table.schema in ("", listing.schema) and not _is_way_back(query, join):
            found.append(Offer(join, table))
    return found


def _is_way_back(query: Query, join: Join) -> bool:
    """Return True for the join by which one of the tables was joined, seen from its other end."""
    on = {(earlier.table, earlier.column, own) for earlier, own in join.on}
    for table in query.tables:
        back = {(table.alias, own, column) for _alias, column, own in table.on}
        earlier_tables = [query.table(alias) for alias, _column, _own in table.on]
        if back and back == on and any(each and each.name == join.table.name for each in earlier_tables):
            return True
    return False
