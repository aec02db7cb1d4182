"""PostgreSQL, over psycopg2."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

from adapters import procedures
from adapters.base import (
    CONNECT_SECONDS,
    LOOK_SECONDS,
    MAX_COLUMNS,
    MAX_WORDS,
    PING_SECONDS,
    TIME_ZONE,
    Adapter,
    AuthorWords,
    Catalogue,
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
    before_statement,
    catalogue_of,
    keys_of,
    plannable,
    statement_error,
)
from adapters.libpq import CancelRequest
from adapters.placeholders import PYFORMAT, offset_before
from adapters.socket_watch import OVERDUE, Cancel, Watch, address_count, is_idle, watchdog
from adapters.streaming import (
    BATCH,
    BufferedResult,
    Chunk,
    ChunkedResult,
    Prefetcher,
    fetch_first,
    rows_that_fit,
    widest_row,
)

#: Rows fetched in one round trip of a large result.
FETCH = 4 * BATCH

#: Rows of the first fetch: a batch, and one more that shows whether the result is larger.
FIRST = BATCH + 1

#: The bus's name of a column's type, by OID. Every other type (enumerations, arrays, ranges, network
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
#: floats (7, 1e-07), decimals, dates (infinity, years BC), JSON, ranges, and arrays of anything.
_AS_WRITTEN = (
    114, 199, 651, 700, 701, 1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1013, 1014, 1015, 1016, 1021, 1022,
    1028, 1041, 1082, 1083, 1114, 1115, 1182, 1183, 1184, 1185, 1186, 1187, 1231, 1266, 1270, 1700, 2950, 2951,
    3802, 3807, 3904, 3905, 3906, 3907, 3908, 3909, 3910, 3911, 3912, 3913, 3926, 3927,
)  # fmt: skip

#: Sent with the connection, so that a statement means the same on every server.
_OPTIONS = {
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    # A cursor is the way all rows are fetched here, not a sign that only the first few are needed.
    "cursor_tuple_fraction": "1",
}

#: Before the statement in each message that reads: it runs as the source's account, with the connection's settings,
#: within its time cap and read-only, whatever statements before it did to the session. In one message with others,
#: SET TRANSACTION is about their common transaction, and no query can take it back.
_WALLS = "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;SET statement_timeout={};SET TRANSACTION READ ONLY;"

#: Finds a function that CALL names: one of the server, or of an extension, is not among them.
_OWN_FUNCTION = """
    SELECT count(*) > 0 AND bool_and(n.nspname NOT IN ('pg_catalog', 'information_schema') AND e.objid IS NULL)
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    LEFT JOIN pg_catalog.pg_depend e
    ON e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
    WHERE p.proname = %(name)s AND (%(schema)s = '' OR n.nspname = %(schema)s)
"""

#: The functions and procedures of these names in SQL and PL/pgSQL whose every overload was made here. Without a schema
#: a function of the server would come first.
_OWN_ROUTINES = """
    SELECT n.nspname, p.proname, pg_catalog.bool_or(pg_catalog.pg_function_is_visible(p.oid)) AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc s WHERE s.pronamespace = 'pg_catalog'::regnamespace AND s.proname = p.proname)
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    LEFT JOIN pg_catalog.pg_depend e
    ON e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
    WHERE p.proname = ANY(string_to_array(%(names)s, ' ')) AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    GROUP BY n.nspname, p.proname HAVING bool_and(l.lanname IN ('sql', 'plpgsql') AND e.objid IS NULL)
"""

#: The tables and views of a schema that the account may read, with their comments and numbers of rows.
_TABLES = """
    SELECT relname, CASE WHEN relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
    left(pg_catalog.obj_description(oid, 'pg_class'), 300),
    CASE WHEN reltuples > 0 OR (reltuples = 0 AND relpages > 0) THEN reltuples::bigint END
    FROM pg_catalog.pg_class
    WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
    AND relkind IN ('r', 'p', 'f', 'v', 'm') AND has_table_privilege(oid, 'SELECT') ORDER BY relname LIMIT {}
"""

#: The columns of a table, or of all tables of a schema where the table is "", which none is called.
_COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    coalesce(nullif(t.typbasetype, 0), t.oid)::bigint, NOT a.attnotnull, coalesce(a.attnum = ANY (i.indkey), false),
    left(pg_catalog.col_description(c.oid, a.attnum), 300)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
    AND (c.relname = %(table)s OR (%(table)s = '' AND has_table_privilege(c.oid, 'SELECT')))
    AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum LIMIT {}
"""

