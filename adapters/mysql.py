"""MySQL 5.6 and later, and MariaDB, over mysqlclient."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache, lru_cache, partial
from types import ModuleType
from typing import Any

from adapters import procedures
from adapters.base import (
    CONNECT_SECONDS,
    CONNECTING,
    LOOK_SECONDS,
    MAX_COLUMNS,
    MAX_COMMENT,
    MAX_WORDS,
    PING_SECONDS,
    READING,
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
    converted,
    keys_of,
    local_time,
    plannable,
    quoted,
    statement_error,
)
from adapters.placeholders import PYFORMAT, offset_before
from adapters.socket_watch import OVERDUE, Cancel, Watch, address_count, is_idle, refuses_connections, watchdog
from adapters.streaming import BATCH, BufferedResult, Chunk, ChunkedResult, fetch_first

#: The bus's names of the protocol's type codes.
TYPES: dict[int, str] = {
    0: "decimal",
    1: "integer",
    2: "integer",
    3: "integer",
    4: "float",
    5: "float",
    7: "datetime",
    8: "integer",
    9: "integer",
    10: "date",
    11: "time",
    12: "datetime",
    13: "integer",
    14: "date",
    16: "integer",
    245: "json",
    246: "decimal",
    255: "bytes",
}
_INTEGERS = (1, 2, 3, 8, 9)
_STRINGS = (15, 249, 250, 251, 252, 253, 254)
#: Among them floats (7, 1e20) and the year 0000.
_AS_WRITTEN = (0, 4, 5, 7, 10, 11, 12, 13, 14, 245, 246, 247, 248)
_BIT, _GEOMETRY = 16, 255
_BINARY, _ZEROFILL = 128, 64

#: The bus's names of information_schema's types.
_NAMES = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"), "integer"),
    **dict.fromkeys(("decimal", "numeric"), "decimal"),
    **dict.fromkeys(("float", "double"), "float"),
    **dict.fromkeys(("datetime", "timestamp"), "datetime"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry"), "bytes"),
    "date": "date",
    "time": "time",
    "json": "json",
    "uuid": "uuid",
}

#: A statement means the same on every server: the SQL check reads " as a quotation mark and \ as an escape,
#: and a value that does not fit must fail instead of being cut.
_SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

#: The server's error number of a procedure that does not exist, and how many calls of functions are remembered.
_NO_PROCEDURE, _MOST_FUNCTIONS = 1305, 100

_NO_CAP = 18446744073709551615

#: Before a statement that reads, on MariaDB: it runs read-only and within its caps, whatever statements before it did
#: to the session.
_WALLS = "SET STATEMENT tx_read_only = 1, sql_select_limit = {}, max_statement_time = {} FOR\n"

#: Finds a function that CALL names, and its schema: the server's own are not among them.
_OWN_FUNCTION = (
    "SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_type = 'FUNCTION'"
    " AND routine_schema = coalesce(nullif(%(schema)s, ''), database()) AND lower(routine_name) = lower(%(name)s)"
    " AND routine_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')"
)

#: The stored functions of these names: all of them are in SQL.
_OWN_ROUTINES = (
    "SELECT lower(routine_schema), lower(routine_name)"
    " FROM information_schema.routines WHERE routine_type = 'FUNCTION'"
    " AND find_in_set(lower(routine_name), %(names)s) > 0"
    " AND routine_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')"
)

#: The tables and views of a schema.
_TABLES = (
    "SELECT table_name, CASE WHEN table_type LIKE '%%VIEW' THEN 'view' ELSE 'table' END, table_comment, table_rows"
    " FROM information_schema.tables WHERE table_schema = %(schema)s ORDER BY table_name LIMIT {}"
)

#: The columns of a schema's tables.
_COLUMNS = (
    "SELECT table_name, column_name, column_type, data_type, is_nullable, column_key, column_comment"
    " FROM information_schema.columns WHERE table_schema = %(schema)s"
)

#: The foreign keys of a schema's tables: the table, and a row for keys_of().
_FOREIGN_KEYS = (
    "SELECT table_name, constraint_name, 'foreign', column_name, referenced_table_schema, referenced_table_name,"
    " referenced_column_name FROM information_schema.key_column_usage WHERE table_schema = %(schema)s"
    " AND referenced_table_name IS NOT NULL ORDER BY table_name, constraint_name, ordinal_position"
)

#: A query that returns another one's columns only.
_NO_ROWS = "SELECT * FROM (\n{}\n) AS mantra LIMIT 0"

#: A step of a plan that reads a whole table, with about how many rows it has.
_SCAN = re.compile(r"\btable: ([^,]+),.*\btype: ALL\b.*\brows: (\d+)")

#: Where the server stopped reading, by the text that follows; a name that it does not know.
_NEAR = re.compile(r"\bnear '(.*)' at line \d+$", re.S)
_OUTSIDE_BMP = re.compile("[^\x00-\uffff]")  # servers write them as ? in messages
_NAMED = re.compile(r"^(?:Unknown column|Table|FUNCTION|Column) '?([^' ]+)'?", re.I)

_NUMBERS = {
    **dict.fromkeys((1040, 1203, 1226), "too-many-connections"),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), "forbidden"),
    **dict.fromkeys((1045, 1130, 1251, 1698, 1862, 2049, 2054, 2058, 2059, 3118, 4151), "login"),
    1049: "database-unknown",
    **dict.fromkeys((1054, 1051, 1109, 1146, 1305, 1356), "object-unknown"),
    **dict.fromkeys((1064, 1065, 1149, 1222, 1248, 1052, 1060, 1066, 1111, 1140, 1055, 1056, 1241), "syntax"),
    **dict.fromkeys((1290, 1792, 1836), "read-only"),
    **dict.fromkeys((1205, 1213, 1020, 3058, 3101, 3572), "locked"),
    **dict.fromkeys((1317, 1969, 3024), "timeout"),
    **dict.fromkeys((1048, 1062, 1169, 1216, 1217, 1364, 1451, 1452, 1557, 1586, 3819, 4025), "constraint"),
    **dict.fromkeys(
        (1265, 1292, 1366, 1406, 1411, 1416, 1525, 3140, 3141, 3156, 4038), "data"
    ),
    **dict.fromkeys((1264, 1367, 1690), "range"),
    **dict.fromkeys((1053, 1077, 1079, 1153, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2055), "broken"),
    **dict.fromkeys((2002, 2003), "refused"),
    2005: "host-unknown",
    2026: "tls",
}  # fmt: skip


class MySQL(Adapter):
    engine = "mysql"
    label = "MySQL / MariaDB"
    driver = "MySQLdb"
    install = "apt-get install default-libmysqlclient-dev pkg-config gcc python3-dev && pip install mysqlclient"
    dialect = "mysql"
    paramstyle = "pyformat"
    has_own_routines = True
    default_port = 3306
    system_databases = frozenset(("information_schema", "mysql", "performance_schema", "sys"))
    settings = (
        Setting("host", "Host", required=True, leads=True),
        Setting("port", "Port", default="3306", leads=True),
        Setting("database", "Database", required=True),
        Setting("user", "User", required=True),
        Setting("password", "Password", secret=True),
        Setting(
            "ssl_mode", "TLS", default="PREFERRED",
            help="DISABLED, PREFERRED, REQUIRED, VERIFY_CA (MariaDB's client checks the name too) or VERIFY_IDENTITY",
        ),
        Setting("ssl_ca", "CA file", help="PEM file with the CA certificate, for VERIFY_CA and VERIFY_IDENTITY"),
        TIME_ZONE,
    )  # fmt: skip

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        #: Calls that name a function, not a procedure.
        self.functions: set[procedures.ProcedureCall] = set()

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        mysqldb = _driver()
        source, deadline = self.source, time.monotonic() + seconds
        host, port = source.get("host") or "localhost", int(source.get("port") or self.default_port)
        # The client library connects to a UNIX socket for "localhost".
        host = "127.0.0.1" if host == "localhost" else host
        ssl_mode = source.get("ssl_mode") or "PREFERRED"
        try:
            connection = _connection_class()(
                deadline,
                host=host,
                port=port,
                user=source.get("user") or "",
                password=source.get("password") or "",
                database=source.get("database") or "",
                charset="utf8mb4",
                conv=_conversions(),
                connect_timeout=max(2, int(seconds) // address_count(host, port, seconds)),
                # Otherwise a server could request any file of this machine.
                local_infile=0,
                multi_statements=False,
                autocommit=None,  # see _set_up
                ssl_mode=ssl_mode,
                **({"ssl": {"ca": source["ssl_ca"]}} if source.get("ssl_ca") else {}),
            )
        except (mysqldb.Error, ValueError, UnicodeError) as error:
            raise _connection_error(error, host, port) from None
        watch = watchdog.begin(_descriptor(connection), deadline)
        try:
            _set_up(connection, writes, self.zone)
            connection.time_cap_name, connection.session_id = _cap_name(connection), connection.thread_id()
            if ssl_mode not in ("DISABLED", "PREFERRED") and not _encrypted(connection):
                raise ConnectFailed("tls")
        except Exception as error:
            silent = watchdog.end(watch) is not None
            connection.close()
            fault = to_source_error(error)
            reason = "unreachable" if silent else getattr(fault, "reason", "other")
            raise ConnectFailed(reason, getattr(fault, "sqlstate", "")) from None
        if watchdog.end(watch) is not None:
            connection.close()
            raise ConnectFailed("unreachable")
        return connection

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        deadline = time.monotonic() + limits.seconds
        watch, started = self._watch(connection, deadline, limits), False
        try:
            if limits.writes:
                _set_caps(connection, limits)
                _execute(connection, "START TRANSACTION READ WRITE")
            else:
                # The values first: they may need a query of their own, which must not come between.
                bound = _bind(connection, sql, arguments)
                statement = _walls(connection, limits) + bound
            started = True
            if limits.writes:
                stream: Stream = self._write(connection, sql, arguments, limits, deadline)
            else:
                connection.query(statement)
                stream = _read(connection, limits, deadline, partial(self._watch, connection, deadline, limits))
        except Exception as error:
            fault = to_source_error(error, watchdog.end(watch))
            if limits.author and isinstance(fault, QueryFailed):
                fault.words = _words(error, connection, sql, arguments)
            if isinstance(fault, QueryFailed) and limits.writes:
                fault = _roll_back(connection) or fault
            raise (fault if started else before_statement(fault)) from None
        return watchdog.finish(watch, stream, limits.writes)

    def _watch(self, connection: Any, deadline: float, limits: Limits) -> Watch:
        """Watch a statement, and kill it at the time limit where the server does not end it.

        MariaDB does. MySQL keeps its limit for SELECT only, and before 5.7 it has none.
        """
        name = connection.time_cap_name
        keeps_limit = name == "max_statement_time" or (name == "max_execution_time" and not limits.writes)
        at = deadline + (OVERDUE if keeps_limit else 0)
        cancel = Cancel(at, partial(self._kill, connection.session_id))
        return watchdog.begin(_descriptor(connection), deadline, limits.width, cancel)

    def own_routines(self, connection: Any, names: Collection[str]) -> frozenset[str]:
        last = ",".join(name.rpartition(".")[2] for name in names)
        rows = _query(connection, _OWN_ROUTINES, names=last)
        # With their database only: without it a function of the server of the same name comes first.
        return frozenset(f"{schema}.{name}" for schema, name in rows).intersection(names)

    def restore(self, connection: Any, writes: bool) -> bool:
        """As in the base class: the account logs in again in the same connection, which ends its session."""
        source = self.source
        token = watchdog.begin(_descriptor(connection), time.monotonic() + CONNECT_SECONDS)
        try:
            connection.change_user(source.get("user") or "", source.get("password") or "", source.get("database") or "")
            connection.session_caps = (None, None)
            _set_up(connection, writes, self.zone)
        except _driver().Error:
            return False
        finally:
            watchdog.end(token)
        return True

    def ping(self, connection: Any) -> bool:
        try:
            descriptor = connection.fileno()
        except _driver().Error:
            return False
        if is_idle(descriptor):
            return True
        watch = watchdog.begin(descriptor, time.monotonic() + PING_SECONDS)
        try:
            connection.ping()
        except _driver().Error:
            return False
        finally:
            watchdog.end(watch)
        return True

    def _write(
        self,
        connection: Any,
        sql: str,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
        deadline: float,
    ) -> BufferedResult:
        """Run a statement in the transaction that was begun, and commit it."""
        call = procedures.parse_call(sql, True)
        if call is None:
            stored = _first_result(connection, _bind(connection, sql, arguments), limits)
        else:
            stored = self._call(connection, call, arguments, limits)
        if time.monotonic() > deadline:
            # Not every statement fails when it is killed: sleep() returns early.
            raise TimedOut
        _execute(connection, "COMMIT")
        return stored

    def _call(
        self,
        connection: Any,
        call: procedures.ProcedureCall,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
    ) -> BufferedResult:
        """Call a procedure, or a function of that name."""
        if call not in self.functions:
            try:
                if call.outs:
                    return _call_with_outs(connection, call, arguments)
                return _first_result(connection, _bind(connection, f"CALL {call.slotted}", arguments), limits)
            except _driver().Error as error:
                if error.args[0] != _NO_PROCEDURE:
                    raise
        function = call.as_qualified_function(_own_function(connection, call))
        name = quoted(call.outs[0].name if len(call.outs) == 1 else call.name, "`", "`")
        statement = _bind(connection, f"SELECT {function} AS {name}", arguments)
        stored = _first_result(connection, statement, limits)
        if len(self.functions) > _MOST_FUNCTIONS:
            self.functions.clear()
        self.functions.add(call)
        return stored

    def _kill(self, thread: int) -> None:
        """End the statement of a session on the server, over another connection. Raises SourceError."""
        other = self.connect()
        watch = watchdog.begin(_descriptor(other), time.monotonic() + CONNECT_SECONDS)
        try:
            _execute(other, f"KILL QUERY {thread}")
        finally:
            watchdog.end(watch)
            other.close()

    def databases(self, connection: Any) -> list[str]:
        """Return the schemas: in MySQL a database is a schema."""
        return self.schemas(connection)

    def schemas(self, connection: Any) -> list[str]:
        rows = _query(
            connection,
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN"
            " ('information_schema', 'mysql', 'performance_schema', 'sys')"
            " ORDER BY schema_name <> coalesce(database(), ''), schema_name",
        )
        return [name for (name,) in rows]

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        rows = _query(
            connection,
            "SELECT table_name, CASE WHEN table_type LIKE '%%VIEW' THEN 'view' ELSE 'table' END"
            " FROM information_schema.tables WHERE table_schema = %(schema)s ORDER BY table_name",
            schema=schema,
        )
        return [(name, kind) for name, kind in rows]

    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        return [column for _, column in _columns_of_tables(connection, schema, table)] if table else []

    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        rows = _query(
            connection,
            "SELECT index_name, CASE WHEN index_name = 'PRIMARY' THEN 'primary' WHEN non_unique = 0 THEN 'unique'"
            " ELSE 'index' END, coalesce(column_name, '(…)'), NULL, NULL, NULL, seq_in_index"
            " FROM information_schema.statistics WHERE table_schema = %(schema)s AND table_name = %(table)s"
            " UNION ALL SELECT constraint_name, 'foreign', column_name, referenced_table_schema,"
            " referenced_table_name, referenced_column_name, ordinal_position FROM information_schema.key_column_usage"
            " WHERE table_schema = %(schema)s AND table_name = %(table)s AND referenced_table_name IS NOT NULL"
            " ORDER BY 1, 7",
            schema=schema,
            table=table,
        )
        return keys_of(rows)

    def catalogue(self, connection: Any, schema: str, most: int, seconds: float) -> Catalogue:
        deadline = time.monotonic() + seconds
        tables = _query(connection, _TABLES.format(most + 1), seconds, schema=schema)
        columns = _columns_of_tables(connection, schema, "", deadline - time.monotonic())
        foreign = _query(connection, _FOREIGN_KEYS, deadline - time.monotonic(), schema=schema)
        listed = [
            (name, kind, comment[:MAX_COMMENT] if kind == "table" else "", rows) for name, kind, comment, rows in tables
        ]
        return catalogue_of(listed, columns, foreign, most)

    def describe(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> tuple[tuple[str, str | None], ...]:
        """As in the base class: the query is a table of another one without rows, unless two of its columns have one
        name, which no table may have. Then it runs without rows where it has no LIMIT of its own."""
        try:
            return self._columns_of_run(connection, _NO_ROWS.format(sql.rstrip().rstrip(";")), arguments, limits)
        except QueryFailed:
            # Any other error comes again, and is about the author's own text then.
            return self._columns_of_run(connection, sql, arguments, limits)

    def _columns_of_run(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> tuple[tuple[str, str | None], ...]:
        stream = self.run(connection, sql, arguments, replace(limits, rows=0, writes=False))
        stream.close()
        return stream.columns

    def full_scans(self, plan: Sequence[str]) -> list[FullScan]:
        return [FullScan(match[1], int(match[2])) for line in plan if (match := _SCAN.search(line))]

    def quoted(self, name: str) -> str:
        return quoted(name, "`", "`")

    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """Return one line for each table of the plan, without the columns that are NULL."""
        # A reading session refuses even the plan of a statement that writes.
        mode = "ONLY" if plannable(sql) in READING else "WRITE"
        limits = Limits(10_000, limits.seconds)
        watch = self._watch(connection, time.monotonic() + limits.seconds, limits)
        try:
            _set_caps(connection, limits)
            _execute(connection, f"START TRANSACTION READ {mode}")
            plan = _first_result(connection, _bind(connection, f"EXPLAIN {sql}", arguments), limits)
        except Exception as error:
            fault = to_source_error(error, watchdog.end(watch))
            if isinstance(fault, QueryFailed):
                fault = _roll_back(connection) or fault
            raise fault from None
        watchdog.finish(watch, plan, writes=False)
        # Servers run functions in subqueries to make a plan: nothing of them may stay.
        if (lost := _roll_back(connection)) is not None:
            raise lost
        return _plan_lines(plan)


class UnbufferedResult(ChunkedResult):
    """A result that the server is still sending. Closing it early costs the connection."""

    def __init__(
        self, connection: Any, result: Any, first: Chunk, limits: Limits, deadline: float, watch: Callable[[], Watch]
    ) -> None:
        super().__init__(_columns(result), first, limits)
        self._watch = watch
        self._connection = connection
        self._result = result
        self._deadline = deadline
        self.reusable = False

    def _fetch(self, count: int) -> list[Row]:
        """As in the base class. At the end of the result the connection can be used again."""
        result, watch = self._result, None
        try:
            if result is None:
                return []
            if time.monotonic() > self._deadline:
                raise TimedOut
            watch = self._watch()
            rows: list[Row] = list(result.fetch_row(count, 0))
            ended = _is_at_end(result, rows, count, self._remaining - len(rows))
            if ended:
                _skip_results(self._connection)
        except Exception as error:
            cut = watchdog.end(watch) if watch is not None else None
            self.close()
            raise to_source_error(error, cut) from None
        if (cut := watchdog.end(watch)) is not None:
            self.close()
            raise cut
        if ended:
            self._result, self.reusable = None, True
        return rows

    def _give_up(self) -> None:
        self.reusable = False
        self.close()
        self._connection.close()

    def close(self) -> None:
        if self._result is not None:
            self._first = []
            # In this order: a result that is freed while its connection is open reads all remaining rows.
            self._connection.close()
            self._result = None


def _plan_lines(plan: BufferedResult) -> list[str]:
    """Return the lines of what EXPLAIN gave. Raises QueryFailed if that is no plan."""
    names = [name for name, _ in plan.columns]
    if "select_type" not in names and names != ["EXPLAIN"]:
        raise QueryFailed("no-plan")
    return [
        ", ".join(f"{name}: {value}" for name, value in zip(names, row, strict=True) if value is not None)
        for batch in plan
        for row in batch
    ]


def _read(connection: Any, limits: Limits, deadline: float, watch: Callable[[], Watch]) -> Stream:
    """Return the result of the query that was sent. ``watch`` begins to watch the fetching of its later rows."""
    result = connection.use_result()
    if result is None:
        affected = connection.affected_rows()
        _skip_results(connection)
        return BufferedResult(affected=affected)
    count = min(limits.rows + 1, BATCH)
    try:
        first = fetch_first(lambda step: list(result.fetch_row(step, 0)), count, limits)
    except RowTooLarge:
        # In this order, as in close().
        connection.close()
        raise
    if first.ended or _is_at_end(result, first.rows, len(first.rows), limits.rows + 1 - len(first.rows)):
        _skip_results(connection)
        return BufferedResult(_columns(result), first.rows)
    return UnbufferedResult(connection, result, first, limits, deadline, watch)


def _is_at_end(result: Any, rows: list[Row], requested: int, remaining: int) -> bool:
    """Return True if the server has sent all rows. At the row cap one more fetch decides: the session's cap does not
    apply to a statement with its own LIMIT."""
    return len(rows) < requested or (not remaining and not result.fetch_row(1, 0))


def _call_with_outs(
    connection: Any, call: procedures.ProcedureCall, arguments: Mapping[str, Any] | Sequence[Any]
) -> BufferedResult:
    """Call a procedure whose OUT parameters are the row of the result. Its result sets are skipped."""
    variables = [f"@mantra_{place}" for place in range(len(call.outs))]
    values = [f"%({out.name})s" if out.given else "NULL" for out in call.outs]
    assigned = ", ".join(f"{variable} = {value}" for variable, value in zip(variables, values, strict=True))
    connection.query(_bind(connection, f"SET {assigned}", arguments))
    connection.query(_bind(connection, f"CALL {call.text(lambda place, _: variables[place])}", arguments))
    connection.discard_result()
    _skip_results(connection)
    connection.query(f"SELECT {', '.join(variables)}".encode())
    result = connection.store_result()
    columns = [
        (out.name, out.kind or type_) for out, (_, type_) in zip(call.outs, _columns(result), strict=True)
    ]  # fmt: skip
    return BufferedResult(tuple(columns), list(result.fetch_row(1, 0)))


def _first_result(connection: Any, statement: bytes, limits: Limits) -> BufferedResult:
    """Run a statement and return its first result set: a procedure may have several."""
    connection.query(statement)
    result = connection.store_result()
    if result is None:
        stored = BufferedResult(affected=connection.affected_rows())
    else:
        stored = BufferedResult(_columns(result), list(result.fetch_row(limits.rows + 1, 0)))
    _skip_results(connection)
    return stored


def _roll_back(connection: Any) -> ConnectFailed | None:
    token = watchdog.begin(_descriptor(connection), time.monotonic() + CONNECT_SECONDS)
    try:
        _skip_results(connection)
        _execute(connection, "ROLLBACK")
    except Exception:
        connection.close()
        return ConnectFailed("broken")
    finally:
        watchdog.end(token)
    return None


def _skip_results(connection: Any) -> None:
    """Skip what follows the first result: a procedure's status comes there, and its errors."""
    while connection.next_result() == 0:
        connection.discard_result()


