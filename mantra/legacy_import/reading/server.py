"""Reads a running MySQL or MariaDB, in one transaction that sees one state and changes nothing."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.utils.translation import gettext as _

from adapters import adapter_class
from adapters.base import ConnectFailed, SourceError
from adapters.mysql import to_source_error
from adapters.socket_watch import watchdog
from dataservices.connection_test import ADVICE
from mantra.legacy_import.reading import schema
from mantra.legacy_import.reading.dump import Progress
from mantra.legacy_import.reading.problems import UnreadableDatabase
from mantra.legacy_import.reading.store import Filler, Store, StoredDatabase

#: Seconds for a statement or for the next rows; rows that are fetched at once.
_SECONDS, _BATCH = 120.0, 1000
_SCHEMES = ("mysql", "mysqli", "mariadb")
_SETTINGS = frozenset(("engine", "host", "port", "database", "user", "password", "ssl_mode"))
_SSL_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_IDENTITY")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")

_COLUMNS = (
    "SELECT c.table_name, c.column_name FROM information_schema.columns AS c"
    " JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
    " WHERE c.table_schema = DATABASE() AND t.table_type = 'BASE TABLE'"
    " ORDER BY c.table_name, c.ordinal_position"
)


@contextmanager
def open_server(address: str, progress: Progress | None = None) -> Iterator[StoredDatabase]:
    """Read the database of 1.99x at an address, mysql://user:password@host:port/database.

    ``progress`` is called with the rows that were read, and with about how many there are. What is read is dropped at
    the end of the block; the connection is closed when it begins. Raises UnreadableDatabase.
    """
    store = Store()
    try:
        _read(_source(address), store, progress)
        yield store.finished("")
    finally:
        store.close()


def _source(address: str) -> dict[str, Any]:
    """Return the settings of a source for an address. Raises UnreadableDatabase."""
    try:
        parts = urlsplit(address.strip())
        source = {
            "engine": "mysql",
            "host": parts.hostname or "",
            "port": parts.port or 3306,
            "database": unquote(parts.path[1:], errors="strict"),
            "user": unquote(parts.username or "", errors="strict"),
            "password": unquote(parts.password or "", errors="strict"),
            **dict(parse_qsl(parts.query, strict_parsing=True) if parts.query else ()),
        }
    except ValueError:
        raise UnreadableDatabase(_wrong_address()) from None
    is_whole = all(source[name] for name in ("host", "database", "user"))
    if parts.scheme not in _SCHEMES or not is_whole or source.keys() - _SETTINGS or _CONTROLS.search(address):
        raise UnreadableDatabase(_wrong_address())
    if source.get("ssl_mode", "REQUIRED") not in _SSL_MODES:
        raise UnreadableDatabase(_wrong_address())
    return source


def _wrong_address() -> str:
    return _(
        "Write the address as mysql://user:password@host:port/database. Signs like @ : / # ? in the password need "
        "their percent codes: %40 for @."
    )


def _read(source: dict[str, Any], store: Store, progress: Progress | None) -> None:
    try:
        connection = adapter_class("mysql")(source).connect()
    except SourceError as error:
        raise _failed(error) from None
    try:
        session = Session(connection)
        session.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        _find_tables(session, store)
        schema.choose(store.databases())
        for database, table in store.columns:
            store.counts[database, table] = _count(session, table)
        _read_tables(session, store, progress)
    finally:
        connection.close()


def _failed(error: SourceError) -> UnreadableDatabase:
    if error.reason in ("syntax", "object-unknown") and isinstance(error, ConnectFailed):
        return UnreadableDatabase(
            _("The server is older than MySQL 5.6 or MariaDB 10, and cannot be read. Import a dump of its database.")
        )
    return UnreadableDatabase(str(ADVICE.get(error.reason, ADVICE["other"])))


def _find_tables(session: Session, store: Store) -> None:
    """Begin all tables of the database, with their columns. Views are none."""
    columns: dict[str, list[str]] = defaultdict(list)
    for table, column in session.rows(_COLUMNS):
        columns[_name(table)].append(_name(column).lower())
    for name, names in columns.items():
        session.tables[name.lower()] = name
        store.begin(("", name.lower()), names)


def _name(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def _count(session: Session, table: str) -> int:
    return sum(int(number or 0) for (number,) in session.rows(f"SELECT COUNT(*) FROM {session.quoted(table)}"))  # noqa: S608


def _read_tables(session: Session, store: Store, progress: Progress | None) -> None:
    fillers = [(place, filler) for place in list(store.columns) if (filler := store.filler(place)) is not None]
    rows, total = 0, sum(store.counts[place] for place, _filler in fillers)
    for place, filler in fillers:
        if progress is not None:
            progress(rows, total)
        columns = ", ".join(f"`{column}`" if column in store.columns[place] else "NULL" for column in filler.columns)
        for row in session.rows(f"SELECT {columns} FROM {session.quoted(place[1])}"):  # noqa: S608 (our own names)
            _add(filler, row)
            rows += 1
            if progress is not None and rows % _BATCH == 0:
                progress(rows, total)


def _add(filler: Filler, row: tuple[bytes | None, ...]) -> None:
    try:
        filler.add(row, "utf-8")
    except ValueError:
        raise UnreadableDatabase(_("A row of the database has no number as its id. Repair it there.")) from None


class Session:
    """A connection whose statements end in time. Values come as the bytes that the server sends."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        #: The names of tables as the server has them, by their lower case.
        self.tables: dict[str, str] = {}
        # Without conversions every value is bytes, in the connection's character set.
        connection.converter = {}

    def quoted(self, table: str) -> str:
        """Return the name of a table for a statement."""
        return "`" + self.tables[table].replace("`", "``") + "`"

    def run(self, statement: str) -> None:
        """Run a statement without a result."""
        for _row in self.rows(statement):
            pass

    def rows(self, statement: str) -> Iterator[tuple[bytes | None, ...]]:
        """Return the rows of a query as they come. Raises UnreadableDatabase."""
        result = self._timed(self._started, statement.encode())
        while result is not None and (rows := self._timed(result.fetch_row, _BATCH, 0)):
            yield from rows

    def _started(self, statement: bytes) -> Any:
        self._connection.query(statement)
        return self._connection.use_result()

    def _timed(self, step: Any, *words: Any) -> Any:
        watch = watchdog.begin(self._connection.fileno(), time.monotonic() + _SECONDS)
        try:
            result = step(*words)
        except Exception as error:
            fault = to_source_error(error, watchdog.end(watch))
            if not isinstance(fault, SourceError):
                raise
            raise _failed(fault) from None
        if (cut := watchdog.end(watch)) is not None:
            raise _failed(cut)
        return result
