"""SQLite, the embedded default, over Python's own driver."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from adapters.base import (
    BATCH,
    CONNECT_SECONDS,
    LOOK_SECONDS,
    ROW_BYTES,
    Adapter,
    ColumnInfo,
    ConnectFailed,
    Fetching,
    Key,
    Limits,
    Piece,
    QueryFailed,
    Row,
    Setting,
    SourceError,
    Stored,
    Stream,
    TimedOut,
    TooWide,
    gather,
    keys_of,
    plannable,
    widest,
)
from adapters.files import locate

#: Milliseconds that SQLite itself waits for another's lock before we look at the clock again.
_LOCK_MS = 200

#: Virtual machine steps between two looks at the clock: some 0.1 ms.
_STEPS = 10_000

#: The longest statement; SQLite has one limit for it and for the longest value.
_STATEMENT_BYTES = 1024 * 1024

_DENIED = frozenset((sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA))
_DENIED_FUNCTIONS = frozenset(("load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"))

_CODES = {
    sqlite3.SQLITE_BUSY: "timeout",
    sqlite3.SQLITE_LOCKED: "timeout",
    sqlite3.SQLITE_INTERRUPT: "timeout",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CONSTRAINT: "constraint",
    sqlite3.SQLITE_AUTH: "forbidden",
    sqlite3.SQLITE_PERM: "forbidden",
    sqlite3.SQLITE_TOOBIG: "too-wide",
    sqlite3.SQLITE_MISMATCH: "data",
    sqlite3.SQLITE_RANGE: "data",
    sqlite3.SQLITE_CANTOPEN: "file-missing",
    sqlite3.SQLITE_NOTADB: "database-unknown",
    sqlite3.SQLITE_CORRUPT: "broken",
    sqlite3.SQLITE_IOERR: "broken",
}
_CONNECTING = {"file-missing", "database-unknown", "broken"}


class Connection(sqlite3.Connection):
    """A connection that knows when its statement has to be done, by time.monotonic()."""

    deadline = float("inf")

    def late(self) -> bool:
        return time.monotonic() > self.deadline


class SQLite(Adapter):
    engine = "sqlite"
    label = "SQLite"
    driver = "sqlite3"
    install = "apt-get install libsqlite3-0 (Python must have been built with sqlite3)"
    dialect = "sqlite"
    paramstyle = "named"
    settings = (
        Setting("database", "File", required=True, help="the database file, in a folder that the operator has opened"),
    )

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self._path()))}?mode={'rw' if writes else 'ro'}",
                uri=True,
                timeout=_LOCK_MS / 1000,
                isolation_level=None,
                check_same_thread=False,
                factory=Connection,
            )
        except sqlite3.Error as error:
            raise ConnectFailed(_reason(error)) from None
        try:
            prepare(connection, writes)
        except sqlite3.Error as error:
            # Another's lock is the statement's affair: it waits as long as its own time cap allows.
            if _reason(error) != "timeout":
                connection.close()
                raise ConnectFailed(_reason(error)) from None
        connection.set_authorizer(authorize)
        connection.set_progress_handler(connection.late, _STEPS)
        return connection

    def _path(self) -> Path:
        """The database file. Raises ConnectFailed unless it is there, under a folder of the source's roots."""
        path = locate(self.source)
        if not path.is_file():
            raise ConnectFailed("file-missing")
        return path

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        connection.deadline = time.monotonic() + limits.seconds
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(limits.width, _STATEMENT_BYTES))
        except sqlite3.Error as error:
            raise _fault(error) from None
        if limits.writes:
            return _write(connection, sql, arguments, limits)
        try:
            cursor = _execute(connection, sql, _values(arguments))
            if cursor.description is None:
                return Stored(affected=cursor.rowcount)
            first = gather(cursor.fetchmany, min(limits.rows + 1, BATCH), limits)
            if first.ended:
                return Stored(_columns(cursor), first.rows)
            return Cursor(connection, cursor, first, limits)
        except Exception as error:
            raise _fault(error) from None

    def ping(self, connection: Any) -> bool:
        try:
            connection.total_changes  # noqa: B018
        except sqlite3.Error:
            return False
        return True

    def schemas(self, connection: Any) -> list[str]:
        return ["main"]

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        rows = _look(
            connection,
            "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"
            " AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
        )
        return [(name, kind) for name, kind in rows]

    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        rows = _pragma(connection, 'SELECT name, type, "notnull", pk FROM pragma_table_info(?)', table)
        return [
            ColumnInfo(name, type_, _kind(type_), nullable=not notnull and not key, key=bool(key))
            for name, type_, notnull, key in rows
        ]

    def databases(self, connection: Any) -> list[str]:
        """The file."""
        return [str(self.source.get("database") or "")]

    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        """SQLite names neither primary nor foreign keys: they are called by what they are."""
        primary = _pragma(connection, "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", table)
        indexes = _pragma(
            connection,
            "SELECT l.name, CASE WHEN l.\"unique\" AND NOT l.partial THEN 'unique' ELSE 'index' END,"
            " coalesce(i.name, '(…)') FROM pragma_index_list(?) l, pragma_index_info(l.name) i"
            " WHERE l.origin <> 'pk' ORDER BY l.name, i.seqno",
            table,
        )
        foreign = _pragma(
            connection,
            "SELECT 'foreign key ' || (f.id + 1), 'foreign', f.\"from\", 'main', f.\"table\", coalesce(f.\"to\","
            ' (SELECT name FROM pragma_table_info(f."table") WHERE pk = f.seq + 1))'
            " FROM pragma_foreign_key_list(?) f ORDER BY f.id, f.seq",
            table,
        )
        return keys_of([*(("primary key", "primary", name) for (name,) in primary), *indexes, *foreign])

    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """EXPLAIN QUERY PLAN, each step behind what it belongs to."""
        plannable(sql)
        stream = self.run(connection, f"EXPLAIN QUERY PLAN {sql}", arguments, Limits(10_000, limits.seconds))
        return tree([row for batch in stream for row in batch])