def _own_function(connection: Any, call: procedures.ProcedureCall) -> str:
    """Return the full name of the function that a CALL names, for pyformat. Raises QueryFailed for the server's own.

    With its schema: a function of the server would come before one of the same name without it.
    """
    schema, name = call.path
    connection.query(_bind(connection, _OWN_FUNCTION, {"schema": schema, "name": name}))
    rows = connection.store_result().fetch_row(2, 0)
    if len(rows) != 1:
        raise QueryFailed("object-unknown", str(_NO_PROCEDURE))
    return ".".join(quoted(part, "`", "`") for part in rows[0]).replace("%", "%%")


def _set_up(connection: Any, writes: bool, zone: tzinfo | None) -> None:
    """Give a new session its settings."""
    _execute(connection, f"SET SESSION sql_mode = '{_SQL_MODE}', autocommit = 1")
    _execute(connection, f"SET SESSION TRANSACTION READ {'WRITE' if writes else 'ONLY'}")
    if zone is not None:
        # TIMESTAMP columns are read and written in the session's zone.
        _execute(connection, f"SET SESSION time_zone = '{_zone_name(zone)}'")
        connection.zone = zone


def _walls(connection: Any, limits: Limits) -> bytes:
    """Return the beginning of a message that reads. Where MySQL knows none, the settings precede it in a message."""
    if connection.time_cap_name == "max_statement_time":
        return _WALLS.format(limits.rows + 1, f"{max(0.001, limits.seconds):.3f}").encode()
    _set_caps(connection, limits)
    # For the next transaction only, which is the statement: nothing in that can take it back.
    _execute(connection, "SET TRANSACTION READ ONLY")
    return b""


