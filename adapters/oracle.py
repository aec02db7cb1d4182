"""Oracle 12.1 and later, over oracledb in its thin mode: no client libraries of Oracle's.

What is Oracle's own and stays so: an empty text is NULL, names that nobody quoted arrive in capitals, a DATE has a
time of day, and CHAR keeps its padding.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

from adapters.base import (
    BATCH,
    CONNECT_SECONDS,
    LOOK_SECONDS,
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
    fitting,
    gather,
    keys_of,
    plannable,
)
from adapters.floats import single
from adapters.network import addresses, refuses, silent, watch

Columns = tuple[tuple[str, str | None], ...]

#: Rows asked for in one round trip of a large answer.
FETCH = 4 * BATCH

#: The first piece of every answer: a batch, and one row more that tells whether the answer is larger.
FIRST = BATCH + 1

#: One meaning of a statement's literals on every server, and one form of what it makes text of itself.
_SESSION = {
    "NLS_DATE_FORMAT": "YYYY-MM-DD HH24:MI:SS",
    "NLS_TIMESTAMP_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF",
    "NLS_TIMESTAMP_TZ_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF TZH:TZM",
    "NLS_NUMERIC_CHARACTERS": ".,",
}
_SESSION_SETTING = re.compile(r"\s*(NLS_[A-Z_]+|TIME_ZONE)\s*=\s*([\w .,:/+$-]+?)\s*", re.I | re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_$#]{0,127}", re.ASCII)

#: ALL_TAB_COLUMNS's type names, without what stands in brackets, as the bus calls them.
_NAMES = {
    **dict.fromkeys(("FLOAT", "DECIMAL"), "decimal"),
    **dict.fromkeys(("BINARY_FLOAT", "BINARY_DOUBLE"), "float"),
    **dict.fromkeys(("BLOB", "RAW", "LONG RAW"), "bytes"),
    **dict.fromkeys(("INTERVAL DAY TO SECOND", "INTERVAL YEAR TO MONTH"), "interval"),
    "BOOLEAN": "boolean",
    "JSON": "json",
}

#: What an OUT parameter may be declared as: a Python type or the driver's, its size, and what it is to the bus.
_OUT_TYPES: dict[str, tuple[type | str, int, str]] = {
    **dict.fromkeys(("VARCHAR2", "CHAR"), ("DB_TYPE_VARCHAR", 32767, "text")),
    **dict.fromkeys(("NVARCHAR2", "NCHAR"), ("DB_TYPE_NVARCHAR", 32767, "text")),
    "NUMBER": (Decimal, 0, "decimal"),
    "INTEGER": (int, 0, "integer"),
    **dict.fromkeys(("FLOAT", "BINARY_DOUBLE"), ("DB_TYPE_BINARY_DOUBLE", 0, "float")),
    "DATE": ("DB_TYPE_DATE", 0, "datetime"),
    "TIMESTAMP": ("DB_TYPE_TIMESTAMP", 0, "datetime"),
    "CLOB": ("DB_TYPE_CLOB", 0, "text"),
    "NCLOB": ("DB_TYPE_NCLOB", 0, "text"),
    "BLOB": ("DB_TYPE_BLOB", 0, "bytes"),
    "RAW": ("DB_TYPE_RAW", 32767, "bytes"),
    "BOOLEAN": ("DB_TYPE_BOOLEAN", 0, "boolean"),
    **dict.fromkeys(("CURSOR", "SYS_REFCURSOR"), ("DB_TYPE_CURSOR", 0, "")),
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Accounts that Oracle itself makes.
_MAINTAINED = _words("""
    ANONYMOUS APPQOSSYS AUDSYS CTXSYS DBSFWUSER DBSNMP DIP DVF DVSYS EXFSYS GGSYS GSMADMIN_INTERNAL GSMCATUSER
    GSMROOTUSER GSMUSER LBACSYS MDDATA MDSYS MGMT_VIEW OJVMSYS OLAPSYS ORACLE_OCM ORDDATA ORDPLUGINS ORDSYS OUTLN
    OWBSYS PUBLIC REMOTE_SCHEDULER_AGENT SI_INFORMTN_SCHEMA SPATIAL_CSW_ADMIN_USR SPATIAL_WFS_ADMIN_USR SYS
    SYS$UMF SYSBACKUP SYSDG SYSKM SYSMAN SYSRAC SYSTEM TSMSYS VECSYS WK_TEST WKPROXY WKSYS WMSYS XDB XS$NULL
