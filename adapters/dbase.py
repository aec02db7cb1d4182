"""dBase and FoxPro: DBF files, alone or a folder of them, with the SQL of SQLite over what was read from them."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from adapters.base import (
    CONNECT_SECONDS,
    Adapter,
    ColumnInfo,
    ConnectFailed,
    Key,
    Limits,
    QueryFailed,
    Row,
    Setting,
    Stream,
    TimedOut,
)
from adapters.dbf import generation, keeper, statement
from adapters.dbf.cells import DOUBLE_DIGITS as _DOUBLE_DIGITS
from adapters.dbf.generation import Column, Generation
from adapters.dbf.header import Refused
from adapters.dbf.tables import Table, tables
from adapters.sqlite import Connection as SQLiteConnection
from adapters.sqlite import SQLite, authorize, prepare

#: Tables that one statement may join: SQLite attaches no more files to a connection.
MAX_TABLES = 10

#: Makes a whole column of a batch what the bus gives out.
Convert = Callable[[Sequence[Any]], Sequence[Any]]
Columns = tuple[tuple[str, str | None], ...]
Shape = tuple[Columns, list[tuple[int, Convert]]]

#: Results whose columns are remembered.
_MEMO = 256

_DOUBLES = {float, type(None)}
_BOOLEANS = {None: None, 0: False, 1: True}


class Connection(SQLiteConnection):
    """A connection of SQLite to nothing yet; the files of a statement's tables are attached when it runs."""

    #: By table: the alias under which its file is attached, and which of its generations that is.
    attached: dict[str, tuple[str, tuple[int, int]]]
    count = 0


