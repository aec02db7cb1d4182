"""The tables of a draft's source, with comments, numbers of rows and foreign keys."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.base import TableInfo
from dataservices import authoring
from dataservices.models import DataSource


@dataclass(frozen=True, slots=True)
class Listing:
    """The schemas of a source, and the tables of one. ``complete`` is False if there are more."""

    schemas: list[str] = field(default_factory=list)
    schema: str = ""
    tables: tuple[TableInfo, ...] = ()
    complete: bool = True

    def table(self, name: str) -> TableInfo | None:
        return next((table for table in self.tables if table.name == name), None)


def listing(source: DataSource, schema: str = "") -> Listing:
    """Return the tables of a schema, of the first one without a name. Raises AuthoringError."""
    found = authoring.schema(source, schema)
    return Listing(found.schemas, found.schema, found.catalogue.tables, found.catalogue.complete)