""")

#: What stands behind a :mark that a procedure, or RETURNING … INTO, fills: OUT or IN OUT, and a type or VARCHAR2.
OUT_PARAMETER = rf"\s+(?P<both>in\s*)?out\b(?:\s+(?P<type>{'|'.join(_OUT_TYPES)})\b)?"

_GAP = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\()*"
_READS = re.compile(rf"{_GAP}(?:select\b|with\b(?!{_GAP}(?:function|procedure)\b))", re.I | re.S)
_CALL = re.compile(rf"({_GAP})call\b", re.I | re.S)
_LOCKS = re.compile(r"\bfor\s+update\b", re.I)
_RETURNS = re.compile(r"\breturn(?:ing)?\b", re.I)
#: The statements that Oracle has besides queries: on a reading connection they are refused for what they are.
_OTHER = re.compile(
    rf"{_GAP}(?:with|insert|update|delete|merge|create|alter|drop|truncate|rename|comment|grant|revoke|call|begin"
    r"|declare|lock|explain|commit|rollback|savepoint|set|analyze|audit|noaudit|purge|flashback|associate"
    r"|disassociate|administer)\b",
    re.I | re.S,
)

#: What in a text is no mark, a mark with what may declare it as an OUT parameter, or the end of the statement.
_PIECES = re.compile(
    r"""--[^\n]* | /\*.*?\*/
    | (?<![\w$\#]) n?q'(?: \[.*?\]' | \{.*?\}' | <.*?>' | \(.*?\)' | (?P<quote>\S).*?(?P=quote)' )
    | '(?:[^']|'')*' | "[^"]*"
    | :(?P<name>[A-Za-z_]\w*) (?P<out>%s)?
    | (?P<end>;)""".replace("%s", OUT_PARAMETER),
    re.I | re.S | re.X,
)

_NUMBERS: dict[int, str] = {
    **dict.fromkeys((1004, 1005, 1017, 28000, 28001, 28002, 28003, 28040, 1988, 1035), "login"),
    **dict.fromkeys((12154, 12504, 12505, 12514, 12521), "database-unknown"),
    **dict.fromkeys((1033, 1034, 1089, 1090, 1109, 12518, 12526, 12527, 12528, 12541), "refused"),
    **dict.fromkeys((18, 20, 2391, 12516, 12519, 12520, 12523), "too-many-connections"),
    **dict.fromkeys((12650, 12660, 12699, 28759, 28860, 29024), "tls"),
    12545: "host-unknown",
    **dict.fromkeys((12170, 12535, 12543), "unreachable"),
    **dict.fromkeys(
        (28, 1012, 1041, 1092, 2396, 2399, 3113, 3114, 3135, 12537, 12547, 12570, 12571, 12583, 24324, 25408), "broken"
    ),
    **dict.fromkeys((1031, 1045, 1720, 1749, 1950, 41900), "forbidden"),
    **dict.fromkeys((904, 942, 980, 1418, 1435, 2289, 4043, 4063), "object-unknown"),
    **dict.fromkeys((1456, 16000, 28193), "read-only"),
    **dict.fromkeys((40, 51, 54, 1013, 2393, 4021, 30006), "timeout"),
    **dict.fromkeys((1, 1400, 1407, 2091, 2290, 2291, 2292, 2293, 2299), "constraint"),
    **dict.fromkeys(
        (932, 1401, 1403, 1410, 1422, 1426, 1427, 1438, 1465, 1476, 1481, 1482, 1489, 1555, 1722, 6502, 6503, 6592,
         12728, 12899, 22835, 24381, 40441, 40478), "data",
    ),
    **dict.fromkeys((1008, 1036, 1745, 1747, 1756, 1789, 1790, 1795, 1799, 6550, 6553), "syntax"),
}  # fmt: skip
_RANGES = ((900, 999, "syntax"), (1830, 1899, "data"), (2438, 2449, "syntax"), (20000, 20999, "constraint"))
_DRIVER: dict[str, str] = {
    **dict.fromkeys(("DPY-1001", "DPY-4011", "DPY-4005", "DPY-1003"), "broken"),
    **dict.fromkeys(("DPY-4024",), "timeout"),
    **dict.fromkeys(("DPY-6000",), "refused"),
    **dict.fromkeys(("DPY-6001", "DPY-6003", "DPY-4000", "DPY-4026", "DPY-4027", "DPY-4017"), "database-unknown"),
    **dict.fromkeys(("DPY-3001", "DPY-6002", "DPY-6006"), "tls"),
    **dict.fromkeys(("DPY-3010", "DPY-3015", "DPY-3016", "DPY-4001", "DPY-4002"), "login"),
    **dict.fromkeys(("DPY-4008", "DPY-4009", "DPY-4010"), "syntax"),
    **dict.fromkeys(("DPY-2006", "DPY-3002", "DPY-3013", "DPY-3022", "DPY-4003", "DPY-4007", "DPY-4023"), "data"),
}
_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "broken"),
    (socket.gaierror, "host-unknown"),
    (UnicodeError, "host-unknown"),
    (OSError, "unreachable"),
)
_CONNECTING = frozenset(
    ("broken", "refused", "unreachable", "host-unknown", "login", "database-unknown", "too-many-connections", "tls")
)


@dataclass(frozen=True, slots=True)
class _Out:
    """A parameter that comes back: its name in the definition, and in the statement."""

    name: str
    mark: str
    type: str
    given: bool


@dataclass(frozen=True, slots=True)
class _Statement:
    """A definition's text as Oracle takes it. ``marks`` are (name there, name here), each once.

    Marks are numbered: Oracle takes no reserved word for one, nor tells :Nama from :nama.
    """

    text: str
    marks: tuple[tuple[str, str], ...]
    outs: tuple[_Out, ...]
    reads: bool
    locks: bool
    calls: bool


class Oracle(Adapter):
    engine = "oracle"
    label = "Oracle"
    driver = "oracledb"
    install = "pip install oracledb"
    dialect = "oracle"
    paramstyle = "named"
    default_port = 1521
    settings = (
        Setting("host", "Host", help="needed unless a connect string says all"),
        Setting("port", "Port", default="1521"),
        Setting("service_name", "Service name"),
        Setting("sid", "SID", help="for a database that has no service name"),
        Setting(
            "dsn", "Connect string",
            help="instead of host and service: host:port/service, (DESCRIPTION=…), or a name in tnsnames.ora",
        ),
        Setting("user", "User", required=True),
        Setting("password", "Password", secret=True),
        Setting("protocol", "Protocol", default="tcp", help="tcp, or tcps for TLS"),
        Setting("wallet", "Wallet", help="folder with ewallet.pem and tnsnames.ora, for TLS"),
        Setting("wallet_password", "Wallet password", secret=True),
        Setting("schema", "Schema", help="where names without a schema are looked for; the user's own by default"),
        Setting("session", "Session", help="for example NLS_SORT=BINARY_CI; NLS_COMP=LINGUISTIC; TIME_ZONE=+07:00"),
    )  # fmt: skip

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        #: Statements whose moments only the server can write in full: what is sent instead, and its columns.
        self.exact: dict[str, tuple[str, Columns]] = {}
        #: By statement with columns that can hold much: how wide its rows have been, in bytes.
        self.widths: dict[str, int] = {}

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        oracledb = _driver()
        place = self._place()
        session = list(self._session())
        hosts = _hosts(place)
        try:
            connection = _connection_class()(
                seconds,
                writes,
                **place,
                user=self.source.get("user") or "",
                password=self.source.get("password") or "",
                tcp_connect_timeout=max(2, seconds / len(hosts)),
                expire_time=1,
                **({"ssl_context": _tls(seconds)} if _encrypted(place) else {}),
                program="mantra",
            )
        except (oracledb.Error, OSError, ValueError, UnicodeError, TypeError) as error:
            raise _why_not_connected(error, hosts, _encrypted(place)) from None
        try:
            for statement in session:
                _say(connection, statement)
        except SourceError as error:
            connection.close()
            reason = "database-unknown" if error.reason == "object-unknown" else error.reason
            raise ConnectFailed(reason, error.sqlstate) from None
        connection.outputtypehandler = _fetched_as()
        return connection

    def _place(self) -> dict[str, Any]:
        """Where the database is, in the driver's words."""
        source = self.source
        place: dict[str, Any] = {}
        if source.get("wallet"):
            place = {"wallet_location": source["wallet"], "config_dir": source["wallet"]}
            if source.get("wallet_password"):
                place["wallet_password"] = source["wallet_password"]
        if source.get("dsn"):
            # ldap://, config-file:// and the like would have the driver read settings from elsewhere.
            if re.match(r"\s*(?!tcps?:)[\w-]+://", source["dsn"]):
                raise ConnectFailed("database-unknown")
            return {**place, "dsn": source["dsn"]}
        protocol = str(source.get("protocol") or "tcp").lower()
        place |= {"host": source.get("host") or "localhost", "port": int(source.get("port") or 1521)}
        name = {"sid": source["sid"]} if source.get("sid") else {"service_name": source.get("service_name") or ""}
        return {**place, **name, "protocol": "tcps" if protocol == "tcps" else "tcp"}

    def _session(self) -> Iterator[str]:
        """What is said to each new session. Raises ConnectFailed on a setting that is not understood."""
        settings = dict(_SESSION)
        for part in filter(str.strip, str(self.source.get("session") or "").split(";")):
            found = _SESSION_SETTING.fullmatch(part)
            if found is None:
                raise ConnectFailed("syntax")
            settings[found[1].upper()] = found[2]
        yield "ALTER SESSION SET " + " ".join(f"{name} = '{value}'" for name, value in settings.items())
        schema = self.source.get("schema")
        if schema:
            if not _IDENTIFIER.fullmatch(schema):
                raise ConnectFailed("syntax")
            yield f"ALTER SESSION SET CURRENT_SCHEMA = {schema}"

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        deadline = time.monotonic() + limits.seconds
        if connection.closed:
            raise ConnectFailed("broken")
        statement = _statement(sql)
        if not connection.writes and (statement.locks or not statement.reads):
            raise QueryFailed("read-only" if statement.reads or _OTHER.match(sql) else "syntax")
        token = watch.begin(connection.descriptor, deadline, limits.width)
        try:
            connection.call_timeout = max(1, int(limits.seconds * 1000))
            if limits.writes:
                return _write(connection, statement, arguments, limits)
            return self._read(connection, statement, arguments, limits, deadline)
        except Exception as error:
            cut, token = watch.end(token), None
            fault = _fault(error, connection, cut, deadline)
            if isinstance(fault, TooWide):
                # So that its rows come one by one, should this have been too many at once.
                self.widths[statement.text] = limits.width
            if isinstance(fault, QueryFailed):
                self.exact.pop(statement.text, None)
                fault = _end_transaction(connection) or fault
            connection.lost = not isinstance(fault, QueryFailed)
            raise fault from None
        finally:
            if token is not None:
                watch.end(token)

    def _read(
        self,
        connection: Any,
        statement: _Statement,
        arguments: Mapping[str, Any] | Sequence[Any],
        limits: Limits,
        deadline: float,
    ) -> Stream:
        """A query in as few round trips as it has pieces: its first rows come with the answer to the execution.

        No transaction is begun for it: READ ONLY would forbid nothing that a statement beginning with SELECT can
        do in Oracle, but locks, and those are refused. What it opened all the same, as through a link to another
        database, is rolled back at its end.
        """
        count = min(limits.rows + 1, FIRST)
        known, width = self.exact.get(statement.text), self.widths.get(statement.text)
        ahead = 1 if width is None else fitting(width, count)
        cursor = _execute(connection, known[0] if known else statement.text, statement, arguments, ahead)
        if known:
            columns = known[1]
        else:
            described = cursor.description
            columns = _columns(described)
        if known is None and any(map(_cut_short, described)):
            if len(self.exact) > 500:
                self.exact.clear()
            self.exact[statement.text] = known = _in_full(statement.text, described), columns
            cursor.close()
            cursor = _execute(connection, known[0], statement, arguments, ahead)

        def fetch(step: int) -> list[Row]:
            cursor.arraysize = step
            return cursor.fetchmany(step)  # type: ignore[no-any-return]

        first = gather(fetch, count, limits, width)
        if len(self.widths) > 500:
            self.widths.clear()
        self.widths[statement.text] = max(first.widest, width or 0)
        if first.ended or len(first.rows) > limits.rows:
            cursor.close()
            if connection.transaction_in_progress:
                connection.rollback()
            return Stored(columns, first.rows)
        return Pieces(connection, cursor, columns, first, limits, deadline)

    def ping(self, connection: Any) -> bool:
        if connection.closed:
            return False
        if silent(connection.descriptor):
            return True
        token = watch.begin(connection.descriptor, time.monotonic() + 2)
        try:
            connection.call_timeout = 2000
            connection.ping()
        except (_driver().Error, OSError):
            connection.lost = True
            return False
        finally:
            watch.end(token)
        return True

    def databases(self, connection: Any) -> list[str]:
        """The one that the session is in: an account belongs to one database."""
        return [name for (name,) in _look(connection, "SELECT sys_context('USERENV', 'DB_NAME') FROM dual")]

    def schemas(self, connection: Any) -> list[str]:
        rows = _look(
            connection,
            "SELECT owner FROM (SELECT owner FROM all_tables UNION SELECT owner FROM all_views) found"
            " ORDER BY CASE WHEN owner = sys_context('USERENV', 'CURRENT_SCHEMA') THEN 0 ELSE 1 END, owner",
        )
        return [name for (name,) in rows if name not in _MAINTAINED and not name.startswith(("APEX_", "FLOWS_"))]

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        rows = _look(
            connection,
            "SELECT table_name, 'table' FROM all_tables WHERE owner = :schema"
            " UNION ALL SELECT view_name, 'view' FROM all_views WHERE owner = :schema ORDER BY 1",
            schema=schema,
        )
        return [(name, kind) for name, kind in rows if not name.startswith("BIN$")]

    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        keys = _look(
            connection,
            "SELECT part.column_name FROM all_constraints whole JOIN all_cons_columns part"
            " ON part.owner = whole.owner AND part.constraint_name = whole.constraint_name"
            " WHERE whole.owner = :schema AND whole.table_name = :name AND whole.constraint_type = 'P'",
            schema=schema,
            name=table,
        )
        rows = _look(
            connection,
            "SELECT column_name, data_type, data_precision, data_scale, char_length, nullable FROM all_tab_columns"
            " WHERE owner = :schema AND table_name = :name ORDER BY column_id",
            schema=schema,
            name=table,
        )
        return [
            ColumnInfo(name, *_described(type_, precision, scale, length), nullable == "Y", (name,) in keys)
            for name, type_, precision, scale, length, nullable in rows
        ]

    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        constraints = _look(
            connection,
            "SELECT c.constraint_name, CASE c.constraint_type WHEN 'P' THEN 'primary' WHEN 'U' THEN 'unique'"
            " ELSE 'foreign' END, part.column_name, target.owner, target.table_name, target.column_name"
            " FROM all_constraints c JOIN all_cons_columns part ON part.owner = c.owner"
            " AND part.constraint_name = c.constraint_name LEFT JOIN all_cons_columns target"
            " ON target.owner = c.r_owner AND target.constraint_name = c.r_constraint_name"
            " AND target.position = part.position WHERE c.owner = :schema AND c.table_name = :name"
            " AND c.constraint_type IN ('P', 'U', 'R') ORDER BY c.constraint_name, part.position",
            schema=schema,
            name=table,
        )
        indexes = _look(
            connection,
            "SELECT i.index_name, CASE i.uniqueness WHEN 'UNIQUE' THEN 'unique' ELSE 'index' END, part.column_name"
            " FROM all_indexes i JOIN all_ind_columns part ON part.index_owner = i.owner"
            " AND part.index_name = i.index_name WHERE i.table_owner = :schema AND i.table_name = :name"
            " ORDER BY i.index_name, part.column_position",
            schema=schema,
            name=table,
        )
        keys = keys_of(constraints)
        # What a key is kept by is not told twice.
        kept = {key.columns for key in keys if key.kind != "foreign"}
        return [*keys, *(index for index in keys_of(indexes) if index.columns not in kept)]

    def first_rows(self, name: str, rows: int) -> str:
        return f"SELECT * FROM {name} WHERE ROWNUM <= {rows:d}"  # noqa: S608 (the name is quoted)

    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """EXPLAIN PLAN, which the server writes into the session's PLAN_TABLE, and what DBMS_XPLAN makes of that.

        Oracle takes no values here, but marks that stand for texts: a plan may come out otherwise for numbers.
        """
        plannable(sql)
        name = f"mantra{secrets.token_hex(8)}"
        # In a block's text, or the driver would insist on values for the marks.
        planned = f"EXPLAIN PLAN SET STATEMENT_ID = '{name}' FOR {_statement(sql).text}"
        token = watch.begin(connection.descriptor, time.monotonic() + limits.seconds)
        try:
            connection.call_timeout = max(1, int(limits.seconds * 1000))
            cursor = connection.cursor()
            cursor.execute("BEGIN EXECUTE IMMEDIATE :1; END;", [planned])
            cursor.execute("SELECT plan_table_output FROM TABLE(DBMS_XPLAN.DISPLAY(NULL, :1, 'TYPICAL'))", [name])
            return [str(line or "") for (line,) in cursor.fetchall()]
        except Exception as error:
            cut, token = watch.end(token), None
            fault = _fault(error, connection, cut)
            connection.lost = not isinstance(fault, QueryFailed)
            raise fault from None
        finally:
            if token is not None:
                watch.end(token)
            _end_transaction(connection)


