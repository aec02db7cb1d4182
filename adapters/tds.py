"""What SQL Server and Sybase share: pyodbc over FreeTDS, and how it is kept honest.

FreeTDS as Debian 12 ships it (1.3.17), by experiment:

* Its time-out sends an attention and then waits as long again for the server's word (twice the cap), a log-in
  in TDS 5.0 has no time-out at all, and a closed socket ends any wait at once. So each connection has a twin of
  its socket here, through which ``network.watch`` cuts it at the cap and half a second.
* ``{call sp_executesql (…)}`` costs one round trip where a prepared statement costs two: any new value makes it
  prepare anew. Texts beyond 4,000 characters are cut without a word unless they are bound as LONG types.
* pyodbc cuts fractions of a second at six digits and refuses datetimeoffset: output converters read the bytes.
* SET ROWCOUNT would also shorten what functions and views gather inside. The row cap is kept by not fetching
  on, and an attention that ends the statement.
"""

from __future__ import annotations

import importlib
import math
import os
import re
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from datetime import time as clock
from decimal import Decimal
from functools import cache
from types import ModuleType
from typing import Any, ClassVar

from adapters.base import (
    BATCH,
    CONNECT_SECONDS,
    LOOK_SECONDS,
    Adapter,
    ColumnInfo,
    ConnectFailed,
    Fetching,
    Limits,
    Piece,
    QueryFailed,
    Row,
    SourceError,
    Stored,
    Stream,
    TimedOut,
    TooWide,
    gather,
    plannable,
)
from adapters.floats import single
from adapters.freetds import server_name
from adapters.network import GRACE, addresses, refuses, silent, watch

#: Seconds past the time cap after which a connection is cut. Before that the driver's attention has its chance.
CUT_AFTER = 0.5

#: Seconds that a statement may take to let go of what is left of it.
RELEASE_SECONDS = 2.0

#: pyodbc's Python types of columns, as the bus calls them.
TYPES: dict[type, str] = {
    int: "integer",
    bool: "boolean",
    float: "float",
    Decimal: "decimal",
    str: "text",
    bytes: "bytes",
    bytearray: "bytes",
    date: "date",
    clock: "time",
    datetime: "datetime",
}

#: Names of types in the catalogues, as the bus calls them. Every other is text.
KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint", "intn", "uintn"), "integer"),
    **dict.fromkeys(("usmallint", "unsigned smallint", "uint", "unsigned int"), "integer"),
    **dict.fromkeys(("ubigint", "unsigned bigint"), "integer"),
    **dict.fromkeys(("decimal", "numeric", "money", "smallmoney", "decimaln", "numericn", "moneyn"), "decimal"),
    **dict.fromkeys(("float", "real", "floatn"), "float"),
    **dict.fromkeys(("binary", "varbinary", "image", "timestamp", "rowversion"), "bytes"),
    **dict.fromkeys(("datetime", "datetime2", "smalldatetime", "datetimeoffset"), "datetime"),
    **dict.fromkeys(("datetimn", "bigdatetime"), "datetime"),
    "bit": "boolean",
    "date": "date",
    "time": "time",
    "bigtime": "time",
    "uniqueidentifier": "uuid",
}  # fmt: skip

