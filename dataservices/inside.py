"""A look inside a data source: what its account sees there, for who may change the source."""

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
from dataservices import sources
from dataservices.diagnosis import ADVICE, advise
from dataservices.models import DataSource

#: Seconds that one page's questions to a source may take together.
SECONDS = 10.0

#: Rows of a sample, letters of a value, and names in a list, that a page shows.
SAMPLE, LETTERS, NAMES = 20, 200, 2000

KINDS: dict[str, Any] = {
    "primary": _("primary key"),
    "unique": _("unique"),
    "foreign": _("foreign key"),
    "index": _("index"),
}


class Unseen(Exception):
    """Why nothing can be shown, in words for the source's keeper."""


@dataclass
class Inside:
    """What a page shows of a source. ``sample`` is None until rows are asked for; its values are texts or None."""

    databases: list[str]
    schemas: list[str]
    schema: str
    tables: list[tuple[str, str]]
    table: str = ""
    columns: list[ColumnInfo] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    sample: list[tuple[str | None, ...]] | None = None
    #: There are more tables than are listed.
    more: bool = False


@contextmanager
def leased(row: DataSource, seconds: float = SECONDS) -> Iterator[tuple[Adapter, Any]]:
    """An adapter and a reading connection of a source's own pool, as calls have them. Raises Unseen.

    However the source hangs, the adapters end each question in time, and no more threads wait for it than for calls.
    """
    if missing_driver(row.engine):
        raise Unseen(str(ADVICE["driver-missing"]))
    try:
        source = sources.source(row.pk, row.engine, row.settings(), row.pool_size)
        lease = source.checkout(False, seconds)
    except sources.Busy:
        raise Unseen(gettext("All connections to the source are in use. Try again shortly.")) from None
    except sources.Tripped:
        raise Unseen(gettext("The source has failed several times and is left alone for some seconds.")) from None
    except SourceError as error:
        raise Unseen(_told(error, row)) from None
    try:
        yield source.adapter, lease.connection
        lease.give_back()
    except QueryFailed as error:
        lease.give_back()
        raise Unseen(_told(error, row)) from None
    except SourceError as error:
        source.judge(error)
        raise Unseen(_told(error, row)) from None
    finally:
        lease.drop()  # does nothing where it was given back


def _told(error: SourceError, row: DataSource) -> str:
    code = f" [{error.sqlstate}]" if error.sqlstate else ""
    return f"{advise(error.reason, row)}{code}"


def look(row: DataSource, schema: str = "", table: str = "", rows: bool = False) -> Inside:
    """A source's schemas, the tables of one, what one of these is made of, and with ``rows`` its first. Raises Unseen.

    Without a ``schema`` it is the first. Names that are not there show nothing.
    """
    deadline = time.monotonic() + SECONDS
    with leased(row) as (adapter, connection):
        schemas = adapter.schemas(connection)
        schema = schema if schema in schemas else schemas[0] if schemas else ""
        tables = adapter.tables(connection, schema) if schema else []
        found = Inside(adapter.databases(connection), schemas[:NAMES], schema, tables[:NAMES], more=len(tables) > NAMES)
        if table not in dict(tables):
            return found
        found.table = table
        found.columns = adapter.columns(connection, schema, table)
        found.keys = adapter.keys(connection, schema, table)
        left = deadline - time.monotonic()
        if rows and left > 0:
            _sample(found, adapter, connection, left)
        return found


def _sample(found: Inside, adapter: Adapter, connection: Any, seconds: float) -> None:
    stream = adapter.sample(connection, found.schema, found.table, Limits(SAMPLE, seconds, width=settings.ROW_BYTES))
    try:
        found.header = [name for name, _type in stream.columns]
        taken = [row for batch in stream for row in batch][:SAMPLE]
    finally:
        stream.close()
    found.sample = [tuple(map(shown, row)) for row in taken]


def shown(value: Any) -> str | None:
    """A value as a page's table has it: no more than its beginning, and of bytes only how many."""
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return gettext("%d bytes") % len(value)
    text = str(value)
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"