class Pieces(Fetching):
    """An answer larger than a batch: the cursor stays open at the server, and each piece is asked for."""

    most = FETCH

    def __init__(
        self, connection: Any, cursor: Any, columns: Columns, first: Piece, limits: Limits, deadline: float
    ) -> None:
        super().__init__(columns, first, limits)
        self._connection = connection
        self._cursor = cursor
        self._deadline = deadline
        self._open = True

    def _fetch(self, count: int) -> list[Row]:
        connection = self._connection
        left = self._deadline - time.monotonic()
        token = None
        try:
            if not self._open or left <= 0:
                raise TimedOut("timeout")
            token = watch.begin(connection.descriptor, self._deadline, self._limits.width)
            connection.call_timeout = max(1, int(left * 1000))
            self._cursor.arraysize = count
            return self._cursor.fetchmany(count)  # type: ignore[no-any-return]
        except Exception as error:
            cut, token = watch.end(token) if token else None, None
            fault = _fault(error, connection, cut, self._deadline)
            self._give_up()
            raise fault from None
        finally:
            if token is not None:
                watch.end(token)

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
    statement: _Statement,
    arguments: Mapping[str, Any] | Sequence[Any],
    count: int,
    outs: Mapping[str, Any] | None = None,
) -> Any:
    """A cursor on which the statement has run, with its first ``count`` rows."""
    cursor = connection.cursor()
    cursor.prefetchrows = cursor.arraysize = count
    if not isinstance(arguments, Mapping):
        arguments = dict(zip([name for name, _ in statement.marks], arguments, strict=True))
    bound = {mark: _plain(arguments[name]) for name, mark in statement.marks}
    moments = {mark: _moment_type(value) for mark, value in bound.items() if isinstance(value, datetime)}
    if moments:
        cursor.setinputsizes(**moments)
    for mark, variable in (outs or {}).items():
        if mark in bound:
            variable.setvalue(0, bound[mark])
        bound[mark] = variable
    cursor.execute(text, bound)
    return cursor


