"""dBase and FoxPro: a DBF file or a folder of them, queried with SQLite's SQL over copies of the tables."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from adapters.base import (
    CONNECT_SECONDS,
    TIME_ZONE,
    Adapter,
    ColumnInfo,
    ConnectFailed,
    FullScan,
    Key,
    Limits,
    QueryFailed,
    Row,
    Setting,
    SourceError,
    Stream,
    TimedOut,
    converted,
)
from adapters.dbf import copy_manager, scan_plan, scan_process, statement, table_copy
from adapters.dbf.cells import DOUBLE_DIGITS as _DOUBLE_DIGITS
from adapters.dbf.header import Refused
from adapters.dbf.table_copy import Column, TableCopy
from adapters.dbf.tables import Table, tables
from adapters.sqlite import Connection as SQLiteConnection
from adapters.sqlite import SQLite, authorize, prepare

#: Tables that one statement may join: SQLite attaches no more files to a connection.
MAX_TABLES = 10

#: Converts a whole column of a batch into the bus's values.
Convert = Callable[[Sequence[Any]], Sequence[Any]]
Columns = tuple[tuple[str, str | None], ...]
Shape = tuple[Columns, list[tuple[int, Convert]]]

#: By table: what is attached for it, and the epoch second at which the file was last seen in that state.
TableCopies = dict[str, tuple[TableCopy, float]]

#: Results of which the columns are cached.
_MEMO = 256

_DOUBLES = {float, type(None)}
_BOOLEANS = {None: None, 0: False, 1: True}


@dataclass(frozen=True, slots=True)
class _Run:
    """A statement that is to run until ``deadline``, a time.monotonic() value. Without its arguments only copies of its
    tables will do."""

    parsed: statement.Statement
    deadline: float
    arguments: Mapping[str, Any] | Sequence[Any] | None = None


class Connection(SQLiteConnection):
    """An SQLite connection in memory; the copies of a statement's tables are attached when it runs."""

    #: By table: the alias under which its copy is attached, and the identity of that copy.
    attached: dict[str, tuple[str, tuple[int, int]]]
    count = 0


