"""MySQL 5.6 and later, and MariaDB, over mysqlclient."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

from adapters import calls
from adapters.base import (
    BATCH,
    CONNECT_SECONDS,
    LOOK_SECONDS,
    READING,
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
    quoted,
)
from adapters.network import addresses, refuses, silent, watch

#: Protocol type codes, as the bus calls them.
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
_YEAR = 13
_STRINGS = (15, 249, 250, 251, 252, 253, 254)
_AS_WRITTEN = (0, 7, 10, 11, 12, 14, 245, 246, 247, 248)
_BIT, _GEOMETRY = 16, 255
_BINARY, _ZEROFILL = 128, 64

#: Information_schema's type names, as the bus calls them.
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

#: One meaning of a statement on every server: the check reads " as a text's and \ as an escape's mark,
#: and a value that does not fit must fail instead of being cut.
_SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

#: The server's number for a procedure or function that is not there, and calls that are remembered as functions'.
_NO_PROCEDURE, _MOST_FUNCTIONS = 1305, 100

_NO_CAP = 18446744073709551615

_NUMBERS = {
    **dict.fromkeys((1040, 1203, 1226), "too-many-connections"),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), "forbidden"),
    **dict.fromkeys((1045, 1130, 1251, 1698, 1862, 2049, 2054, 2058, 2059, 3118, 4151), "login"),
    1049: "database-unknown",
    **dict.fromkeys((1054, 1051, 1109, 1146, 1305, 1356), "object-unknown"),
    **dict.fromkeys((1064, 1065, 1149, 1222, 1248, 1052, 1060, 1066, 1111, 1140, 1055, 1056, 1241), "syntax"),
    **dict.fromkeys((1290, 1792, 1836), "read-only"),
    **dict.fromkeys((1205, 1317, 1969, 3024), "timeout"),
    **dict.fromkeys((1048, 1062, 1169, 1216, 1217, 1364, 1451, 1452, 1557, 1586, 3819, 4025), "constraint"),
    **dict.fromkeys(
        (1264, 1265, 1292, 1366, 1367, 1406, 1411, 1416, 1525, 1690, 3140, 3141, 3156, 4038), "data"
    ),
    **dict.fromkeys((1053, 1077, 1079, 1153, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2055), "broken"),
    **dict.fromkeys((2002, 2003), "refused"),
    2005: "host-unknown",
    2026: "tls",
}  # fmt: skip
_CONNECTING = frozenset(
    ("broken", "refused", "unreachable", "host-unknown", "login", "database-unknown", "too-many-connections", "tls")
)


class MySQL(Adapter):
    engine = "mysql"
    label = "MySQL / MariaDB"
    driver = "MySQLdb"
    install = "apt-get install default-libmysqlclient-dev pkg-config gcc python3-dev && pip install mysqlclient"
    dialect = "mysql"
    paramstyle = "pyformat"
    default_port = 3306
    settings = (
        Setting("host", "Host", required=True),
        Setting("port", "Port", default="3306"),
        Setting("database", "Database", required=True),
        Setting("user", "User", required=True),
        Setting("password", "Password", secret=True),
        Setting(
            "ssl_mode", "TLS", default="PREFERRED",
            help="DISABLED, PREFERRED, REQUIRED, VERIFY_CA (MariaDB's client checks the name too) or VERIFY_IDENTITY",
        ),
        Setting("ssl_ca", "CA file", help="PEM file with the authority, for VERIFY_CA and VERIFY_IDENTITY"),
    )  # fmt: skip

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        #: Calls whose name is a function's.
        self.functions: set[calls.Call] = set()

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        mysqldb = _driver()
        source = self.source
        host, port = source.get("host") or "localhost", int(source.get("port") or self.default_port)
        # The client library takes "localhost" for its own UNIX socket, wherever that leads.
        host = "127.0.0.1" if host == "localhost" else host
        ssl_mode = source.get("ssl_mode") or "PREFERRED"
        try:
            connection = _connection_class()(
                host=host,
                port=port,
                user=source.get("user") or "",
                password=source.get("password") or "",
                database=source.get("database") or "",
                charset="utf8mb4",
                conv=_conversions(),
                connect_timeout=max(2, int(seconds) // addresses(host, port)),
                # A server could ask for any file of ours otherwise.
                local_infile=0,
                multi_statements=False,
                autocommit=True,
                ssl_mode=ssl_mode,
                **({"ssl": {"ca": source["ssl_ca"]}} if source.get("ssl_ca") else {}),
            )
        except (mysqldb.Error, ValueError, UnicodeError) as error:
            raise _why_not_connected(error, host, port) from None
        try:
            _execute(connection, f"SET SESSION sql_mode = '{_SQL_MODE}'")
            _execute(connection, f"SET SESSION TRANSACTION READ {'WRITE' if writes else 'ONLY'}")
            connection.cap = _cap_name(connection)
            if ssl_mode not in ("DISABLED", "PREFERRED") and not _encrypted(connection):
                raise ConnectFailed("tls")
        except Exception as error:
            connection.close()
            fault = _fault(error)
            raise ConnectFailed(getattr(fault, "reason", "other"), getattr(fault, "sqlstate", "")) from None
        return connection

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        deadline = time.monotonic() + limits.seconds
        token = watch.begin(_descriptor(connection), deadline, limits.width)
        try:
            _set_caps(connection, limits)
            if limits.writes:
                return self._write(connection, sql, arguments, limits)
            connection.query(_bind(connection, sql, arguments))
            return _read(connection, limits, deadline)
        except Exception as error:
            cut, token = watch.end(token), None
            fault = _fault(error, cut)
            if cut and connection.cap is None:
                # Not in the caller's time: a server that hangs takes no second connection either.
                threading.Thread(target=self._kill, args=(connection.thread_id(),), daemon=True).start()
            if isinstance(fault, QueryFailed) and limits.writes:
                fault = _roll_back(connection) or fault
            raise fault from None
        finally:
            if token is not None:
                watch.end(token)

    def ping(self, connection: Any) -> bool:
        try:
            if silent(connection.fileno()):
                return True
            connection.ping()
        except _driver().Error:
            return False
        return True

    def _write(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stored:
        """A statement in a transaction of its own."""
        call = calls.understand(sql, True)
        _execute(connection, "START TRANSACTION READ WRITE")
        if call is None:
            stored = _one_result(connection, _bind(connection, sql, arguments), limits)
        else:
            stored = self._call(connection, call, arguments, limits)
        _execute(connection, "COMMIT")
        return stored

    def _call(
        self, connection: Any, call: calls.Call, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> Stored:
        """A procedure, or a function of that name."""
        if call not in self.functions:
            try:
                if call.outs:
                    return _come_out(connection, call, arguments)
                return _one_result(connection, _bind(connection, f"CALL {call.slotted}", arguments), limits)
            except _driver().Error as error:
                if error.args[0] != _NO_PROCEDURE:
                    raise
        name = quoted(call.outs[0].name if len(call.outs) == 1 else call.name, "`", "`")
        statement = _bind(connection, f"SELECT {call.as_function()} AS {name}", arguments)
        stored = _one_result(connection, statement, limits)
        if len(self.functions) > _MOST_FUNCTIONS:
            self.functions.clear()
        self.functions.add(call)
        return stored

    def _kill(self, thread: int) -> None:
        """Tell the server, over another connection, to end what the watch has cut off.

        A server too old to have a time cap of its own would run the statement to its end for nobody.
        """
        with suppress(Exception):
            other = self.connect()
            token = watch.begin(_descriptor(other), time.monotonic() + CONNECT_SECONDS)
            try:
                _execute(other, f"KILL {thread}")
            finally:
                watch.end(token)
                other.close()

    def databases(self, connection: Any) -> list[str]:
        """As the schemas: MySQL does not tell the two apart."""
        return self.schemas(connection)

    def schemas(self, connection: Any) -> list[str]:
        rows = _look(
            connection,
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN"
            " ('information_schema', 'mysql', 'performance_schema', 'sys')"
            " ORDER BY schema_name <> coalesce(database(), ''), schema_name",
        )
        return [name for (name,) in rows]

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        rows = _look(
            connection,
            "SELECT table_name, CASE WHEN table_type LIKE '%%VIEW' THEN 'view' ELSE 'table' END"
            " FROM information_schema.tables WHERE table_schema = %(schema)s ORDER BY table_name",
            schema=schema,
        )
        return [(name, kind) for name, kind in rows]

    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        rows = _look(
            connection,
            "SELECT column_name, column_type, data_type, is_nullable, column_key FROM information_schema.columns"
            " WHERE table_schema = %(schema)s AND table_name = %(table)s ORDER BY ordinal_position",
            schema=schema,
            table=table,
        )
        return [
            ColumnInfo(name, type_, _NAMES.get(kind.lower(), "text"), nullable == "YES", key == "PRI")
            for name, type_, kind, nullable, key in rows
        ]

    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        rows = _look(
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

    def quoted(self, name: str) -> str:
        return quoted(name, "`", "`")

    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """One line for each table of the plan: what the server says of it, without what it leaves open."""
        # Even the plan of what writes is refused in a session that reads.
        writes = plannable(sql) not in READING
        stream = self.run(connection, f"EXPLAIN {sql}", arguments, Limits(10_000, limits.seconds, writes))
        names = [name for name, _ in stream.columns]
        return [
            ", ".join(f"{name}: {value}" for name, value in zip(names, row, strict=True) if value is not None)
            for batch in stream
            for row in batch
        ]


class Unbuffered(Fetching):
    """An answer that the server is still sending. Leaving it early costs the connection."""

    def __init__(self, connection: Any, result: Any, first: Piece, limits: Limits, deadline: float) -> None:
        super().__init__(_columns(result), first, limits)
        self._connection = connection
        self._result = result
        self._deadline = deadline
        self.reusable = False

    def _fetch(self, count: int) -> list[Row]:
        """At the end the connection is free again."""
        result, token = self._result, None
        try:
            if result is None:
                return []
            if time.monotonic() > self._deadline:
                raise TimedOut("timeout")
            token = watch.begin(_descriptor(self._connection), self._deadline, self._limits.width)
            rows: list[Row] = list(result.fetch_row(count, 0))
            if _at_end(result, rows, count, self._left - len(rows)):
                _drain(self._connection)
                self._result, self.reusable = None, True
            return rows
        except Exception as error:
            cut, token = watch.end(token) if token else None, None
            self.close()
            raise _fault(error, cut) from None
        finally:
            if token is not None:
                watch.end(token)

    def _give_up(self) -> None:
        self.reusable = False
        self.close()
        self._connection.close()

    def close(self) -> None:
        if self._result is not None:
            self._first = []
            # In this order: a result let go of while its connection lives reads all that is left of it.
            self._connection.close()
            self._result = None


def _read(connection: Any, limits: Limits, deadline: float) -> Stream:
    result = connection.use_result()
    if result is None:
        affected = connection.affected_rows()
        _drain(connection)
        return Stored(affected=affected)
    count = min(limits.rows + 1, BATCH)
    try:
        first = gather(lambda step: list(result.fetch_row(step, 0)), count, limits)
    except TooWide:
        # In this order, as when an answer is left early.
        connection.close()
        raise
    if first.ended or _at_end(result, first.rows, len(first.rows), limits.rows + 1 - len(first.rows)):
        _drain(connection)
        return Stored(_columns(result), first.rows)
    return Unbuffered(connection, result, first, limits, deadline)


def _at_end(result: Any, rows: list[Row], asked: int, left: int) -> bool:
    """Whether the server has sent all it will. At the row cap only one look further tells: the cap that the
    session has is not minded by a statement with a LIMIT of its own."""
    return len(rows) < asked or (not left and not result.fetch_row(1, 0))


def _come_out(connection: Any, call: calls.Call, arguments: Mapping[str, Any] | Sequence[Any]) -> Stored:
    """A procedure whose OUT parameters are the answer's row. Results that it brings besides are passed over."""
    variables = [f"@mantra_{place}" for place in range(len(call.outs))]
    values = [f"%({out.name})s" if out.given else "NULL" for out in call.outs]
    assigned = ", ".join(f"{variable} = {value}" for variable, value in zip(variables, values, strict=True))
    connection.query(_bind(connection, f"SET {assigned}", arguments))
    connection.query(_bind(connection, f"CALL {call.text(lambda place, _: variables[place])}", arguments))
    connection.discard_result()
    _drain(connection)
    connection.query(f"SELECT {', '.join(variables)}".encode())
    result = connection.store_result()
    columns = [
        (out.name, out.kind or type_) for out, (_, type_) in zip(call.outs, _columns(result), strict=True)
    ]  # fmt: skip
    return Stored(tuple(columns), list(result.fetch_row(1, 0)))