def _plain(value: Any) -> Any:
    """What Oracle has a type for: SQL there knew no truth values before 23ai, and no NaN among its numbers."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("Oracle has no such number")
    if isinstance(value, datetime) and value.tzinfo is not None:
        # The driver sends no offset but +00:00.
        return value.astimezone(UTC)
    return value


def _moment_type(value: datetime) -> Any:
    """A DATE where that holds the value: against a TIMESTAMP Oracle would convert the column, and use no index."""
    oracledb = _driver()
    if value.tzinfo is not None:
        return oracledb.DB_TYPE_TIMESTAMP_TZ
    return oracledb.DB_TYPE_TIMESTAMP if value.microsecond else oracledb.DB_TYPE_DATE


def _write(
    connection: Any, statement: _Statement, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
) -> Stored:
    """A statement in a transaction of its own. What only changes rows is committed in the same round trip."""
    plain = not (statement.calls or statement.outs or statement.reads)
    connection.autocommit = plain
    try:
        if statement.outs:
            stored = _run_out(connection, statement, arguments, limits)
        else:
            cursor = _execute(connection, statement.text, statement, arguments, min(limits.rows + 1, FETCH))
            results = [cursor] if cursor.description else _brought(cursor) if statement.calls else []
            if results:
                stored = _answer(results[0], limits, cursor.rowcount)
            else:
                stored = Stored(affected=-1 if statement.calls else cursor.rowcount)
            cursor.close()
    finally:
        connection.autocommit = False
    if not plain:
        connection.commit()
    return stored


def _run_out(
    connection: Any, statement: _Statement, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
) -> Stored:
    """A procedure with OUT parameters, or RETURNING … INTO. A CURSOR is the answer; else the others are its row."""
    oracledb = _driver()
    variables: dict[str, Any] = {}
    with connection.cursor() as maker:
        for out in statement.outs:
            type_, size, _ = _OUT_TYPES[out.type]
            variables[out.mark] = maker.var(getattr(oracledb, type_) if isinstance(type_, str) else type_, size)
        cursor = _execute(connection, statement.text, statement, arguments, limits.rows + 1, variables)
        for out in statement.outs:
            if _OUT_TYPES[out.type][0] == "DB_TYPE_CURSOR":
                result = variables[out.mark].getvalue()
                return _answer(result, limits, -1) if result is not None else Stored()
        columns = tuple([(out.name, _OUT_TYPES[out.type][2]) for out in statement.outs])
        values = [variables[out.mark].getvalue() for out in statement.outs]
        rows = [tuple(values)] if statement.calls else list(zip(*values, strict=True))[: limits.rows + 1]
        return Stored(columns, [tuple(map(_came, row)) for row in rows], -1 if statement.calls else cursor.rowcount)


def _came(value: Any) -> Any:
    """An OUT parameter's value as a row's would be."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return str(value)
    return value.read() if hasattr(value, "read") else value