class DBase(Adapter):
    engine = "dbase"
    label = "dBase, FoxPro"
    driver = "dbfread"
    install = "pip install dbfread"
    dialect = "sqlite"
    paramstyle = "named"
    max_seconds = SQLite.max_seconds
    settings = (
        Setting(
            "database",
            "File or folder",
            required=True,
            help="a .dbf file or a folder of .dbf files (the tables), in a folder that the operator has opened; . is "
            "that folder itself",
        ),
        Setting(
            "encoding",
            "Code page",
            help="for example cp850, cp437, cp1252; empty: the code page that the file states, else cp850",
        ),
        Setting("index", "Indices", help="columns to index from the start, separated by commas; others follow the SQL"),
        TIME_ZONE,
    )

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        #: Runs the statements over the copies.
        self._sqlite = SQLite({"timezone": source.get("timezone")})
        #: By statement and copies: the columns of the result, and how they are converted.
        self._shapes: dict[Any, Shape] = {}
        #: The folder, its time of change, until when that is valid, and its tables.
        self._known: tuple[Path | None, int | None, float, dict[str, Table]] = (None, None, 0.0, {})

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        """As in the base class, but always read-only. A single file must be a DBF file."""
        table_by_name, _ = tables(self.source)
        if len(table_by_name) == 1:
            self._check_header(next(iter(table_by_name.values())))
        connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, factory=Connection, cached_statements=64
        )
        connection.attached = {}
        connection.create_collation(table_copy.COLLATION, table_copy.compare)
        prepare(connection, writes=False)
        connection.set_authorizer(_authorize)
        return connection

    def _tables(self) -> dict[str, Table]:
        """Return the tables of the source. A folder is listed again when it changed, and every second."""
        folder, stamp, until, table_by_name = self._known
        if folder is None or time.monotonic() > until or _stamp(folder) != stamp:
            table_by_name, _ = tables(self.source)
            folder = next(iter(table_by_name.values())).path.parent if table_by_name else None
            self._known = (folder, _stamp(folder) if folder else None, time.monotonic() + 1, table_by_name)
        return table_by_name

    def _check_header(self, table: Table) -> None:
        try:
            table.header()
        except Refused:
            raise ConnectFailed("file-format") from None
        except FileNotFoundError:
            raise ConnectFailed("file-missing") from None
        except OSError:
            raise ConnectFailed("file-forbidden") from None

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        """As in the base class. The stream's ``as_of`` is the epoch second at which the files were last seen in the
        state of the result; None when the statement reads no table."""
        deadline = time.monotonic() + limits.seconds
        if not self.ping(connection):
            raise ConnectFailed("broken")
        if limits.writes:
            raise QueryFailed("read-only")
        parsed = statement.parse_statement(sql)
        table_copies = self._attach_tables(connection, _Run(parsed, deadline, arguments))
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimedOut("timeout")
        try:
            stream = self._sqlite.run(connection, parsed.text, arguments, replace(limits, seconds=left))
        except SourceError:
            _release(connection, table_copies)
            raise
        as_of = min((seen for _, seen in table_copies.values()), default=None)
        shape = self._shape_of(stream, sql, parsed, table_copies)
        return ConvertedResult(stream, shape, as_of, lambda: _release(connection, table_copies))

    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """Return SQLite's plan over the copies of the tables."""
        deadline = time.monotonic() + limits.seconds
        if not self.ping(connection):
            raise ConnectFailed("broken")
        parsed = statement.parse_statement(sql)
        self._attach_tables(connection, _Run(parsed, deadline))
        return self._sqlite.explain(connection, parsed.text, arguments, limits)

    def full_scans(self, plan: Sequence[str]) -> list[FullScan]:
        return self._sqlite.full_scans(plan)

    def row_estimate(self, connection: Any, table: str, deadline: float) -> int | None:
        """Return the number of records, deleted ones among them, that the file's header states."""
        try:
            return tables(self.source)[0][table.lower()].header().records
        except (KeyError, Refused, OSError):
            return None

    def _attach_tables(self, connection: Any, run: _Run) -> TableCopies:
        """Attach the copies of a statement's tables, or what a scan has found instead, and return them."""
        table_by_name = self._tables()
        used = {name: table_by_name[name] for name in sorted(run.parsed.tables & set(table_by_name))}
        if len(used) > MAX_TABLES:
            raise QueryFailed("other")
        table_copies = self._copies(used, run)
        while not self._attach(connection, {name: copy for name, (copy, _) in table_copies.items()}, table_by_name):
            table_copies = self._copies(used, run)
        return table_copies

    def _shape_of(self, stream: Stream, sql: str, parsed: statement.Statement, table_copies: TableCopies) -> Shape:
        """Return the columns of the result and their conversions, cached by statement and copies."""
        key = (sql, tuple([copy.identity for copy, _ in table_copies.values()]))
        shape = self._shapes.get(key)
        if shape is None:
            schemas = {name: copy.meta.columns for name, (copy, _) in table_copies.items()}
            shape = _shape(stream.columns, statement.outputs(parsed, schemas))
            # The result of a scan is never used again.
            if not any(copy.content for copy, _ in table_copies.values()):
                if len(self._shapes) >= _MEMO:
                    self._shapes.clear()
                self._shapes[key] = shape
        return shape

    def _copies(self, used: dict[str, Table], run: _Run) -> TableCopies:
        """Return a copy of each table. All missing ones are started before the first is waited for."""
        named = {index.strip().lower() for index in str(self.source.get("index") or "").split(",") if index.strip()}
        wanted, jobs = {}, {}
        for name, table in used.items():
            copy = copy_manager.existing(table)
            columns = _columns_of(table, copy)
            wanted[name] = run.parsed.indices(name, {name: columns}) | (named & set(columns))
            if copy is None:
                jobs[name] = copy_manager.start_reading(table, wanted[name])
        table_copies = {}
        for name, table in used.items():
            found = self._scan(table, run, wanted[name], jobs[name]) if jobs and len(used) == 1 else None
            table_copies[name] = found or copy_manager.current(table, wanted[name], run.deadline)
            if table_copies[name][0].meta.refused:
                raise QueryFailed(table_copies[name][0].meta.refused)
        return table_copies

    def _scan(
        self, table: Table, run: _Run, indices: set[str], job: copy_manager.CopyJob
    ) -> tuple[TableCopy, float] | None:
        """Return the records that a statement needs from a large table without a copy; None if the copy must answer it.

        Small tables are copied as quickly as they are scanned.
        """
        if not isinstance(run.arguments, Mapping) or copy_manager.size(table) < copy_manager.LARGE:
            return None
        try:
            fields = {field.name.lower(): field for field in table.header().fields}
        except (Refused, OSError):
            return None
        values = dict(converted(run.arguments, self._sqlite.bound_value))
        plan = scan_plan.plan(run.parsed, fields, values)
        found = plan and scan_process.scanned(table, plan, indices, job, run.deadline)
        return (found, found.meta.read) if found else None

    def _attach(self, connection: Connection, table_copies: dict[str, TableCopy], known: Collection[str]) -> bool:
        """Attach these copies; detach the ones that they replace, and those of tables that are no longer ``known``.

        Returns False if one was replaced by a newer copy meanwhile: its notes may not describe what is attached.
        """
        unknown = set(connection.attached).difference(known)
        changed = {
            name: copy
            for name, copy in table_copies.items()
            if name not in connection.attached or connection.attached[name][1] != copy.identity
        }
        if not changed and not unknown:
            return True
        connection.deadline = float("inf")
        connection.set_authorizer(None)
        try:
            free_slots = MAX_TABLES - len(table_copies)
            spare = [name for name in connection.attached if name not in table_copies]
            for name in unknown.union(
                spare[: max(len(spare) - free_slots, 0)], set(changed) & set(connection.attached)
            ):
                connection.execute(f"DETACH {connection.attached.pop(name)[0]}")
            for name, copy in changed.items():
                connection.count += 1
                alias = f"dbf_{connection.count}"
                uri = f"file:{quote(os.fsencode(copy.path))}?mode=ro&immutable=1"
                connection.execute(f"ATTACH ? AS {alias}", (":memory:" if copy.content else uri,))
                connection.attached[name] = (alias, copy.identity)
                if copy.content:
                    connection.deserialize(copy.content, name=alias)
                elif table_copy.identity(copy.path) != copy.identity:
                    connection.execute(f"DETACH {connection.attached.pop(name)[0]}")
                    return False
            return True
        except sqlite3.Error:
            raise ConnectFailed("broken") from None
        finally:
            connection.set_authorizer(_authorize)

    def ping(self, connection: Any) -> bool:
        return self._sqlite.ping(connection)

    def databases(self, connection: Any) -> list[str]:
        """The file or folder."""
        return [str(self.source.get("database") or "")]

    def schemas(self, connection: Any) -> list[str]:
        return [statement.SCHEMA]

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        """Return the files that can be read. problems() says why others cannot."""
        table_by_name, _ = tables(self.source)
        return [(name, "table") for name, table in table_by_name.items() if not _refusal(table)]

    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        table_by_name, _ = tables(self.source)
        if table.lower() not in table_by_name:
            return []
        try:
            fields = table_by_name[table.lower()].header().fields
        except (Refused, OSError):
            return []
        return [ColumnInfo(field.name, field.declared_type(), field.kind) for field in fields]

    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        """Return the indexes of the table's copy. The index files of dBase and FoxPro are not used."""
        table_by_name, _ = tables(self.source)
        copy = copy_manager.existing(table_by_name[table.lower()]) if table.lower() in table_by_name else None
        if copy is None:
            return []
        names = {column.name.lower(): column.name for column in copy.meta.columns}
        return [
            Key(index, "index", (names.get(index.removesuffix(table_copy.NOCASE), index),))
            for index in copy.meta.indices
        ]