def _one_result(connection: Any, statement: bytes, limits: Limits) -> Stored:
    """A procedure may bring several results: the first is the answer."""
    connection.query(statement)
    result = connection.store_result()
    if result is None:
        stored = Stored(affected=connection.affected_rows())
    else:
        stored = Stored(_columns(result), list(result.fetch_row(limits.rows + 1, 0)))
    _drain(connection)
    return stored


def _roll_back(connection: Any) -> ConnectFailed | None:
    token = watch.begin(_descriptor(connection), time.monotonic() + CONNECT_SECONDS)
    try:
        _drain(connection)
        _execute(connection, "ROLLBACK")
    except Exception:
        connection.close()
        return ConnectFailed("broken")
    finally:
        watch.end(token)
    return None


def _drain(connection: Any) -> None:
    """Past what follows the first result, which is where a procedure's own status comes, and its errors."""
    while connection.next_result() == 0:
        connection.discard_result()


def _set_caps(connection: Any, limits: Limits) -> None:
    """Bring the session's row and time caps to these limits; nothing is sent when they are already so."""
    wanted = (_NO_CAP if limits.writes else limits.rows + 1, limits.seconds)
    if connection.fresh == wanted:
        return
    text = f"SET SESSION sql_select_limit = {wanted[0]}"
    if connection.cap == "max_statement_time":
        text += f", max_statement_time = {max(0.001, limits.seconds):.3f}"
    elif connection.cap == "max_execution_time":
        text += f", max_execution_time = {max(1, int(limits.seconds * 1000))}"
    _execute(connection, text)
    connection.fresh = wanted


