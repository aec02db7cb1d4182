"""Microsoft SQL Server, over pyodbc and FreeTDS.

A definition calls a procedure as T-SQL does, with its outputs selected at the end:

    DECLARE @jumlah int
    EXEC dbo.hitung :a, :b, @jumlah OUTPUT
    SELECT @jumlah AS jumlah
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from datetime import date, datetime, tzinfo
from datetime import time as clock
from decimal import Decimal
from functools import lru_cache
from typing import Any

from adapters.base import (
    LOOK_SECONDS,
    TIME_ZONE,
    ConnectFailed,
    Key,
    QueryFailed,
    Setting,
    ValueRefused,
    keys_of,
    local_time,
    quoted,
)
from adapters.tds.adapter import TDSAdapter
from adapters.tds.dialling import Connection
from adapters.tds.types import precision_and_scale

#: The port of SQL Server's browser service, which knows the ports of named instances.
BROWSER_PORT = 1434

_PLACEHOLDER = re.compile(r"%(?:%|\(([A-Za-z_]\w*)\)s)")
#: What follows a placeholder that its author casts to the one type with an offset.
_TO_OFFSET = re.compile(r"\s+AS\s+datetimeoffset\b", re.I)
_WVARCHAR, _WLONGVARCHAR, _VARCHAR, _VARBINARY, _LONGVARBINARY = -9, -10, 12, -3, -4

#: How many UTF-16 units and bytes a parameter holds before its type must be a (max) one.
_WIDE, _NARROW = 4000, 8000

#: FreeTDS 1.3 shifts dates before the year 1600 by a day or two: they are sent as text.
_FIRST_YEAR = 1753


class SQLServer(TDSAdapter):
    engine = "sqlserver"
    label = "Microsoft SQL Server"
    tds_version = "7.4"
    default_port = 1433
    paging = "ORDER BY … OFFSET :offset ROWS FETCH NEXT :limit ROWS ONLY"
    settings = (
        Setting("host", "Host", required=True, leads=True),
        Setting("port", "Port", default="1433", help="keep empty for a named instance", leads=True),
        Setting("instance", "Instance", help="name of the instance; the host reports its port on UDP 1434", leads=True),
        Setting("database", "Database", required=True),
        Setting("user", "User", required=True),
        Setting("password", "Password", secret=True),
        Setting("encryption", "TLS", default="request", help="off, request or require"),
        Setting("authority", "Authority", help="PEM file, or system, to check the server's certificate"),
        Setting("tds_version", "TDS version", default="7.4", help="7.4; 7.3 for SQL Server 2008, 7.2 for 2005"),
        Setting("application", "Application name", default="mantra", help="name that the server's monitors show"),
        TIME_ZONE,
    )
    session_setup = {
        False: "SET NOCOUNT ON; SET XACT_ABORT ON; SET TEXTSIZE 2147483647",
        True: "SET NOCOUNT OFF; SET XACT_ABORT ON; SET TEXTSIZE 2147483647",
    }
    read_wrapper = ("BEGIN TRANSACTION;\n", "\n;ROLLBACK TRANSACTION")

    def _host_and_port(self) -> tuple[str, int]:
        source = self.source
        host = source.get("host") or "localhost"
        # A form fills in the default port, which is the unnamed instance's.
        if source.get("instance") and str(source.get("port") or self.default_port) == str(self.default_port):
            return host, instance_port(host, source["instance"])
        return super()._host_and_port()

    def _more_options(self, writes: bool) -> dict[str, str]:
        # Lets an availability group route reading connections to a read-only replica.
        return {} if writes else {"ApplicationIntent": "ReadOnly"}

    def _execute(
        self, cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], before: str, after: str
    ) -> None:
        text, declared, values, sizes = bind(sql, arguments, self.zone)
        text = before + text + after
        if not values:
            cursor.execute(text)
            return
        cursor.setinputsizes([_size(text), _size(declared), *sizes])
        question_marks = ",".join("?" * (2 + len(values)))
        cursor.execute(f"{{call sp_executesql({question_marks})}}", text, declared, *values)

    databases_sql = (
        "SELECT name FROM sys.databases WHERE HAS_DBACCESS(name) = 1 AND name NOT IN ('master', 'model', 'msdb',"
        " 'tempdb') ORDER BY name"
    )
    schemas_sql = (
        "SELECT SCHEMA_NAME() AS s, 0 AS n UNION SELECT TABLE_SCHEMA, 1 FROM INFORMATION_SCHEMA.TABLES"
        " WHERE TABLE_SCHEMA <> SCHEMA_NAME() AND TABLE_SCHEMA NOT IN ('sys', 'INFORMATION_SCHEMA') ORDER BY n, s"
    )
    tables_sql = (
        "SELECT TABLE_NAME, CASE WHEN TABLE_TYPE = 'VIEW' THEN 'view' ELSE 'table' END AS kind"
        " FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = %(schema)s ORDER BY TABLE_NAME"
    )
    #: Not those in the languages of .NET, nor of a name that the server has too: its own comes first.
    routines_sql = (
        "SELECT SCHEMA_NAME(schema_id) AS s, name, CASE WHEN schema_id = SCHEMA_ID() THEN 1 ELSE 0 END AS here"
        " FROM sys.objects WHERE LOWER(name) = %(name)s AND type IN ('FN', 'IF', 'TF', 'P') AND is_ms_shipped = 0"
        " AND NOT EXISTS (SELECT 1 FROM sys.system_objects o WHERE LOWER(o.name) = %(name)s)"
    )
    columns_sql = (
        "SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.CHARACTER_MAXIMUM_LENGTH, c.NUMERIC_PRECISION,"
        " c.NUMERIC_SCALE, c.DATETIME_PRECISION, CASE WHEN c.IS_NULLABLE = 'YES' THEN 1 ELSE 0 END AS nullable,"
        " CASE WHEN EXISTS (SELECT 1 FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS t"
        " JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE k ON k.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA"
        " AND k.CONSTRAINT_NAME = t.CONSTRAINT_NAME WHERE t.CONSTRAINT_TYPE = 'PRIMARY KEY'"
        " AND t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME AND k.COLUMN_NAME = c.COLUMN_NAME)"
        " THEN 1 ELSE 0 END AS iskey"
        " FROM INFORMATION_SCHEMA.COLUMNS c WHERE c.TABLE_SCHEMA = %(schema)s"
        " AND (c.TABLE_NAME = %(table)s OR %(table)s = '') ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION"
    )
    row_estimates_sql = (
        "SELECT o.name AS oname, SUM(p.rows) AS n FROM sys.partitions p JOIN sys.objects o ON o.object_id = p.object_id"
        " JOIN sys.schemas s ON s.schema_id = o.schema_id WHERE s.name = %(schema)s AND p.index_id IN (0, 1)"
        " GROUP BY o.name"
    )
    comments_sql = (
        "SELECT o.name AS oname, CAST(c.name AS nvarchar(128)) AS cname, CAST(p.value AS nvarchar(300)) AS words"
        " FROM sys.extended_properties p JOIN sys.objects o ON o.object_id = p.major_id"
        " JOIN sys.schemas s ON s.schema_id = o.schema_id"
        " LEFT JOIN sys.columns c ON c.object_id = p.major_id AND c.column_id = p.minor_id"
        " WHERE s.name = %(schema)s AND p.class = 1 AND p.name = 'MS_Description'"
    )
    describe_switches = ("SET FMTONLY ON;\n", "\n;SET FMTONLY OFF")
    # SHOWPLAN_TEXT needs the right of that name.
    plan_switches = (("SET SHOWPLAN_TEXT ON",), ("SET SHOWPLAN_TEXT OFF",))

    def keys(self, connection: Connection, schema: str, table: str) -> list[Key]:
        indexes = self._query(
            connection,
            "SELECT i.name AS iname, CASE WHEN i.is_primary_key = 1 THEN 'primary' WHEN i.is_unique = 1"
            " AND i.has_filter = 0 THEN 'unique' ELSE 'index' END AS kind, c.name AS cname FROM sys.indexes i"
            " JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id"
            " JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id"
            " JOIN sys.objects o ON o.object_id = i.object_id JOIN sys.schemas s ON s.schema_id = o.schema_id"
            " WHERE s.name = %(schema)s AND o.name = %(table)s AND x.is_included_column = 0"
            " ORDER BY i.name, x.key_ordinal",
            schema=schema,
            table=table,
        )
        foreign = self._foreign_key_rows(connection, schema, table) if table else []
        return keys_of([*indexes, *(row[1:] for row in foreign)])

    def _foreign_key_rows(
        self, connection: Connection, schema: str, table: str, seconds: float = LOOK_SECONDS
    ) -> list[tuple[Any, ...]]:
        return self._query(
            connection,
            "SELECT o.name AS oname, f.name AS fname, 'foreign' AS kind, c.name AS cname, ts.name AS tschema,"
            " t.name AS tname, tc.name AS tcolumn FROM sys.foreign_keys f"
            " JOIN sys.foreign_key_columns x ON x.constraint_object_id = f.object_id"
            " JOIN sys.columns c ON c.object_id = x.parent_object_id AND c.column_id = x.parent_column_id"
            " JOIN sys.objects o ON o.object_id = x.parent_object_id JOIN sys.schemas s ON s.schema_id = o.schema_id"
            " JOIN sys.objects t ON t.object_id = x.referenced_object_id"
            " JOIN sys.schemas ts ON ts.schema_id = t.schema_id"
            " JOIN sys.columns tc ON tc.object_id = t.object_id AND tc.column_id = x.referenced_column_id"
            " WHERE s.name = %(schema)s AND (o.name = %(table)s OR %(table)s = '')"
            " ORDER BY o.name, f.name, x.constraint_column_id",
            seconds,
            schema=schema,
            table=table,
        )

    def quoted(self, name: str) -> str:
        return quoted(name, "[", "]")

    def _declared_type(self, *parts: Any) -> str:
        type_, length, precision, scale, fraction = parts
        if type_ in ("decimal", "numeric"):
            return f"{type_}({precision},{scale})"
        if length is not None and type_ not in ("text", "ntext", "image", "xml", "sql_variant"):
            return f"{type_}({'max' if length == -1 else length})"
        of_fractions = fraction is not None and type_ in ("time", "datetime2", "datetimeoffset")
        return f"{type_}({fraction})" if of_fractions else str(type_)

    def _plan(self, cursor: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any]) -> list[str]:
        """The values are variables, as in a run."""
        text, declared, _, _ = bind(sql, arguments, self.zone)
        cursor.execute((f"DECLARE {declared};\n" if declared else "") + text)
        lines: list[str] = []
        while True:
            if cursor.description is not None:
                if cursor.description[0][0] != "StmtText":
                    raise QueryFailed("no-plan")
                lines += [str(row[0]) for row in cursor.fetchall()]
            if not cursor.nextset():
                break
        if not lines:
            raise QueryFailed("no-plan")
        # The first line is the statement itself.
        return lines[1:] or lines


def bind(
    sql: str, arguments: Mapping[str, Any] | Sequence[Any], zone: tzinfo | None = None
) -> tuple[str, str, list[Any], list[tuple[int, int, int] | None]]:
    """Return the text with @P1, @P2, …, their declaration, their values, and pyodbc's input sizes for them.

    A placeholder that occurs twice is one parameter. NULL is written as a literal: as a parameter it would have a
    type, and not every type can be stored in every column. A datetime with an offset becomes the local time of
    ``zone``, except in CAST(… AS datetimeoffset): SQL Server takes a local time for UTC there, and in a comparison
    with a column without an offset it takes that for UTC. Raises ValueRefused.
    """
    if not isinstance(arguments, Mapping):
        raise TypeError("arguments go by name")
    pieces, names = _split(sql)
    variables: dict[tuple[str, bool], str] = {}
    declared: list[str] = []
    values: list[Any] = []
    sizes: list[tuple[int, int, int] | None] = []
    text = [pieces[0]]
    for name, piece in zip(names, pieces[1:], strict=True):
        value = arguments[name]
        offset = isinstance(value, datetime) and value.tzinfo is not None and _TO_OFFSET.match(piece) is not None
        if (name, offset) not in variables:
            try:
                type_, bound, size, written = _parameter(value if offset else _local(value, zone))
            except (OverflowError, ValueError):
                raise ValueRefused(name) from None
            if type_:
                declared.append(f"@P{len(values) + 1} {type_}")
                values.append(bound)
                sizes.append(size)
            variables[name, offset] = written.format(f"@P{len(values)}")
        text += [variables[name, offset], piece]
    return "".join(text), ", ".join(declared), values, sizes


def _local(value: Any, zone: tzinfo | None) -> Any:
    return local_time(value, zone) if isinstance(value, datetime) else value


@lru_cache(maxsize=1000)
def _split(sql: str) -> tuple[list[str], list[str]]:
    """Split the text at its %(name)s placeholders; return the pieces and the names."""
    pieces, names, position = [""], [], 0
    for match in _PLACEHOLDER.finditer(sql):
        pieces[-1] += sql[position : match.start()]
        position = match.end()
        if match[1] is None:
            pieces[-1] += "%"
        else:
            names.append(match[1])
            pieces.append("")
    pieces[-1] += sql[position:]
    return pieces, names


def _parameter(value: Any) -> tuple[str, Any, tuple[int, int, int] | None, str]:
    """Return a value's T-SQL type, the value and input size for pyodbc, and its expression ({} is the variable)."""
    if value is None:
        return "", None, None, "NULL"
    if isinstance(value, str):
        return _text_parameter(value)
    if isinstance(value, bool):
        return "bit", value, None, "{}"
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return "int" if -(2**31) <= value < 2**31 else "bigint", value, None, "{}"
        value = Decimal(value)
    if isinstance(value, Decimal):
        return _decimal_parameter(value)
    if isinstance(value, float):
        return "float", value, None, "{}"
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            # FreeTDS has no parameter of this type.
            return "varchar(40)", value.isoformat(" "), (_VARCHAR, 40, 0), "CAST({} AS datetimeoffset(7))"
        if value.year < _FIRST_YEAR:
            return "varchar(40)", value.isoformat(), (_VARCHAR, 40, 0), "CAST({} AS datetime2(7))"
        return "datetime2(7)", value, None, "{}"
    if isinstance(value, date):
        if value.year < _FIRST_YEAR:
            return "varchar(40)", value.isoformat(), (_VARCHAR, 40, 0), "CAST({} AS date)"
        return "date", value, None, "{}"
    if isinstance(value, clock):
        # pyodbc would drop its fraction.
        return "varchar(40)", value.isoformat(), (_VARCHAR, 40, 0), "CAST({} AS time(7))"
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        if len(data) > _NARROW:
            return "varbinary(max)", data, (_LONGVARBINARY, 0, 0), "{}"
        return "varbinary(8000)", data, (_VARBINARY, _NARROW, 0), "{}"
    raise ValueError("SQL Server cannot represent this value")