_NUMBERS = {
    **dict.fromkeys((18452, 18456, 18470, 18486, 18487, 18488, 4002, 4001, 10330), "login"),
    **dict.fromkeys((4060, 911, 40615), "database-unknown"),
    **dict.fromkeys((17300, 17809, 10928, 10929, 1601, 40501), "too-many-connections"),
    **dict.fromkeys((229, 230, 262, 297, 300, 916, 10353, 10330, 10331, 2557), "forbidden"),
    **dict.fromkeys((207, 208, 195, 2812, 4121, 4104, 201, 8144, 8145, 2706, 14216), "object-unknown"),
    **dict.fromkeys((2762, 3906, 3908, 25004, 978, 976), "read-only"),
    **dict.fromkeys(
        (102, 103, 105, 107, 109, 110, 113, 121, 137, 145, 156, 170, 174, 178, 189, 205, 213, 319, 4145, 8120, 1033),
        "syntax",
    ),
    **dict.fromkeys((515, 547, 2601, 2627, 546, 548, 233, 2615), "constraint"),
    **dict.fromkeys(
        (206, 220, 232, 235, 241, 242, 244, 245, 247, 248, 249, 257, 260, 295, 296, 517, 535, 2402, 2628, 3606, 3607),
        "data",
    ),
    **dict.fromkeys((8114, 8115, 8134, 8152, 8169, 8170, 9420, 13608, 529, 4819), "data"),
    **dict.fromkeys((1205, 1222, 12205), "timeout"),
    **dict.fromkeys((20003,), "timeout"),
    **dict.fromkeys((20004, 20006, 20011, 20017, 20020, 20047, 596, 6005, 3989, 40197, 40613), "broken"),
}
_STATES = {
    "08S01": "broken",
    "08003": "broken",
    "HY008": "timeout",
    "HYT00": "timeout",
    "HYT01": "timeout",
    "HY091": "data",
    "HY106": "data",
    "28000": "login",
    "08001": "unreachable",
}
_CONNECTING = frozenset(
    ("broken", "refused", "unreachable", "login", "database-unknown", "too-many-connections", "tls")
)
_NATIVE = re.compile(r"\((\d{2,6})\)(?= \(SQL|;|$)")


class Connection:
    """A pyodbc connection, the twin of its socket, and what its session is set to."""

    def __init__(self, raw: Any, twin: socket.socket) -> None:
        self.raw = raw
        self.twin = twin
        self._seconds = 0

    @property
    def descriptor(self) -> int:
        found = self.twin.fileno()
        if found < 0:
            raise ConnectFailed("broken")
        return found

    def cursor(self, seconds: float = CONNECT_SECONDS) -> Any:
        """A cursor whose server is asked to stop after these seconds."""
        whole = max(1, math.ceil(seconds))
        if whole != self._seconds:
            self.raw.timeout = self._seconds = whole
        return self.raw.cursor()

    def execute(self, sql: str) -> None:
        """Run a batch of the adapter's own, in its own time."""
        token = self.watch(time.monotonic() + RELEASE_SECONDS)
        try:
            cursor = self.cursor(RELEASE_SECONDS)
            cursor.execute(sql)
            while cursor.nextset():
                pass
            cursor.close()
        finally:
            watch.end(token)

    def watch(self, deadline: float, width: int = 0) -> object:
        """Cut the connection half a second after the deadline, unless ``watch.end`` comes before."""
        return watch.begin(self.descriptor, deadline - GRACE + CUT_AFTER, width)

    def close(self) -> None:
        # The twin keeps the socket open: shut it, or the server would never hear of the end.
        with suppress(OSError):
            self.twin.shutdown(socket.SHUT_WR)
        with suppress(Exception):
            self.raw.close()
        self.twin.close()