def _cap_name(connection: Any) -> str | None:
    """The server's own time cap: MariaDB and MySQL 5.7 have one each, older ones none (the watch is left)."""
    if "mariadb" in connection.get_server_info().lower():
        return "max_statement_time"
    version = connection.get_server_info().split(".")
    return "max_execution_time" if (int(version[0]), int(version[1])) >= (5, 7) else None


def _bind(connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any]) -> bytes:
    literal = connection.literal
    if isinstance(arguments, Mapping):
        return _encoded(sql) % {name.encode(): literal(_plain(value)) for name, value in arguments.items()}
    return _encoded(sql) % tuple([literal(_plain(value)) for value in arguments])


@lru_cache(maxsize=1000)
def _encoded(sql: str) -> bytes:
    return sql.encode()


def _plain(value: Any) -> Any:
    """mysqlclient would write a decimal as a number with all its digits, but NaN as a column's name."""
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("MySQL has no such number")
    return value


def _execute(connection: Any, text: str) -> None:
    connection.query(text.encode())
    connection.store_result()


def _look(connection: Any, sql: str, **arguments: str) -> list[Row]:
    token = watch.begin(_descriptor(connection), time.monotonic() + LOOK_SECONDS)
    try:
        _set_caps(connection, Limits(rows=100_000, seconds=LOOK_SECONDS))
        connection.query(_bind(connection, sql, arguments))
        return list(connection.store_result().fetch_row(0, 0))
    except Exception as error:
        raise _fault(error, watch.end(token)) from None
    finally:
        watch.end(token)