def _brought(cursor: Any) -> list[Any]:
    """The results that a procedure hands back besides its parameters."""
    try:
        return cursor.getimplicitresults()  # type: ignore[no-any-return]
    except _driver().InterfaceError:
        return []


def _answer(cursor: Any, limits: Limits, affected: int) -> Stored:
    cursor.arraysize = min(limits.rows + 1, FETCH)
    return Stored(_columns(cursor.description), cursor.fetchmany(limits.rows + 1), affected)


def _end_transaction(connection: Any) -> ConnectFailed | None:
    """Leave the transaction that may be open. What it tells when that is impossible: the connection is gone."""
    token = watch.begin(connection.descriptor, time.monotonic() + CONNECT_SECONDS)
    try:
        if connection.transaction_in_progress:
            connection.rollback()
    except Exception:
        connection.lost = True
        connection.close()
        return ConnectFailed("broken")
    finally:
        watch.end(token)
    return None


@lru_cache(maxsize=1000)
def _statement(sql: str) -> _Statement:
    reads = _READS.match(sql) is not None
    call = _CALL.match(sql)
    takes_outs = call is not None or (not reads and _RETURNS.search(sql) is not None)
    marks: dict[str, str] = {}
    outs: dict[str, _Out] = {}

    def place(found: re.Match[str]) -> str:
        if found["end"]:
            return ""
        name = found["name"]
        if name is None:
            return found[0]
        declared = takes_outs and found["out"]
        mark = marks.get(name) or (outs[name].mark if name in outs else f"b{len(marks) + len(outs) + 1}")
        if declared:
            outs[name] = _Out(name, mark, (found["type"] or "VARCHAR2").upper(), bool(found["both"]))
        if not declared or found["both"]:
            marks[name] = mark
        return f":{mark} " + ("" if declared else found["out"] or "")

    text = _PIECES.sub(place, sql).strip()
    if call is not None:
        text = _CALL.sub(r"\1BEGIN ", text, count=1) + "\n; END;"
    bare = _PIECES.sub(lambda found: found[0] if found["name"] else " ", sql)
    locks = reads and _LOCKS.search(bare) is not None
    return _Statement(text, tuple(marks.items()), tuple(outs.values()), reads, locks, call is not None)


