"""What a call comes to: rows, a document, a relayed response, or a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]

#: What a column or a parameter can hold. Values travel as these Python types, or, for every type
#: but text, as the text that a source already wrote exactly (a PostgreSQL numeric as "12.50").
VALUE_TYPES = (
    "text", "integer", "decimal", "float", "boolean", "date", "time", "datetime", "interval",
    "bytes", "json", "uuid",
)  # fmt: skip


@dataclass(slots=True, frozen=True)
class Column:
    """One column of an answer. ``type`` is one of VALUE_TYPES, or None: judged value by value."""

    name: str
    type: str | None = None


class Result:
    """What a runner hands back. A Fault is a result too."""

    status: int = 200

    def close(self) -> None:
        """Let go of what the answer still holds at its source. Safe to call twice."""


class Rows(Result):
    """A table. ``batches`` yields lists of row tuples; a batch is at most some hundred rows.

    ``truncated`` and ``has_next`` are final only when the batches have run out: the row cap is met
    while streaming. ``count`` is the number of rows handed out so far.
    """

    __slots__ = ("_close", "as_of", "batches", "columns", "count", "has_next", "truncated")

    def __init__(
        self,
        columns: tuple[Column, ...],
        batches: Iterator[list[Row]],
        close: Callable[[], None] | None = None,
    ) -> None:
        self.columns = columns
        self.batches = batches
        self.truncated = False
        self.has_next = False
        self.count = 0
        #: Where rows come from a copy of their source: the time (epoch seconds) at which it was known to be true.
        self.as_of: float | None = None
        self._close = close

    def close(self) -> None:
        if self._close is not None:
            close, self._close = self._close, None
            close()


class Affected(Result):
    """The outcome of an operation that writes: how many rows it touched (-1: the source won't say)."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count


class Document(Result):
    """A nested document (dict, list, str, int, float, bool, None), as a proxy brings it.

    ``enveloped`` is true when it already carries the legacy envelope and must pass unchanged.
    """

    __slots__ = ("enveloped", "value")

    def __init__(self, value: Any, enveloped: bool = False) -> None:
        self.value = value
        self.enveloped = enveloped


class Relay(Result):
    """An upstream's answer that goes out as it came: status, headers and body.

    ``headers`` are those that may go on, without hop-by-hop ones; Content-Length is among them where the
    upstream said so. ``chunks`` raises Fault when the upstream breaks off.
    """

    __slots__ = ("_close", "chunks", "headers", "status", "whole")

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        chunks: Iterator[bytes],
        close: Callable[[], None] | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.chunks = chunks
        #: One chunk, or none, is all of it, and nothing is left to fetch.
        self.whole = close is None
        self._close = close

    def close(self) -> None:
        if self._close is not None:
            close, self._close = self._close, None
            close()


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row of the table. ``id`` and ``en`` may hold {names}, filled from the fault's details."""

    code: int
    name: str
    status: int
    id: str
    en: str
    #: Who has to act: the caller, the provider (or its source), or the bus itself.
    party: str = "caller"


class Fault(Result, Exception):
    """A refusal or failure, raised anywhere on the path and answered like any other result."""

    def __init__(self, kind: FaultKind, retry_after: int | None = None, **details: Any) -> None:
        super().__init__(kind.name)
        self.kind = kind
        self.code = kind.code
        self.status = kind.status
        self.details = details
        #: Seconds after which it makes sense to try again, where that is known.
        self.retry_after = retry_after

    def message(self, language: str = "id") -> str:
        """The sentence for the caller in ``id`` or ``en``; never anything a driver said."""
        template = self.kind.en if language == "en" else self.kind.id
        return template.format_map(self.details)

    def bare(self) -> Fault:
        """The fault without its trace, whose frames would keep the call and its body until the collector comes by."""
        self.__traceback__ = self.__context__ = None
        return self