def _columns(result: Any) -> tuple[tuple[str, str | None], ...]:
    """Names and types. Text and bytes share their type codes: mysqlclient's converter has told them apart by
    the column's character set, where the protocol's BINARY flag would take a _bin collation for bytes."""
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


def _fault(error: Exception, cut: SourceError | None = None) -> Exception:
    """The driver's error as one of ours; an error that is not the driver's stays itself."""
    if isinstance(error, SourceError):
        return error
    if cut is not None:
        return cut
    if isinstance(error, (ValueError, UnicodeError, OverflowError)):
        return QueryFailed("data")
    driver = _driver()
    if not isinstance(error, driver.Error):
        return error
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if isinstance(error, driver.InterfaceError) and not number:
        return ConnectFailed("broken")
    reason = _NUMBERS.get(number) or ("data" if isinstance(error, driver.DataError) else "other")
    if reason == "timeout":
        return TimedOut(reason, str(number))
    kind = ConnectFailed if reason in _CONNECTING else QueryFailed
    return kind(reason, str(number) if number else "")


def _why_not_connected(error: Exception, host: str, port: int) -> ConnectFailed:
    fault = _fault(error)
    reason = getattr(fault, "reason", "other")
    # The client library says the same of every connection that did not come about.
    if reason in ("refused", "broken") and not refuses(host, port):
        reason = "unreachable"
    return ConnectFailed(reason, getattr(fault, "sqlstate", ""))


def _encrypted(connection: Any) -> bool:
    """Whether TLS is on. MariaDB's client library takes REQUIRED for a wish when the server offers none."""
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
    """mysqlclient's connection, which can be closed twice, with notes on it: the caps that its session has, and
    the name of its server's time cap."""
    driver = _driver()
    base = driver.connections.Connection

    def close(self: Any) -> None:
        with suppress(driver.Error):
            base.close(self)

    return type("Connection", (base,), {"close": close, "fresh": (None, None), "cap": None})


def _bit(value: bytes) -> int:
    return int.from_bytes(value, "big")


@cache
def _conversions() -> dict[Any, Any]:
    """What each type code becomes. A ZEROFILL number stays text: its leading zeros are what its owner asked for."""
    conversions = importlib.import_module("MySQLdb.converters").conversions
    from_python = {key: value for key, value in conversions.items() if not isinstance(key, int)}
    return {
        **from_python,
        **{code: [(_ZEROFILL, str), (None, int)] for code in _INTEGERS},
        **{code: [(_BINARY, bytes), (None, str)] for code in _STRINGS},
        **dict.fromkeys(_AS_WRITTEN, str),
        4: float,
        5: float,
        _YEAR: int,
        _BIT: _bit,
        _GEOMETRY: bytes,
    }
