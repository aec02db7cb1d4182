"""Sybase ASE (SAP ASE), over pyodbc and FreeTDS in TDS 5.0.

Not every server of that age takes parameters, so values are written into the statement here, each as a literal of
its type. Sybase knows one way out of a text, the quotation mark, and doubling it keeps it in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any

from adapters.base import CONNECT_SECONDS, ColumnInfo, Row, Setting
from adapters.network import watch
from adapters.sqlserver import gathered
from adapters.tds import Connection, TDSAdapter, fault_of, size_of

#: datetime begins with the Gregorian calendar in England; what is earlier or finer needs bigdatetime.
_FIRST_YEAR = 1753


class Sybase(TDSAdapter):
    engine = "sybase"
    label = "Sybase ASE"
    tds_version = "5.0"
    default_port = 5000
    settings = (
        Setting("host", "Host", required=True),
        Setting("port", "Port", default="5000"),
        Setting("database", "Database", required=True),
        Setting("user", "User", required=True),
        Setting("password", "Password", secret=True),
        Setting("tds_version", "TDS version", default="5.0"),
        Setting("charset", "Code page", help="Of the server's texts, where it does not tell the right one: cp1252"),
        Setting("application", "Application name", default="mantra", help="What the server's monitors show"),
    )
    opening = {
        False: "set nocount on set textsize 2147483647 set quoted_identifier on",
        True: "set nocount off set textsize 2147483647 set quoted_identifier on",
    }
    around = ("BEGIN TRANSACTION\n", "\nROLLBACK TRANSACTION")

    def _more_words(self, writes: bool) -> dict[str, str]:
        # Where the server's word is not to be trusted, bytes go through FreeTDS as they are.
        return {"ClientCharset": "ISO-8859-1"} if self.source.get("charset") else {}

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Connection:
        connection = super().connect(writes, seconds)
        if page := self.source.get("charset"):
            connection.raw.setdecoding(1, encoding=page, ctype=1)
        return connection

    def _execute(
        self, cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], before: str, after: str
    ) -> None:
        text = written(sql, arguments)
        if page := self.source.get("charset"):
            text = text.encode(page).decode("latin-1")
        # A semicolon is no part of the language.
        cursor.execute(before + text.rstrip("; \t\r\n") + after)

    def databases(self, connection: Connection) -> list[str]:
        rows = self._look(
            connection,
            "SELECT name FROM master..sysdatabases WHERE name NOT IN ('master', 'model', 'tempdb', 'sybsystemprocs',"
            " 'sybsystemdb', 'sybsecurity') ORDER BY name",
        )
        return [name for (name,) in rows]

    def schemas(self, connection: Connection) -> list[str]:
        rows = self._look(
            connection,
            "SELECT DISTINCT user_name(uid) AS owner FROM sysobjects WHERE type IN ('U', 'V') ORDER BY owner",
        )
        found = [name for (name,) in rows if name]
        return sorted(found, key=lambda name: (name != "dbo", name)) or ["dbo"]

    def tables(self, connection: Connection, schema: str) -> list[tuple[str, str]]:
        rows = self._look(
            connection,
            "SELECT name, CASE WHEN type = 'V' THEN 'view' ELSE 'table' END AS kind FROM sysobjects"
            " WHERE type IN ('U', 'V') AND user_name(uid) = %(schema)s ORDER BY name",
            schema=schema,
        )
        return [(name, kind) for name, kind in rows]

    def columns(self, connection: Connection, schema: str, table: str) -> list[ColumnInfo]:
        rows = self._look(
            connection,
            "SELECT c.name, t.name AS type, c.length, c.prec, c.scale,"
            " CASE WHEN c.status & 8 = 8 THEN 1 ELSE 0 END AS nullable,"
            " (SELECT count(*) FROM sysindexes i WHERE i.id = c.id AND i.status & 2048 = 2048 AND c.name IN"
            " (index_col(o.name, i.indid, 1), index_col(o.name, i.indid, 2), index_col(o.name, i.indid, 3),"
            " index_col(o.name, i.indid, 4), index_col(o.name, i.indid, 5), index_col(o.name, i.indid, 6))) AS iskey"
            " FROM syscolumns c, sysobjects o, systypes t WHERE c.id = o.id AND t.usertype = c.usertype"
            " AND o.type IN ('U', 'V') AND user_name(o.uid) = %(schema)s AND o.name = %(table)s ORDER BY c.colid",
            schema=schema,
            table=table,
        )
        return self._columns([(name, _spelled(*rest[:4]), *rest[4:]) for name, *rest in rows])

    def indexes(self, connection: Connection, schema: str, table: str) -> list[tuple[str, tuple[str, ...], bool]]:
        rows: list[Row] = []
        # index_col has the columns one by one; it gives NULL past the last.
        for place in range(1, 9):
            rows += self._look(
                connection,
                "SELECT i.name, index_col(o.name, i.indid, %(place)s) AS col,"
                " CASE WHEN i.status & 2 = 2 THEN 1 ELSE 0 END AS isunique, i.status & 2048 AS iskey"
                " FROM sysindexes i, sysobjects o WHERE i.id = o.id AND i.indid BETWEEN 1 AND 254"
                " AND user_name(o.uid) = %(schema)s AND o.name = %(table)s"
                " AND index_col(o.name, i.indid, %(place)s) IS NOT NULL ORDER BY i.status & 2048 DESC, i.name",
                place=place,
                schema=schema,
                table=table,
            )
        return gathered([row[:3] for row in rows])

    def explain(self, connection: Connection, sql: str, arguments: Mapping[str, Any] | Sequence[Any]) -> str:
        """What SHOWPLAN says, as the messages in which the server says it."""
        token = connection.watch(time.monotonic() + 30)
        cursor = connection.cursor(30)
        try:
            cursor.execute("set showplan on")
            cursor.execute("set noexec on")
            try:
                cursor.execute(written(sql, arguments).rstrip("; \t\r\n"))
                return "\n".join(str(text).rpartition("]")[2].strip() for _, text in cursor.messages or ())
            finally:
                cursor.execute("set noexec off")
                cursor.execute("set showplan off")
        except Exception as error:
            cut, token = watch.end(token), None
            raise fault_of(error, cut) from None
        finally:
            if token is not None:
                watch.end(token)
            cursor.close()


def _spelled(type_: str, length: int | None, precision: int | None, scale: int | None) -> str:
    """A column's type as it is declared."""
    if precision is not None and type_.startswith(("decimal", "numeric")):
        return f"{type_}({precision},{scale})"
    return f"{type_}({length})" if type_.endswith(("char", "binary")) else type_


