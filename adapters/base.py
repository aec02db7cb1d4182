"""The interface between the bus and a database, which each driver's module implements.

Nothing in this package imports Django. An adapter is created from a source's settings (a mapping with ``host``,
``port``, ``database``, ``user``, ``password`` and the other settings it declares) and is stateless: connections belong
to a pool of dataservices.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from itertools import islice
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

Row = tuple[Any, ...]

#: Seconds that opening a connection may take, over all addresses of a name.
CONNECT_SECONDS = 10

#: Seconds that one query on a source's catalogue may take.
LOOK_SECONDS = 10

#: Seconds that checking an idle connection may take.
PING_SECONDS = 2

#: Bytes that a row may have by default.
ROW_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AuthorWords:
    """The database's own words about a statement that it refused, for the author of a source's operation.

    ``offset`` is where the error is in the SQL that was given to run(), describe() or explain(); None if the database
    does not tell. ``near`` is the part of the SQL that the database names as wrong, "" if it names none.
    """

    text: str
    offset: int | None = None
    near: str = ""


#: Characters of the database's words, and of a comment in its catalogue, that are kept.
MAX_WORDS, MAX_COMMENT = 2000, 300


class SourceError(Exception):
    """A source failed. ``reason`` is a word from REASONS; the driver's own text is discarded.

    ``sqlstate`` is the standard's five characters (or the vendor's number), if the driver has it. ``unanswered``: there
    was no connection, or it was lost, or the source said nothing until the end of the time. Any other failure is an
    answer, and says nothing against the source.
    """

    unanswered = False
    #: What the database said, only of a statement that ran with Limits.author: for its author, for no caller or log.
    words: AuthorWords | None = None

    def __init__(self, reason: str, sqlstate: str = "") -> None:
        super().__init__(f"{reason} {sqlstate}".strip())
        self.reason = reason
        self.sqlstate = sqlstate

    @classmethod
    def not_queried(cls) -> SourceError:
        """Return the error for a source that is not queried now."""
        return cls("unreachable")


class ConnectFailed(SourceError):
    """No connection, or it was lost: another attempt may succeed."""

    unanswered = True


class NotStarted(ConnectFailed):
    """The connection was lost before the statement was sent: another attempt does nothing twice."""


class QueryFailed(SourceError):
    """The source refused the statement: it will fail again."""


class ValueRefused(QueryFailed):
    """The engine cannot represent a value of the caller's. ``parameter`` is its name, "" if that is unknown."""

    def __init__(self, parameter: str, sqlstate: str = "") -> None:
        super().__init__("data", sqlstate)
        self.parameter = parameter


class LockConflict(QueryFailed):
    """Another transaction held a lock, or won a deadlock: nothing was changed, and a repetition may succeed."""

    def __init__(self, sqlstate: str = "") -> None:
        super().__init__("locked", sqlstate)


class TimedOut(SourceError):
    """The time limit was reached. The connection must not be used again.

    ``silent``: the source did not even answer the request to end the statement. Otherwise the source ended it,
    or the bus in its own process.
    """

    def __init__(self, reason: str = "timeout", sqlstate: str = "", silent: bool = False) -> None:
        super().__init__(reason, sqlstate)
        self.unanswered = silent


class RowTooLarge(SourceError):
    """A row, or a chunk, is larger than Limits.width allows. The connection must not be used again.

    ``limit`` is the number of bytes that were allowed, if those were fewer.
    """

    def __init__(self, limit: int = 0) -> None:
        super().__init__("too-wide")
        self.limit = limit


#: Why a source failed, in the order of the steps of a connection.
REASONS = (
    "driver-missing", "file-missing", "file-forbidden", "file-format", "file-busy", "host-unknown",
    "refused", "unreachable", "tls", "login", "database-unknown", "too-many-connections", "broken",
    "forbidden", "object-unknown", "syntax", "read-only", "data", "range", "constraint", "locked", "timeout",
    "too-wide", "temporary-space", "no-plan", "other",
)  # fmt: skip

#: The reasons of a connection that was not opened.
CONNECTING = frozenset(REASONS[: REASONS.index("forbidden")])

#: What an error means that servers use for log-ins, where a statement reports it: the statement names another
#: database, or a server of its own to which the database cannot connect.
_IN_A_STATEMENT = {"login": "forbidden", "database-unknown": "object-unknown"}


def statement_error(reason: str, sqlstate: str, lost: bool) -> SourceError:
    """Return the error that a server reported for a statement: ConnectFailed only if its connection is ``lost``."""
    if lost:
        return ConnectFailed(reason if reason in CONNECTING else "broken", sqlstate)
    if reason == "timeout":
        return TimedOut(reason, sqlstate)
    if reason == "locked":
        return LockConflict(sqlstate)
    return QueryFailed(_IN_A_STATEMENT.get(reason, "other" if reason in CONNECTING else reason), sqlstate)