def tree(steps: list[Row]) -> list[str]:
    """The lines of EXPLAIN QUERY PLAN's (id, parent, –, text), two blanks for each step down."""
    depth = {0: -1}
    for id, parent, _, _ in steps:
        depth[id] = depth.get(parent, -1) + 1
    return ["  " * depth[id] + text for id, _, _, text in steps]


def prepare(connection: Connection, writes: bool) -> None:
    # This database works in our own memory: no statement may build a value of any size there.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ROW_BYTES)
    connection.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchall()


class Cursor(Fetching):
    """An answer that is read as it is taken. It holds a read lock on the file until it is closed."""

    def __init__(self, connection: Connection, cursor: sqlite3.Cursor, first: Piece, limits: Limits) -> None:
        super().__init__(_columns(cursor), first, limits)
        self._connection = connection
        self._cursor = cursor

    def _fetch(self, count: int) -> list[Row]:
        try:
            if self._connection.late():
                raise TimedOut("timeout")
            return self._cursor.fetchmany(count)
        except Exception as error:
            self._give_up()
            raise _fault(error) from None

    def _give_up(self) -> None:
        self.reusable = False
        self.close()

    def close(self) -> None:
        self._first = []
        self._cursor.close()


def _write(connection: Connection, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stored:
    try:
        _execute(connection, "BEGIN IMMEDIATE", ())
        cursor = _execute(connection, sql, _values(arguments))
        if cursor.description is None:
            stored = Stored(affected=cursor.rowcount)
        else:
            # SQLite makes the changes before the first row of RETURNING, and counts them after the last.
            rows = _returned(cursor, limits)
            stored = Stored(_columns(cursor), rows, cursor.rowcount)
        _execute(connection, "COMMIT", ())
        return stored
    except Exception as error:
        connection.deadline = float("inf")
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise _fault(error) from None


def _returned(cursor: sqlite3.Cursor, limits: Limits) -> list[Row]:
    """The rows up to one more than the cap; the others are passed over. Raises TooWide."""
    kept: list[Row] = []
    size = 0
    while rows := cursor.fetchmany(100):
        size += len(rows) * widest(rows, limits)
        if size > 2 * limits.width:
            raise TooWide
        kept += rows[: limits.rows + 1 - len(kept)]
    return kept


def _execute(connection: Connection, sql: str, values: Any) -> sqlite3.Cursor:
    """Run a statement, waiting for other writers no longer than the time cap."""
    while True:
        try:
            return connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or connection.late():
                raise


def _values(arguments: Mapping[str, Any] | Sequence[Any]) -> Any:
    if isinstance(arguments, Mapping):
        return {name: _value(value) for name, value in arguments.items()}
    return [_value(value) for value in arguments]


def _value(value: Any) -> Any:
    """A value in one of SQLite's own five types, as its date functions and its number literals have it."""
    if value is None or isinstance(value, (str, int, float, bytes)):
        return value
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, (date, clock_time)):
        return value.isoformat()
    return value