class TDSAdapter(Adapter):
    """What both engines do alike. Subclasses say how values are bound and what their catalogues are called."""

    driver = "pyodbc"
    install = "apt-get install unixodbc tdsodbc && pip install pyodbc"
    dialect = "tsql"
    paramstyle = "pyformat"
    tds_version: ClassVar[str]
    #: What a connection's session is set to, for reading and for writing.
    opening: ClassVar[dict[bool, str]]
    #: Around what reads: whatever it did is undone.
    around: ClassVar[tuple[str, str]]

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        #: Why the server turned this log-in away, once asked: "login" or "database-unknown".
        self._turned_away = ""

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Connection:
        deadline = time.monotonic() + seconds
        host, port = self._place()
        try:
            connection = dial(self._words(host, port, writes), host, port, seconds)
        except Exception as error:
            raise self._why(error, host, port, deadline) from None
        try:
            connection.execute(self.opening[writes])
        except Exception as error:
            connection.close()
            fault = fault_of(error)
            raise ConnectFailed(getattr(fault, "reason", "other"), getattr(fault, "sqlstate", "")) from None
        return connection

    def _place(self) -> tuple[str, int]:
        """Host and port to connect to."""
        return self.source.get("host") or "localhost", int(self.source.get("port") or self.default_port or 0)

    def _words(self, host: str, port: int, writes: bool, database: bool = True) -> str:
        """The connection string. Raises ConnectFailed for what FreeTDS cannot be told."""
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
        words.update(self._more_words(writes))
        for name, value in words.items():
            # A wrong word crashes FreeTDS and the process with it; a database's name that is too long for its
            # first packet sends it round in circles.
            if (
                len(value) > _LONGEST
                or "};" in value
                or "\x00" in value
                or not _VALID.get(name, _ANYTHING).fullmatch(value)
            ):
                raise ConnectFailed(_UNTOLD.get(name, "other"))
        if source.get("authority") and "authority" in {setting.name for setting in self.settings}:
            place = {"SERVERNAME": server_name(words.pop("SERVER"), words.pop("PORT"), source["authority"])}
            words = {**place, **words, "Encryption": "require"}
        # FreeTDS reads a value in braces to the next "};", without any escapes, and only there.
        return "".join(
            [f"{name}={value};" if name in _BARE else f"{name}={{{value}}};" for name, value in words.items()]
        )

    def _more_words(self, writes: bool) -> dict[str, str]:
        return {}

    def _why(self, error: Exception, host: str, port: int, deadline: float) -> Exception:
        """Why there is no connection, where the driver says only that there is none."""
        if isinstance(error, SourceError):
            return error
        numbers = _native_numbers(error)
        state = str(error.args[0]) if error.args else ""
        reason = next((_NUMBERS[number] for number in numbers if number in _NUMBERS), "")
        told = str(numbers[0]) if reason and numbers else ""
        if reason == "login":
            return ConnectFailed(self._login_or_database(host, port, deadline), told)
        if reason:
            return ConnectFailed(reason, told)
        if state == "IM002" or "Can't open lib" in str(error):
            return ConnectFailed("driver-missing")
        if state == "HYT00":
            return ConnectFailed("unreachable")
        if refuses(host, port):
            return ConnectFailed("refused")
        if not _reachable(host, port):
            return ConnectFailed("unreachable")
        # Someone is there and hangs up: over encryption, where that is insisted on.
        insists = self.source.get("encryption") == "require" or self.source.get("authority")
        return ConnectFailed("tls" if insists else "broken")

    def _login_or_database(self, host: str, port: int, deadline: float) -> str:
        """Which of the two it was. FreeTDS lets the error of the log-in hide the one of the database before it.

        One more log-in without a database tells, once for these settings: servers lock accounts that knock too often.
        """
        if not self._turned_away:
            self._turned_away = "login"
            if self.source.get("database"):
                with suppress(Exception):
                    left = max(1.0, deadline - time.monotonic())
                    dial(self._words(host, port, False, database=False), host, port, left).close()
                    self._turned_away = "database-unknown"
        return self._turned_away

    def run(
        self, connection: Connection, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> Stream:
        deadline = time.monotonic() + limits.seconds
        token, cursor = connection.watch(deadline, limits.width), None
        try:
            cursor = connection.cursor(limits.seconds)
            if limits.writes:
                return self._write(connection, cursor, sql, arguments, limits)
            return self._read(connection, cursor, sql, arguments, limits, deadline)
        except Exception as error:
            cut, token = watch.end(token), None
            fault = fault_of(error, cut)
            if isinstance(fault, QueryFailed):
                fault = roll_back(connection, cursor) or fault
            elif isinstance(fault, TooWide):
                # Before the cursor is let go of: what is left of its rows would be waited for.
                connection.close()
            raise fault from None
        finally:
            if token is not None:
                watch.end(token)

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
        connection.raw.clear_output_converters()
        self._execute(cursor, sql, arguments, *self.around)
        while cursor.description is None:
            if not cursor.nextset():
                # Nothing to read, so it was no reading; it is undone already.
                raise QueryFailed("read-only")
        columns = _described(cursor)
        _convert(connection.raw)
        count = min(limits.rows + 1, BATCH)
        first = gather(lambda step: list(map(tuple, cursor.fetchmany(step))), count, limits)
        columns = _retold(columns, first.rows)
        if first.ended:
            _finish(cursor)
            return Stored(columns, first.rows)
        return Sending(connection, cursor, columns, first, limits, deadline)

    def _write(
        self,
        connection: Connection,
        cursor: Any,
        sql: str,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
    ) -> Stored:
        """A batch in a transaction of its own, committed once all of it has gone well.

        Of several results the first is the answer; of a batch that begins with DECLARE or SET the last one is,
        where its author selects what a procedure has put out.
        """
        connection.execute("BEGIN TRANSACTION")
        connection.raw.clear_output_converters()
        self._execute(cursor, sql, arguments, "", "")
        answer, affected = None, -1
        while True:
            if cursor.description is None:
                affected = max(affected, cursor.rowcount)
            elif answer is None or _BEGINS_WITH_VARIABLES.match(sql):
                answer = _whole(connection, cursor, limits)
            connection.raw.clear_output_converters()
            if not cursor.nextset():
                break
        cursor.close()
        connection.execute(_COMMIT)
        if answer is None:
            return Stored(affected=affected)
        answer.affected = affected
        return answer

    def ping(self, connection: Connection) -> bool:
        try:
            if silent(connection.descriptor):
                return True
            connection.execute("SELECT 1")
        except Exception:
            return False
        return True

    #: What the catalogues are asked: databases, schemas; with %(schema)s tables; with %(table)s too columns and keys.
    #: Columns are (name, type, nullable, key) behind ``_spelled``'s, keys as base.keys_of takes them.
    databases_sql: ClassVar[str]
    schemas_sql: ClassVar[str]
    tables_sql: ClassVar[str]
    columns_sql: ClassVar[str]
    #: What turns the showing of plans on, and off again, each in a batch of its own.
    showing: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]]

    def databases(self, connection: Connection) -> list[str]:
        return [name for name, *_ in self._look(connection, self.databases_sql)]

    def schemas(self, connection: Connection) -> list[str]:
        return [name for name, *_ in self._look(connection, self.schemas_sql) if name]

    def tables(self, connection: Connection, schema: str) -> list[tuple[str, str]]:
        return [(name, kind) for name, kind in self._look(connection, self.tables_sql, schema=schema)]

    def columns(self, connection: Connection, schema: str, table: str) -> list[ColumnInfo]:
        found = []
        for name, *parts, nullable, key in self._look(connection, self.columns_sql, schema=schema, table=table):
            type_ = self._spelled(*parts)
            kind = KINDS.get(type_.partition("(")[0].lower(), "text")
            found.append(ColumnInfo(name, type_, kind, bool(nullable), bool(key)))
        return found

    def _spelled(self, *parts: Any) -> str:
        """A column's type as it is declared."""
        raise NotImplementedError

    def first_rows(self, name: str, rows: int) -> str:
        return f"SELECT TOP {rows:d} * FROM {name}"  # noqa: S608 (the name is quoted)

    def explain(
        self, connection: Connection, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        plannable(sql)
        deadline = time.monotonic() + limits.seconds
        on, off = self.showing
        token, cursor = connection.watch(deadline, limits.width), None
        try:
            cursor = connection.cursor(limits.seconds)
            connection.raw.clear_output_converters()
            for said in on:
                cursor.execute(said)
            return self._plan(cursor, sql, arguments)
        except Exception as error:
            cut, token = watch.end(token), None
            raise fault_of(error, cut) from None
        finally:
            if token is not None:
                watch.end(token)
            if cursor is not None:
                cursor.close()
            self._show_no_more(connection, off)

    def _show_no_more(self, connection: Connection, off: tuple[str, ...]) -> None:
        """The session runs its statements again. One that may not do so is of no more use."""
        try:
            for said in off:
                connection.execute(said)
        except Exception:
            connection.close()

    def _plan(self, cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any]) -> list[str]:
        """The lines of a statement's plan, now that plans are shown instead of answers."""
        raise NotImplementedError

    def _look(self, connection: Connection, sql: str, **arguments: Any) -> list[Row]:
        stream = self.run(connection, sql, arguments, Limits(rows=100_000, seconds=LOOK_SECONDS))
        try:
            return [row for batch in stream for row in batch]
        finally:
            stream.close()


