"""What the rest of the bus knows of a database: the small interface that each driver's file fills.

Nothing here or below imports Django. An adapter is made from a source's settings (a mapping with
``host``, ``port``, ``database``, ``user``, ``password`` and what else it declares) and is stateless:
connections belong to the pool of the room above.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Row = tuple[Any, ...]

#: Seconds that opening a connection may take, over all addresses of a name.
CONNECT_SECONDS = 10

#: Seconds that one look at a source's catalogue may take.
LOOK_SECONDS = 10

#: Rows in a batch. Large enough to make the per-batch cost vanish.
BATCH = 500

#: Bytes after which a batch has fewer rows, as far as the rows before it tell how wide they are.
PIECE_BYTES = 4 * 1024 * 1024

#: Bytes that a row may have unless its limits say otherwise.
ROW_BYTES = 32 * 1024 * 1024


class SourceError(Exception):
    """A source failed. ``reason`` is a word from REASONS; the driver's own text is never kept.

    ``sqlstate`` is the standard's five characters (or the vendor's number) where the driver tells.
    """

    def __init__(self, reason: str, sqlstate: str = "") -> None:
        super().__init__(f"{reason} {sqlstate}".strip())
        self.reason = reason
        self.sqlstate = sqlstate


class ConnectFailed(SourceError):
    """No connection, or the connection broke: another attempt may succeed."""


class QueryFailed(SourceError):
    """The source understood us and refused: the same statement will fail again."""


class TimedOut(SourceError):
    """The time cap was met. The connection must not be used again."""


class TooWide(SourceError):
    """A row, or what came at once, was larger than Limits.width lets it. The connection must not be used again."""

    def __init__(self) -> None:
        super().__init__("too-wide")


#: Why a source failed, in the order in which a connection comes about.
REASONS = (
    "driver-missing", "file-missing", "file-forbidden", "file-format", "file-busy", "host-unknown",
    "refused", "unreachable", "tls", "login", "database-unknown", "too-many-connections", "broken",
    "forbidden", "object-unknown", "syntax", "read-only", "data", "constraint", "timeout", "too-wide",
    "other",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may take. ``rows`` is the row cap, ``seconds`` the time cap of the whole run.

    ``width`` is how many bytes a row may have, and about half of what may arrive in one piece.
    """

    rows: int
    seconds: float
    writes: bool = False
    width: int = ROW_BYTES


