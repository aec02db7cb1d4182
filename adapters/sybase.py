"""Sybase ASE (SAP ASE), over pyodbc and FreeTDS in TDS 5.0.

Not every server of that age takes parameters, so values are written into the statement here, each as a literal of
its type. In Sybase only the quotation mark ends a text, and doubling it escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from datetime import time as clock
from decimal import Decimal
from typing import Any

from adapters.base import (
    CONNECT_SECONDS,
    LOOK_SECONDS,
    TIME_ZONE,
    Key,
    QueryFailed,
    Setting,
    converted,
    keys_of,
    local_time,
)
from adapters.tds.adapter import TDSAdapter
from adapters.tds.dialling import Connection
from adapters.tds.types import precision_and_scale

#: datetime begins in 1753; earlier years and finer fractions need bigdatetime.
_FIRST_YEAR = 1753

#: Columns that a foreign key may have.
MAX_KEY_COLUMNS = 16


class Sybase(TDSAdapter):
    engine = "sybase"
    label = "Sybase ASE"
    tds_version = "5.0"
    default_port = 5000
    paging = ""
    settings = (
        Setting("host", "Host", required=True, leads=True),
        Setting("port", "Port", default="5000", leads=True),
        Setting("database", "Database", required=True),
        Setting("user", "User", required=True),
        Setting("password", "Password", secret=True),
        Setting("tds_version", "TDS version", default="5.0"),
        Setting(
            "charset",
            "Code page",
            help="for the server's texts if it does not state the correct one, for example cp1252",
        ),
        Setting("application", "Application name", default="mantra", help="name that the server's monitors show"),
        TIME_ZONE,
    )
    session_setup = {
        False: "set nocount on set textsize 2147483647 set quoted_identifier on",
        True: "set nocount off set textsize 2147483647 set quoted_identifier on",
    }
    read_wrapper = ("BEGIN TRANSACTION\n", "\nROLLBACK TRANSACTION")

    def _more_options(self, writes: bool) -> dict[str, str]:
        # Where the server reports a wrong code page, bytes pass through FreeTDS unchanged.
        return {"ClientCharset": "ISO-8859-1"} if self.source.get("charset") else {}

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Connection:
        connection = super().connect(writes, seconds)
        if page := self.source.get("charset"):
            connection.raw.setdecoding(1, encoding=page, ctype=1)
        return connection

    def _execute(
        self, cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], before: str, after: str
    ) -> None:
        text = self._coded(written(sql, arguments, self.zone))
        # A semicolon is no part of the language.
        cursor.execute(before + text.rstrip("; \t\r\n") + after)

    databases_sql = (
        "SELECT name FROM master..sysdatabases WHERE name NOT IN ('master', 'model', 'tempdb', 'sybsystemprocs',"
        " 'sybsystemdb', 'sybsecurity') ORDER BY name"
    )
    schemas_sql = (
        "SELECT DISTINCT user_name(uid) AS owner, CASE WHEN user_name(uid) = 'dbo' THEN 0 ELSE 1 END AS n"
        " FROM sysobjects WHERE type IN ('U', 'V') ORDER BY n, owner"
    )
    tables_sql = (
        "SELECT name, CASE WHEN type = 'V' THEN 'view' ELSE 'table' END AS kind FROM sysobjects"
        " WHERE type IN ('U', 'V') AND user_name(uid) = %(schema)s ORDER BY name"
    )
    #: Not those in Java, nor of a name that the server has too: its own comes first.
    routines_sql = (
        "SELECT user_name(uid) AS owner, name, CASE WHEN user_name(uid) IN (user_name(), 'dbo') THEN 1 ELSE 0 END"
        " AS here FROM sysobjects WHERE lower(name) = %(name)s AND type IN ('SF', 'P')"
        " AND NOT EXISTS (SELECT 1 FROM sybsystemprocs..sysobjects o WHERE lower(o.name) = %(name)s)"
    )
    columns_sql = (
        "SELECT o.name AS oname, c.name, t.name AS type, c.length, c.prec, c.scale,"
        " CASE WHEN c.status & 8 = 8 THEN 1 ELSE 0 END AS nullable,"
        " (SELECT count(*) FROM sysindexes i WHERE i.id = c.id AND i.status & 2048 = 2048 AND c.name IN"
        " (index_col(o.name, i.indid, 1), index_col(o.name, i.indid, 2), index_col(o.name, i.indid, 3),"
        " index_col(o.name, i.indid, 4), index_col(o.name, i.indid, 5), index_col(o.name, i.indid, 6))) AS iskey"
        " FROM syscolumns c, sysobjects o, systypes t WHERE c.id = o.id AND t.usertype = c.usertype"
        " AND o.type IN ('U', 'V') AND user_name(o.uid) = %(schema)s AND (o.name = %(table)s OR %(table)s = '')"
        " ORDER BY o.name, c.colid"
    )
    row_estimates_sql = (
        "SELECT name, row_count(db_id(), id) AS n FROM sysobjects WHERE type = 'U' AND user_name(uid) = %(schema)s"
    )
    describe_switches = ("SET FMTONLY ON\n", "\nSET FMTONLY OFF")
    plan_switches = (("set showplan on", "set noexec on"), ("set noexec off", "set showplan off"))

    def keys(self, connection: Connection, schema: str, table: str) -> list[Key]:
        places = range(1, MAX_KEY_COLUMNS + 1)
        indexes = self._query(
            connection,
            "SELECT i.name, CASE WHEN i.status & 2048 = 2048 THEN 'primary' WHEN i.status & 2 = 2 THEN 'unique'"  # noqa: S608 (numbers only)
            f" ELSE 'index' END AS kind, {', '.join(f'index_col(o.name, i.indid, {at}) AS c{at}' for at in places)}"
            " FROM sysindexes i, sysobjects o WHERE i.id = o.id AND i.indid BETWEEN 1 AND 254"
            " AND user_name(o.uid) = %(schema)s AND o.name = %(table)s ORDER BY i.name",
            schema=schema,
            table=table,
        )
        foreign = self._foreign_key_rows(connection, schema, table) if table else []
        # index_col returns NULL past the last column.
        return keys_of(
            [(name, kind, column) for name, kind, *columns in indexes for column in columns if column is not None]
            + [row[1:] for row in foreign]
        )

    def _foreign_key_rows(
        self, connection: Connection, schema: str, table: str, seconds: float = LOOK_SECONDS
    ) -> list[tuple[Any, ...]]:
        places = range(1, MAX_KEY_COLUMNS + 1)
        pairs = ", ".join(
            f"col_name(r.tableid, r.fokey{at}) AS f{at}, col_name(r.reftabid, r.refkey{at}) AS r{at}" for at in places
        )
        foreign = self._query(
            connection,
            "SELECT o.name AS oname, object_name(r.constrid) AS name, user_name(t.uid) AS owner, t.name AS target,"  # noqa: S608 (numbers only)
            f" {pairs}"
            " FROM sysreferences r, sysobjects o, sysobjects t WHERE r.tableid = o.id AND r.reftabid = t.id"
            " AND user_name(o.uid) = %(schema)s AND (o.name = %(table)s OR %(table)s = '') ORDER BY oname, name",
            seconds,
            schema=schema,
            table=table,
        )
        # col_name returns NULL past the last column.
        return [
            (of_table, name, "foreign", column, owner, target, pointed)
            for of_table, name, owner, target, *columns in foreign
            for column, pointed in zip(columns[::2], columns[1::2], strict=True)
            if column is not None
        ]

    def _declared_type(self, *parts: Any) -> str:
        type_, length, precision, scale = parts
        if precision is not None and type_.startswith(("decimal", "numeric")):
            return f"{type_}({precision},{scale})"
        return f"{type_}({length})" if type_.endswith(("char", "binary")) else str(type_)

    def _plan(self, cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any]) -> list[str]:
        """Return the messages in which the server sends the plan."""
        cursor.execute(self._coded(written(sql, arguments, self.zone)).rstrip("; \t\r\n"))
        if cursor.description is not None or not cursor.messages:
            raise QueryFailed("no-plan")
        return [str(text).rpartition("]")[2].rstrip() for _, text in cursor.messages]

    def _coded(self, text: str) -> str:
        """Encode the text in the source's code page, where one is set: one character for each byte."""
        page = self.source.get("charset")
        return text.encode(page).decode("latin-1") if page else text


def written(sql: str, arguments: Mapping[str, Any] | Sequence[Any], zone: tzinfo | None = None) -> str:
    """Return the statement with its values for its %(name)s placeholders. Raises ValueRefused if one has no literal.

    A datetime with an offset becomes the local time of ``zone``: Sybase has no offsets.
    """

    def write(value: Any) -> str:
        return literal(local_time(value, zone) if isinstance(value, datetime) else value)

    values = converted(arguments, write)
    return sql % (values if isinstance(values, dict) else tuple(values))


def literal(value: Any) -> str:
    """Return a value as a Sybase literal. The exact type decides. Raises ValueError."""
    write = _LITERALS.get(type(value))
    if write is None:
        raise ValueError("Sybase cannot represent this value")
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
    """Put a negative number into parentheses: two minus signs in a row would begin a comment."""
    return f"({number})" if number.startswith("-") else number


def _decimal(value: Decimal) -> str:
    precision_and_scale(value)
    return _signed(format(value, "f"))


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError("Sybase cannot represent this number")
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
    """Return the date as eight digits, which mean the same in every setting of DATEFORMAT."""
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