def _cut_short(column: Any) -> bool:
    """Whether the driver would lose some of a moment: its zone, or what is finer than a microsecond."""
    if _kinds().get(column.type_code) != "datetime":
        return False
    oracledb = _driver()
    if column.type_code is oracledb.DB_TYPE_TIMESTAMP:
        return (column.scale or 0) > 6
    return column.type_code is not oracledb.DB_TYPE_DATE


def _in_full(text: str, description: Sequence[Any]) -> str:
    """The query with such moments written by the server. Their columns have names of ours, as theirs may repeat."""
    names = [f"c{number}" for number in range(1, len(description) + 1)]
    chosen = ", ".join(
        f'{_written(name, column)} AS "{column.name}"' for name, column in zip(names, description, strict=True)
    )
    return f"WITH mantra ({', '.join(names)}) AS (\n{text}\n) SELECT {chosen} FROM mantra"  # noqa: S608 (the definition's own text)


def _written(name: str, column: Any) -> str:
    if not _cut_short(column):
        return name
    zone = "" if column.type_code is _driver().DB_TYPE_TIMESTAMP else "TZH:TZM"
    fraction = f".FF{column.scale}" if column.scale else ""
    return f"TO_CHAR({name}, 'YYYY-MM-DD HH24:MI:SS{fraction}{zone}')"


def _columns(described: Sequence[Any]) -> Columns:
    kinds = _kinds()
    return tuple([(column.name, _kind(column, kinds)) for column in described])


def _kind(column: Any, kinds: Mapping[Any, str]) -> str:
    kind = kinds.get(column.type_code)
    if kind == "decimal":
        return "integer" if _whole(column) else "decimal"
    if kind is None:
        # BFILE, objects, cursors in columns: none is a value that could be written down.
        raise QueryFailed("data")
    return "json" if column.is_json else kind


def _whole(column: Any) -> bool:
    """Whether a NUMBER column holds whole numbers only. A scale of -127 says that none was declared."""
    return bool(column.precision) and column.scale is not None and -127 < column.scale <= 0


@cache
def _kinds() -> dict[Any, str]:
    oracledb = _driver()
    words = {
        "text": "CHAR NCHAR VARCHAR NVARCHAR LONG LONG_NVARCHAR CLOB NCLOB ROWID UROWID XMLTYPE VECTOR",
        "decimal": "NUMBER",
        "integer": "BINARY_INTEGER",
        "float": "BINARY_DOUBLE BINARY_FLOAT",
        "datetime": "DATE TIMESTAMP TIMESTAMP_TZ TIMESTAMP_LTZ",
        "interval": "INTERVAL_DS INTERVAL_YM",
        "bytes": "RAW LONG_RAW BLOB",
        "boolean": "BOOLEAN",
        "json": "JSON",
    }
    return {getattr(oracledb, f"DB_TYPE_{name}"): kind for kind, names in words.items() for name in names.split()}