@dataclass(frozen=True, slots=True)
class Setting:
    """One connection setting of an engine, for forms and documents."""

    name: str
    label: str
    secret: bool = False
    required: bool = False
    default: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column as the source describes it: ``type`` is the source's own name, ``kind`` one of ours or None."""

    name: str
    type: str
    kind: str | None
    nullable: bool = True
    key: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """A key or an index of a table. ``kind`` is "primary", "unique", "foreign" or "index".

    ``columns`` are in the key's order; an expression in an index stands as the source writes it. ``target`` is
    (schema, table, columns) of what a foreign key points to.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    target: tuple[str, str, tuple[str, ...]] | None = None


#: The order in which a table's keys are told.
_KINDS = ("primary", "unique", "foreign", "index")


def keys_of(rows: Iterable[Sequence[Any]]) -> list[Key]:
    """Keys out of one row for each column, in the key's order.

    A row is (name, kind, column), and for a foreign key (…, target schema, target table, target column) too.
    """
    found: dict[tuple[str, str], list[Sequence[Any]]] = {}
    for row in rows:
        found.setdefault((row[0], row[1]), []).append(row)
    made = []
    for (name, kind), parts in found.items():
        first = parts[0]
        target = (first[3], first[4], tuple([part[5] for part in parts])) if kind == "foreign" else None
        made.append(Key(name, kind, tuple([part[2] for part in parts]), target))
    return sorted(made, key=lambda key: (_KINDS.index(key.kind), key.name))


class Stream:
    """An open result. Iterate for batches (lists of row tuples, at most BATCH long, fewer when wide), then close.

    ``columns`` is ((name, type), …): types are the bus's words or None. ``affected`` is the number of
    rows that a statement without a result touched, else -1. ``reusable`` says, after close(), whether
    the connection may go back to its pool. ``as_of`` is set where rows come from a copy of the source:
    the epoch second at which the source was last seen as they show it.
    """

    columns: tuple[tuple[str, str | None], ...] = ()
    affected: int = -1
    reusable: bool = True
    #: All rows are in the first batch, and nothing is left open.
    whole: bool = False
    as_of: float | None = None

    def __iter__(self) -> Iterator[list[Row]]:
        raise NotImplementedError

    def close(self) -> None:
        """End the statement and its transaction. Safe to call twice."""


class Stored(Stream):
    """A result that is already here whole."""

    def __init__(
        self, columns: tuple[tuple[str, str | None], ...] = (), rows: Sequence[Row] = (), affected: int = -1
    ) -> None:
        self.columns = columns
        self.affected = affected
        self.whole = len(rows) <= BATCH
        self._rows = rows

    def __iter__(self) -> Iterator[list[Row]]:
        rows = self._rows
        if 0 < len(rows) <= BATCH:
            yield rows if isinstance(rows, list) else list(rows)
            return
        for start in range(0, len(rows), BATCH):
            yield list(rows[start : start + BATCH])


class Fetching(Stream):
    """An answer larger than a batch, of which pieces are asked for, each as large as the rows before it let one.

    Subclasses say how a piece is fetched, and what to close.
    """

    #: Rows asked for at once at most.
    most = BATCH

    def __init__(self, columns: tuple[tuple[str, str | None], ...], first: Piece, limits: Limits) -> None:
        self.columns = columns
        self._limits = limits
        self._first = first.rows
        self._widest = first.widest
        self._left = limits.rows + 1 - len(first.rows)

    def _fetch(self, count: int) -> list[Row]:
        """The next rows, at most ``count``; fewer, or none, only at the end. Closes what it can no longer use."""
        raise NotImplementedError

    def _give_up(self) -> None:
        """Close the connection: nobody can use it again."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[list[Row]]:
        rows, self._first = self._first, []
        while rows:
            for start in range(0, len(rows), BATCH):
                yield rows[start : start + BATCH]
            rows = self._next()
        self.close()

    def _next(self) -> list[Row]:
        count = min(self._left, fitting(self._widest, self.most))
        if count <= 0:
            return []
        rows = self._fetch(count)
        self._left = self._left - len(rows) if len(rows) == count else 0
        try:
            self._widest = max(self._widest, widest(rows, self._limits))
        except TooWide:
            self._give_up()
            raise
        return rows


@dataclass(slots=True)
class Piece:
    """Rows that came, how wide the widest of them are, and whether they are the last."""

    rows: list[Row]
    widest: int
    ended: bool


def gather(fetch: Callable[[int], list[Row]], count: int, limits: Limits, known: int | None = None) -> Piece:
    """The first ``count`` rows, or fewer when they are wide. ``fetch`` gives less than it is asked for at the end only.

    ``known`` is how wide the rows of this statement were before; without it the first is looked at alone.
    Raises TooWide.
    """
    found = Piece([], known or 0, False)
    step = 1 if known is None else fitting(known, count)
    while True:
        step = min(step, count - len(found.rows))
        rows = fetch(step)
        found.rows = found.rows + rows if found.rows else rows
        found.widest = max(found.widest, widest(rows, limits))
        if len(rows) < step:
            found.ended = True
            return found
        room = fitting(found.widest, count) - len(found.rows)
        if len(found.rows) >= count or room <= 0:
            return found
        # Of rows that may be much wider than those before, only some at first.
        step = min(room, 16 * step)