def written(sql: str, arguments: Mapping[str, Any] | Sequence[Any]) -> str:
    """The statement with its values in the place of its %(name)s marks. Raises ValueError for what has no literal."""
    if isinstance(arguments, Mapping):
        return sql % {name: literal(value) for name, value in arguments.items()}
    return sql % tuple(literal(value) for value in arguments)


def literal(value: Any) -> str:
    """A value as a Sybase literal. Its exact type decides; what has none is refused."""
    write = _LITERALS.get(type(value))
    if write is None:
        raise ValueError("Sybase has no such value")
    return write(value)


def _text(value: str) -> str:
    if "\x00" in value:
        raise ValueError("a NUL would end the statement")
    # Lone surrogates have no bytes in any of the server's code pages.
    value.encode()
    return "'" + value.replace("'", "''") + "'"


def _integer(value: int) -> str:
    if abs(value) >= 10**38:
        raise ValueError("more than 38 digits")
    return _signed(str(value))


def _signed(number: str) -> str:
    """A minus sign behind another one would begin a comment."""
    return f"({number})" if number.startswith("-") else number


def _decimal(value: Decimal) -> str:
    size_of(value)
    return _signed(format(value, "f"))


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError("Sybase has no such number")
    number = repr(value)
    # Without an exponent it would be a decimal.
    return _signed(number if "e" in number else number + "e0")


def _date(value: date) -> str:
    return f"convert(date, '{_joined(value.isoformat())}')"


def _datetime(value: datetime) -> str:
    if value.tzinfo is not None:
        raise ValueError("Sybase has no time zones")
    if value.microsecond % 1000 or value.year < _FIRST_YEAR:
        return f"convert(bigdatetime, '{_joined(value.isoformat(' ', 'microseconds'))}')"
    return f"convert(datetime, '{_joined(value.isoformat(' ', 'milliseconds'))}')"


def _joined(text: str) -> str:
    """Eight digits in a row mean the same in every setting of DATEFORMAT."""
    return text[:10].replace("-", "") + text[10:]


def _time(value: clock) -> str:
    if value.tzinfo is not None:
        raise ValueError("Sybase has no time zones")
    return f"convert({'bigtime' if value.microsecond % 1000 else 'time'}, '{value.isoformat()}')"


def _bytes(value: bytes) -> str:
    if not value:
        raise ValueError("Sybase has no empty bytes")
    return "0x" + bytes(value).hex()


_LITERALS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "NULL",
    str: _text,
    bool: lambda value: "1" if value else "0",
    int: _integer,
    Decimal: _decimal,
    float: _float,
    date: _date,
    datetime: _datetime,
    clock: _time,
    bytes: _bytes,
    bytearray: _bytes,
}