@cache
def _fetched_as() -> Any:
    """The driver's hook that says as what a column is fetched: always as something that holds it exactly."""
    oracledb = _driver()
    text, long_ = oracledb.DB_TYPE_VARCHAR, oracledb.DB_TYPE_LONG
    # A DATE is whole seconds, which Python's own type holds; to make text of each takes longer than to fetch it.
    others: dict[Any, tuple[Any, Any]] = {
        oracledb.DB_TYPE_TIMESTAMP: (text, None),
        oracledb.DB_TYPE_TIMESTAMP_TZ: (text, None),
        oracledb.DB_TYPE_TIMESTAMP_LTZ: (text, None),
        oracledb.DB_TYPE_CLOB: (long_, None),
        oracledb.DB_TYPE_NCLOB: (oracledb.DB_TYPE_LONG_NVARCHAR, None),
        oracledb.DB_TYPE_BLOB: (oracledb.DB_TYPE_LONG_RAW, None),
        oracledb.DB_TYPE_JSON: (text, None),
        oracledb.DB_TYPE_VECTOR: (long_, None),
        oracledb.DB_TYPE_BINARY_FLOAT: (oracledb.DB_TYPE_BINARY_FLOAT, single),
        oracledb.DB_TYPE_INTERVAL_YM: (oracledb.DB_TYPE_INTERVAL_YM, _years_months),
    }

    def fetched_as(cursor: Any, column: Any) -> Any:
        if column.type_code is oracledb.DB_TYPE_NUMBER:
            # Of a scale below zero the driver would make floats.
            whole = _whole(column) and not column.scale
            return None if whole else cursor.var(text, arraysize=cursor.arraysize)
        if column.is_json and column.type_code is oracledb.DB_TYPE_BLOB:
            return cursor.var(oracledb.DB_TYPE_LONG_RAW, arraysize=cursor.arraysize, outconverter=bytes.decode)
        if column.is_json and column.type_code not in others:
            # Else the driver would read it, and numbers in it would come out as floats.
            return cursor.var(column.type_code, column.internal_size or 0, cursor.arraysize)
        type_, converter = others.get(column.type_code, (None, None))
        return None if type_ is None else cursor.var(type_, arraysize=cursor.arraysize, outconverter=converter)

    # The driver asks for it at each execution, and working it out costs a third of a look-up.
    fetched_as.__signature__ = inspect.signature(fetched_as)  # type: ignore[attr-defined]
    return fetched_as


def _years_months(value: Any) -> str:
    sign = "-" if value.years < 0 or value.months < 0 else ""
    return f"{sign}P{abs(value.years)}Y{abs(value.months)}M"


def _described(type_: str, precision: Any, scale: Any, length: Any) -> tuple[str, str]:
    """A column's type as its table's text has it, and what it is to the bus."""
    name = re.sub(r"\(\d+\)", "", type_)
    if type_ == "NUMBER":
        digits = "" if precision is None and scale is None else f"({'*' if precision is None else precision},{scale})"
        return type_ + digits, "integer" if scale is not None and int(scale) <= 0 else "decimal"
    if length and int(length) and name in ("CHAR", "NCHAR", "VARCHAR2", "NVARCHAR2"):
        return f"{type_}({length})", "text"
    if name == "DATE" or name.startswith("TIMESTAMP"):
        return type_, "datetime"
    return type_, _NAMES.get(name, "text")


def _say(connection: Any, text: str) -> None:
    token = watch.begin(connection.descriptor, time.monotonic() + CONNECT_SECONDS)
    try:
        connection.cursor().execute(text)
    except Exception as error:
        raise _fault(error, connection, watch.end(token)) from None
    finally:
        watch.end(token)


def _look(connection: Any, sql: str, **arguments: str) -> list[Row]:
    token = watch.begin(connection.descriptor, time.monotonic() + LOOK_SECONDS)
    try:
        connection.call_timeout = 1000 * LOOK_SECONDS
        cursor = connection.cursor()
        cursor.prefetchrows = cursor.arraysize = FETCH
        cursor.execute(sql, arguments)
        return cursor.fetchall()  # type: ignore[no-any-return]
    except Exception as error:
        raise _fault(error, connection, watch.end(token)) from None
    finally:
        watch.end(token)


def _reason(error: BaseException) -> tuple[str, str]:
    """The reason that the driver's error comes to, and its number."""
    told = error.args[0] if error.args else None
    number, code = getattr(told, "code", 0), getattr(told, "full_code", "")
    if code.startswith("DPY-"):
        return _DRIVER.get(code, "broken" if getattr(told, "is_session_dead", False) else "other"), code
    reason = _NUMBERS.get(number)
    if reason is None:
        reason = next((word for first, last, word in _RANGES if first <= number <= last), "other")
    if number == 6550 and "PLS-00201" in str(told):
        reason = "object-unknown"
    if reason == "other" and getattr(told, "is_session_dead", False):
        reason = "broken"
    return reason, f"{number:05}" if number else ""


def _fault(
    error: Exception, connection: Any, cut: SourceError | None = None, deadline: float | None = None
) -> Exception:
    """The driver's error as one of ours; an error that is not the driver's stays itself."""
    if isinstance(error, SourceError):
        return error
    if cut is not None:
        return cut
    if isinstance(error, (ValueError, UnicodeError, OverflowError)):
        return QueryFailed("data")
    late = deadline is not None and time.monotonic() >= deadline
    if isinstance(error, OSError):
        return TimedOut("timeout") if late or isinstance(error, TimeoutError) else ConnectFailed("broken")
    if not isinstance(error, _driver().Error):
        return error
    reason, code = _reason(error)
    # A server that does not answer the break either costs the driver the connection, which is all it then says.
    if reason == "timeout" or (reason == "broken" and late):
        return TimedOut("timeout", code)
    if reason in _CONNECTING:
        return ConnectFailed(reason, code)
    return QueryFailed(reason, code)


