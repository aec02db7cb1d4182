"""The schema browser: what the account of a data source sees there, for users who may change the source."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters import missing_driver
from adapters.base import Adapter, ColumnInfo, Key, Limits, QueryFailed, SourceError
from dataservices import pool
from dataservices.connection_test import ADVICE, advise
from dataservices.models import DataSource

#: Seconds that one page's queries on a source may take together.
SECONDS = 10.0

#: Rows of a sample, characters of a value, and names in a list, that a page shows.
SAMPLE_ROWS, MAX_CHARACTERS, MAX_NAMES = 20, 200, 2000

KINDS: dict[str, Any] = {
    "primary": _("primary key"),
    "unique": _("unique"),
    "foreign": _("foreign key"),
    "index": _("index"),
}


class BrowseError(Exception):
    """The reason why nothing can be shown, as a message for the user. ``cause`` is the source's error, if it is one."""

    def __init__(self, message: str, cause: SourceError | None = None) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass
class SchemaView:
    """The content of a page. ``sample`` is None until rows are requested; its values are texts or None."""

    databases: list[str]
    schemas: list[str]
    schema: str
    tables: list[tuple[str, str]]
    table: str = ""
    columns: list[ColumnInfo] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    sample: list[tuple[str | None, ...]] | None = None
    #: True if there are more tables than are listed.
    more: bool = False


@contextmanager
def pooled_connection(row: DataSource, seconds: float = SECONDS) -> Iterator[tuple[Adapter, Any]]:
    """Provide an adapter and a reading connection of the source's pool, as for a call. Raises BrowseError.

    The adapters end each query in time, and the pool's bulkhead limits the waiting threads, as for calls.
    """
    if missing_driver(row.engine):
        raise BrowseError(str(ADVICE["driver-missing"]))
    try:
        source_pool = pool.source_pool(row.pk, row.engine, row.settings(), row.pool_size)
        pooled = source_pool.checkout(False, seconds)
    except pool.Busy:
        raise BrowseError(gettext("All connections to the source are in use. Try again shortly.")) from None
    except pool.CircuitOpen:
        raise BrowseError(
            gettext("The source failed several times, so its circuit is open. Try again in a few seconds.")
        ) from None
    except SourceError as error:
        raise BrowseError(_message(error, row), error) from None
    try:
        yield source_pool.adapter, pooled.connection
        pooled.give_back()
    except QueryFailed as error:
        pooled.give_back()
        raise BrowseError(_message(error, row), error) from None
    except SourceError as error:
        source_pool.record_outcome(error)
        raise BrowseError(_message(error, row), error) from None
    finally:
        pooled.drop()  # does nothing after give_back()


def _message(error: SourceError, row: DataSource) -> str:
    code = f" [{error.sqlstate}]" if error.sqlstate else ""
    return f"{advise(error.reason, row)}{code}"


def browse(row: DataSource, schema: str = "", table: str = "", rows: bool = False) -> SchemaView:
    """Return a source's schemas, the tables of one, and the columns and keys of one table. Raises BrowseError.

    ``rows``: with its first rows, too. Without a ``schema`` it is the first one. Unknown names show nothing.
    """
    deadline = time.monotonic() + SECONDS
    with pooled_connection(row) as (adapter, connection):
        schemas = adapter.schemas(connection)
        schema = schema if schema in schemas else schemas[0] if schemas else ""
        tables = adapter.tables(connection, schema) if schema else []
        view = SchemaView(
            adapter.databases(connection), schemas[:MAX_NAMES], schema, tables[:MAX_NAMES], more=len(tables) > MAX_NAMES
        )
        if table not in dict(tables):
            return view
        view.table = table
        view.columns = adapter.columns(connection, schema, table)
        view.keys = adapter.keys(connection, schema, table)
        left = deadline - time.monotonic()
        if rows and left > 0:
            _sample(view, adapter, connection, left)
        return view


def _sample(view: SchemaView, adapter: Adapter, connection: Any, seconds: float) -> None:
    stream = adapter.sample(connection, view.schema, view.table, Limits(SAMPLE_ROWS, seconds, width=settings.ROW_BYTES))
    try:
        view.header = [name for name, _type in stream.columns]
        rows = [row for batch in stream for row in batch][:SAMPLE_ROWS]
    finally:
        stream.close()
    view.sample = [tuple(map(printable, row)) for row in rows]


def printable(value: Any) -> str | None:
    """Return a value for a page's table: at most its first characters, and only the number of bytes."""
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return gettext("%d bytes") % len(value)
    text = str(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"