def _set_caps(connection: Any, limits: Limits) -> None:
    """Set the session's row and time caps to these limits; nothing is sent if they are set already."""
    wanted = (_NO_CAP if limits.writes else limits.rows + 1, limits.seconds)
    if connection.session_caps == wanted:
        return
    text = f"SET SESSION sql_select_limit = {wanted[0]}"
    if connection.time_cap_name == "max_statement_time":
        text += f", max_statement_time = {max(0.001, limits.seconds):.3f}"
    elif connection.time_cap_name == "max_execution_time":
        text += f", max_execution_time = {max(1, int(limits.seconds * 1000))}"
    _execute(connection, text)
    connection.session_caps = wanted


def _cap_name(connection: Any) -> str | None:
    """Return the name of the server's time cap. Servers before MySQL 5.7 have none: there only the watchdog acts."""
    if "mariadb" in connection.get_server_info().lower():
        return "max_statement_time"
    version = connection.get_server_info().split(".")
    return "max_execution_time" if (int(version[0]), int(version[1])) >= (5, 7) else None


def _bind(connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any]) -> bytes:
    values = converted(arguments, partial(_literal, connection))
    if isinstance(values, dict):
        return _encoded(sql) % {name.encode(): value for name, value in values.items()}
    return _encoded(sql) % tuple(values)


