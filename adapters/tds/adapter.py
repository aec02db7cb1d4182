"""The adapter that SQL Server and Sybase share: running statements, results in chunks, the catalogue."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from adapters.base import (
    CONNECT_SECONDS,
    LOOK_SECONDS,
    MAX_COMMENT,
    Adapter,
    Catalogue,
    ColumnInfo,
    ConnectFailed,
    Limits,
    QueryFailed,
    Row,
    RowTooLarge,
    SourceError,
    Stream,
    TimedOut,
    before_statement,
    catalogue_of,
    plannable,
)
from adapters.socket_watch import Watch, is_idle, refuses_connections, watchdog
from adapters.streaming import BATCH, BufferedResult, Chunk, ChunkedResult, fetch_first
from adapters.tds.dialling import (
    RELEASE_SECONDS,
    Connection,
    connection_string,
    dial,
    is_reachable,
)
from adapters.tds.driver import NUMBERS, native_numbers, of_freetds, to_source_error, words_of
from adapters.tds.types import KINDS, columns_of, set_converters, with_datetimeoffset


class TDSAdapter(Adapter):
    """The common part of both engines. Subclasses implement how values are bound, and the queries on the catalogue."""

    driver = "pyodbc"
    install = "apt-get install unixodbc tdsodbc && pip install pyodbc"
    dialect = "tsql"
    paramstyle = "pyformat"
    system_databases = frozenset(
        ("master", "model", "msdb", "tempdb", "distribution", "sybsecurity", "sybsystemdb", "sybsystemprocs")
    )
    tds_version: ClassVar[str]
    #: The statements that set a session up, for reading (False) and for writing (True).
    session_setup: ClassVar[dict[bool, str]]
    #: Put before and after a statement that reads: whatever it did is rolled back.
    read_wrapper: ClassVar[tuple[str, str]]

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        #: Why the server refused this log-in, once known: "login" or "database-unknown".
        self._refused_because = ""

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Connection:
        deadline = time.monotonic() + seconds
        host, port = self._host_and_port()
        try:
            connection = dial(self._connection_string(host, port, writes), host, port, seconds)
        except Exception as error:
            raise self._connection_error(error, host, port, deadline) from None
        try:
            connection.set_up(self.session_setup[writes], sybase=self.engine == "sybase")
        except Exception as error:
            connection.close()
            fault = to_source_error(error)
            raise ConnectFailed(getattr(fault, "reason", "other"), getattr(fault, "sqlstate", "")) from None
        return connection

    def _host_and_port(self) -> tuple[str, int]:
        """Return the host and port to connect to."""
        return self.source.get("host") or "localhost", int(self.source.get("port") or self.default_port or 0)

    def _connection_string(self, host: str, port: int, writes: bool, database: bool = True) -> str:
        """Return the connection string. Raises ConnectFailed for a value that FreeTDS cannot take."""
        source = self.source
        words = {
            "DRIVER": "FreeTDS",
            "SERVER": host,
            "PORT": str(port),
            "UID": source.get("user") or "",
            "PWD": source.get("password") or "",
            "TDS_Version": source.get("tds_version") or self.tds_version,
            # The client's side only: pyodbc speaks UTF-16 with FreeTDS, which must lose nothing on the way.
            "ClientCharset": "UTF-8",
            "APP": source.get("application") or "mantra",
        }
        if database and source.get("database"):
            words["DATABASE"] = source["database"]
        if source.get("encryption"):
            words["Encryption"] = source["encryption"]
        words.update(self._more_options(writes))
        checks_certificate = "authority" in {setting.name for setting in self.settings}
        return connection_string(words, source.get("authority") or "" if checks_certificate else "")

    def _more_options(self, writes: bool) -> dict[str, str]:
        return {}

    def _connection_error(self, error: Exception, host: str, port: int, deadline: float) -> Exception:
        """Return the reason for a failed connection, where the driver reports only the failure."""
        if isinstance(error, SourceError):
            return error
        numbers = native_numbers(error)
        state = str(error.args[0]) if error.args else ""
        reason = next((NUMBERS[number] for number in numbers if number in NUMBERS), "")
        # The server's own number tells the administrator more than any of our words, above all where we have none.
        number = next((number for number in numbers if not of_freetds(number)), 0)
        code = str(number or (numbers[0] if reason else ""))
        if reason == "login" or (number and not reason):
            return ConnectFailed(self._login_or_database(host, port, deadline), code)
        if reason:
            return ConnectFailed(reason, code)
        if state == "IM002" or "Can't open lib" in str(error):
            return ConnectFailed("driver-missing")
        if state == "HYT00":
            return ConnectFailed("unreachable")
        if refuses_connections(host, port):
            return ConnectFailed("refused")
        if not is_reachable(host, port):
            return ConnectFailed("unreachable")
        # A server accepts the connection and closes it: because of the encryption, where that is required.
        requires_tls = self.source.get("encryption") == "require" or self.source.get("authority")
        return ConnectFailed("tls" if requires_tls else "broken")

    def _login_or_database(self, host: str, port: int, deadline: float) -> str:
        """Return "login" or "database-unknown": FreeTDS reports only the log-in's error, which follows the database's.

        A second log-in without a database decides, once for these settings: servers lock accounts that fail too often.
        """
        if not self._refused_because:
            self._refused_because = "login"
            if self.source.get("database"):
                with suppress(Exception):
                    left = max(1.0, deadline - time.monotonic())
                    dial(self._connection_string(host, port, False, database=False), host, port, left).close()
                    self._refused_because = "database-unknown"
        return self._refused_because

    def run(
        self, connection: Connection, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> Stream:
        deadline = time.monotonic() + limits.seconds
        cursor = self._begin(connection, limits)
        watch = connection.watch(deadline, limits.width)
        try:
            if limits.writes:
                stream: Stream = self._write(connection, cursor, sql, arguments, limits, watch)
            else:
                stream = self._read(connection, cursor, sql, arguments, limits, deadline)
        except Exception as error:
            fault = to_source_error(error, watchdog.end(watch))
            if isinstance(fault, QueryFailed):
                fault.words = words_of(error) if limits.author else None
                fault = roll_back(connection, cursor) or fault
            elif isinstance(fault, RowTooLarge):
                # Before the cursor is closed: that would wait for the rest of its rows.
                connection.close()
            raise fault from None
        stream = watchdog.finish(watch, stream, limits.writes)
        if not isinstance(stream, StreamedResult):
            cursor.close()
        return stream

    def _begin(self, connection: Connection, limits: Limits) -> Any:
        """Return a cursor, in a transaction if it will write. Raises NotStarted if the connection is lost."""
        try:
            if limits.writes:
                connection.execute("BEGIN TRANSACTION", limits.seconds)
            cursor = connection.cursor(limits.seconds)
            connection.raw.clear_output_converters()
        except Exception as error:
            raise before_statement(to_source_error(error)) from None
        return cursor

    def _execute(
        self, cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], before: str, after: str
    ) -> None:
        """Run ``before``, the author's SQL with its values, and ``after`` as one batch."""
        raise NotImplementedError

    def _read(
        self,
        connection: Connection,
        cursor: Any,
        sql: str,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
        deadline: float,
    ) -> Stream:
        self._execute(cursor, sql, arguments, *self.read_wrapper)
        while cursor.description is None:
            if not cursor.nextset():
                # No result, so the statement does not read; it is rolled back already.
                raise QueryFailed("read-only")
        columns = columns_of(cursor)
        set_converters(connection.raw)
        count = min(limits.rows + 1, BATCH)
        first = fetch_first(lambda step: list(map(tuple, cursor.fetchmany(step))), count, limits)
        columns = with_datetimeoffset(columns, first.rows)
        if first.ended:
            _skip_results(cursor)
            return BufferedResult(columns, first.rows)
        return StreamedResult(connection, cursor, columns, first, limits, deadline)

    def _write(
        self,
        connection: Connection,
        cursor: Any,
        sql: str,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
        watch: Watch,
    ) -> BufferedResult:
        """Run a batch in its own transaction, committed once all of it has succeeded.

        Of several results the first is returned; of a batch that begins with DECLARE or SET the last one, where its
        author selects the output of a procedure.
        """
        self._execute(cursor, sql, arguments, "", "")
        result, affected = None, -1
        while True:
            if cursor.description is None:
                affected = _affected(sql, affected, cursor.rowcount)
            elif result is None or _BEGINS_WITH_VARIABLES.match(sql):
                result = _fetch_all(connection, cursor, limits)
            connection.raw.clear_output_converters()
            if not cursor.nextset():
                break
        if not watchdog.may_commit(watch):
            raise TimedOut
        _commit(cursor)
        if result is None:
            return BufferedResult(affected=affected)
        result.affected = affected
        return result

    def restore(self, connection: Connection, writes: bool) -> bool:
        """As in the base class for the settings. What a procedure has put into the session's context, or locked in the
        session's name, stays: only the driver could reset that, and FreeTDS does not."""
        try:
            connection.execute(self.session_setup[writes])
        except Exception:
            return False
        return True

    def ping(self, connection: Connection) -> bool:
        try:
            if is_idle(connection.descriptor):
                return True
            connection.execute("SELECT 1")
        except Exception:
            return False
        return True

    #: Queries on the catalogue: databases, schemas; tables (with %(schema)s); columns (with %(table)s too).
    #: A row of columns_sql is (table, name, the arguments of ``_declared_type``, nullable, key); for the table "" those
    #: of all tables.
    databases_sql: ClassVar[str]
    schemas_sql: ClassVar[str]
    tables_sql: ClassVar[str]
    columns_sql: ClassVar[str]
    #: About how many rows the tables of a schema have, as (table, rows); their comments and their columns', as (table,
    #: column or None, text), "" if the engine has none.
    row_estimates_sql: ClassVar[str]
    comments_sql: ClassVar[str] = ""
    #: Put before and after a statement that is not to run, only to tell its columns.
    describe_switches: ClassVar[tuple[str, str]]
    #: The (schema, name, whether it needs no schema before it) of what was made in this database under a name.
    routines_sql: ClassVar[str]
    has_own_routines = True
    #: The statements that turn showing plans on, and off again, each in a batch of its own.
    plan_switches: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]]

    def databases(self, connection: Connection) -> list[str]:
        return [name for name, *_ in self._query(connection, self.databases_sql)]

    def own_routines(self, connection: Connection, names: Collection[str]) -> frozenset[str]:
        found: set[str] = set()
        for last in {name.rpartition(".")[2] for name in names}:
            for schema, name, here in self._query(connection, self.routines_sql, name=last):
                found |= {f"{schema}.{name}".lower(), name.lower()} if here else {f"{schema}.{name}".lower()}
        return frozenset(found.intersection(names))

    def schemas(self, connection: Connection) -> list[str]:
        return [name for name, *_ in self._query(connection, self.schemas_sql) if name]

    def tables(self, connection: Connection, schema: str) -> list[tuple[str, str]]:
        return [(name, kind) for name, kind in self._query(connection, self.tables_sql, schema=schema)]

    def columns(self, connection: Connection, schema: str, table: str) -> list[ColumnInfo]:
        return [column for _, column in self._columns_of_tables(connection, schema, table, {})] if table else []

    def _columns_of_tables(
        self,
        connection: Connection,
        schema: str,
        table: str,
        comments: Mapping[tuple[str, str | None], str],
        seconds: float = LOOK_SECONDS,
    ) -> list[tuple[str, ColumnInfo]]:
        """Return the columns of a table, or of all tables of a schema for "", each with its table's name."""
        columns = []
        rows = self._query(connection, self.columns_sql, seconds, schema=schema, table=table)
        for table_, name, *parts, nullable, key in rows:
            type_ = self._declared_type(*parts)
            kind = KINDS.get(type_.partition("(")[0].lower(), "text")
            comment = comments.get((table_, name), "")
            columns.append((table_, ColumnInfo(name, type_, kind, bool(nullable), bool(key), comment)))
        return columns

    def catalogue(self, connection: Connection, schema: str, most: int, seconds: float) -> Catalogue:
        deadline = time.monotonic() + seconds

        def query(sql: str) -> list[Row]:
            return self._query(connection, sql, deadline - time.monotonic(), schema=schema, table="")

        tables = query(self.tables_sql)
        numbers = {name: int(rows) for name, rows in query(self.row_estimates_sql) if rows is not None}
        comments = {
            (table, column): str(text)[:MAX_COMMENT]
            for table, column, text in (query(self.comments_sql) if self.comments_sql else ())
        }
        columns = self._columns_of_tables(connection, schema, "", comments, deadline - time.monotonic())
        listed = [(name, kind, comments.get((name, None), ""), numbers.get(name)) for name, kind in tables]
        foreign = self._foreign_key_rows(connection, schema, "", deadline - time.monotonic())
        return catalogue_of(listed, columns, foreign, most)

    def _foreign_key_rows(
        self, connection: Connection, schema: str, table: str, seconds: float = LOOK_SECONDS
    ) -> list[tuple[Any, ...]]:
        """Return the columns of foreign keys of a table, or of all tables of a schema for "": the table, and a row for
        keys_of()."""
        raise NotImplementedError

    def describe(
        self, connection: Connection, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> tuple[tuple[str, str | None], ...]:
        """As in the base class: under FMTONLY the server sends a result's columns without running the statement.

        A server without that option runs it: whatever it did is rolled back.
        """
        cursor = self._begin(connection, replace(limits, writes=False))
        watch = connection.watch(time.monotonic() + limits.seconds, limits.width)
        cut: SourceError | None = None
        try:
            begin, end = self.read_wrapper
            before, after = self.describe_switches
            self._execute(cursor, sql, arguments, begin + before, after + end)
            while cursor.description is None:
                if not cursor.nextset():
                    raise QueryFailed("read-only")
            return columns_of(cursor)
        except Exception as error:
            cut = watchdog.end(watch)
            fault = to_source_error(error, cut)
            if limits.author and isinstance(fault, QueryFailed):
                fault.words = words_of(error)
            raise fault from None
        finally:
            self._stop_describing(connection, cursor, cut or watchdog.end(watch))

    def _stop_describing(self, connection: Connection, cursor: Any, cut: SourceError | None) -> None:
        """Let the session run its statements again, and roll back. If that fails, the connection is closed."""
        try:
            if cut is not None:
                raise cut
            cursor.close()
            for command in ("SET FMTONLY OFF", _ROLL_BACK):
                connection.execute(command)
        except Exception:
            connection.close()

    def _declared_type(self, *parts: Any) -> str:
        """Return a column's type as it is declared."""
        raise NotImplementedError

    def first_rows(self, name: str, rows: int) -> str:
        return f"SELECT TOP {rows:d} * FROM {name}"  # noqa: S608 (the name is quoted)

    def explain(
        self, connection: Connection, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        plannable(sql)
        # A server that ignores the switches runs the statement: nothing of it may stay.
        cursor = self._begin(connection, replace(limits, writes=True))
        watch = connection.watch(time.monotonic() + limits.seconds, limits.width)
        cut: SourceError | None = None
        try:
            for command in self.plan_switches[0]:
                cursor.execute(command)
            lines = self._plan(cursor, sql, arguments)
        except Exception as error:
            cut = watchdog.end(watch)
            raise to_source_error(error, cut) from None
        finally:
            self._stop_showing_plans(connection, cursor, cut or watchdog.end(watch))
        return lines

    def _stop_showing_plans(self, connection: Connection, cursor: Any, cut: SourceError | None) -> None:
        """Let the session run its statements again, and roll back. If that fails, the connection is closed."""
        try:
            if cut is not None:
                raise cut
            cursor.close()
            for command in (*self.plan_switches[1], _ROLL_BACK):
                connection.execute(command)
        except Exception:
            connection.close()

    def _plan(self, cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any]) -> list[str]:
        """Return the lines of a statement's plan, while plans are shown instead of results.

        Raises QueryFailed ("no-plan") if what comes is no plan.
        """
        raise NotImplementedError

    def _query(self, connection: Connection, sql: str, seconds: float = LOOK_SECONDS, **arguments: Any) -> list[Row]:
        """Return the rows of a query on the catalogue. Raises TimedOut if no time is left for it."""
        if seconds <= 0:
            raise TimedOut
        stream = self.run(connection, sql, arguments, Limits(rows=100_000, seconds=seconds))
        try:
            return [row for batch in stream for row in batch]
        finally:
            stream.close()


def _affected(sql: str, before: int, count: int) -> int:
    """Return the rows that a batch has changed, after one more count (-1: none).

    The counts of a trigger come before its statement's own. A procedure's statements are equal: the largest counts.
    """
    return max(before, count) if count < 0 or _CALLS.search(sql) else count


def _commit(cursor: Any) -> None:
    """Commit in the statement's own cursor, so that its time limit covers this too."""
    cursor.execute(_COMMIT)
    while cursor.nextset():
        pass


_BEGINS_WITH_VARIABLES = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:declare|set)\b", re.I | re.S)
_CALLS = re.compile(r"\bexec(?:ute)?\b", re.I)
_COMMIT = "IF @@TRANCOUNT > 0 COMMIT TRANSACTION"
_ROLL_BACK = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"