def _columns_of(table: Table, copy: TableCopy | None) -> list[str]:
    """Return the names of the columns, in lower case."""
    if copy is not None:
        return [column.name.lower() for column in copy.meta.columns]
    try:
        return [field.name.lower() for field in table.header().fields]
    except Refused:
        raise QueryFailed("file-format") from None
    except OSError:
        raise ConnectFailed("file-missing") from None


def _release(connection: Connection, table_copies: TableCopies) -> None:
    """Detach what a scan has found, when its statement has ended."""
    for name, (copy, _) in table_copies.items():
        attached = connection.attached.get(name)
        if copy.content and attached is not None and attached[1] == copy.identity:
            # The connection may be closed already.
            with suppress(sqlite3.Error):
                _detach(connection, name)


def _detach(connection: Connection, name: str) -> None:
    connection.set_authorizer(None)
    try:
        connection.execute(f"DETACH {connection.attached[name][0]}")
        del connection.attached[name]
    finally:
        connection.set_authorizer(_authorize)


def _authorize(action: int, first: str | None, second: str | None, *rest: str | None) -> int:
    """As for any SQLite file; in addition the notes in a copy are denied."""
    if action == sqlite3.SQLITE_READ and first == table_copy.NOTES:
        return sqlite3.SQLITE_DENY
    return authorize(action, first, second, *rest)