@lru_cache(maxsize=1000)
def _encoded(sql: str) -> bytes:
    return sql.encode()


def _literal(connection: Any, value: Any) -> bytes:
    """Return the value as SQL. Raises ValueError for NaN and infinity, which mysqlclient would write as a column's
    name, and OverflowError for a datetime outside of the years 1 to 9999."""
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("MySQL cannot represent this number")
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = local_time(value, _session_zone(connection))
    return connection.literal(value)  # type: ignore[no-any-return]


def _session_zone(connection: Any) -> tzinfo:
    """Return the time zone of the session. Where the source names none, the server says how far it is from UTC."""
    if connection.zone is None:
        connection.query(b"SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW())")
        ((seconds,),) = connection.store_result().fetch_row(0, 0)
        connection.zone = timezone(timedelta(seconds=seconds))
    return connection.zone  # type: ignore[no-any-return]


def _zone_name(zone: tzinfo) -> str:
    """Return the zone as MySQL knows it: by its offset if it has only one, for a server may have no table of zones."""
    offsets = {datetime(year, month, 1, tzinfo=zone).strftime("%z") for year in range(2000, 2038) for month in (1, 7)}
    offset = offsets.pop()
    return str(zone) if offsets else f"{offset[:3]}:{offset[3:5]}"