def _text_parameter(value: str) -> tuple[str, Any, tuple[int, int, int], str]:
    """ASCII is sent as varchar: for a Unicode parameter the server would not use a varchar column's index."""
    if "\x00" in value:
        raise ValueError("a text must not contain NUL")
    if value.isascii() and len(value) <= _NARROW:
        return "varchar(8000)", value, (_VARCHAR, _NARROW, 0), "{}"
    size = _size(value)
    return "nvarchar(max)" if size[0] == _WLONGVARCHAR else "nvarchar(4000)", value, size, "{}"


def _size(text: str) -> tuple[int, int, int]:
    units = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
    return (_WLONGVARCHAR, 0, 0) if units > _WIDE else (_WVARCHAR, _WIDE, 0)


def _decimal_parameter(value: Decimal) -> tuple[str, Any, None, str]:
    """Declare the precision that the digits need, as a literal has: a wider one loses digits in a multiplication."""
    precision, scale = precision_and_scale(value)
    return f"decimal({precision},{scale})", value, None, "{}"


def instance_port(host: str, instance: str, seconds: float = 1.5) -> int:
    """Ask the host's browser service for the TCP port of a named instance. Raises ConnectFailed."""
    request = b"\x04" + instance.encode("ascii", "replace") + b"\x00"
    try:
        infos = socket.getaddrinfo(host, BROWSER_PORT, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise ConnectFailed("host-unknown") from None
    for family, kind, protocol, _, address in [*infos, *infos][:4]:
        with socket.socket(family, kind, protocol) as client:
            client.settimeout(seconds)
            try:
                client.connect(address)
                client.send(request)
                words = client.recv(4096)[3:].decode("latin-1").split(";")
            except OSError:
                continue
        answer = dict(zip(words[::2], words[1::2], strict=False))
        if answer.get("InstanceName", "").lower() == instance.lower() and answer.get("tcp", "").isdigit():
            return int(answer["tcp"])
    raise ConnectFailed("unreachable")