def _stamp(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None


def _shape(columns: Columns, origins: Sequence[Column | None] | None) -> Shape:
    """Return the columns with their types, and the conversions of those that SQLite stores differently."""
    if origins is None or len(origins) != len(columns):
        return columns, []
    typed = tuple(
        [(name, (origin.kind or None) if origin else None) for (name, _), origin in zip(columns, origins, strict=True)]
    )
    return typed, [(at, convert) for at, origin in enumerate(origins) if origin and (convert := _convert(origin))]


class ConvertedResult(Stream):
    """A result of which plain table columns have the types of the DBF file."""

    def __init__(self, stream: Stream, shape: Shape, as_of: float | None, release: Callable[[], None]) -> None:
        self._stream = stream
        self._release = release
        self.as_of = as_of
        self.affected = stream.affected
        self.whole = stream.whole
        self.columns, self._converts = shape

    @property
    def reusable(self) -> bool:  # type: ignore[override]
        return self._stream.reusable

    def __iter__(self) -> Iterator[list[Row]]:
        for batch in self._stream:
            yield self._converted(batch) if self._converts else batch

    def _converted(self, batch: list[Row]) -> list[Row]:
        columns: list[Any] = list(zip(*batch, strict=True))
        for place, convert in self._converts:
            columns[place] = convert(columns[place])
        return list(zip(*columns, strict=True))

    def close(self) -> None:
        self._stream.close()
        self._release()


def _convert(column: Column) -> Convert | None:
    if column.kind == "boolean":
        return lambda values: [_BOOLEANS.get(value, value) for value in values]
    if column.kind == "decimal" and not column.exact:
        return partial(_decimals, column.scale)
    return None


def _decimals(scale: int, values: Sequence[Any]) -> Sequence[Any]:
    """Return a column's doubles as digits() would, all at once where 15 digits are enough."""
    if set(map(type, values)) <= _DOUBLES and (floats := [value for value in values if value is not None]):
        texts = list(map(f"{{:.{scale}f}}".format, floats))
        if max(map(abs, floats)) < 10.0 ** (_DOUBLE_DIGITS - scale) and list(map(float, texts)) == floats:
            if len(floats) == len(values):
                return texts
            following = iter(texts)
            return [None if value is None else next(following) for value in values]
    return [digits(value, scale) if isinstance(value, float) else value for value in values]


def digits(value: float, scale: int) -> str:
    """Return the digits that the double was made from, at most 15: ``scale`` or more of them after the point."""
    # Formatting shows the double's own value, which is the same for at most 15 digits.
    if abs(value) < 10.0 ** (_DOUBLE_DIGITS - scale):
        text = f"{value:.{scale}f}"
        if float(text) == value:
            return text
    exact = Decimal(repr(float(value)))
    return format(exact, f".{max(scale, -int(exact.as_tuple().exponent))}f")


def _refusal(table: Table) -> str:
    """Return why a file cannot be read, by its header and its last reading; "" if it can."""
    try:
        table.header()
    except Refused as error:
        return str(error)
    except OSError:
        return "the file cannot be opened"
    copy = copy_manager.existing(table)
    return copy.meta.warnings[0] if copy is not None and copy.meta.refused else ""


def problems(source: Mapping[str, Any]) -> list[str]:
    """Return why files of a source are no tables, as "name: reason". Raises ConnectFailed."""
    table_by_name, lines = tables(source)
    return [*lines, *(f"{table.path.name}: {why}" for table in table_by_name.values() if (why := _refusal(table)))]


def warnings(source: Mapping[str, Any]) -> list[str]:
    """Return the warnings of all copies of a source: "table: record 5, field TGL: …". Raises ConnectFailed."""
    table_by_name, _ = tables(source)
    table_copies = {name: copy_manager.existing(table) for name, table in table_by_name.items()}
    return [f"{name}: {line}" for name, copy in table_copies.items() if copy for line in copy.meta.warnings]


def copies(source: Mapping[str, Any]) -> tuple[list[copy_manager.Status], list[str]]:
    """Return the state of each table's copy, and why other files of the source are no tables. Raises ConnectFailed."""
    table_by_name, lines = tables(source)
    return [_status(table) for table in table_by_name.values()], lines


def _status(table: Table) -> copy_manager.Status:
    """Return the state of a copy. A file with a wrong header is refused before it is read."""
    status = copy_manager.status(table)
    why = _refusal(table) if status.state == "none" else ""
    return copy_manager.Status(table.name, "refused", warnings=[why]) if why else status
