"""PostgreSQL, over psycopg2."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

from adapters.base import (
    BATCH,
    CONNECT_SECONDS,
    Adapter,
    ColumnInfo,
    ConnectFailed,
    Limits,
    QueryFailed,
    Row,
    Setting,
    SourceError,
    Stored,
    Stream,
    TimedOut,
)
from adapters.network import addresses, silent, watch

#: Rows asked for in one round trip of a large answer.
FETCH = 4 * BATCH

#: The first piece of every answer: a batch, and one row more that tells whether the answer is larger.
FIRST = BATCH + 1

#: What a column's OID means to the bus. Every other type (enumerations, arrays, ranges, network
#: addresses, …) is text as PostgreSQL writes it.
TYPES: dict[int, str] = {
    16: "boolean",
    17: "bytes",
    20: "integer",
    21: "integer",
    23: "integer",
    26: "integer",
    114: "json",
    700: "float",
    701: "float",
    1082: "date",
    1083: "time",
    1114: "datetime",
    1184: "datetime",
    1186: "interval",
    1266: "time",
    1700: "decimal",
    2950: "uuid",
    3802: "json",
}

#: The types that psycopg2 would turn into something that is not exactly what PostgreSQL wrote:
#: decimals, dates (infinity, years BC), JSON, ranges, and arrays of anything.
_AS_WRITTEN = (
    114, 199, 651, 1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1013, 1014, 1015, 1016, 1021, 1022, 1028, 1041,
    1082, 1083, 1114, 1115, 1182, 1183, 1184, 1185, 1186, 1187, 1231, 1266, 1270, 1700, 2950, 2951, 3802, 3807,
    3904, 3905, 3906, 3907, 3908, 3909, 3910, 3911, 3912, 3913, 3926, 3927,
)  # fmt: skip

#: Sent with the connection, so that a statement means the same on every server.
_OPTIONS = {
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    # A cursor is the way rows arrive here, never a sign that only the first few are wanted.
    "cursor_tuple_fraction": "1",
}

_MARK = re.compile(r"%%|%\((\w+)\)s")

#: Runs of a small statement in one session after which it is prepared there, and how many are counted at most.
PREPARED_AFTER, MOST_PREPARED = 5, 100

#: What psycopg2's literals of these classes are to PostgreSQL. Statements with others are not prepared: a
#: Decimal's literal is an integer or a numeric, as it falls out.
_LITERALS = {str: "unknown", type(None): "unknown", bool: "boolean", int: "integer", date: "date"}

_CURSORABLE = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/|\()*(?:select|with|values|table)\b", re.I | re.S)

_CLASSES = {
    "08": "broken",
    "22": "data",
    "23": "constraint",
    "42": "syntax",
}
_STATES = {
    "08001": "unreachable",
    "08004": "refused",
    "25006": "read-only",
    "25P03": "broken",
    "28000": "login",
    "28P01": "login",
    "3D000": "database-unknown",
    "3F000": "object-unknown",
    "42501": "forbidden",
    "42703": "object-unknown",
    "42704": "object-unknown",
    "42883": "object-unknown",
    "42P01": "object-unknown",
    "53300": "too-many-connections",
    "55P03": "timeout",
    "57014": "timeout",
    "57P01": "broken",
    "57P02": "broken",
    "57P03": "refused",
}
_CONNECTING = {"broken", "refused", "unreachable", "login", "database-unknown", "too-many-connections"}

#: libpq gives no SQLSTATE for a connection that fails, only sentences.
_SENTENCES = (
    ("could not translate host name", "host-unknown"),
    ("password", "login"),
    ("pg_hba.conf", "login"),
    ("authentication", "login"),
    ('role "', "login"),
    ('database "', "database-unknown"),
    ("too many", "too-many-connections"),
    ("connection slots", "too-many-connections"),
    ("starting up", "refused"),
    ("shutting down", "refused"),
    ("refused", "refused"),
    ("ssl", "tls"),
    ("certificate", "tls"),
    ("timeout", "unreachable"),
    ("timed out", "unreachable"),
    ("unreachable", "unreachable"),
    ("no route", "unreachable"),
    ("closed the connection", "broken"),
)


class PostgreSQL(Adapter):
    engine = "postgresql"
    label = "PostgreSQL"
    driver = "psycopg2"
    install = "pip install psycopg2-binary"
    dialect = "postgres"
    paramstyle = "pyformat"
    default_port = 5432
    settings = (
        Setting("host", "Host", required=True),
        Setting("port", "Port", default="5432"),
        Setting("database", "Database", required=True),
        Setting("user", "User", required=True),
        Setting("password", "Password", secret=True),
        Setting(
            "sslmode", "TLS", default="prefer", help="disable, allow, prefer, require, verify-ca or verify-full"
        ),
        Setting("sslrootcert", "CA file", help="PEM file with the authority, for verify-ca and verify-full"),
    )  # fmt: skip

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        #: Whether a statement's answers have all fitted into one batch so far.
        self.small: dict[str, bool] = {}
        #: Small statements that can't be prepared.
        self.unprepared: set[str] = set()

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        psycopg2 = _driver()
        source = self.source
        host, port = source.get("host") or "localhost", int(source.get("port") or self.default_port)
        sslmode = source.get("sslmode") or "prefer"
        # libpq counts the time of each attempt by itself, and makes a second one where TLS may be missing.
        attempts = addresses(host, port) * (2 if sslmode in ("prefer", "allow") else 1)
        options = _OPTIONS if writes else {**_OPTIONS, "default_transaction_read_only": "on"}
        try:
            connection = psycopg2.connect(
                host=host,
                port=port,
                dbname=source.get("database") or "",
                user=source.get("user") or "",
                password=source.get("password") or "",
                # Never the bus's own password file or tickets: the source's settings are all there is.
                passfile=os.devnull,
                gssencmode="disable",
                sslmode=sslmode,
                **({"sslrootcert": source["sslrootcert"]} if source.get("sslrootcert") else {}),
                connect_timeout=max(2, int(seconds) // attempts),
                tcp_user_timeout=CONNECT_SECONDS * 1000,
                keepalives_idle=30,
                keepalives_interval=5,
                keepalives_count=3,
                application_name="mantra",
                client_encoding="UTF8",
                options=" ".join(f"-c {name}={value}" for name, value in options.items()),
                connection_factory=_connection_class(),
            )
        except (psycopg2.Error, ValueError, UnicodeError) as error:
            raise ConnectFailed(*_why_not_connected(error)) from None
        connection.autocommit = True
        connection.string_types.update(_casters())
        return connection

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        deadline = time.monotonic() + limits.seconds
        if connection.closed:
            raise ConnectFailed("broken")
        cursor = connection.cursor()
        token = watch.begin(_descriptor(connection), deadline)
        try:
            milliseconds = max(1, int(limits.seconds * 1000))
            if connection.time_cap != milliseconds:
                cursor.execute(f"SET statement_timeout = {milliseconds}")
                connection.time_cap = milliseconds
            if limits.writes:
                return _write(cursor, sql, arguments, limits)
            return self._read(connection, cursor, sql, arguments, limits, deadline)
        except Exception as error:
            cut, token = watch.end(token), None
            fault = _fault(error, connection, cut)
            if isinstance(fault, QueryFailed):
                fault = _end_transaction(connection, cursor) or fault
            raise fault from None
        finally:
            if token is not None:
                watch.end(token)

    def _read(
        self,
        connection: Any,
        cursor: Any,
        sql: str,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
        deadline: float,
    ) -> Stream:
        """At most a batch at once, and the rest through a cursor, so that no answer is ever in memory whole.

        A statement whose answers have all fitted into one batch so far runs in one round trip, cut off
        behind the batch. Any other opens a transaction, and what it brings decides about the next run.
        """
        small = self.small
        count = min(limits.rows + 1, FIRST)
        text = _cursor_text(sql, count)
        if text is None:
            cursor.execute(sql, arguments)
            return _whole(cursor, limits)
        if small.get(sql):
            if not self._run_prepared(connection, cursor, sql, arguments, count):
                # DECLARE and FETCH in one message: PostgreSQL runs it in a transaction of its own.
                cursor.execute(text, arguments)
            rows = cursor.fetchall()
            if len(rows) < FIRST or limits.rows < FIRST:
                return Stored(_columns(cursor), rows)
            small[sql] = False
        cursor.execute("BEGIN READ ONLY; " + text, arguments)
        rows = cursor.fetchall()
        stream = Cursor(connection, cursor, rows, limits, deadline)
        if len(rows) < FIRST:
            stream.close()
            if len(small) > 500:
                small.clear()
                self.unprepared.clear()
            small.setdefault(sql, True)
            stored = Stored(stream.columns, rows)
            stored.reusable = stream.reusable
            return stored
        small[sql] = False
        return stream

    def _run_prepared(self, connection: Any, cursor: Any, sql: str, arguments: Any, count: int) -> bool:
        """Run a small statement prepared: parsed once in a session, which is half of what a look-up costs there.

        False when it can't be: PostgreSQL may not know a parameter's type where it knew the literal's.
        """
        if sql in self.unprepared or not isinstance(arguments, Mapping):
            return False
        prepared = _preparing(sql, count, tuple(map(type, arguments.values())), tuple(arguments))
        if prepared is None or any(type(value) is int and abs(value) >= 2**31 for value in arguments.values()):
            return False
        prepare, execute = prepared
        driver = _driver()
        runs = connection.runs.get(prepare, 0)
        if runs <= PREPARED_AFTER:
            if len(connection.runs) >= MOST_PREPARED:
                cursor.execute("DEALLOCATE ALL")
                connection.runs.clear()
            connection.runs[prepare] = runs + 1
            if runs < PREPARED_AFTER:
                return False
            try:
                cursor.execute(prepare)
            except (driver.ProgrammingError, driver.NotSupportedError, driver.DataError):
                self.unprepared.add(sql)
                return False
        try:
            cursor.execute(execute, arguments)
        except (driver.errors.FeatureNotSupported, driver.errors.InvalidSqlStatementName):
            # A table has changed under it, or a proxy has given the session to others meanwhile.
            self.unprepared.add(sql)
            return False
        return True

    def ping(self, connection: Any) -> bool:
        if connection.closed:
            return False
        try:
            if silent(connection.fileno()):
                return True
            connection.cursor().execute("SELECT 1")
        except _driver().Error:
            return False
        return True

    def schemas(self, connection: Any) -> list[str]:
        rows = _look(
            connection,
            "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
            " AND has_schema_privilege(oid, 'USAGE') ORDER BY nspname <> current_schema(), nspname",
        )
        return [name for (name,) in rows]

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        rows = _look(
            connection,
            "SELECT relname, CASE WHEN relkind IN ('v', 'm') THEN 'view' ELSE 'table' END FROM pg_catalog.pg_class"
            " WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)"
            " AND relkind IN ('r', 'p', 'f', 'v', 'm') AND has_table_privilege(oid, 'SELECT') ORDER BY relname",
            schema=schema,
        )
        return [(name, kind) for name, kind in rows]

    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        rows = _look(
            connection,
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(nullif(t.typbasetype, 0), t.oid)::bigint,"
            " NOT a.attnotnull, coalesce(a.attnum = ANY (i.indkey), false)"
            " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
            " LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary"
            " WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped"
            " ORDER BY a.attnum",
            schema=schema,
            table=table,
        )
        return [
            ColumnInfo(name, type_, TYPES.get(oid, "text"), nullable, key) for name, type_, oid, nullable, key in rows
        ]


class Cursor(Stream):
    """An answer larger than a batch: a server-side cursor in a transaction of its own."""

    def __init__(self, connection: Any, cursor: Any, first: list[Row], limits: Limits, deadline: float) -> None:
        self.columns = _columns(cursor)
        self._connection = connection
        self._cursor = cursor
        self._first = first
        self._left = limits.rows + 1 - len(first)
        self._deadline = deadline
        self._open = True

    def __iter__(self) -> Iterator[list[Row]]:
        rows, asked = self._first, len(self._first)
        self._first = []
        while rows:
            for start in range(0, len(rows), BATCH):
                yield rows[start : start + BATCH]
            if len(rows) < asked or self._left <= 0:
                break
            asked = min(FETCH, self._left)
            rows = self._fetch(asked)
            self._left -= len(rows)
        self.close()

    def _fetch(self, count: int) -> list[Row]:
        cursor, connection = self._cursor, self._connection
        left = self._deadline - time.monotonic()
        token = None
        try:
            if not self._open or left <= 0:
                raise TimedOut("timeout")
            token = watch.begin(_descriptor(connection), self._deadline)
            cap = max(1, int(left * 1000))
            cursor.execute(f"SET LOCAL statement_timeout = {cap}; FETCH FORWARD {count} FROM mantra")
            return cursor.fetchall()  # type: ignore[no-any-return]
        except Exception as error:
            cut, token = token is not None and watch.end(token), None
            fault = _fault(error, connection, cut)
            self.reusable = self._open = False
            connection.close()
            raise fault from None
        finally:
            if token is not None:
                watch.end(token)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._first = []
            self.reusable = _end_transaction(self._connection, self._cursor) is None


def _whole(cursor: Any, limits: Limits) -> Stored:
    """What a statement that no cursor can be opened for has brought: EXPLAIN, SHOW, RETURNING, CALL."""
    if cursor.description is None:
        return Stored(affected=cursor.rowcount)
    return Stored(_columns(cursor), cursor.fetchmany(limits.rows + 1), cursor.rowcount)


def _write(cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stored:
    cursor.execute("BEGIN READ WRITE")
    cursor.execute(sql, arguments)
    stored = _whole(cursor, limits)
    cursor.execute("COMMIT")
    return stored


def _end_transaction(connection: Any, cursor: Any) -> ConnectFailed | None:
    """Leave the transaction that may be open. What it tells when that is impossible: the connection is gone."""
    if connection.closed:
        return ConnectFailed("broken")
    if not connection.get_transaction_status():
        return None
    token = watch.begin(_descriptor(connection), time.monotonic() + CONNECT_SECONDS)
    try:
        cursor.execute("ROLLBACK")
    except Exception:
        with suppress(Exception):
            connection.close()
        return ConnectFailed("broken")
    finally:
        watch.end(token)
    return None


def _columns(cursor: Any) -> tuple[tuple[str, str | None], ...]:
    types = TYPES
    return tuple([(column.name, types.get(column.type_code, "text")) for column in cursor.description])


@lru_cache(maxsize=1000)
def _cursor_text(sql: str, count: int) -> str | None:
    if not _CURSORABLE.match(sql):
        return None
    return f"DECLARE mantra NO SCROLL CURSOR FOR\n{sql}\n;FETCH FORWARD {count} FROM mantra"


@lru_cache(maxsize=1000)
def _preparing(sql: str, count: int, classes: tuple[type, ...], names: tuple[str, ...]) -> tuple[str, str] | None:
    """What prepares a statement cut off at ``count`` rows for arguments of these classes, and what runs it then.

    Each mark becomes a parameter of its own, of the type that psycopg2's literal would have had.
    """
    given = dict(zip(names, classes, strict=True))
    order: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found[1] is None:
            return "%"
        order.append(found[1])
        return f" ${len(order)} "

    text = _MARK.sub(place, sql.rstrip().rstrip(";"))
    if any(given[name] not in _LITERALS for name in order):
        return None
    types = ", ".join(_LITERALS[given[name]] for name in order)
    body = f"{f'({types}) ' if types else ''}AS SELECT * FROM (\n{text}\n) AS mantra LIMIT {count}"  # noqa: S608 – the body is a checked definition, its values are parameters
    # The same name is the same statement, in whosever session.
    name = "mantra_" + hashlib.blake2b(body.encode(), digest_size=12).hexdigest()
    values = ", ".join(f"%({each})s" for each in order)
    return f"PREPARE {name} {body}", f"EXECUTE {name} {f'({values})' if values else ''}"


def _descriptor(connection: Any) -> int:
    try:
        return connection.fileno()  # type: ignore[no-any-return]
    except _driver().Error:
        raise ConnectFailed("broken") from None


def _look(connection: Any, sql: str, **arguments: str) -> list[Row]:
    cursor = connection.cursor()
    try:
        cursor.execute(sql, arguments)
        return cursor.fetchall()  # type: ignore[no-any-return]
    except Exception as error:
        raise _fault(error, connection) from None


def _fault(error: Exception, connection: Any, cut: bool = False) -> Exception:
    """The driver's error as one of ours; an error that is not the driver's stays itself."""
    if isinstance(error, SourceError):
        return error
    if cut:
        return TimedOut("timeout")
    if isinstance(error, (ValueError, UnicodeError, OverflowError)):
        return QueryFailed("data")
    if not isinstance(error, _driver().Error):
        return error
    state = error.pgcode or ""  # type: ignore[attr-defined]
    reason = _STATES.get(state) or _CLASSES.get(state[:2], "other")
    if reason == "timeout":
        return TimedOut(reason, state)
    if connection.closed or reason in _CONNECTING:
        return ConnectFailed("broken" if reason == "other" else reason, state)
    return QueryFailed(reason, state)


def _why_not_connected(error: Exception) -> tuple[str, str]:
    state = getattr(error, "pgcode", None) or ""
    if state in _STATES:
        return _STATES[state], state
    text = str(error).lower()
    for sentence, reason in _SENTENCES:
        if sentence in text:
            return reason, state
    return "other", state


@cache
def _driver() -> ModuleType:
    try:
        importlib.import_module("psycopg2.extensions")
        return importlib.import_module("psycopg2")
    except ImportError:
        raise ConnectFailed("driver-missing") from None


@cache
def _connection_class() -> type[Any]:
    """psycopg2's connection with notes on it: its session's time cap in milliseconds, and how often what ran there."""

    class Connection(_driver().extensions.connection):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.time_cap = 0
            self.runs: dict[str, int] = {}

    return Connection


@cache
def _casters() -> dict[int, Any]:
    extensions = _driver().extensions
    binary = extensions.new_type((17,), "BYTES", lambda value, _: None if value is None else bytes.fromhex(value[2:]))
    return {**dict.fromkeys(_AS_WRITTEN, extensions.UNICODE), 17: binary}