def _why_not_connected(error: Exception, hosts: Sequence[tuple[str, int]], encrypted: bool) -> ConnectFailed:
    """What went wrong is the first in the chain of causes that says more than that there is no connection."""
    reason, code = "other", ""
    cause: BaseException | None = error
    while cause is not None and reason == "other":
        reason, told = _why(cause)
        code = told or code
        cause = cause.__cause__ or cause.__context__
    if reason == "broken" and encrypted:
        reason = "tls"
    if reason == "other" and code in ("", "DPY-6005"):
        reason = "refused" if any(refuses(host, port) for host, port in hosts) else "unreachable"
    return ConnectFailed(reason, code)


def _why(cause: BaseException) -> tuple[str, str]:
    if isinstance(cause, _driver().Error):
        reason, code = _reason(cause)
        similar = re.search(r"\(Similar to ORA-(\d+)\)", str(cause)) if code == "DPY-6000" else None
        return (_NUMBERS.get(int(similar[1]), reason), similar[1]) if similar else (reason, code)
    for kind, reason in _CAUSES:
        if isinstance(cause, kind):
            return reason, ""
    return "other", ""


def _hosts(place: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Where the connection may lead to. Raises ConnectFailed when no address is known for any."""
    if "dsn" not in place:
        found = [(place["host"], place["port"])]
    else:
        oracledb = _driver()
        try:
            parameters = oracledb.ConnectParams(config_dir=place.get("config_dir"))
            parameters.parse_connect_string(place["dsn"])
        except (oracledb.Error, ValueError, TypeError, OSError):
            raise ConnectFailed("database-unknown") from None
        hosts, ports = parameters.host, parameters.port
        many = isinstance(hosts, list)
        found = list(zip(hosts, ports, strict=True)) if many else [(hosts, ports)]
    known = []
    for host, port in found:
        with suppress(ConnectFailed):
            known += [(host, port)] * addresses(host, port)
    if not known:
        raise ConnectFailed("host-unknown")
    return known


@cache
def _driver() -> ModuleType:
    try:
        return importlib.import_module("oracledb")
    except ImportError:
        raise ConnectFailed("driver-missing") from None


def _encrypted(place: Mapping[str, Any]) -> bool:
    """Whether TLS may be wanted. What a name in tnsnames.ora stands for is not known here."""
    return "wallet_location" in place or "tcps" in str(place.get("protocol") or place.get("dsn")).lower()


class _Handshake(ssl.SSLContext):
    """TLS whose handshake ends: the driver would wait for ever for a server that does not know what it is."""

    seconds: float = CONNECT_SECONDS

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        sock.settimeout(self.seconds)
        try:
            wrapped = super().wrap_socket(sock, *arguments, **named)
        except TimeoutError:
            raise ssl.SSLError("no handshake") from None
        wrapped.settimeout(None)
        return wrapped


def _tls(seconds: float) -> ssl.SSLContext:
    context = _Handshake(ssl.PROTOCOL_TLS_CLIENT)
    # Before the wall falls, so that what was waited for can be told.
    context.seconds = seconds * 0.9
    context.load_default_certs()
    return context


@cache
def _connection_class() -> type[Any]:
    """The driver's connection, which can be cut off at any moment and closed twice.

    ``lost`` says that no word of farewell is worth a wait, ``descriptor`` is its socket's.
    """
    base = _driver().Connection

    class Connection(base):  # type: ignore[misc,valid-type]
        def __init__(self, seconds: float, writes: bool, **settings: Any) -> None:
            self.writes, self.closed, self.lost, self.descriptor = writes, False, False, -1
            self._core: Any = None
            self._cut = False
            # The driver waits for ever for the word of a server that has taken the connection.
            wall = threading.Timer(seconds, self.cut)
            wall.daemon = True
            wall.start()
            try:
                super().__init__(**settings)
            except Exception:
                if self._cut:
                    raise ConnectFailed("unreachable") from None
                raise
            finally:
                wall.cancel()
            wire = _wire(self._core)
            self.descriptor = wire.fileno() if wire is not None else -1

        def _connect(self, impl: Any, pool: Any) -> Any:
            self._core = impl
            return super()._connect(impl, pool)

        def cut(self) -> None:
            """Make whatever waits for the server return at once."""
            self._cut = True
            wire = _wire(self._core)
            if wire is not None:
                with suppress(OSError):
                    wire.shutdown(socket.SHUT_RDWR)

        def close(self) -> None:
            if self.closed:
                return
            self.closed = True
            if self.lost:
                self.cut()
            token = watch.begin(self.descriptor, time.monotonic() + 1)
            try:
                super().close()
            except Exception:  # noqa: S110 (it is gone, one way or the other)
                pass
            finally:
                watch.end(token)

    return Connection


def _wire(core: Any) -> socket.socket | None:
    """The socket in the driver's compiled core, which has no name for it: only the garbage collector sees it."""
    seen: set[int] = set()
    layer = [core]
    for _ in range(6):
        layer = [part for whole in layer for part in gc.get_referents(whole) if id(part) not in seen]
        for part in layer:
            if isinstance(part, socket.socket):
                return part
        seen.update(map(id, layer))
        layer = [part for part in layer if type(part).__module__.startswith("oracledb")]
    return None