def widest(rows: Sequence[Row], limits: Limits) -> int:
    """How wide some of these rows are, the widest of them, in bytes or characters. Raises TooWide."""
    found = 0
    for row in rows[:: len(rows) // 8 + 1]:
        size = sum([len(value) for value in row if value.__class__ is str or value.__class__ is bytes])
        if size > found:
            found = size
    if found > limits.width:
        raise TooWide
    return found


def fitting(width: int, most: int) -> int:
    """How many rows of a width may be asked for at once: at least one."""
    return min(most, PIECE_BYTES // width or 1) if width else most


class Adapter(ABC):
    """One kind of database."""

    engine: ClassVar[str]
    label: ClassVar[str]
    #: The module that must import for the engine to work, and what to tell who lacks it.
    driver: ClassVar[str]
    install: ClassVar[str] = ""
    #: sqlglot's name of the SQL dialect.
    dialect: ClassVar[str]
    #: How ``run`` takes its marks: "pyformat" (%(name)s, % doubled), "named" (:name) or "qmark" (?).
    paramstyle: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    default_port: ClassVar[int | None] = None

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.source = source

    @abstractmethod
    def connect(self, writes: bool = False, seconds: float = CONNECT_SECONDS) -> Any:
        """Open a DB-API connection; read-only unless ``writes``. Raises ConnectFailed within about ``seconds``."""

    @abstractmethod
    def run(self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits) -> Stream:
        """Run one statement and fetch its first batch, so that whatever fails at once fails here.

        At most ``limits.rows`` + 1 rows ever leave the source: the one more tells that there were more.
        Raises QueryFailed, TimedOut or ConnectFailed; iterating the stream may raise them too. After a
        QueryFailed raised here the connection is as good as before; after the others it must be closed.
        With ``limits.writes`` the statement runs in a transaction of its own, committed when the run
        has gone well and rolled back otherwise.
        """

    @abstractmethod
    def ping(self, connection: Any) -> bool:
        """Whether the connection is still good. Cheap."""

    # What a builder of queries looks at. All of it reads; names go in as values, or quoted by the engine's rule.

    @abstractmethod
    def databases(self, connection: Any) -> list[str]:
        """The server's databases that this account may enter, but for the server's own."""

    @abstractmethod
    def schemas(self, connection: Any) -> list[str]:
        """The schemas of the database with something to see, the one where plain names are looked for first."""

    @abstractmethod
    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        """((name, "table" | "view"), …) of a schema."""

    @abstractmethod
    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]:
        """The columns of a table or view, in its order; none when there is no such table."""

    @abstractmethod
    def keys(self, connection: Any, schema: str, table: str) -> list[Key]:
        """The keys and indexes of a table: primary, unique, foreign, others. A view has none."""

    def sample(self, connection: Any, schema: str, table: str, limits: Limits) -> Stream:
        """The first ``limits.rows`` rows of a table or view, on the ordinary way of values. Raises as ``run`` does."""
        text = self.first_rows(f"{self.quoted(schema)}.{self.quoted(table)}", limits.rows)
        if self.paramstyle == "pyformat":
            text = text.replace("%", "%%")
        return self.run(connection, text, {}, limits)

    def first_rows(self, name: str, rows: int) -> str:
        """A query for at most ``rows`` rows of a table whose name is quoted already."""
        return f"SELECT * FROM {name} LIMIT {rows:d}"  # noqa: S608 (the name is quoted)

    def quoted(self, name: str) -> str:
        """A name as SQL has it, whatever is in it. Raises QueryFailed for one that no object can have."""
        return quoted(name, '"', '"')

    @abstractmethod
    def explain(
        self, connection: Any, sql: str, arguments: Mapping[str, Any] | Sequence[Any], limits: Limits
    ) -> list[str]:
        """The lines of the source's plan for a statement, as it words them. The statement is never run.

        ``sql`` and ``arguments`` as for ``run``. Raises as that does; CALL has no plan anywhere ("syntax").
        """


def quoted(name: str, opening: str, closing: str) -> str:
    """A name between marks of quotation, those in it doubled. Raises QueryFailed."""
    if not name or "\x00" in name:
        raise QueryFailed("object-unknown")
    return opening + name.replace(closing, 2 * closing) + closing


#: What a plan can be asked for. A statement that begins otherwise, if only in one of MySQL's comments that run,
#: could be executed behind the word EXPLAIN.
_PLANNABLE = re.compile(
    r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*(?![!+M]).*?\*/|\()*(select|with|values|insert|update|delete|merge)\b", re.I | re.S
)


#: The first words of statements that read.
READING = frozenset(("select", "with", "values"))


def plannable(sql: str) -> str:
    """The first word of a statement that has a plan, in small letters. Raises QueryFailed for others."""
    found = _PLANNABLE.match(sql)
    if found is None:
        raise QueryFailed("syntax")
    return found[1].lower()