def _execute(connection: Any, text: str) -> None:
    connection.query(text.encode())
    connection.store_result()


def _columns_of_tables(
    connection: Any, schema: str, table: str, seconds: float = LOOK_SECONDS
) -> list[tuple[str, ColumnInfo]]:
    """Return the columns of a table, or of all tables of a schema, each with its table's name."""
    one = " AND table_name = %(table)s" if table else ""
    sql = f"{_COLUMNS}{one} ORDER BY table_name, ordinal_position LIMIT {MAX_COLUMNS + 1}"
    columns = []
    for row in _query(connection, sql, seconds, schema=schema, table=table):
        table_, name, type_, kind, nullable, key, comment = row
        bus_type = _NAMES.get(kind.lower(), "text")
        column = ColumnInfo(name, type_, bus_type, nullable == "YES", key == "PRI", comment[:MAX_COMMENT])
        columns.append((table_, column))
    return columns


def _words(
    error: Exception, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any]
) -> AuthorWords | None:
    """Return the server's words about a statement; None if the error is not the server's."""
    if not isinstance(error, _driver().Error) or len(error.args) < 2:
        return None
    text = str(error.args[1])[:MAX_WORDS]
    match = _NEAR.search(text)
    if match is not None and isinstance(arguments, Mapping):
        return AuthorWords(text, _offset(connection, sql, arguments, match[1]))
    named = _NAMED.search(text)
    return AuthorWords(text, near=named[1] if named else "")


