"""SQLite, the embedded default, over Python's own driver."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from adapters.base import (
    CONNECT_SECONDS,
    LOOK_SECONDS,
    MAX_WORDS,
    ROW_BYTES,
    TIME_ZONE,
    Adapter,
    AuthorWords,
    ColumnInfo,
    ConnectFailed,
    FullScan,
    Key,
    Limits,
    QueryFailed,
    Row,
    RowTooLarge,
    Setting,
    SourceError,
    Stream,
    TimedOut,
    ValueRefused,
    converted,
    keys_of,
    local_time,
    plannable,
    statement_error,
)
from adapters.files import locate
from adapters.sqlite_cost import PATTERN_BYTES, Cost, RepeatedCharacter, cost_of
from adapters.sqlite_watch import WatchedStatement, watch
from adapters.streaming import BATCH, BufferedResult, Chunk, ChunkedResult, fetch_first, widest_row

#: Milliseconds that SQLite itself waits for another's lock before the time cap is checked again.
_LOCK_MS = 200

#: The longest statement; Python's driver has one limit for it and for the longest value.
_STATEMENT_BYTES = 1024 * 1024

_PLAN = "EXPLAIN QUERY PLAN "

#: Statements whose cost is remembered.
_MOST_COSTS = 500
_NO_COST = Cost(0, 0, ())

#: Seconds that counting the rows of one table may take.
COUNT_SECONDS = 1.0

#: The definitions of tables, and of the views over them.
_DEFINITIONS = (
    "SELECT sql FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    " AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY type"
)

#: A step of a plan that reads a whole table.
_SCAN = re.compile(r"\s*SCAN (?!CONSTANT ROW)(?:TABLE )?(\w+)(?! USING)")

#: SQLite's words about a token that it cannot read, a name that it does not know, and a statement without its end.
_NEAR = re.compile(r'near "(.+)": syntax error', re.S)
_NAMED = re.compile(r"(?:no such (?:column|table|function)|ambiguous column name): (.+)")
_INCOMPLETE = "incomplete input"

#: Places of a token that are tried.
MAX_PLACES = 100

_DENIED = frozenset((sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA))
_DENIED_FUNCTIONS = frozenset(("load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"))

_CODES = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
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
    """A connection with the deadline of its statement, a time.monotonic() value, and the limit of its values."""

    deadline = float("inf")
    longest = 0
    #: The path of the file, and what distinguishes it from one that is moved into its place.
    file: tuple[Path, tuple[int, int] | None] | None = None

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
        TIME_ZONE,
    )

    #: SQLite works in the bus's own process.
    max_seconds = 600

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        #: By statement: what a row of it costs.
        self._costs: dict[str, Cost] = {}

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        path = self._path()
        file = path, _identity(path)
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode={'rw' if writes else 'ro'}",
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
            # A lock is not an error here: the statement waits for it as long as its time cap allows.
            if _reason(error) != "locked":
                connection.close()
                raise ConnectFailed(_reason(error)) from None
        connection.set_authorizer(authorize)
        connection.file = file
        return connection

    def is_current(self, connection: Any) -> bool:
        """As in the base class: a file that was moved into the place of the connection's is another one."""
        path, identity = connection.file
        return bool(identity == _identity(path))

    def restore(self, connection: Any, writes: bool) -> bool:
        """As in the base class: a session's settings cannot be changed here, but it may have temporary tables."""
        try:
            return connection.execute("SELECT 1 FROM sqlite_temp_master LIMIT 1").fetchone() is None
        except sqlite3.Error:
            return False

    def _path(self) -> Path:
        """Return the path of the database file. Raises ConnectFailed unless it exists below a root."""
        path = locate(self.source)
        if not path.is_file():
            raise ConnectFailed("file-missing")
        return path

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        connection.deadline = time.monotonic() + limits.seconds
        values = converted(arguments, self.bound_value)
        statement = watch.begin(connection, connection.deadline)
        try:
            with statement:
                self._limit_values(connection, sql, values, limits)
                if limits.writes:
                    stored = _write(connection, sql, values, limits)
                else:
                    cursor = _execute(connection, sql, values)
                    if cursor.description is None:
                        stored = BufferedResult(affected=cursor.rowcount)
                    else:
                        first = fetch_first(cursor.fetchmany, min(limits.rows + 1, BATCH), limits)
                        if not first.ended:
                            return CursorResult(connection, cursor, first, limits, statement)
                        stored = BufferedResult(_columns(cursor), first.rows)
        except Exception as error:
            watch.end(statement)
            _roll_back(connection)
            if "pattern too complex" in str(error) and isinstance(error, sqlite3.Error):
                raise ValueRefused(_longest_text(values)) from None
            fault = _to_source_error(error, statement.why, connection.longest)
            raise _with_words(fault, error, connection, sql, limits) from None
        watch.end(statement)
        return stored

    def _limit_values(self, connection: Connection, sql: str, values: Any, limits: Limits) -> None:
        """Limit the length of values, so that no row of the statement takes long. Raises RowTooLarge and sqlite3.Error.

        The driver's limit for the statement's own text is the same.
        """
        cost = self._costs.get(sql)
        if cost is None:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(limits.width, _STATEMENT_BYTES))
            # What explain() runs calls no function of the statement.
            planned = sql.startswith(_PLAN)
            cost = _NO_COST if planned else cost_of(_execute(connection, f"EXPLAIN {sql}", values))
            if len(self._costs) >= _MOST_COSTS:
                self._costs.clear()
            self._costs[sql] = cost
        connection.longest = int(min(limits.width, cost.longest(values)))
        length = len(sql) if sql.isascii() else len(sql.encode())
        if length > max(2 * connection.longest, _STATEMENT_BYTES if cost is _NO_COST else 0):
            raise RowTooLarge(connection.longest)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(connection.longest, length))

    def bound_value(self, value: Any) -> Any:
        """Return a value as one of SQLite's five types, in the form of its date functions and number literals.

        Raises OverflowError for an integer of more than 64 bits: SQLite would compare and store another number.
        """
        if isinstance(value, int):
            if not -(2**63) <= value < 2**63:
                raise OverflowError
            return value
        if isinstance(value, Decimal):
            return _number(value)
        if isinstance(value, datetime):
            return local_time(value, self.zone).isoformat(" ")
        if isinstance(value, (date, clock_time)):
            return value.isoformat()
        return value

    def ping(self, connection: Any) -> bool:
        try:
            connection.total_changes  # noqa: B018
        except sqlite3.Error:
            return False
        return True

    def schemas(self, connection: Any) -> list[str]:
        return ["main"]

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        rows = _query(
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
        """Return the file."""
        return [str(self.source.get("database") or "")]

    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        """Return the keys. SQLite names neither primary nor foreign keys: their kind is their name."""
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

    def row_estimate(self, connection: Any, table: str, deadline: float) -> int | None:
        """As in the base class: the rows are counted, as far as there is time."""
        try:
            sql = f"SELECT count(*) FROM {self.quoted(table)}"  # noqa: S608 (the name is quoted)
            return int(_query(connection, sql, seconds=min(deadline - time.monotonic(), COUNT_SECONDS))[0][0])
        except SourceError:
            return None

    def describe(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> tuple[tuple[str, str | None], ...]:
        """As in the base class: the statement runs in a database in memory with the same tables, which are empty.

        The type of a column is the declared one of the table's column that it is; None for others.
        """
        empty = sqlite3.connect(":memory:", isolation_level=None, factory=Connection, check_same_thread=False)
        empty.deadline = time.monotonic() + limits.seconds
        statement = watch.begin(empty, empty.deadline)
        try:
            with statement:
                prepare(empty, writes=True)
                empty.set_authorizer(authorize)
                for (definition,) in _query(connection, _DEFINITIONS):
                    with suppress(sqlite3.Error):  # a table that cannot be made here is missing in the statement
                        empty.execute(definition)
                return _described(empty, sql, converted(arguments, self.bound_value))
        except Exception as error:
            fault = _to_source_error(error, statement.why)
            raise _with_words(fault, error, empty, sql, limits) from None
        finally:
            watch.end(statement)
            empty.close()

    def full_scans(self, plan: Sequence[str]) -> list[FullScan]:
        return [FullScan(match[1]) for line in plan if (match := _SCAN.match(line))]

    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """Return the lines of EXPLAIN QUERY PLAN, each step indented below its parent."""
        plannable(sql)
        stream = self.run(connection, _PLAN + sql, arguments, Limits(10_000, limits.seconds))
        return tree([row for batch in stream for row in batch])


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what distinguishes a file from another in its place; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def tree(steps: list[Row]) -> list[str]:
    """Return the lines of EXPLAIN QUERY PLAN's rows (id, parent, –, text), two blanks for each level."""
    depth = {0: -1}
    for id, parent, _, _ in steps:
        depth[id] = depth.get(parent, -1) + 1
    return ["  " * depth[id] + text for id, _, _, text in steps]


def prepare(connection: Connection, writes: bool) -> None:
    """Set a connection up."""
    # SQLite works in this process's memory: no statement may build a value without a limit there.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ROW_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES)
    connection.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchall()


class CursorResult(ChunkedResult):
    """A result that is read as it is consumed. It holds a read lock on the file until it is closed."""

    def __init__(
        self, connection: Connection, cursor: sqlite3.Cursor, first: Chunk, limits: Limits, statement: WatchedStatement
    ) -> None:
        super().__init__(_columns(cursor), first, limits)
        self._connection = connection
        self._cursor = cursor
        self._statement = statement

    def _fetch(self, count: int) -> list[Row]:
        try:
            if self._connection.late():
                raise TimedOut
            with self._statement:
                return self._cursor.fetchmany(count)
        except Exception as error:
            self._give_up()
            raise _to_source_error(error, self._statement.why, self._connection.longest) from None

    def _give_up(self) -> None:
        self.reusable = False
        self.close()

    def close(self) -> None:
        self._first = []
        self._cursor.close()
        watch.end(self._statement)


def _write(
    connection: Connection, sql: str, values: Mapping[str, Any] | Sequence[Any], limits: Limits
) -> BufferedResult:
    """Run a statement in its own transaction."""
    _execute(connection, "BEGIN IMMEDIATE", ())
    cursor = _execute(connection, sql, values)
    if cursor.description is None:
        stored = BufferedResult(affected=cursor.rowcount)
    else:
        # SQLite makes all changes before the first row of RETURNING, and counts them after the last.
        rows = _returned(cursor, limits)
        stored = BufferedResult(_columns(cursor), rows, cursor.rowcount)
    _execute(connection, "COMMIT", ())
    return stored


def _roll_back(connection: Connection) -> None:
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _longest_text(values: Any) -> str:
    """Return the name of the longest text among the values; "" if there is none, or they have no names."""
    texts = (
        {name: value for name, value in values.items() if isinstance(value, str)} if isinstance(values, dict) else {}
    )
    return max(texts, key=lambda name: len(texts[name]), default="")


def _returned(cursor: sqlite3.Cursor, limits: Limits) -> list[Row]:
    """Return the rows up to one more than the cap; the others are skipped. Raises RowTooLarge."""
    result: list[Row] = []
    size = 0
    while rows := cursor.fetchmany(100):
        size += len(rows) * widest_row(rows, limits)
        if size > 2 * limits.width:
            raise RowTooLarge
        result += rows[: limits.rows + 1 - len(result)]
    return result


def _execute(connection: Connection, sql: str, values: Any) -> sqlite3.Cursor:
    """Run a statement, waiting for other writers no longer than the time cap."""
    while True:
        try:
            return connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or connection.late():
                raise


def _number(value: Decimal) -> int | float | str:
    """Return the number as SQLite stores it. Digits that neither of its number types can store stay text."""
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value() and abs(value) < 2**63:
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else format(value, "f")


def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Deny what reaches other files or the connection's settings. See sqlite3.Connection.set_authorizer."""
    if action in _DENIED or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _DENIED_FUNCTIONS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _columns(cursor: sqlite3.Cursor) -> tuple[tuple[str, str | None], ...]:
    """Return names without types: a SQLite column may contain values of any type."""
    return tuple([(column[0], None) for column in cursor.description])


def _kind(declared: str) -> str | None:
    """Return the bus's name of a declared type, by SQLite's rule of affinity; None if values may have any type."""
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
    """Query a table-valued PRAGMA, which is denied to callers."""
    connection.set_authorizer(None)
    try:
        return _query(connection, sql, *values)
    finally:
        connection.set_authorizer(authorize)


def _described(empty: Connection, sql: str, values: Any) -> tuple[tuple[str, str | None], ...]:
    """Return names and declared types of a statement's columns in a database without rows."""
    texts: list[str] = []
    empty.set_trace_callback(texts.append)
    columns = empty.execute(sql, values).description
    empty.set_trace_callback(None)
    if columns is None:
        raise QueryFailed("read-only")
    # A view knows the declared types of its columns. It can have no placeholders: the driver has written the values.
    empty.execute(f"CREATE TEMP VIEW mantra AS {texts[-1]}")
    empty.set_authorizer(None)
    types = empty.execute("SELECT type FROM pragma_table_info('mantra')").fetchall()
    return tuple((name, _kind(type_)) for (name, *_), (type_,) in zip(columns, types, strict=True))


def _with_words(fault: Exception, error: Exception, connection: Connection, sql: str, limits: Limits) -> Exception:
    """Return the fault, for an author with SQLite's words and the position in ``sql``."""
    if limits.author and isinstance(fault, QueryFailed) and isinstance(error, sqlite3.Error):
        text = str(error)
        syntax, named = _NEAR.match(text), _NAMED.match(text)
        offset = _syntax_offset(connection, sql, syntax[1]) if syntax else None
        offset = len(sql.rstrip()) if text == _INCOMPLETE else offset
        fault.words = AuthorWords(text[:MAX_WORDS], offset, named[1] if named else "")
    return fault


def _syntax_offset(connection: Connection, sql: str, token: str) -> int | None:
    """Return the offset of the token at which SQLite stopped reading: all before it is the beginning of a statement."""
    places = [match.start() for match in re.finditer(re.escape(token), sql)]
    for at in places[:MAX_PLACES] if len(places) > 1 else ():
        try:
            connection.execute(f"EXPLAIN {sql[:at]} {token}")
        except sqlite3.Error as error:
            if _NEAR.match(str(error)):
                return at
    return places[0] if len(places) == 1 else None


def _query(connection: Connection, sql: str, *values: str, seconds: float = LOOK_SECONDS) -> list[Row]:
    connection.deadline = time.monotonic() + seconds
    statement = watch.begin(connection, connection.deadline)
    try:
        with statement:
            return _execute(connection, sql, values).fetchall()
    except Exception as error:
        raise _to_source_error(error, statement.why) from None
    finally:
        watch.end(statement)


def _to_source_error(error: Exception, why: SourceError | None = None, longest: int = 0) -> Exception:
    """Return the driver's error as a SourceError; any other error unchanged.

    ``why``: the reason of an interruption. ``longest``: the most bytes that a value may have.
    """
    if isinstance(error, SourceError):
        return error
    if isinstance(error, RepeatedCharacter):
        return QueryFailed("forbidden")
    if isinstance(error, (OverflowError, UnicodeError, sqlite3.InterfaceError)):
        return QueryFailed("data")
    if not isinstance(error, sqlite3.Error):
        return error
    reason = _reason(error)
    if reason == "timeout" and why is not None:
        return why
    if reason == "too-wide":
        return RowTooLarge(longest)
    return statement_error(reason, "", reason in _CONNECTING)


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