#: The foreign keys of a schema's tables: the table, and a row for keys_of().
_FOREIGN_KEYS = """
    SELECT t.relname, c.conname, 'foreign', a.attname, fn.nspname, f.relname, fa.attname
    FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
    CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (col, target, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.col
    JOIN pg_catalog.pg_class f ON f.oid = c.confrelid JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
    JOIN pg_catalog.pg_attribute fa ON fa.attrelid = f.oid AND fa.attnum = k.target
    WHERE n.nspname = %(schema)s AND c.contype = 'f' ORDER BY t.relname, c.conname, k.place
"""

#: About how many rows a table has, unless it was never analysed.
_ROW_ESTIMATE = """
    SELECT reltuples::bigint FROM pg_catalog.pg_class WHERE relname = %(table)s AND relkind IN ('r', 'p', 'f', 'm')
    AND (reltuples > 0 OR (reltuples = 0 AND relpages > 0)) ORDER BY pg_catalog.pg_table_is_visible(oid) DESC LIMIT 1
"""

#: A step of a plan that reads a whole table.
_SCAN = re.compile(r"\bSeq Scan on ([^\s(]+)")

#: Runs of a small statement in one session after which it is prepared there, and how many are counted at most.
PREPARED_AFTER, MOST_PREPARED = 5, 100

#: PostgreSQL's types of psycopg2's literals for these classes. Statements with others are not prepared: a
#: Decimal's literal is an integer or a numeric, depending on its value.
_LITERALS = {str: "unknown", type(None): "unknown", bool: "boolean", int: "integer", date: "date"}

_CURSORABLE = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/|\()*(?:select|with|values|table)\b", re.I | re.S)

#: The type void, of a function without a result.
_VOID = 2278

#: PostgreSQL's names of types in procedures.TYPES, where they differ.
_SQL_TYPES = {"DATETIME": "TIMESTAMP", "DOUBLE": "DOUBLE PRECISION"}

_CLASSES = {
    "08": "broken",
    "22": "data",
    "23": "constraint",
    "42": "syntax",
}
_STATES = {
    "08001": "unreachable",
    "08004": "refused",
    "22003": "range",
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
    "40001": "locked",
    "40P01": "locked",
    "53300": "too-many-connections",
    "55P03": "locked",
    "57014": "timeout",
    "57P01": "broken",
    "57P02": "broken",
    "57P03": "refused",
}

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


_INTERVAL = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(\.\d+)?S)?)?", re.ASCII
)


def _interval(value: str) -> str:
    """Return an interval in the style that PostgreSQL has by default: P1M-1DT2H as 1 mon -1 days +02:00:00."""
    match = _INTERVAL.fullmatch(value)
    if match is None:
        return value
    years, months, days, hours, minutes, minus, seconds, fraction = match.groups()
    parts, below = [], False
    for number, unit in ((years, "year"), (months, "mon"), (days, "day")):
        if number and int(number):
            parts.append(f"{'+' if below and int(number) > 0 else ''}{number} {unit}{'s' if number != '1' else ''}")
            below = int(number) < 0
    clock = [int(number or 0) for number in (hours, minutes, seconds)]
    if any(clock) or fraction or not parts:
        sign = "-" if minus or clock[0] < 0 or clock[1] < 0 else "+" if below else ""
        parts.append(f"{sign}{abs(clock[0]):02}:{abs(clock[1]):02}:{clock[2]:02}{fraction or ''}")
    return " ".join(parts)


