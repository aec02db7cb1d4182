"""The adapter of Oracle: running statements, and results in chunks."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from adapters.base import (
    CONNECT_SECONDS,
    MAX_WORDS,
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
    Stream,
    TimedOut,
    converted,
    plannable,
)
from adapters.oracle import catalogue
from adapters.oracle.connecting import connect, restore_session, session_zone
from adapters.oracle.driver import FETCH, oracledb_driver, to_source_error
from adapters.oracle.statements import OTHER_STATEMENT, OracleStatement, offset_in, parse_statement
from adapters.oracle.types import (
    Columns,
    bindable,
    columns_of,
    loses_precision,
    out_value,
    timestamp_type,
    with_exact_timestamps,
)
from adapters.procedures import ORACLE_OUT_TYPES
from adapters.socket_watch import is_idle, watchdog
from adapters.streaming import BATCH, BufferedResult, Chunk, ChunkedResult, fetch_first, rows_that_fit

#: Rows of the first fetch: a batch, and one more that shows whether the result is larger.
FIRST = BATCH + 1


class Oracle(Adapter):
    engine = "oracle"
    label = "Oracle"
    driver = "oracledb"
    install = "pip install oracledb"
    dialect = "oracle"
    paramstyle = "named"
    default_port = 1521
    paging = "OFFSET :offset ROWS FETCH NEXT :limit ROWS ONLY"
    settings = (
        Setting("host", "Host", help="required unless you enter a connect string", leads=True),
        Setting("port", "Port", default="1521", leads=True),
        # One listener serves the databases of several owners: each is a server of its own.
        Setting("service_name", "Service name", leads=True),
        Setting("sid", "SID", help="for a database that has no service name", leads=True),
        Setting(
            "dsn", "Connect string",
            help="instead of host and service: host:port/service, (DESCRIPTION=…), or a name in tnsnames.ora",
            leads=True,
        ),
        Setting("user", "User", required=True),
        Setting("password", "Password", secret=True),
        Setting("protocol", "Protocol", default="tcp", help="tcp, or tcps for TLS"),
        # Its tnsnames.ora says which server a name stands for.
        Setting("wallet", "Wallet", help="folder with ewallet.pem and tnsnames.ora, for TLS", leads=True),
        Setting("wallet_password", "Wallet password", secret=True),
        Setting("schema", "Schema", help="schema for names without one; by default the user's own"),
        Setting("session", "Session", help="for example NLS_SORT=BINARY_CI; NLS_COMP=LINGUISTIC; TIME_ZONE=+07:00"),
        TIME_ZONE,
    )  # fmt: skip

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        self.zone = session_zone(source) or self.zone
        #: Statements whose timestamps only the server can write exactly: the statement sent instead, and its columns.
        self.exact: dict[str, tuple[str, Columns]] = {}
        #: Calls of what is not the server's own.
        self.own_calls: set[tuple[str, ...]] = set()
        #: By statement: the width of its widest row so far, in bytes.
        self.widths: dict[str, int] = {}

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        return connect(self.source, writes, seconds)

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        deadline = time.monotonic() + limits.seconds
        if connection.closed:
            raise ConnectFailed("broken")
        statement = parse_statement(sql)
        if not connection.writes and (statement.locks or not statement.reads):
            raise QueryFailed("read-only" if statement.reads or OTHER_STATEMENT.match(sql) else "syntax")
        values = converted(arguments, partial(bindable, zone=self.zone))
        watch = watchdog.begin(connection.descriptor, deadline, limits.width)
        try:
            _set_time_limit(connection, deadline)
            if limits.writes:
                if statement.calls:
                    self._check_call(connection, statement.called)
                stream: Stream = _write(connection, statement, values, limits, deadline)
            else:
                stream = self._read(connection, statement, values, limits, deadline)
        except Exception as error:
            fault = to_source_error(error, watchdog.end(watch), deadline)
            if isinstance(fault, RowTooLarge):
                # Fetch its rows one by one next time: these may have been too many at once.
                self.widths[statement.text] = limits.width
            if isinstance(fault, QueryFailed):
                self.exact.pop(statement.text, None)
                fault.words = words_of(error, sql) if limits.author else None
                fault = _end_transaction(connection) or fault
            connection.lost = not isinstance(fault, QueryFailed)
            raise fault from None
        return watchdog.finish(watch, stream, limits.writes)

    def _check_call(self, connection: Any, called: tuple[str, ...]) -> None:
        """Look up, once for each name, whose procedure a CALL names. Raises QueryFailed if it is the server's own."""
        connection.called = True
        if called in self.own_calls:
            return
        if catalogue.is_of_the_server(connection, called):
            raise QueryFailed("forbidden")
        if len(self.own_calls) > 500:
            self.own_calls.clear()
        self.own_calls.add(called)

    def restore(self, connection: Any, writes: bool) -> bool:
        """As in the base class, after a procedure has run: nothing else can change a session here."""
        return not connection.called or restore_session(connection, self.source)

    def _read(
        self,
        connection: Any,
        statement: OracleStatement,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
        deadline: float,
    ) -> Stream:
        """Run a query in as many round trips as it has chunks: the first rows come with the execution.

        No transaction is begun: of what a statement that begins with SELECT can do in Oracle, READ ONLY would forbid
        only locks, and those are refused. A transaction that it opens nevertheless, as through a database link, is
        rolled back at its end.
        """
        count, width = min(limits.rows + 1, FIRST), self.widths.get(statement.text)
        ahead = 1 if width is None else rows_that_fit(width, count)
        cursor, columns = self._open_cursor(connection, statement, arguments, ahead)

        def fetch(step: int) -> list[Row]:
            # The driver applies its timeout to each round trip.
            _set_time_limit(connection, deadline)
            cursor.arraysize = step
            return cursor.fetchmany(step)  # type: ignore[no-any-return]

        first = fetch_first(fetch, count, limits, width)
        if len(self.widths) > 500:
            self.widths.clear()
        self.widths[statement.text] = max(first.widest, width or 0)
        if first.ended or len(first.rows) > limits.rows:
            cursor.close()
            if connection.transaction_in_progress:
                connection.rollback()
            return BufferedResult(columns, first.rows)
        return CursorResult(connection, cursor, columns, first, limits, deadline)

    def _open_cursor(
        self, connection: Any, statement: OracleStatement, arguments: Mapping[str, Any] | Sequence[Any], ahead: int
    ) -> tuple[Any, Columns]:
        """Run a query, rewritten where the driver would cut its timestamps short, with its first ``ahead`` rows."""
        exact = self.exact.get(statement.text)
        if exact is not None:
            return _execute(connection, exact[0], statement, arguments, ahead), exact[1]
        cursor = _execute(connection, statement.text, statement, arguments, ahead)
        description = cursor.description
        columns = columns_of(description)
        if not any(map(loses_precision, description)):
            return cursor, columns
        if len(self.exact) > 500:
            self.exact.clear()
        text = with_exact_timestamps(statement.text, description)
        self.exact[statement.text] = text, columns
        cursor.close()
        return _execute(connection, text, statement, arguments, ahead), columns

    def ping(self, connection: Any) -> bool:
        if connection.closed:
            return False
        if is_idle(connection.descriptor):
            return True
        token = watchdog.begin(connection.descriptor, time.monotonic() + 2)
        try:
            connection.call_timeout = 2000
            connection.ping()
        except (oracledb_driver().Error, OSError):
            connection.lost = True
            return False
        finally:
            watchdog.end(token)
        return True

    def databases(self, connection: Any) -> list[str]:
        return catalogue.databases(connection)

    def schemas(self, connection: Any) -> list[str]:
        return catalogue.schemas(connection)

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        return catalogue.tables(connection, schema)

    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        return catalogue.columns(connection, schema, table)

    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        return catalogue.keys(connection, schema, table)

    def catalogue(self, connection: Any, schema: str, most: int, seconds: float) -> Catalogue:
        return catalogue.catalogue(connection, schema, most, seconds)

    def describe(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> Columns:
        """As in the base class: Oracle parses the query and describes its columns, without values."""
        statement = parse_statement(sql)
        if not statement.reads or statement.locks:
            raise QueryFailed("read-only" if statement.reads or OTHER_STATEMENT.match(sql) else "syntax")
        deadline = time.monotonic() + limits.seconds
        watch = watchdog.begin(connection.descriptor, deadline)
        try:
            _set_time_limit(connection, deadline)
            with connection.cursor() as cursor:
                cursor.parse(statement.text)
                return columns_of(cursor.description)
        except Exception as error:
            fault = to_source_error(error, watchdog.end(watch), deadline)
            if limits.author and isinstance(fault, QueryFailed):
                fault.words = words_of(error, sql)
            connection.lost = not isinstance(fault, QueryFailed)
            raise fault from None
        finally:
            watchdog.end(watch)  # does nothing the second time

    def full_scans(self, plan: Sequence[str]) -> list[FullScan]:
        scans = [_SCAN.search(line) for line in plan]
        return [FullScan(match[1], _number(match[2])) for match in scans if match]

    def first_rows(self, name: str, rows: int) -> str:
        return f"SELECT * FROM {name} WHERE ROWNUM <= {rows:d}"  # noqa: S608 (the name is quoted)

    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """Return what DBMS_XPLAN prints after EXPLAIN PLAN has filled the session's PLAN_TABLE.

        Oracle takes no values here and reads each placeholder as a text: for numbers the plan may differ.
        """
        plannable(sql)
        name = f"mantra{secrets.token_hex(8)}"
        # As a literal in a block: otherwise the driver would require values for the placeholders.
        planned = f"EXPLAIN PLAN SET STATEMENT_ID = '{name}' FOR {parse_statement(sql).text}"
        deadline = time.monotonic() + limits.seconds
        watch = watchdog.begin(connection.descriptor, deadline)
        try:
            _set_time_limit(connection, deadline)
            cursor = connection.cursor()
            cursor.execute("BEGIN EXECUTE IMMEDIATE :1; END;", [planned])
            _set_time_limit(connection, deadline)
            cursor.execute("SELECT plan_table_output FROM TABLE(DBMS_XPLAN.DISPLAY(NULL, :1, 'TYPICAL'))", [name])
            return [str(line or "") for (line,) in cursor.fetchall()]
        except Exception as error:
            fault = to_source_error(error, watchdog.end(watch), deadline)
            connection.lost = not isinstance(fault, QueryFailed)
            raise fault from None
        finally:
            watchdog.end(watch)  # does nothing the second time
            _end_transaction(connection)


#: A line of a plan: the table of which all is read, and about how many rows that gives.
_SCAN = re.compile(r"\| *TABLE ACCESS (?:STORAGE )?FULL *\| *(\S+) *\| *(\d+[KMG]?) *\|")


#: A name that Oracle does not know.
_NAMED = re.compile(r"(\S+): invalid identifier|view (\S+) does not")


def _number(text: str) -> int:
    """Return a number of a plan, such as 20000 or 20M."""
    return int(text.rstrip("KMG")) * {"K": 10**3, "M": 10**6, "G": 10**9}.get(text[-1], 1)


def words_of(error: Exception, sql: str) -> AuthorWords | None:
    """Return Oracle's words about a statement, for its author; None if the error is not Oracle's."""
    details: Any = error.args[0] if error.args and isinstance(error, oracledb_driver().Error) else None
    if details is None or not getattr(details, "message", ""):
        return None
    text = details.message.partition("\nHelp:")[0][:MAX_WORDS]
    named = _NAMED.search(text)
    # Without a position the driver tells 0, where no statement is wrong.
    offset = offset_in(sql, details.offset) if getattr(details, "offset", 0) else None
    return AuthorWords(text, offset, (named[1] or named[2]).replace('"', "") if named else "")


class CursorResult(ChunkedResult):
    """A result larger than a batch: the cursor stays open at the server, and chunks are fetched from it."""

    max_fetch = FETCH

    def __init__(
        self, connection: Any, cursor: Any, columns: Columns, first: Chunk, limits: Limits, deadline: float
    ) -> None:
        super().__init__(columns, first, limits)
        self._connection = connection
        self._cursor = cursor
        self._deadline = deadline
        self._open = True

    def _fetch(self, count: int) -> list[Row]:
        connection = self._connection
        watch = None
        try:
            if not self._open or time.monotonic() >= self._deadline:
                raise TimedOut
            watch = watchdog.begin(connection.descriptor, self._deadline, self._limits.width)
            _set_time_limit(connection, self._deadline)
            self._cursor.arraysize = count
            rows: list[Row] = self._cursor.fetchmany(count)
        except Exception as error:
            fault = to_source_error(error, watchdog.end(watch) if watch is not None else None, self._deadline)
            self._give_up()
            raise fault from None
        if (cut := watchdog.end(watch)) is not None:
            self._give_up()
            raise cut
        return rows

    def _give_up(self) -> None:
        self.reusable = self._open = False
        self._connection.lost = True
        self._connection.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._first = []
            self._cursor.close()
            self.reusable = not self._connection.closed and _end_transaction(self._connection) is None


def _execute(
    connection: Any,
    text: str,
    statement: OracleStatement,
    arguments: Mapping[str, Any] | Sequence[Any],
    count: int,
    outs: Mapping[str, Any] | None = None,
) -> Any:
    """Run a statement and return its cursor, which has the first ``count`` rows."""
    cursor = connection.cursor()
    cursor.prefetchrows = cursor.arraysize = count
    if not isinstance(arguments, Mapping):
        arguments = dict(zip([name for name, _ in statement.placeholders], arguments, strict=True))
    bound = {placeholder: arguments[name] for name, placeholder in statement.placeholders}
    timestamps = {
        placeholder: timestamp_type(value) for placeholder, value in bound.items() if isinstance(value, datetime)
    }
    if timestamps:
        cursor.setinputsizes(**timestamps)
    for placeholder, variable in (outs or {}).items():
        if placeholder in bound:
            variable.setvalue(0, bound[placeholder])
        bound[placeholder] = variable
    cursor.execute(text, bound)
    return cursor


def _set_time_limit(connection: Any, deadline: float) -> None:
    """Set the timeout of the next round trip to what is left. Raises TimedOut if nothing is."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimedOut
    connection.call_timeout = max(1, int(left * 1000))


def _write(
    connection: Any,
    statement: OracleStatement,
    arguments: Mapping[str, Any] | Sequence[Any],
    limits: Limits,
    deadline: float,
) -> BufferedResult:
    """Run a statement in its own transaction. One that only changes rows is committed in the same round trip."""
    plain = not (statement.calls or statement.outs or statement.reads)
    connection.autocommit = plain
    try:
        if statement.outs:
            result = _run_out(connection, statement, arguments, limits)
        else:
            cursor = _execute(connection, statement.text, statement, arguments, min(limits.rows + 1, FETCH))
            results = [cursor] if cursor.description else _implicit_results(cursor) if statement.calls else []
            if results:
                result = _buffered(results[0], limits, cursor.rowcount)
            else:
                result = BufferedResult(affected=-1 if statement.calls else cursor.rowcount)
            cursor.close()
    finally:
        connection.autocommit = False
    if not plain:
        _set_time_limit(connection, deadline)
        connection.commit()
    return result


def _run_out(
    connection: Any, statement: OracleStatement, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
) -> BufferedResult:
    """Run a procedure with OUT parameters, or RETURNING … INTO. A CURSOR is the result; else they are its row."""
    oracledb = oracledb_driver()
    variables: dict[str, Any] = {}
    with connection.cursor() as variables_cursor:
        for out in statement.outs:
            type_, size, _ = ORACLE_OUT_TYPES[out.type]
            variables[out.placeholder] = variables_cursor.var(
                getattr(oracledb, type_) if isinstance(type_, str) else type_, size
            )
        cursor = _execute(connection, statement.text, statement, arguments, limits.rows + 1, variables)
        for out in statement.outs:
            if ORACLE_OUT_TYPES[out.type][0] == "DB_TYPE_CURSOR":
                result_cursor = variables[out.placeholder].getvalue()
                return _buffered(result_cursor, limits, -1) if result_cursor is not None else BufferedResult()
        columns = tuple([(out.name, ORACLE_OUT_TYPES[out.type][2]) for out in statement.outs])
        values = [variables[out.placeholder].getvalue() for out in statement.outs]
        rows = [tuple(values)] if statement.calls else list(zip(*values, strict=True))[: limits.rows + 1]
        return BufferedResult(
            columns, [tuple(map(out_value, row)) for row in rows], -1 if statement.calls else cursor.rowcount
        )


def _implicit_results(cursor: Any) -> list[Any]:
    """Return the result sets of a procedure, besides its parameters."""
    try:
        return cursor.getimplicitresults()  # type: ignore[no-any-return]
    except oracledb_driver().InterfaceError:
        return []


def _buffered(cursor: Any, limits: Limits, affected: int) -> BufferedResult:
    cursor.arraysize = min(limits.rows + 1, FETCH)
    return BufferedResult(columns_of(cursor.description), cursor.fetchmany(limits.rows + 1), affected)


def _end_transaction(connection: Any) -> ConnectFailed | None:
    """End a transaction that may be open. Returns an error if that fails: the connection is then closed."""
    token = watchdog.begin(connection.descriptor, time.monotonic() + CONNECT_SECONDS)
    try:
        if connection.transaction_in_progress:
            connection.rollback()
    except Exception:
        connection.lost = True
        connection.close()
        return ConnectFailed("broken")
    finally:
        watchdog.end(token)
    return None