class StreamedResult(ChunkedResult):
    """A result larger than a batch, read as it arrives. Closing it early sends an attention."""

    def __init__(
        self,
        connection: Connection,
        cursor: Any,
        columns: tuple[tuple[str, str | None], ...],
        first: Chunk,
        limits: Limits,
        deadline: float,
    ) -> None:
        super().__init__(columns, first, limits)
        self._connection = connection
        self._cursor = cursor
        self._deadline = deadline

    def _fetch(self, count: int) -> list[Row]:
        cursor, watch = self._cursor, None
        if cursor is None:
            return []
        try:
            if time.monotonic() > self._deadline:
                raise TimedOut
            watch = self._connection.watch(self._deadline, self._limits.width)
            rows: list[Row] = list(map(tuple, cursor.fetchmany(count)))
            if len(rows) < count:
                _skip_results(cursor)
        except Exception as error:
            cut = watchdog.end(watch) if watch is not None else None
            self._give_up()
            raise to_source_error(error, cut) from None
        if (cut := watchdog.end(watch)) is not None:
            self._give_up()
            raise cut
        if len(rows) < count:
            self._cursor = None
            cursor.close()
        return rows

    def _give_up(self) -> None:
        self._cursor, self.reusable = None, False
        self._connection.close()

    def close(self) -> None:
        cursor, self._cursor, self._first = self._cursor, None, []
        if cursor is None:
            return
        self.reusable = roll_back(self._connection, cursor) is None


def _skip_results(cursor: Any) -> None:
    """Skip what follows the rows: late errors are raised there, and the transaction ends."""
    while cursor.nextset():
        pass


def _fetch_all(connection: Connection, cursor: Any, limits: Limits) -> BufferedResult:
    columns = columns_of(cursor)
    set_converters(connection.raw)
    rows = list(map(tuple, cursor.fetchmany(limits.rows + 1)))
    return BufferedResult(with_datetimeoffset(columns, rows), rows)


def roll_back(connection: Connection, cursor: Any) -> ConnectFailed | None:
    """End a statement, and a transaction that may be open. Returns an error if that fails: the connection is then
    closed."""
    try:
        token = connection.watch(time.monotonic() + RELEASE_SECONDS)
        try:
            if cursor is not None:
                # Sends an attention when the server has not finished, and reads its answer.
                cursor.close()
            connection.execute(_ROLL_BACK)
        finally:
            cut = watchdog.end(token)
        if cut is not None:
            raise cut
    except Exception:
        connection.close()
        return ConnectFailed("broken")
    return None