class DBase(Adapter):
    engine = "dbase"
    label = "dBase, FoxPro"
    driver = "dbfread"
    install = "pip install dbfread"
    dialect = "sqlite"
    paramstyle = "named"
    settings = (
        Setting(
            "database",
            "File or folder",
            required=True,
            help="a .dbf file, or a folder whose .dbf files are the tables, in the folder that the operator has opened;"
            " . for that folder itself",
        ),
        Setting(
            "encoding",
            "Code page",
            help="such as cp850, cp437, cp1252; without it the code page that the file names, else cp850",
        ),
        Setting("index", "Indices", help="columns to index from the start, with commas between; others follow the SQL"),
    )

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        # The folder, its time of change, until when that may be relied on, and its tables.
        self._shapes: dict[Any, Shape] = {}
        self._known: tuple[Path | None, int | None, float, dict[str, Table]] = (None, None, 0.0, {})

    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        """As in the base class, but always read-only. A single file must be a DBF file to be connected to."""
        found, _ = tables(self.source)
        if len(found) == 1:
            self._look(next(iter(found.values())))
        connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, factory=Connection, cached_statements=64
        )
        connection.attached = {}
        connection.create_collation(generation.COLLATION, generation.compare)
        prepare(connection, writes=False)
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(connection.late, 10_000)
        return connection

    def _tables(self) -> dict[str, Table]:
        """The tables of the source. A folder is looked through again when it changed, and every second."""
        folder, stamp, until, found = self._known
        if folder is None or time.monotonic() > until or _stamp(folder) != stamp:
            found, _ = tables(self.source)
            folder = next(iter(found.values())).path.parent if found else None
            self._known = (folder, _stamp(folder) if folder else None, time.monotonic() + 1, found)
        return found

    def _look(self, table: Table) -> None:
        try:
            table.header()
        except Refused:
            raise ConnectFailed("file-format") from None
        except FileNotFoundError:
            raise ConnectFailed("file-missing") from None
        except OSError:
            raise ConnectFailed("file-forbidden") from None

    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        """As in the base class. The stream's ``as_of`` is the epoch second at which the files were last seen as the
        answer shows them; None when no table was asked."""
        deadline = time.monotonic() + limits.seconds
        if not self.ping(connection):
            raise ConnectFailed("broken")
        if limits.writes:
            raise QueryFailed("read-only")
        told = statement.understand(sql)
        readings = self._opened(connection, told, deadline)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimedOut("timeout")
        stream = SQLite.run(SQLite({}), connection, told.text, arguments, replace(limits, seconds=left))
        as_of = min((seen for _, seen in readings.values()), default=None)
        return Answer(stream, self._shape_of(stream, sql, told, readings), as_of)

    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """SQLite's plan over the readings of the files."""
        deadline = time.monotonic() + limits.seconds
        if not self.ping(connection):
            raise ConnectFailed("broken")
        told = statement.understand(sql)
        self._opened(connection, told, deadline)
        return SQLite.explain(SQLite({}), connection, told.text, arguments, limits)

    def _opened(
        self, connection: Any, told: statement.Statement, deadline: float
    ) -> dict[str, tuple[Generation, float]]:
        """The readings of a statement's tables, attached."""
        found = self._tables()
        used = {name: found[name] for name in sorted(told.tables & set(found))}
        if len(used) > MAX_TABLES:
            raise QueryFailed("other")
        readings = self._readings(used, told, deadline)
        while not self._attach(connection, {name: reading for name, (reading, _) in readings.items()}, found):
            readings = self._readings(used, told, deadline)
        return readings

    def _shape_of(
        self, stream: Stream, sql: str, told: statement.Statement, readings: dict[str, tuple[Generation, float]]
    ) -> Shape:
        """What the columns of the result are. The same statement on the same readings has the same."""
        key = (sql, tuple([reading.identity for reading, _ in readings.values()]))
        found = self._shapes.get(key)
        if found is None:
            schemas = {name: reading.meta.columns for name, (reading, _) in readings.items()}
            if len(self._shapes) >= _MEMO:
                self._shapes.clear()
            found = self._shapes[key] = _shape(stream.columns, statement.outputs(told, schemas))
        return found

    def _readings(
        self, used: dict[str, Table], told: statement.Statement, deadline: float
    ) -> dict[str, tuple[Generation, float]]:
        """A finished reading of each table. All that have none are begun before the first is waited for."""
        named = {index.strip().lower() for index in str(self.source.get("index") or "").split(",") if index.strip()}
        wanted = {}
        for name, table in used.items():
            columns = self._columns_of(table)
            wanted[name] = told.indices(name, {name: columns}) | (named & set(columns))
            if len(used) > 1 and keeper.known(table) is None:
                keeper.begin(table, wanted[name])
        readings = {}
        for name, table in used.items():
            readings[name] = keeper.current(table, wanted[name], deadline)
            if readings[name][0].meta.refused:
                raise QueryFailed(readings[name][0].meta.refused)
        return readings

    def _columns_of(self, table: Table) -> list[str]:
        found = keeper.known(table)
        if found is not None:
            return [column.name.lower() for column in found.meta.columns]
        try:
            return [field.name.lower() for field in table.header().fields]
        except Refused:
            raise QueryFailed("file-format") from None
        except OSError:
            raise ConnectFailed("file-missing") from None

    def _attach(self, connection: Connection, readings: dict[str, Generation], known: Collection[str]) -> bool:
        """Attach the files of these readings, and let go of those that they replace and of tables not ``known`` now.

        False when one was replaced meanwhile by a newer one, so that what we know of it may not be what is attached.
        """
        gone = set(connection.attached).difference(known)
        changed = {
            name: reading
            for name, reading in readings.items()
            if name not in connection.attached or connection.attached[name][1] != reading.identity
        }
        if not changed and not gone:
            return True
        connection.deadline = float("inf")
        connection.set_authorizer(None)
        try:
            room = MAX_TABLES - len(readings)
            spare = [name for name in connection.attached if name not in readings]
            for name in gone.union(spare[: max(len(spare) - room, 0)], set(changed) & set(connection.attached)):
                connection.execute(f"DETACH {connection.attached.pop(name)[0]}")
            for name, reading in changed.items():
                connection.count += 1
                alias = f"dbf_{connection.count}"
                uri = f"file:{quote(os.fsencode(reading.path))}?mode=ro&immutable=1"
                connection.execute(f"ATTACH ? AS {alias}", (uri,))
                connection.attached[name] = (alias, reading.identity)
                if generation.identity(reading.path) != reading.identity:
                    connection.execute(f"DETACH {connection.attached.pop(name)[0]}")
                    return False
            return True
        except sqlite3.Error:
            raise ConnectFailed("broken") from None
        finally:
            connection.set_authorizer(_authorize)

    def ping(self, connection: Any) -> bool:
        return SQLite.ping(SQLite({}), connection)

    def databases(self, connection: Any) -> list[str]:
        """The file or folder."""
        return [str(self.source.get("database") or "")]

    def schemas(self, connection: Any) -> list[str]:
        return [statement.SCHEMA]

    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        """The files that can be read. Why others cannot, problems() tells."""
        found, _ = tables(self.source)
        return [(name, "table") for name, table in found.items() if not _trouble(table)]

    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        found, _ = tables(self.source)
        if table.lower() not in found:
            return []
        try:
            fields = found[table.lower()].header().fields
        except (Refused, OSError):
            return []
        return [ColumnInfo(field.name, field.described(), field.kind) for field in fields]

    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        """The indexes of the table's reading. Its own of dBase or FoxPro are not used."""
        found, _ = tables(self.source)
        reading = keeper.known(found[table.lower()]) if table.lower() in found else None
        if reading is None:
            return []
        names = {column.name.lower(): column.name for column in reading.meta.columns}
        return [
            Key(index, "index", (names.get(index.removesuffix(generation.NOCASE), index),))
            for index in reading.meta.indices
        ]


