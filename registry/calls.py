"""A call: the type that protocol handlers, the gateway's steps and the runners share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from registry.personal_data.masks import ALL, INTERNAL, FieldRights
from registry.results import Fault, Result
from registry.snapshot.types import Application, Grant, Key, Operation, Snapshot

REQUEST_ID_LENGTH = 32

#: Kind of operation → the dotted path of its runner, a function of a Call, for kinds of packages above the gateway.
RUNNER_PATHS: dict[str, str] = {}


def request_id() -> str:
    """Return a new request id: 32 hex digits that begin with the time in milliseconds. Unique, not secret."""
    return f"{time.time_ns() // 1_000_000:012x}{random.getrandbits(80):020x}"


def began_at(id: str) -> datetime | None:
    """Return when the call with a request id began, to the millisecond; None for a text that is no request id."""
    try:
        return datetime.fromtimestamp(int(id[:12], 16) / 1000, UTC) if len(id) == REQUEST_ID_LENGTH else None
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(slots=True)
class RawRequest:
    """A request as it was received, for operations that forward it unchanged."""

    #: The path after the operation, percent-encoded as it was received: "" or "/…".
    path_suffix: str
    #: The query string as it was received, without "?".
    query: str
    headers: Mapping[str, str]
    #: The body, which can be read once: read(n) returns at most n bytes, b"" at its end.
    body: Any = field(repr=False)
    #: The length of the body in bytes; None if the caller did not state it (chunked), 0 without a body.
    length: int | None = 0
    #: Ends a blocked read of the body; None if the server does not allow it.
    abort: Callable[[], None] | None = field(default=None, repr=False)
    scheme: str = "http"
    host: str = ""


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """An attempt at a call that failed before the bus itself made one."""

    #: The id of the server that was asked.
    server: int
    #: What became of it: unreachable (nothing was sent), closed, late, status (502, 503, 504) or large.
    reason: str


@dataclass(slots=True)
class Trial:
    """A call that a user makes from a page of the bus as one of their applications (mantra/tryout).

    It is an argument of the protocol handlers beside the request: nothing that a caller sends can become one.
    """

    user: str
    #: Stands for a key of the application that the bus vouches for; None if the user's own key is in the request.
    key: Key | None
    #: The most seconds that the source or upstream has, whatever the operation allows.
    seconds: float
    call: Call | None = None
    #: The fault with which the call ended before its first byte.
    fault: Fault | None = None
    #: The steps that the call has passed, each with its end (time.perf_counter()).
    steps: list[tuple[str, float]] = field(default_factory=list)

    def begin(self, call: Call) -> None:
        """Make the call this trial's."""
        self.call = call
        call.trial, call.vouched, call.user = self, self.key, self.user

    def passed(self, step: str) -> None:
        """Note that a step has ended."""
        self.steps.append((step, time.perf_counter()))


class RequestSignature(Protocol):
    """What a request says about signatures: its own, and that of its response (mantra/gateway/signatures)."""

    def key(self, call: Call, now: float) -> Key | None:
        """Return the key with which the request was signed; None if it was with no key of the bus. Raises Fault."""
        ...

    def sign(self, response: Any) -> None:
        """Sign the response, if its caller wants that. Raises Fault."""
        ...


class Trace(Protocol):
    """The trace of a call (registry/tracing)."""

    #: 32 hex digits.
    trace_id: str

    @property
    def context(self) -> tuple[str, str]:
        """The headers traceparent and tracestate of a request to an upstream."""
        ...

    def run(self, call: Call, runner: Callable[[Call], Result]) -> Result:
        """Run the call in a span of its own. Raises what the runner raises."""
        ...

    def end(self, call: Call, result: Result, sent: int, broken: bool, status: int) -> None:
        """End the trace."""
        ...