def _offset(connection: Any, sql: str, arguments: Mapping[str, Any], rest: str) -> int | None:
    """Return the offset in ``sql`` where the server stopped reading; ``rest`` is what it read next, up to 80 bytes."""
    bound = _bind(connection, sql, arguments).decode(errors="replace")
    # At the end of the statement there is no rest; a rest that is cut may end within a character.
    at = _OUTSIDE_BMP.sub("?", bound).rfind(rest.rstrip("\ufffd")) if rest else len(bound.rstrip())

    def length(match: re.Match[str]) -> int:
        return len(_literal(connection, arguments[match[1]]).decode(errors="replace")) if match[1] else 1

    return offset_before(sql, at, PYFORMAT, length) if at >= 0 else None


def _query(connection: Any, sql: str, seconds: float = LOOK_SECONDS, **arguments: str) -> list[Row]:
    """Return the rows of a query on the catalogue. Raises TimedOut if no time is left for it."""
    if seconds <= 0:
        raise TimedOut
    token = watchdog.begin(_descriptor(connection), time.monotonic() + seconds)
    try:
        walls = _walls(connection, Limits(rows=100_000, seconds=seconds))
        connection.query(walls + _bind(connection, sql, arguments))
        return list(connection.store_result().fetch_row(0, 0))
    except Exception as error:
        raise to_source_error(error, watchdog.end(token)) from None
    finally:
        watchdog.end(token)