#: Characters of a name or password: what the servers allow.
_LONGEST = 128
_UNTOLD = {"UID": "login", "PWD": "login", "DATABASE": "database-unknown", "SERVER": "host-unknown"}

_ANYTHING = re.compile(r".*", re.S)
_VALID = {
    "SERVER": re.compile(r"[^;{}\\,\s/]+"),
    "TDS_Version": re.compile(r"5\.0|7\.[2-4]"),
    "Encryption": re.compile(r"off|request|require"),
}
_BARE = frozenset(
    ("DRIVER", "SERVERNAME", "SERVER", "PORT", "TDS_Version", "ClientCharset", "Encryption", "ApplicationIntent")
)

_BEGINS_WITH_VARIABLES = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:declare|set)\b", re.I | re.S)
_COMMIT = "IF @@TRANCOUNT > 0 COMMIT TRANSACTION"
_ROLL_BACK = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"


class Sending(Fetching):
    """An answer larger than a batch, read as it comes. Leaving it early sends an attention."""

    def __init__(
        self,
        connection: Connection,
        cursor: Any,
        columns: tuple[tuple[str, str | None], ...],
        first: Piece,
        limits: Limits,
        deadline: float,
    ) -> None:
        super().__init__(columns, first, limits)
        self._connection = connection
        self._cursor = cursor
        self._deadline = deadline

    def _fetch(self, count: int) -> list[Row]:
        cursor, token = self._cursor, None
        if cursor is None:
            return []
        try:
            if time.monotonic() > self._deadline:
                raise TimedOut("timeout")
            token = self._connection.watch(self._deadline, self._limits.width)
            rows: list[Row] = list(map(tuple, cursor.fetchmany(count)))
            if len(rows) < count:
                _finish(cursor)
                self._cursor = None
            return rows
        except Exception as error:
            cut, token = watch.end(token) if token else None, None
            self._give_up()
            raise fault_of(error, cut) from None
        finally:
            if token is not None:
                watch.end(token)

    def _give_up(self) -> None:
        self._cursor, self.reusable = None, False
        self._connection.close()

    def close(self) -> None:
        cursor, self._cursor, self._first = self._cursor, None, []
        if cursor is None:
            return
        self.reusable = roll_back(self._connection, cursor) is None