@dataclass(slots=True)
class Call:
    """One call of an operation. The protocol handler sets the first half, the steps of serve() the second."""

    protocol: str  # rest | legacy | soap | tryout
    method: str
    client_ip: str  # decided by registry.client_ip
    request_id: str
    format: str  # the name of the response's format
    #: Returns the caller's parameters as (name, value) pairs, after admission. Raises Fault if the body cannot be read.
    read_input: Callable[[Call], list[tuple[str, Any]]]
    agency: str = ""
    service: str = ""
    code: str = ""
    access_key: str = field(default="", repr=False)
    key_in_path: bool = False
    #: SHA-256, in hex, of the certificate with which the connection was opened; "" for none.
    certificate: str = ""
    #: What the request says about signatures; None for most, which say nothing.
    signature: RequestSignature | None = field(default=None, repr=False)
    #: Agency, service and operation as a caller of the legacy wire spelt them, which its responses repeat.
    spelling: tuple[str, ...] = ()
    #: True on the legacy wire: undeclared parameters are ignored. Other protocols refuse them.
    ignores_unknown: bool = False
    #: The fault of a request that could not be read. It is raised after the call's begin line is recorded.
    error: Fault | None = None
    #: False in the try-out: the user's right to the operation is checked instead.
    needs_key: bool = True
    started: float = field(default_factory=time.time)
    started_monotonic: float = field(default_factory=time.perf_counter)

    operation: Operation | None = None
    application: Application | None = None
    key: Key | None = None
    grant: Grant | None = None
    arguments: dict[str, Any] = field(default_factory=dict, repr=False)
    #: Where the response comes from: "source" or "backend", its id and its code; None before that is asked.
    origin: tuple[str, int, str] | None = None
    #: The id of the backend's server that was asked last.
    server: int | None = None
    #: The requested page, from 1, and the rows per page; both 0 if the operation has no pages.
    page: int = 0
    per_page: int = 0
    #: The cursor after which the caller asks for changes, "" from the beginning; None: it asks for all.
    since: str | None = None
    #: (quota, its window in seconds, calls left, seconds until the window ends), after the call is counted.
    quota: tuple[int, int, int, int] | None = None
    #: True if a verification found no record.
    missed: bool = False
    #: Counts the rows and persons that the call gets; None if nothing limits them.
    meter: Any = field(default=None, repr=False)
    #: The user of the try-out; "" for calls of callers.
    user: str = ""
    #: The trial that the call belongs to, and what stands for its key; None for calls of callers.
    trial: Trial | None = field(default=None, repr=False)
    vouched: Key | None = None
    #: The number of buses that the call has passed.
    hops: int = 0
    #: The path after the operation; only pass-through operations accept one.
    path_suffix: str = ""
    #: Returns the request as it was received, in the protocol that can forward it; None in the others.
    raw_request: Callable[[], RawRequest] | None = field(default=None, repr=False)
    #: The id of the lease that has counted the call in its quota already (mantra/gateway/fast_lane); "" for none.
    lease: str = ""
    #: The attempt at this call that another has made before the bus; None: the bus makes the first one.
    earlier: EarlierAttempt | None = None
    #: The snapshot of the call: set once, so that a refresh in between does not mix two versions.
    snapshot: Snapshot | None = field(default=None, repr=False)
    #: Further headers of the response, such as its age.
    extra_headers: dict[str, str] = field(default_factory=dict)
    #: The headers traceparent and tracestate of the request, if they are valid; and the call's trace, if it has one.
    trace_context: tuple[str, str] = ("", "")
    trace: Trace | None = field(default=None, repr=False)
    #: What the egress guard has found in the response: (column or member, kind) → how many; never a value.
    guarded: dict[tuple[str, str], int] = field(default_factory=dict)
    #: The thread that wrote the journal's begin line; 0 before that, and after the end line.
    recorded_by: int = 0
    #: True for a part of another call whose rows go no further than the bus.
    internal: bool = False
    #: The values by which the operation selects rows, as its author tries them; None: those of the grant.
    tried_values: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def rights(self) -> FieldRights:
        """What the caller may see of the operation's fields."""
        if self.internal:
            return INTERNAL
        grant, operation = self.grant, self.operation
        hashed = operation is not None and operation.is_hashed
        if grant is None:
            return FieldRights(reader=self._reader) if hashed else ALL
        reader = self._reader if hashed or grant.is_hashed else ""
        return grant.rights(reader)

    @property
    def grant_values(self) -> Mapping[str, str]:
        """The values by which the operation selects rows: they are never the caller's."""
        if self.tried_values is not None:
            return self.tried_values
        return self.grant.values if self.grant is not None else {}

    @property
    def _reader(self) -> str:
        return self.application.agency if self.application is not None else ""

    @property
    def legacy_name(self) -> str:
        """The operation's name in messages of the legacy wire."""
        agency, service, code = self.spelling or (self.agency, self.service, self.code)
        return f"{agency}:{service}.{code}"