def _columns(result: Any) -> tuple[tuple[str, str | None], ...]:
    """Return names and types. Text and bytes share their type codes: mysqlclient's converter distinguishes them by the
    column's character set; by the protocol's BINARY flag a _bin collation would count as bytes."""
    return tuple(
        [
            (column[0], _type(column[1], converter))
            for column, converter in zip(result.describe(), result.converter, strict=True)
        ]
    )


def _type(code: int, converter: Any) -> str:
    if converter is bytes:
        return "bytes"
    return "text" if converter is str and code in _TEXTUAL else TYPES.get(code, "text")


_TEXTUAL = frozenset((*_INTEGERS, *_STRINGS))


def _descriptor(connection: Any) -> int:
    try:
        return connection.fileno()  # type: ignore[no-any-return]
    except _driver().Error:
        raise ConnectFailed("broken") from None


def _reason_of(error: Exception) -> tuple[str, int]:
    """Return the reason that one of the driver's errors means, and its number."""
    driver = _driver()
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if isinstance(error, driver.InterfaceError) and not number:
        return "broken", 0
    return _NUMBERS.get(number) or ("data" if isinstance(error, driver.DataError) else "other"), number


def to_source_error(error: Exception, cut: SourceError | None = None) -> Exception:
    """Return the driver's error for a statement as a SourceError; any other error unchanged."""
    if isinstance(error, SourceError):
        return error
    if cut is not None:
        return cut
    if isinstance(error, (ValueError, UnicodeError, OverflowError)):
        return QueryFailed("data")
    if not isinstance(error, _driver().Error):
        return error
    reason, number = _reason_of(error)
    # Of the server's own numbers (below 2000 and from 3000) only these come with the end of the connection.
    lost = reason == "broken" or (reason in CONNECTING and 2000 <= number < 3000)
    return statement_error(reason, str(number) if number else "", lost)