def _finish(cursor: Any) -> None:
    """Past what follows the rows, where late errors stand, and the end of the transaction."""
    while cursor.nextset():
        pass
    cursor.close()


def _whole(connection: Connection, cursor: Any, limits: Limits) -> Stored:
    columns = _described(cursor)
    _convert(connection.raw)
    rows = list(map(tuple, cursor.fetchmany(limits.rows + 1)))
    return Stored(_retold(columns, rows), rows)


def roll_back(connection: Connection, cursor: Any) -> ConnectFailed | None:
    """Leave a statement, and the transaction that may be open. What it tells when that is impossible: the
    connection is gone."""
    try:
        token = connection.watch(time.monotonic() + RELEASE_SECONDS)
        try:
            if cursor is not None:
                # Sends an attention when the server is not done, and takes its answer.
                cursor.close()
            connection.execute(_ROLL_BACK)
        finally:
            watch.end(token)
    except Exception:
        connection.close()
        return ConnectFailed("broken")
    return None


# What columns are called and how their values are read.


def _described(cursor: Any) -> tuple[tuple[str, str | None], ...]:
    """Names and types. datetimeoffset comes as bytes that have a scale; to a scale of 0 see ``_retold``."""
    return tuple(
        [
            (column[0], "datetime" if column[1] is bytearray and column[5] else TYPES.get(column[1], "text"))
            for column in cursor.description
        ]
    )


def _retold(columns: tuple[tuple[str, str | None], ...], rows: list[Row]) -> tuple[tuple[str, str | None], ...]:
    """The columns, with what only values tell: bytes that came as text are datetimeoffset(0)."""
    if not any(type_ == "bytes" for _, type_ in columns):
        return columns
    found = []
    for place, (name, type_) in enumerate(columns):
        texts = type_ == "bytes" and any(isinstance(row[place], str) for row in rows)
        found.append((name, "datetime" if texts else type_))
    return tuple(found)


