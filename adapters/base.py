"""What the rest of the bus knows of a database: the small interface that each driver's file fills.

Nothing here or below imports Django. An adapter is made from a source's settings (a mapping with
``host``, ``port``, ``database``, ``user``, ``password`` and what else it declares) and is stateless:
connections belong to the pool of the room above.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Row = tuple[Any, ...]

#: Seconds that opening a connection may take, over all addresses of a name.
CONNECT_SECONDS = 10

#: Rows in a batch. Large enough to make the per-batch cost vanish, small enough that a batch of
#: wide rows stays some hundred KiB.
BATCH = 500


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


#: Why a source failed, in the order in which a connection comes about.
REASONS = (
    "driver-missing", "file-missing", "file-forbidden", "file-format", "file-busy", "host-unknown",
    "refused", "unreachable", "tls", "login", "database-unknown", "too-many-connections", "broken",
    "forbidden", "object-unknown", "syntax", "read-only", "data", "constraint", "timeout", "other",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may take. ``rows`` is the row cap, ``seconds`` the time cap of the whole run."""

    rows: int
    seconds: float
    writes: bool = False


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


class Stream:
    """An open result. Iterate for batches (lists of row tuples, at most BATCH long), then close.

    ``columns`` is ((name, type), …): types are the bus's words or None. ``affected`` is the number of
    rows that a statement without a result touched, else -1. ``reusable`` says, after close(), whether
    the connection may go back to its pool. ``as_of`` is set where rows come from a copy of the source:
    the epoch second at which the source was last seen as they show it.
    """

    columns: tuple[tuple[str, str | None], ...] = ()
    affected: int = -1
    reusable: bool = True
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
        self._rows = rows

    def __iter__(self) -> Iterator[list[Row]]:
        rows = self._rows
        if 0 < len(rows) <= BATCH:
            yield rows if isinstance(rows, list) else list(rows)
            return
        for start in range(0, len(rows), BATCH):
            yield list(rows[start : start + BATCH])


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

    @abstractmethod
    def schemas(self, connection: Any) -> list[str]: ...

    @abstractmethod
    def tables(self, connection: Any, schema: str) -> list[tuple[str, str]]:
        """((name, "table" | "view"), …) of a schema."""

    @abstractmethod
    def columns(self, connection: Any, schema: str, table: str) -> list[ColumnInfo]: ...