def _number(value: Decimal) -> int | float | str:
    """The number as SQLite holds it. Digits that neither of its number types can keep stay text."""
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value() and abs(value) < 2**63:
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else format(value, "f")


def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action in _DENIED or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _DENIED_FUNCTIONS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _columns(cursor: sqlite3.Cursor) -> tuple[tuple[str, str | None], ...]:
    """Names without types: a SQLite column may hold any type, so each value tells its own."""
    return tuple([(column[0], None) for column in cursor.description])


def _kind(declared: str) -> str | None:
    """A declared type's meaning, by SQLite's own rule of affinity; None where values may be of any type."""
    name = declared.upper()
    for words, kind in (
        (("INT",), "integer"),
        (("CHAR", "CLOB", "TEXT"), "text"),
        (("BLOB",), "bytes"),
        (("REAL", "FLOA", "DOUB"), "float"),
        (("DATETIME", "TIMESTAMP"), "datetime"),
        (("DATE",), "date"),
        (("BOOL",), "boolean"),
        (("DEC", "NUMERIC"), "decimal"),
    ):
        if any(word in name for word in words):
            return kind
    return None


def _pragma(connection: Connection, sql: str, *values: str) -> list[Row]:
    """What a table-valued PRAGMA says: those are not for callers."""
    connection.set_authorizer(None)
    try:
        return _look(connection, sql, *values)
    finally:
        connection.set_authorizer(authorize)


def _look(connection: Connection, sql: str, *values: str) -> list[Row]:
    connection.deadline = time.monotonic() + LOOK_SECONDS
    try:
        return _execute(connection, sql, values).fetchall()
    except Exception as error:
        raise _fault(error) from None


def _fault(error: Exception) -> Exception:
    """The driver's error as one of ours; an error that is not the driver's stays itself."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, (OverflowError, UnicodeError, sqlite3.InterfaceError)):
        return QueryFailed("data")
    if not isinstance(error, sqlite3.Error):
        return error
    reason = _reason(error)
    if reason == "timeout":
        return TimedOut(reason)
    if reason == "too-wide":
        return TooWide()
    return (ConnectFailed if reason in _CONNECTING else QueryFailed)(reason)


def _reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    text = str(error)
    if code is None:
        if "closed" in text:
            return "broken"
        return "data" if "decode" in text or "not supported" in text else "syntax"
    if code & 0xFF in _CODES:
        return _CODES[code & 0xFF]
    if text.startswith("no such"):
        return "object-unknown"
    return "syntax" if code & 0xFF == sqlite3.SQLITE_ERROR else "other"