_NUMERIC = struct.Struct("<xBBQQ")
_REAL = struct.Struct("<f")
_DATE = struct.Struct("<hHH")
_TIME = struct.Struct("<HHHxxI")
_STAMP = struct.Struct("<hHHHHHI")
_OFFSET = struct.Struct("<hHHHHHIhh")
_DATETIME = struct.Struct("<iI")
_SMALLDATETIME = struct.Struct("<HH")
_1900 = date(1900, 1, 1).toordinal()


def _decimal(data: bytes) -> str:
    """SQL_NUMERIC_STRUCT, or a money in the server's own bytes."""
    if len(data) == 19:
        scale, positive, low, high = _NUMERIC.unpack(data)
        number = low + (high << 64)
        negative = not positive and number
    else:
        high, low = struct.unpack("<iI", data) if len(data) == 8 else (0, 0)
        number = (high << 32) + low if len(data) == 8 else struct.unpack("<i", data)[0]
        negative, number, scale = number < 0, abs(number), 4
    digits = str(number)
    if scale:
        if len(digits) <= scale:
            digits = digits.rjust(scale + 1, "0")
        digits = f"{digits[:-scale]}.{digits[-scale:]}"
    return f"-{digits}" if negative else digits


def _fraction(nanoseconds: int) -> str:
    return f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""


def _real(data: bytes) -> float:
    return single(_REAL.unpack(data)[0])


def _date(data: bytes) -> str:
    return str(date(*_DATE.unpack(data)))


def _time(data: bytes) -> str:
    hour, minute, second, nanoseconds = _TIME.unpack(data)
    return f"{hour:02}:{minute:02}:{second:02}{_fraction(nanoseconds)}"