class PostgreSQL(Adapter):
    engine = "postgresql"
    label = "PostgreSQL"
    driver = "psycopg2"
    install = "pip install psycopg2-binary"
    dialect = "postgres"
    paramstyle = "pyformat"
    has_own_routines = True
    as_written = {
        "boolean": lambda value: "t" if value else "f",
        "bytes": lambda value: f"\\x{value.hex()}",
        "interval": _interval,
    }
    default_port = 5432
    settings = (
        Setting("host", "Host", required=True, leads=True),
        Setting("port", "Port", default="5432", leads=True),
        Setting("database", "Database", required=True),
        Setting("user", "User", required=True),
        Setting("password", "Password", secret=True),
        Setting(
            "sslmode", "TLS", default="prefer", help="disable, allow, prefer, require, verify-ca or verify-full"
        ),
        Setting("sslrootcert", "CA file", help="PEM file with the CA certificate, for verify-ca and verify-full"),
        TIME_ZONE,
    )  # fmt: skip

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        #: By statement: True if its results have all fitted into one batch so far.
        self.small: dict[str, bool] = {}
        #: By statement: the width of its widest row so far, in bytes.
        self.widths: dict[str, int] = {}
        #: Small statements that cannot be prepared.
        self.unprepared: set[str] = set()
        #: Calls that name a function, not a procedure.
        self.functions: set[procedures.ProcedureCall] = set()

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        psycopg2 = _driver()
        source = self.source
        host, port = source.get("host") or "localhost", int(source.get("port") or self.default_port)
        sslmode = source.get("sslmode") or "prefer"
        # libpq applies the time-out to each attempt, and makes a second one where TLS is optional.
        attempts = address_count(host, port, seconds) * (2 if sslmode in ("prefer", "allow") else 1)
        options = _OPTIONS if writes else {**_OPTIONS, "default_transaction_read_only": "on"}
        if self.zone is not None:
            # By it PostgreSQL converts a datetime with an offset where it meets a column without a zone.
            options = {**options, "TimeZone": source["timezone"]}
        try:
            connection = psycopg2.connect(
                host=host,
                port=port,
                dbname=source.get("database") or "",
                user=source.get("user") or "",
                password=source.get("password") or "",
                # Never the bus's own password file or tickets: only the source's settings count.
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
            raise ConnectFailed(*_connection_reason(error)) from None
        connection.autocommit = True
        connection.string_types.update(_casters())
        return connection

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        deadline = time.monotonic() + limits.seconds
        if connection.closed:
            raise ConnectFailed("broken")
        cursor = connection.cursor()
        watch, started = _watch(connection, deadline, limits.width), False
        try:
            if limits.writes:
                cursor.execute(f"BEGIN READ WRITE;SET LOCAL statement_timeout={_milliseconds(limits.seconds)}")
            else:
                _set_time_cap(connection, cursor, limits.seconds)
            started = True
            if limits.writes:
                stream: Stream = self._write(cursor, sql, arguments, limits)
            else:
                stream = self._read(connection, cursor, sql, arguments, limits, deadline)
        except Exception as error:
            fault = _to_source_error(error, connection, watchdog.end(watch))
            if isinstance(fault, RowTooLarge):
                # Fetch its rows one by one next time: these may have been too many at once.
                self.widths[sql] = limits.width
            if isinstance(fault, QueryFailed):
                fault = _with_words(fault, error, cursor, sql, arguments, limits)
                fault = _end_transaction(connection, cursor) or fault
            raise (fault if started else before_statement(fault)) from None
        return watchdog.finish(watch, stream, limits.writes)

    def _read(
        self,
        connection: Any,
        cursor: Any,
        sql: str,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
        deadline: float,
    ) -> Stream:
        """Read at most a batch at once and the rest through a cursor, so that no result is in memory as a whole.

        A statement whose results have all fitted into one batch so far takes one round trip, limited to one row more
        than the batch. Any other opens a transaction, and the size of its result decides about the next run.
        """
        count = min(limits.rows + 1, FIRST)
        if _cursor_text(sql, count) is None:
            cursor.execute(_walls(limits.seconds) + sql, arguments)
            return _fetch_whole(cursor, limits)
        width = self.widths.get(sql)
        # An author's statement runs once, and not as a part of PREPARE: the server tells positions in its own text.
        small = self.small.get(sql) and not limits.author
        if small and width is not None and rows_that_fit(width, count) == count:
            result = self._fetch_at_once(connection, cursor, sql, arguments, limits, width)
            if result is not None:
                return result
            self.small[sql] = False
        return self._fetch_by_cursor(connection, cursor, sql, arguments, limits, deadline, width)

    def _fetch_at_once(
        self,
        connection: Any,
        cursor: Any,
        sql: str,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
        width: int,
    ) -> BufferedResult | None:
        """Run a statement that is expected to fit into one batch. None if it does not: it must be run again."""
        count = min(limits.rows + 1, FIRST)
        if not self._run_prepared(connection, cursor, sql, arguments, count, _walls(limits.seconds)):
            # DECLARE and FETCH in one message: PostgreSQL runs it in a transaction of its own.
            cursor.execute(_walls(limits.seconds) + (_cursor_text(sql, count) or ""), arguments)
        rows = cursor.fetchall()
        self._update_width(sql, width, rows, limits)
        return BufferedResult(_columns(cursor), rows) if len(rows) < FIRST or limits.rows < FIRST else None

    def _fetch_by_cursor(
        self,
        connection: Any,
        cursor: Any,
        sql: str,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
        deadline: float,
        width: int | None,
    ) -> Stream:
        """Open a server-side cursor in a transaction and fetch the first chunk; a small result is then complete."""
        count = min(limits.rows + 1, FIRST)
        is_open = False

        def fetch(step: int) -> list[Row]:
            nonlocal is_open
            if is_open:
                cursor.execute(f"FETCH FORWARD {step} FROM mantra")
            else:
                text = f"{_walls(limits.seconds)}BEGIN READ ONLY;{_cursor_text(sql, step)}"
                cursor.execute(text, arguments)
                is_open = True
            return cursor.fetchall()  # type: ignore[no-any-return]

        first = fetch_first(fetch, count, limits, width)
        stream = CursorResult(connection, cursor, first, limits, deadline)
        self._remember_width(sql, first.widest)
        if not (first.ended or (len(first.rows) == count and count < FIRST)):
            self.small[sql] = False
            return stream
        stream.close()
        self.small.setdefault(sql, True)
        result = BufferedResult(stream.columns, first.rows)
        result.reusable = stream.reusable
        return result

    def _update_width(self, sql: str, known: int, rows: list[Row], limits: Limits) -> None:
        """Remember the width of rows that are wider than expected. Raises RowTooLarge."""
        try:
            width = widest_row(rows, limits)
        except RowTooLarge:
            self.widths[sql] = limits.width
            raise
        if width > known:
            self.widths[sql] = width

    def _remember_width(self, sql: str, width: int) -> None:
        if len(self.widths) > 500:
            self.small.clear()
            self.widths.clear()
            self.unprepared.clear()
        self.widths[sql] = max(width, self.widths.get(sql, 0))

    def _write(
        self, cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> BufferedResult:
        call = procedures.parse_call(sql, False)
        if call is None:
            cursor.execute(sql, arguments)
            result = _fetch_whole(cursor, limits)
        else:
            result = self._call(cursor, call, arguments, limits)
        cursor.execute("COMMIT")
        return result

    def _call(
        self, cursor: Any, call: procedures.ProcedureCall, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> BufferedResult:
        """Call a procedure, whose OUT and IN OUT parameters are its row, or a function of that name."""
        if call not in self.functions:
            errors = _driver().errors
            try:
                cursor.execute(f"CALL {call.text(_out_argument)}", arguments)
                return _with_declared_names(_fetch_whole(cursor, limits), call)
            except (errors.WrongObjectType, errors.UndefinedFunction):
                cap = _milliseconds(limits.seconds)
                cursor.execute(f"ROLLBACK; BEGIN READ WRITE;SET LOCAL statement_timeout={cap}")
                _require_own_function(cursor, call)
        cursor.execute(f"SELECT * FROM {call.as_function()}", arguments)  # noqa: S608 (the definition's own text)
        if len(self.functions) > MOST_PREPARED:
            self.functions.clear()
        self.functions.add(call)
        if [column.type_code for column in cursor.description] == [_VOID]:
            return BufferedResult()
        return _with_declared_names(_fetch_whole(cursor, limits), call)

    def _run_prepared(self, connection: Any, cursor: Any, sql: str, arguments: Any, count: int, walls: str) -> bool:
        """Run a small statement as a prepared one: parsing it is half the cost of a look-up in the server.

        Returns False if that is impossible: PostgreSQL may not know a parameter's type where it knows the literal's.
        """
        if sql in self.unprepared or not isinstance(arguments, Mapping):
            return False
        prepared = _prepared_texts(sql, count, tuple(map(type, arguments.values())), tuple(arguments))
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
                cursor.execute(walls + prepare)
            except (driver.ProgrammingError, driver.NotSupportedError, driver.DataError):
                self.unprepared.add(sql)
                return False
        try:
            cursor.execute(walls + execute, arguments)
        except (driver.errors.FeatureNotSupported, driver.errors.InvalidSqlStatementName):
            # The table has changed, or a proxy has given the session to another client meanwhile.
            self.unprepared.add(sql)
            return False
        return True

    def own_routines(self, connection: Any, names: Collection[str]) -> frozenset[str]:
        last = " ".join(name.rpartition(".")[2] for name in names)
        found: set[str] = set()
        for schema, name, comes_first in _query(connection, _OWN_ROUTINES, names=last):
            found |= {f"{schema}.{name}", name} if comes_first else {f"{schema}.{name}"}
        return frozenset(found.intersection(names))

    def restore(self, connection: Any, writes: bool) -> bool:
        """As in the base class. What DISCARD ALL discards, prepared statements among it, is no longer counted."""
        connection.runs.clear()
        connection.time_cap = 0
        token = watchdog.begin(_descriptor(connection), time.monotonic() + CONNECT_SECONDS)
        try:
            connection.cursor().execute("DISCARD ALL")
        except _driver().Error:
            return False
        finally:
            watchdog.end(token)
        return True

    def ping(self, connection: Any) -> bool:
        try:
            descriptor = _descriptor(connection)
        except ConnectFailed:
            return False
        if is_idle(descriptor):
            return True
        watch = watchdog.begin(descriptor, time.monotonic() + PING_SECONDS)
        try:
            connection.cursor().execute("SELECT 1")
        except _driver().Error:
            return False
        finally:
            watchdog.end(watch)
        return True

    def databases(self, connection: Any) -> list[str]:
        rows = _query(
            connection,
            "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate"
            " AND has_database_privilege(oid, 'CONNECT') ORDER BY datname <> current_database(), datname",
        )
        return [name for (name,) in rows]

    def schemas(self, connection: Any) -> list[str]:
        rows = _query(
            connection,
            "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
            " AND has_schema_privilege(oid, 'USAGE') ORDER BY nspname <> current_schema(), nspname",
        )
        return [name for (name,) in rows]

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        rows = _query(
            connection,
            "SELECT relname, CASE WHEN relkind IN ('v', 'm') THEN 'view' ELSE 'table' END FROM pg_catalog.pg_class"
            " WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)"
            " AND relkind IN ('r', 'p', 'f', 'v', 'm') AND has_table_privilege(oid, 'SELECT') ORDER BY relname",
            schema=schema,
        )
        return [(name, kind) for name, kind in rows]

    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        return [column for _, column in _columns_of_tables(connection, schema, table)] if table else []

    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        rows = _query(
            connection,
            "SELECT c.conname, CASE c.contype WHEN 'p' THEN 'primary' WHEN 'u' THEN 'unique' ELSE 'foreign' END,"
            " a.attname, fn.nspname, f.relname, fa.attname, k.place FROM pg_catalog.pg_constraint c"
            " JOIN pg_catalog.pg_class t ON t.oid = c.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace"
            " CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (col, target, place)"
            " JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.col"
            " LEFT JOIN pg_catalog.pg_class f ON f.oid = c.confrelid"
            " LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace"
            " LEFT JOIN pg_catalog.pg_attribute fa ON fa.attrelid = f.oid AND fa.attnum = k.target"
            " WHERE n.nspname = %(schema)s AND t.relname = %(table)s AND c.contype IN ('p', 'u', 'f')"
            " UNION ALL SELECT x.relname, CASE WHEN i.indisunique AND i.indpred IS NULL THEN 'unique' ELSE 'index' END,"
            " pg_get_indexdef(x.oid, k.place, true), NULL, NULL, NULL, k.place FROM pg_catalog.pg_index i"
            " JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_class t ON t.oid = i.indrelid"
            " JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace"
            # One entry for each column of the key, without the included columns.
            " CROSS JOIN LATERAL generate_series(1, array_length(i.indoption::int2[], 1)) AS k (place)"
            " WHERE n.nspname = %(schema)s AND t.relname = %(table)s AND NOT EXISTS (SELECT FROM"
            " pg_catalog.pg_constraint c WHERE c.conindid = x.oid AND c.contype IN ('p', 'u')) ORDER BY 1, 7",
            schema=schema,
            table=table,
        )
        return keys_of(rows)

    def catalogue(self, connection: Any, schema: str, most: int, seconds: float) -> Catalogue:
        deadline = time.monotonic() + seconds
        tables = _query(connection, _TABLES.format(most + 1), seconds, schema=schema)
        columns = _columns_of_tables(connection, schema, "", deadline - time.monotonic())
        foreign = _query(connection, _FOREIGN_KEYS, deadline - time.monotonic(), schema=schema)
        listed = [(name, kind, comment or "", rows) for name, kind, comment, rows in tables]
        return catalogue_of(listed, columns, foreign, most)

    def describe(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> tuple[tuple[str, str | None], ...]:
        """As in the base class: a cursor is declared, and no row is fetched from it."""
        text = _cursor_text(sql, 0)
        if text is None:
            raise QueryFailed("syntax")
        cursor = connection.cursor()
        watch = _watch(connection, time.monotonic() + limits.seconds, limits.width)
        try:
            _set_time_cap(connection, cursor, limits.seconds)
            cursor.execute(_walls(limits.seconds) + text, arguments)
            return _columns(cursor)
        except Exception as error:
            fault = _to_source_error(error, connection, watchdog.end(watch))
            if isinstance(fault, QueryFailed):
                fault = _with_words(fault, error, cursor, sql, arguments, limits)
                fault = _end_transaction(connection, cursor) or fault
            raise fault from None
        finally:
            watchdog.end(watch)

    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        plannable(sql)
        # With options in parentheses: otherwise a statement that begins with ANALYZE would be run.
        stream = self.run(connection, f"EXPLAIN (FORMAT TEXT) {sql}", arguments, Limits(10_000, limits.seconds))
        return [line for batch in stream for (line,) in batch]

    def full_scans(self, plan: Sequence[str]) -> list[FullScan]:
        # The number of rows in such a line is of those that are left of the table.
        return [FullScan(match[1].strip('"')) for line in plan if (match := _SCAN.search(line))]

    def row_estimate(self, connection: Any, table: str, deadline: float) -> int | None:
        rows = _query(connection, _ROW_ESTIMATE, deadline - time.monotonic(), table=table)
        return rows[0][0] if rows else None


class CursorResult(ChunkedResult):
    """A result larger than a batch: a server-side cursor in a transaction of its own."""

    max_fetch = FETCH

    def __init__(self, connection: Any, cursor: Any, first: Chunk, limits: Limits, deadline: float) -> None:
        super().__init__(_columns(cursor), first, limits)
        self._connection = connection
        self._cursor = cursor
        self._deadline = deadline
        self._open = True
        self._prefetcher = Prefetcher()
        self._watch: Watch | None = None

    def _prefetch(self, count: int) -> None:
        self._prefetcher.begin(self._receive, count)

    def _fetch(self, count: int) -> list[Row]:
        try:
            if not self._prefetcher.wait():
                self._receive(count)
            return self._cursor.fetchall()  # type: ignore[no-any-return]
        except Exception as error:
            fault = _to_source_error(error, self._connection)
            self._give_up()
            raise fault from None

    def _receive(self, count: int) -> None:
        """Have the driver receive the next rows. If that fails, the connection cannot be used again."""
        cursor, connection = self._cursor, self._connection
        left = self._deadline - time.monotonic()
        watch = None
        try:
            if not self._open or left <= 0:
                raise TimedOut
            self._watch = watch = _watch(connection, self._deadline, self._limits.width)
            cap = max(1, int(left * 1000))
            cursor.execute(f"SET LOCAL statement_timeout = {cap}; FETCH FORWARD {count} FROM mantra")
        except Exception as error:
            raise _to_source_error(error, connection, watchdog.end(watch) if watch is not None else None) from None
        if (cut := watchdog.end(watch)) is not None:
            raise cut

    def _give_up(self) -> None:
        self.reusable = self._open = False
        self._prefetcher.end(self._hasten)
        self._connection.close()

    def _hasten(self) -> None:
        if self._watch is not None:
            watchdog.hasten(self._watch)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._first = []
            if self._prefetcher.end(self._hasten):
                self.reusable = _end_transaction(self._connection, self._cursor) is None
            else:
                self._give_up()


def _fetch_whole(cursor: Any, limits: Limits) -> BufferedResult:
    """Fetch the result of a statement that cannot have a cursor: EXPLAIN, SHOW, RETURNING, CALL."""
    if cursor.description is None:
        return BufferedResult(affected=cursor.rowcount)
    return BufferedResult(_columns(cursor), cursor.fetchmany(limits.rows + 1), cursor.rowcount)


def _out_argument(place: int, out: procedures.OutParameter) -> str:
    """Write an OUT parameter: PostgreSQL has no variable for it but takes any value of the declared type."""
    value = f"%({out.name})s" if out.given else "NULL"
    return f"CAST({value} AS {_SQL_TYPES.get(out.type, out.type)})" if out.type else value


def _with_declared_names(result: BufferedResult, call: procedures.ProcedureCall) -> BufferedResult:
    """Give the OUT parameters the names that the definition has for them."""
    if call.outs and len(result.columns) == len(call.outs):
        result.columns = tuple([(out.name, type_) for out, (_, type_) in zip(call.outs, result.columns, strict=True)])
    return result


def _end_transaction(connection: Any, cursor: Any) -> ConnectFailed | None:
    """End a transaction that may be open. Returns an error if that fails: the connection is then closed."""
    if connection.closed:
        return ConnectFailed("broken")
    if not connection.get_transaction_status():
        return None
    token = watchdog.begin(_descriptor(connection), time.monotonic() + CONNECT_SECONDS)
    try:
        cursor.execute("ROLLBACK")
    except Exception:
        with suppress(Exception):
            connection.close()
        return ConnectFailed("broken")
    finally:
        watchdog.end(token)
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
def _prepared_texts(sql: str, count: int, classes: tuple[type, ...], names: tuple[str, ...]) -> tuple[str, str] | None:
    """Return PREPARE of a statement limited to ``count`` rows for arguments of these classes, and its EXECUTE.

    Each placeholder becomes a parameter of its own, of the type that psycopg2's literal would have.
    """
    class_of = dict(zip(names, classes, strict=True))
    order: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match[1] is None:
            return "%"
        order.append(match[1])
        return f" ${len(order)} "

    text = PYFORMAT.sub(replace, sql.rstrip().rstrip(";"))
    if any(class_of[name] not in _LITERALS for name in order):
        return None
    types = ", ".join(_LITERALS[class_of[name]] for name in order)
    body = f"{f'({types}) ' if types else ''}AS SELECT * FROM (\n{text}\n) AS mantra LIMIT {count}"  # noqa: S608 – the body is a checked definition, its values are parameters
    # The name is a hash: the same name is the same statement in every session.
    name = "mantra_" + hashlib.blake2b(body.encode(), digest_size=12).hexdigest()
    values = ", ".join(f"%({each})s" for each in order)
    return f"PREPARE {name} {body}", f"EXECUTE {name} {f'({values})' if values else ''}"


def _require_own_function(cursor: Any, call: procedures.ProcedureCall) -> None:
    """Refuse a CALL of a function that is the server's or an extension's. Raises QueryFailed."""
    schema, name = call.path
    cursor.execute(_OWN_FUNCTION, {"schema": schema, "name": name})
    if cursor.fetchone() != (True,):
        raise QueryFailed("object-unknown", "42883")


@lru_cache(maxsize=100)
def _walls(seconds: float) -> str:
    return _WALLS.format(_milliseconds(seconds))


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _set_time_cap(connection: Any, cursor: Any, seconds: float) -> None:
    """Set the session's time cap to these seconds; nothing is sent if it is set already.

    Each message says it too, but PostgreSQL before 11 starts the clock with the message, before it reads that.
    """
    milliseconds = _milliseconds(seconds)
    if connection.time_cap != milliseconds:
        cursor.execute(f"SET statement_timeout = {milliseconds}")
        connection.time_cap = milliseconds


def _watch(connection: Any, deadline: float, width: int) -> Watch:
    """Watch a statement. The server applies its limit to each message of a run: in the end the bus cancels this one."""
    cancel = Cancel(deadline + OVERDUE, connection.cancel_request.send)
    return watchdog.begin(_descriptor(connection), deadline, width, cancel)


def _descriptor(connection: Any) -> int:
    try:
        return connection.fileno()  # type: ignore[no-any-return]
    except _driver().Error:
        raise ConnectFailed("broken") from None


def _columns_of_tables(
    connection: Any, schema: str, table: str, seconds: float = LOOK_SECONDS
) -> list[tuple[str, ColumnInfo]]:
    """Return the columns of a table, or of all tables of a schema, each with its table's name."""
    rows = _query(connection, _COLUMNS.format(MAX_COLUMNS + 1), seconds, schema=schema, table=table)
    return [
        (table_, ColumnInfo(name, type_, TYPES.get(oid, "text"), nullable, key, comment or ""))
        for table_, name, type_, oid, nullable, key, comment in rows
    ]


def _with_words(
    fault: SourceError,
    error: Exception,
    cursor: Any,
    sql: str,
    arguments: Mapping[str, Any] | Sequence[Any],
    limits: Limits,
) -> SourceError:
    """Return the fault, for an author with the server's words and the position in ``sql``."""
    if limits.author and isinstance(error, _driver().Error):
        diagnosis = error.diag  # type: ignore[attr-defined]
        words = "\n".join(filter(None, (diagnosis.message_primary, diagnosis.message_detail, diagnosis.message_hint)))
        position = _offset(cursor, sql, arguments, diagnosis.statement_position)
        if position == len(sql.rstrip()):
            # What the server read next is the bus's.
            words = words.replace('at or near ";"', "at end of input")
        fault.words = AuthorWords((words or str(error))[:MAX_WORDS], position)
    return fault


def _offset(cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], position: str | None) -> int | None:
    """Return the offset in ``sql`` of a position in the message that was sent, which counts from 1."""
    if position is None or cursor.query is None or not isinstance(arguments, Mapping):
        return None
    bound = cursor.mogrify(sql, arguments).decode()
    start = cursor.query.decode().find(bound)
    offset = int(position) - 1 - start
    if start < 0 or offset < 0:
        return None
    if offset >= len(bound):
        return len(sql.rstrip())

    def length(match: re.Match[str]) -> int:
        return len(cursor.mogrify(match[0], arguments).decode())

    return offset_before(sql, offset, PYFORMAT, length)


def _query(connection: Any, sql: str, seconds: float = LOOK_SECONDS, **arguments: str) -> list[Row]:
    """Return the rows of a query on the catalogue. Raises TimedOut if no time is left for it."""
    if seconds <= 0:
        raise TimedOut
    cursor = connection.cursor()
    token = watchdog.begin(_descriptor(connection), time.monotonic() + seconds)
    try:
        _set_time_cap(connection, cursor, seconds)
        cursor.execute(_walls(seconds) + sql, arguments)
        return cursor.fetchall()  # type: ignore[no-any-return]
    except Exception as error:
        raise _to_source_error(error, connection, watchdog.end(token)) from None
    finally:
        watchdog.end(token)


def _to_source_error(error: Exception, connection: Any, cut: SourceError | None = None) -> Exception:
    """Return the driver's error as a SourceError; any other error unchanged."""
    if isinstance(error, SourceError):
        return error
    if cut is not None:
        return cut
    if isinstance(error, (ValueError, UnicodeError, OverflowError)):
        return QueryFailed("data")
    if not isinstance(error, _driver().Error):
        return error
    state = error.pgcode or ""  # type: ignore[attr-defined]
    reason = _STATES.get(state) or _CLASSES.get(state[:2], "other")
    # The states of connecting occur in statements too: of a foreign server, or raised by a function.
    fatal = error.diag.severity_nonlocalized in ("FATAL", "PANIC")  # type: ignore[attr-defined]
    return statement_error(reason, state, bool(connection.closed) or fatal)


def _connection_reason(error: Exception) -> tuple[str, str]:
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
    """Return psycopg2's connection class, extended.

    It has the session's time cap in ms, the number of runs by statement, and the request to cancel a statement.
    """

    class Connection(_driver().extensions.connection):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.time_cap = 0
            self.runs: dict[str, int] = {}
            self.cancel_request = CancelRequest(self.pgconn_ptr)

    return Connection


@cache
def _casters() -> dict[int, Any]:
    extensions = _driver().extensions
    binary = extensions.new_type((17,), "BYTES", lambda value, _: None if value is None else bytes.fromhex(value[2:]))
    return {**dict.fromkeys(_AS_WRITTEN, extensions.UNICODE), 17: binary}