def _connection_error(error: Exception, host: str, port: int) -> ConnectFailed:
    reason, number = _reason_of(error)
    # The client library reports the same error for every failed connection.
    if reason in ("refused", "broken") and not refuses_connections(host, port):
        reason = "unreachable"
    return ConnectFailed(reason, str(number) if number else "")


def _encrypted(connection: Any) -> bool:
    """Return True if TLS is used. MariaDB's client library ignores REQUIRED when the server offers no TLS."""
    connection.query(b"SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    rows = connection.store_result().fetch_row(0, 0)
    return bool(rows and rows[0][1])


@cache
def _driver() -> ModuleType:
    try:
        importlib.import_module("MySQLdb.connections")
        return importlib.import_module("MySQLdb")
    except ImportError:
        raise ConnectFailed("driver-missing") from None


@cache
def _connection_class() -> type[Any]:
    """Return mysqlclient's connection class, which can be closed twice. ``session_caps`` are the limits set in its
    session, ``time_cap_name`` is the name of its server's time limit, ``session_id`` the server's number of it,
    ``zone`` the session's time zone, once known. ``deadline`` is when it must be open (time.monotonic())."""
    driver = _driver()
    base = driver.connections.Connection

    def init(self: Any, deadline: float, **words: Any) -> None:
        self.deadline = deadline
        base.__init__(self, **words)

    def set_character_set(self: Any, *words: Any) -> None:
        # The first statement after the log-in, sent by the constructor: the client library's timeout is over.
        watch = watchdog.begin(_descriptor(self), self.deadline)
        try:
            base.set_character_set(self, *words)
        finally:
            watchdog.end(watch)

    def close(self: Any) -> None:
        with suppress(driver.Error):
            base.close(self)

    methods = {"__init__": init, "set_character_set": set_character_set, "close": close}
    attributes = {"session_caps": (None, None), "time_cap_name": None, "session_id": 0, "zone": None}
    return type("Connection", (base,), {**methods, **attributes})


def _bit(value: bytes) -> int:
    return int.from_bytes(value, "big")


@cache
def _conversions() -> dict[Any, Any]:
    """Return the Python type of each type code. A ZEROFILL number stays text, to keep its leading zeros."""
    conversions = importlib.import_module("MySQLdb.converters").conversions
    from_python = {key: value for key, value in conversions.items() if not isinstance(key, int)}
    return {
        **from_python,
        **{code: [(_ZEROFILL, str), (None, int)] for code in _INTEGERS},
        **{code: [(_BINARY, bytes), (None, str)] for code in _STRINGS},
        **dict.fromkeys(_AS_WRITTEN, str),
        _BIT: _bit,
        _GEOMETRY: bytes,
    }