def _authorize(action: int, first: str | None, second: str | None, *rest: str | None) -> int:
    """As for any SQLite file; and what a reading notes of itself is not for callers."""
    if action == sqlite3.SQLITE_READ and first == generation.NOTES:
        return sqlite3.SQLITE_DENY
    return authorize(action, first, second, *rest)


def _stamp(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None


def _shape(columns: Columns, origins: Sequence[Column | None] | None) -> Shape:
    """The columns with their types, and how those are made whose values SQLite keeps otherwise."""
    if origins is None or len(origins) != len(columns):
        return columns, []
    typed = tuple(
        [(name, (origin.kind or None) if origin else None) for (name, _), origin in zip(columns, origins, strict=True)]
    )
    return typed, [(at, convert) for at, origin in enumerate(origins) if origin and (convert := _convert(origin))]


class Answer(Stream):
    """A result whose plain columns are what the file says that they are."""

    def __init__(self, stream: Stream, shape: Shape, as_of: float | None) -> None:
        self._stream = stream
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


def _convert(column: Column) -> Convert | None:
    if column.kind == "boolean":
        return lambda values: [_BOOLEANS.get(value, value) for value in values]
    if column.kind == "decimal" and not column.exact:
        return partial(_decimals, column.scale)
    return None


def _decimals(scale: int, values: Sequence[Any]) -> Sequence[Any]:
    """A column's doubles as digits(), all at once where 15 digits hold them."""
    if set(map(type, values)) <= _DOUBLES and (floats := [value for value in values if value is not None]):
        texts = list(map(f"{{:.{scale}f}}".format, floats))
        if max(map(abs, floats)) < 10.0 ** (_DOUBLE_DIGITS - scale) and list(map(float, texts)) == floats:
            if len(floats) == len(values):
                return texts
            following = iter(texts)
            return [None if value is None else next(following) for value in values]
    return [digits(value, scale) if isinstance(value, float) else value for value in values]


def digits(value: float, scale: int) -> str:
    """The digits that the double was made from, at most 15: with ``scale`` of them behind the point, or more."""
    # Formatting shows what the double is instead; the same, as long as no more than 15 digits are asked for.
    if abs(value) < 10.0 ** (_DOUBLE_DIGITS - scale):
        text = f"{value:.{scale}f}"
        if float(text) == value:
            return text
    exact = Decimal(repr(float(value)))
    return format(exact, f".{max(scale, -int(exact.as_tuple().exponent))}f")


def _trouble(table: Table) -> str:
    """Why a file cannot be read, as far as its header and its last reading tell; "" when nothing is wrong."""
    try:
        table.header()
    except Refused as error:
        return str(error)
    except OSError:
        return "it cannot be opened"
    found = keeper.known(table)
    return found.meta.warnings[0] if found is not None and found.meta.refused else ""


def problems(source: Mapping[str, Any]) -> list[str]:
    """Why files of a source are no tables, "name: reason". Raises ConnectFailed."""
    found, lines = tables(source)
    return [*lines, *(f"{table.path.name}: {why}" for table in found.values() if (why := _trouble(table)))]


def warnings(source: Mapping[str, Any]) -> list[str]:
    """What the readings of a source's tables met: "table: record 5, field TGL: …". Raises ConnectFailed."""
    found, _ = tables(source)
    readings = {name: keeper.known(table) for name, table in found.items()}
    return [f"{name}: {line}" for name, reading in readings.items() if reading for line in reading.meta.warnings]


def copies(source: Mapping[str, Any]) -> tuple[list[keeper.Status], list[str]]:
    """How far the copy of each table is, and why other files of the source are no tables. Raises ConnectFailed."""
    found, lines = tables(source)
    return [_status(table) for table in found.values()], lines


def _status(table: Table) -> keeper.Status:
    """A file that is plainly none of ours is refused before anybody has read it."""
    found = keeper.status(table)
    why = _trouble(table) if found.state == "none" else ""
    return keeper.Status(table.name, "refused", warnings=[why]) if why else found