def _moment(data: bytes) -> str:
    """A timestamp structure, or datetime and smalldatetime in the server's own bytes."""
    if len(data) == 16:
        return _written(*_STAMP.unpack(data))
    if len(data) == 8:
        days, ticks = _DATETIME.unpack(data)
        # A tick is a 300th of a second, which the server shows in milliseconds ending in 0, 3 and 7.
        seconds, milliseconds = divmod((ticks * 10 + 1) // 3, 1000)
    else:
        days, minutes = _SMALLDATETIME.unpack(data)
        seconds, milliseconds = minutes * 60, 0
    day = date.fromordinal(_1900 + days)
    return f"{day} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" + _fraction(milliseconds * 1_000_000)


def _moment_with_offset(data: bytes) -> str:
    *parts, hours, minutes = _OFFSET.unpack(data)
    sign = "-" if hours < 0 or minutes < 0 else "+"
    offset = f"{sign}{abs(hours):02}:{abs(minutes):02}"
    return _written(*parts) + offset


def _written(year: int, month: int, day: int, hour: int, minute: int, second: int, nanoseconds: int) -> str:
    # Python's own writing takes half the time of a format string's.
    moment = str(datetime(year, month, day, hour, minute, second))
    return moment + _fraction(nanoseconds) if nanoseconds else moment


_CONVERTERS: dict[int, Callable[[bytes], Any]] = {
    2: _decimal,
    3: _decimal,
    7: _real,
    91: _date,
    92: _time,
    93: _moment,
    -154: _time,
    -155: _moment_with_offset,
}


def _convert(raw: Any) -> None:
    """Set the converters. Only once a statement's columns are described: a converter makes all of its type text."""
    for code, converter in _CONVERTERS.items():
        raw.add_output_converter(code, converter)


def size_of(value: Decimal) -> tuple[int, int]:
    """Precision and scale that the number's digits need. Raises ValueError for what no server's number holds."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("no finite number")
    scale = max(0, -exponent)
    precision = max(len(digits) + max(0, exponent), scale, 1)
    if precision > 38:
        raise ValueError("more than 38 digits")
    return precision, scale


# Connecting, and what goes wrong.

_dialling: dict[tuple[str, int], threading.Lock] = {}
os.register_at_fork(after_in_child=_dialling.clear)


def dial(words: str, host: str, port: int, seconds: float) -> Connection:
    """Connect, and find the socket of the connection: neither pyodbc nor FreeTDS tells it.

    It is the socket to the server's address that was not there before. One connection to an address comes about
    at a time, so that there is only one such. Raises pyodbc's errors and ConnectFailed.
    """
    deadline = time.monotonic() + seconds
    count = addresses(host, port)
    driver = _driver()
    lock = _dialling.setdefault((host, port), threading.Lock())
    if not lock.acquire(timeout=seconds):
        raise ConnectFailed("unreachable")
    try:
        peers = {found[4][:2] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        before = {inode for inode, _ in _sockets(peers)}
        late, over = threading.Event(), threading.Event()
        left = max(0.1, deadline - time.monotonic())
        threading.Thread(target=_cut_late, args=(peers, before, left, late, over), daemon=True).start()
        try:
            raw = driver.connect(words, autocommit=True, timeout=max(2, int(seconds) // count))
        except driver.Error:
            if late.is_set():
                raise ConnectFailed("unreachable") from None
            raise
        finally:
            over.set()
        new = [descriptor for inode, descriptor in _sockets(peers) if inode not in before]
        if len(new) != 1:
            raw.close()
            raise ConnectFailed("other")
        # Every text is bound whole, however long: pyodbc's way of sending it in pieces is not for RPCs.
        raw.maxwrite = 2**30
        return Connection(raw, socket.socket(fileno=os.dup(new[0])))
    finally:
        lock.release()


def _sockets(peers: set[tuple[Any, ...]]) -> list[tuple[int, int]]:
    """(inode, descriptor) of this process's sockets that are connected to one of the addresses."""
    found = []
    for name in os.listdir("/dev/fd"):
        descriptor = int(name)
        with suppress(OSError):
            status = os.fstat(descriptor)
            if stat.S_ISSOCK(status.st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as twin:
                    if twin.family in (socket.AF_INET, socket.AF_INET6) and twin.getpeername()[:2] in peers:
                        found.append((status.st_ino, descriptor))
    return found


def _cut_late(
    peers: set[tuple[Any, ...]], before: set[int], seconds: float, late: threading.Event, over: threading.Event
) -> None:
    """End a connection that does not come about within ``seconds``: the driver returns when its socket closes.

    Again and again until it has returned: it may have opened another socket, or none yet.
    """
    if over.wait(seconds):
        return
    late.set()
    while True:
        for inode, descriptor in _sockets(peers):
            if inode not in before:
                with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as twin:
                    twin.shutdown(socket.SHUT_RDWR)
        if over.wait(0.1):
            return


def _reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _native_numbers(error: Exception) -> list[int]:
    """The servers' own error numbers in a message of pyodbc's, in its order."""
    text = " ".join(str(part) for part in error.args[1:])
    return [int(number) for number in _NATIVE.findall(text)]


def fault_of(error: Exception, cut: SourceError | None = None) -> Exception:
    """The driver's error as one of ours; an error that is not the driver's stays itself."""
    if isinstance(error, SourceError):
        return error
    if cut is not None:
        return cut
    if isinstance(error, (ValueError, UnicodeError, OverflowError, ArithmeticError)):
        return QueryFailed("data")
    driver = _driver()
    if not isinstance(error, driver.Error):
        return error
    state = str(error.args[0]) if error.args else ""
    numbers = _native_numbers(error)
    number = next((number for number in numbers if number in _NUMBERS), numbers[0] if numbers else 0)
    reason = _NUMBERS.get(number) or _STATES.get(state) or _class_of(state, number)
    told = str(number) if number else state if len(state) == 5 else ""
    if reason == "timeout":
        return TimedOut(reason, told)
    kind = ConnectFailed if reason in _CONNECTING else QueryFailed
    return kind(reason, told)


def _class_of(state: str, number: int) -> str:
    """A reason from the SQLSTATE alone. FreeTDS's own complaints (20000 and a few) are of the connection."""
    if 20000 <= number < 20200 or state.startswith("08"):
        return "broken"
    if state == "HY000" and not number:
        return "broken"
    return {"22": "data", "23": "constraint", "HY": "other"}.get(state[:2], "other")


@cache
def _driver() -> ModuleType:
    try:
        return importlib.import_module("pyodbc")
    except ImportError:
        raise ConnectFailed("driver-missing") from None
