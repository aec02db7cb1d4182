"""The results of calls: rows, a document, a relayed response, or a fault."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

Row = tuple[Any, ...]

#: The types of columns. A value has the corresponding Python type or, for every type but text, the exact text that its
#: source wrote (a PostgreSQL numeric as "12.50").
VALUE_TYPES = (
    "text", "integer", "decimal", "float", "boolean", "date", "time", "datetime", "interval",
    "bytes", "json", "uuid",
)  # fmt: skip


@dataclass(slots=True, frozen=True)
class Column:
    """One column of a result. ``type`` is one of VALUE_TYPES, or None: each value has its own type."""

    name: str
    type: str | None = None
    #: True if the values are masked: their text is not of the type that the operation declares.
    masked: bool = False


#: The column that says whether a row is deleted, in pages of changes.
DELETED = Column("_deleted", "boolean")


class Result:
    """The result of a runner. A Fault is a result too."""

    status: int = 200
    #: When a result that still fetches from its source or upstream must be sent (monotonic seconds), also if its caller
    #: is slow; infinite for one that is complete.
    deadline: float = math.inf

    @property
    def is_open(self) -> bool:
        """True while the result fetches from its source or upstream."""
        return False

    def close(self) -> None:
        """Release the resources of the result at its source. May be called twice."""


class Rows(Result):
    """A table. ``batches`` yields lists of row tuples; a batch has at most a few hundred rows.

    ``truncated`` and ``has_next`` are final only after the last batch: the row limit is met while streaming.
    ``count`` is the number of rows yielded so far.
    """

    __slots__ = ("_close", "as_of", "batches", "columns", "count", "cursor", "deadline", "has_next", "truncated")

    def __init__(
        self,
        columns: tuple[Column, ...],
        batches: Iterator[list[Row]],
        close: Callable[[], None] | None = None,
        deadline: float = math.inf,
    ) -> None:
        self.deadline = deadline
        self.columns = columns
        self.batches = batches
        self.truncated = False
        self.has_next = False
        #: Of a page of changes: where the next one begins. "" for all other rows.
        self.cursor = ""
        self.count = 0
        #: For rows from a copy of their source: the time (epoch seconds) at which the copy was known to be current.
        self.as_of: float | None = None
        self._close = close

    @property
    def is_open(self) -> bool:
        """True while the rows are read from a source: those of a document that is in memory have no deadline."""
        return self._close is not None and self.deadline < math.inf

    def close(self) -> None:
        self.detach_close()()

    def detach_close(self) -> Callable[[], None]:
        """Return what close() would do, for another thread to do; close() then does nothing."""
        close, self._close = self._close, None
        self.deadline = math.inf
        return close or _nothing


def _nothing() -> None:
    pass


class Affected(Result):
    """The result of a writing operation: the number of rows that it changed (-1: the source does not say)."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count


class Document(Result):
    """A nested document (dict, list, str, int, float, bool, None), the decoded response of an upstream.

    ``enveloped`` is true if it has the legacy envelope already, which the legacy wire must not change.
    """

    __slots__ = ("_close", "enveloped", "value")

    def __init__(self, value: Any, enveloped: bool = False, close: Callable[[], None] | None = None) -> None:
        self.value = value
        self.enveloped = enveloped
        self._close = close

    def close(self) -> None:
        if self._close is not None:
            close, self._close = self._close, None
            close()


class RelayedResponse(Result):
    """An upstream's response that is relayed unchanged: status, headers and body.

    ``headers`` are those that may be returned, without hop-by-hop ones; with Content-Length if the upstream sent it.
    ``chunks`` raises Fault if the upstream aborts the response.
    """

    __slots__ = ("_close", "chunks", "deadline", "headers", "status", "whole")

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        chunks: Iterator[bytes],
        close: Callable[[], None] | None = None,
        deadline: float = math.inf,
    ) -> None:
        self.deadline = deadline
        self.status = status
        self.headers = headers
        self.chunks = chunks
        #: True if the body is complete in at most one chunk, and nothing is left to fetch.
        self.whole = close is None
        self._close = close

    @property
    def is_open(self) -> bool:
        return self._close is not None

    def close(self) -> None:
        if self._close is not None:
            close, self._close = self._close, None
            self.deadline = math.inf
            close()


class Scope(Enum):
    """The calls that can end with a fault. The contracts of operations list faults by it."""

    ANY = "any call"
    BODY = "calls with a body"
    KEYED = "calls of operations that need a key"
    DATA = "calls of data operations"
    PROXY = "calls of proxy operations"
    VERIFICATION = "calls of verification operations"
    SOAP = "calls over SOAP"
    LEGACY = "calls on the legacy wire"
    JOB = "requests about jobs"
    #: The address names no operation, or nobody is there to read the response.
    NOWHERE = "no call of an operation"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row of the table of faults. ``id`` and ``en`` may contain {names}, replaced by the fault's details."""

    code: int
    name: str
    status: int
    id: str
    en: str
    #: The party that must act: caller, provider (or its source), or bus.
    party: str = "caller"
    scope: Scope = Scope.ANY

    def outline(self, language: str) -> str:
        """Return the message in the language ``id`` or ``en`` without its details, which no record has."""
        return (self.en if language == "en" else self.id).format_map(defaultdict(lambda: "…"))


@dataclass(frozen=True, slots=True)
class Words:
    """A detail of a fault that is written differently in Indonesian and English."""

    id: str
    en: str


class Fault(Result, Exception):
    """A refusal or failure. It is raised anywhere on the call path, and is a result like any other."""

    def __init__(self, kind: FaultKind, retry_after: int | None = None, **details: Any) -> None:
        super().__init__(kind.name)
        self.kind = kind
        self.code = kind.code
        self.status = kind.status
        self.details = details
        #: Seconds after which a retry makes sense, if known.
        self.retry_after = retry_after

    def message(self, language: str = "id") -> str:
        """Return the message for the caller in the language ``id`` or ``en``. It never has the text of a driver."""
        template, word = (self.kind.en, "en") if language == "en" else (self.kind.id, "id")
        details = self.details.items()
        return template.format_map({k: getattr(v, word) if isinstance(v, Words) else v for k, v in details})

    def without_traceback(self) -> Fault:
        """Return the fault without its traceback: the frames would keep the call and its body in memory."""
        self.__traceback__ = self.__context__ = None
        return self