def before_statement(error: Exception) -> Exception:
    """Return the error of preparing a statement that was not sent yet: NotStarted if the connection is lost."""
    if isinstance(error, ConnectFailed):
        return NotStarted(error.reason, error.sqlstate)
    return error


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one statement. ``rows`` is the row limit, ``seconds`` the time limit of the whole run.

    ``width`` is the number of bytes that a row may have, and about half of what may arrive in one chunk. ``plain``: the
    statement only reads and calls only functions that leave nothing behind in the session, so that its connection needs
    no restore(). ``author``: the author of the statement reads the outcome, so that a QueryFailed has the database's
    own words.
    """

    rows: int
    seconds: float
    writes: bool = False
    width: int = ROW_BYTES
    plain: bool = False
    author: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One connection setting of an engine, for forms and documentation."""

    name: str
    label: str
    secret: bool = False
    required: bool = False
    default: str = ""
    help: str = ""
    #: True if another value may lead the connection, and the password with it, to another server.
    leads: bool = False


TIME_ZONE = Setting(
    "timezone", "Time zone", help="of the source's local times, such as Asia/Makassar: see sources.md, Datetimes"
)


def time_zone(name: str) -> tzinfo | None:
    """Return the IANA time zone of that name; None for "". Raises ValueError for an unknown name."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, TypeError, ValueError):
        raise ValueError(f"{name!r} is not a time zone") from None


def local_time(value: datetime, zone: tzinfo | None) -> datetime:
    """Return a datetime with an offset as the local time of ``zone``, without one. Others stay as they are.

    None is the process's own zone, which Django sets to MANTRA_TIME_ZONE. Raises OverflowError if the local time would
    be outside of the years 1 to 9999.
    """
    return value if value.tzinfo is None else value.astimezone(zone).replace(tzinfo=None)


def converted(
    arguments: Mapping[str, Any] | Sequence[Any], convert: Callable[[Any], Any]
) -> dict[str, Any] | list[Any]:
    """Return the values of a statement, converted. Raises ValueRefused where ``convert`` raises ValueError or
    OverflowError."""
    if not isinstance(arguments, Mapping):
        return [_converted("", value, convert) for value in arguments]
    return {name: _converted(name, value, convert) for name, value in arguments.items()}


def _converted(name: str, value: Any, convert: Callable[[Any], Any]) -> Any:
    try:
        return convert(value)
    except (OverflowError, ValueError):
        raise ValueRefused(name) from None


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column in the source's catalogue: ``type`` is the source's name, ``kind`` the bus's name or None."""

    name: str
    type: str
    kind: str | None
    nullable: bool = True
    key: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A key or an index of a table. ``kind`` is "primary", "unique", "foreign" or "index".

    ``columns`` are in the key's order; an expression in an index is written as the source writes it. ``target`` is
    (schema, table, columns) that a foreign key refers to.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    target: tuple[str, str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table or view with its columns and foreign keys. ``kind`` is "table" or "view".

    ``rows`` is about how many rows it has, by the source's own statistics; None if that is unknown.
    """

    name: str
    kind: str
    columns: tuple[ColumnInfo, ...] = ()
    foreign_keys: tuple[Key, ...] = ()
    comment: str = ""
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The tables and views of a schema, by name. ``complete``: there are no more than these, with all their columns."""

    tables: tuple[TableInfo, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class FullScan:
    """A step of a plan that reads all of a table. ``rows`` is about how many, None if the plan tells no such number."""

    table: str
    rows: int | None = None


#: The most columns of a catalogue.
MAX_COLUMNS = 50_000

#: A table of a schema: its name, kind, comment, and about how many rows it has.
TableRow = tuple[str, str, str, int | None]


def catalogue_of(
    tables: Sequence[TableRow],
    columns: Iterable[tuple[str, ColumnInfo]],
    foreign_keys: Iterable[Sequence[Any]],
    most: int,
) -> Catalogue:
    """Return the catalogue of at most ``most`` tables. ``columns`` are (table, column), in order; ``foreign_keys`` are
    rows of a table's name and a row for keys_of()."""
    listed = list(islice(columns, MAX_COLUMNS + 1))
    complete = len(tables) <= most and len(listed) <= MAX_COLUMNS
    if len(listed) > MAX_COLUMNS:
        # The last table may lack columns, and those behind it have none.
        tables = tables[: [name for name, *_ in tables].index(listed[-1][0])]
    by_table: dict[str, list[ColumnInfo]] = {}
    for table, column in listed:
        by_table.setdefault(table, []).append(column)
    key_rows: dict[str, list[Sequence[Any]]] = {}
    for table, *row in foreign_keys:
        key_rows.setdefault(table, []).append(row)
    return Catalogue(
        tuple(
            TableInfo(name, kind, tuple(by_table.get(name, ())), tuple(keys_of(key_rows.get(name, ()))), comment, rows)
            for name, kind, comment, rows in tables[:most]
        ),
        complete,
    )


#: The order in which a table's keys are listed.
_KINDS = ("primary", "unique", "foreign", "index")


def keys_of(rows: Iterable[Sequence[Any]]) -> list[Key]:
    """Return the keys of rows with one column each, in the key's order.

    A row is (name, kind, column), and for a foreign key (…, target schema, target table, target column) too.
    """
    rows_by_key: dict[tuple[str, str], list[Sequence[Any]]] = {}
    for row in rows:
        rows_by_key.setdefault((row[0], row[1]), []).append(row)
    keys = []
    for (name, kind), parts in rows_by_key.items():
        first = parts[0]
        target = (first[3], first[4], tuple([part[5] for part in parts])) if kind == "foreign" else None
        keys.append(Key(name, kind, tuple([part[2] for part in parts]), target))
    return sorted(keys, key=lambda key: (_KINDS.index(key.kind), key.name))


class Stream:
    """An open result. Iterate over batches (lists of row tuples, at most streaming.BATCH long), then close it.

    ``columns`` is ((name, type), …): types are the bus's names or None. ``affected`` is the number of rows that a
    statement without a result changed, else -1. ``reusable``: after close(), the connection may return to its pool.
    ``as_of`` is set if rows come from a copy of the source: the epoch second at which the source was last seen in
    that state.
    """

    columns: tuple[tuple[str, str | None], ...] = ()
    affected: int = -1
    reusable: bool = True
    #: All rows are in the first batch, and nothing stays open.
    whole: bool = False
    as_of: float | None = None

    def __iter__(self) -> Iterator[list[Row]]:
        raise NotImplementedError

    def close(self) -> None:
        """End the statement and its transaction. Safe to call twice."""


class Adapter(ABC):
    """One kind of database."""

    engine: ClassVar[str]
    label: ClassVar[str]
    #: The module that must be importable for the engine to work, and how to install it.
    driver: ClassVar[str]
    install: ClassVar[str] = ""
    #: sqlglot's name of the SQL dialect.
    dialect: ClassVar[str]
    #: The style of ``run``'s placeholders: "pyformat" (%(name)s, % doubled), "named" (:name) or "qmark" (?).
    paramstyle: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    #: By the bus's name of a column's type: the conversion of a value to what the database's own text protocol has for
    #: it. Types that are not named here have that in the stream already, or no other form.
    as_written: ClassVar[Mapping[str, Callable[[Any], str]]] = {}
    default_port: ClassVar[int | None] = None
    #: True if own_routines() can find any.
    has_own_routines: ClassVar[bool] = False
    #: The server's own databases, in lower case. Their tables tell of accounts and of other databases.
    system_databases: ClassVar[frozenset[str]] = frozenset()
    #: The end of a query that returns one page; "" for an engine without such a clause.
    paging: ClassVar[str] = "LIMIT :limit OFFSET :offset"
    #: The longest timeout that an operation may have.
    max_seconds: ClassVar[int] = 3600

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.source = source
        #: The zone that the source names for its local times; None if it names none.
        self.zone = time_zone(str(source.get("timezone") or ""))

    @abstractmethod
    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        """Open a DB-API connection; read-only unless ``writes``. Raises ConnectFailed within about ``seconds``."""

    @abstractmethod
    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        """Run one statement and fetch its first batch, so that immediate errors are raised here.

        At most ``limits.rows`` + 1 rows leave the source: the additional one shows that there are more. Raises
        QueryFailed, TimedOut or ConnectFailed; iterating the stream may raise them too. After a QueryFailed from here
        the connection can be used again; after the others it must be closed. With ``limits.writes`` the statement
        runs in its own transaction, committed if the run succeeds and rolled back otherwise.
        """

    @abstractmethod
    def ping(self, connection: Any) -> bool:
        """Return True if the connection can still be used. Cheap."""

    def is_current(self, connection: Any) -> bool:
        """Return False if the connection leads to something that has been replaced. Called before each use."""
        return True

    def restore(self, connection: Any, writes: bool) -> bool:
        """Put a session back to its state after connect(``writes``), whatever a statement did to it: settings, role,
        locks, variables, temporary tables. No transaction is open. Returns False if the connection must be closed.
        """
        return True

    def own_routines(self, connection: Any, names: Collection[str]) -> frozenset[str]:
        """Return those of ``names`` that call a function or procedure which was made in this database.

        A name is "name" or "schema.name", in lower case. Those of the server and of extensions are not among them, nor
        those in other languages than SQL: they may do what no statement can. Engines without a look-up find none.
        """
        return frozenset()

    # The catalogue. All of it only reads; names are passed as values, or quoted by the engine's rule.

    @abstractmethod
    def databases(self, connection: Any) -> list[str]:
        """Return the server's databases that this account may use, without the system databases."""

    @abstractmethod
    def schemas(self, connection: Any) -> list[str]:
        """Return the schemas with visible tables. The first is the one where unqualified names are searched."""

    @abstractmethod
    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        """Return the (name, "table" | "view") pairs of a schema."""

    @abstractmethod
    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        """Return the columns of a table or view, in its order; none if it does not exist."""

    @abstractmethod
    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        """Return the keys and indexes of a table: primary, unique, foreign, others. A view has none."""

    def catalogue(self, connection: Any, schema: str, most: int, seconds: float) -> Catalogue:
        """Return the first ``most`` tables and views of a schema with their columns and foreign keys.

        It ends within about ``seconds``: with fewer tables, or with TimedOut.
        """
        deadline = time.monotonic() + seconds
        listed = self.tables(connection, schema)
        tables = []
        for name, kind in listed[:most]:
            if time.monotonic() > deadline:
                break
            foreign = tuple(key for key in self.keys(connection, schema, name) if key.kind == "foreign")
            columns = tuple(self.columns(connection, schema, name))
            rows = self.row_estimate(connection, name, deadline) if kind == "table" else None
            tables.append(TableInfo(name, kind, columns, foreign, rows=rows))
        return Catalogue(tuple(tables), complete=len(tables) == len(listed))

    def row_estimate(self, connection: Any, table: str, deadline: float) -> int | None:
        """Return about how many rows a table has, named without a schema; None if that is unknown at ``deadline``."""
        return None

    def describe(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> tuple[tuple[str, str | None], ...]:
        """Return the columns of a statement that reads, as Stream.columns, without fetching its rows.

        ``sql`` and ``arguments`` as for ``run``. Raises as that does.
        """
        stream = self.run(connection, sql, arguments, replace(limits, rows=0, writes=False))
        stream.close()
        return stream.columns

    def full_scans(self, plan: Sequence[str]) -> list[FullScan]:
        """Return the steps of a plan, as explain() has it, that read all of a table."""
        return []

    def sample(self, connection: Any, schema: str, table: str, limits: Limits) -> Stream:
        """Return the first ``limits.rows`` rows of a table or view, read and raising as ``run`` does."""
        text = self.first_rows(f"{self.quoted(schema)}.{self.quoted(table)}", limits.rows)
        if self.paramstyle == "pyformat":
            text = text.replace("%", "%%")
        return self.run(connection, text, {}, limits)

    def first_rows(self, name: str, rows: int) -> str:
        """Return a query for at most ``rows`` rows of a table. ``name`` is quoted already."""
        return f"SELECT * FROM {name} LIMIT {rows:d}"  # noqa: S608 (the name is quoted)

    def quoted(self, name: str) -> str:
        """Return a name quoted for SQL, whatever it contains. Raises QueryFailed for one that no object can have."""
        return quoted(name, '"', '"')

    @abstractmethod
    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """Return the lines of the source's plan for a statement, in its own words. The statement is never run.

        ``sql`` and ``arguments`` as for ``run``. Raises as that does; CALL has no plan anywhere ("syntax").
        """


def quoted(name: str, opening: str, closing: str) -> str:
    """Return a name in quotation marks, those in it doubled. Raises QueryFailed."""
    if not name or "\x00" in name:
        raise QueryFailed("object-unknown")
    return opening + name.replace(closing, 2 * closing) + closing


#: Statements that have a plan. One that begins otherwise, even with one of MySQL's executable comments, could be
#: executed after the word EXPLAIN.
_PLANNABLE = re.compile(
    r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*(?![!+M]).*?\*/|\()*(select|with|values|insert|update|delete|merge)\b", re.I | re.S
)

#: The first words of statements that read.
READING = frozenset(("select", "with", "values"))


def plannable(sql: str) -> str:
    """Return the first word of a statement that has a plan, in lower case. Raises QueryFailed for others."""
    match = _PLANNABLE.match(sql)
    if match is None:
        raise QueryFailed("syntax")
    return match[1].lower()
