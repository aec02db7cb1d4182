"""The words that every room shares: a call on its way in, and what it comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.results import Fault
from registry.snapshot.types import Application, Grant, Key, Operation


@dataclass(slots=True)
class Passage:
    """A request as it came, for operations that hand it on untouched."""

    #: What follows the operation in the address, percent-encoded as it came: "" or "/…".
    tail: str
    #: The query string as it came, without its "?".
    query: str
    headers: Mapping[str, str]
    #: The body, to be read at most once: read(n) gives at most n bytes, b"" at its end.
    body: Any = field(repr=False)
    #: How many bytes the body has; None where the caller did not say (chunked), 0 without a body.
    length: int | None = 0
    #: Ends a wait for the body's next byte; None where the server does not let us.
    cut: Callable[[], None] | None = field(default=None, repr=False)
    scheme: str = "http"
    host: str = ""


@dataclass(slots=True)
class Call:
    """One request to the bus. A face fills the first half, the steps of serve() the second."""

    face: str  # rest | legacy | soap | console
    method: str
    address: str  # the client's, decided by client_ip
    request_id: str
    format: str  # the name of the format that the answer will have
    #: Reads what the caller supplied, as (name, value) pairs, once the call is admitted. It raises
    #: Fault on a body that cannot be read.
    supply: Callable[[Call], list[tuple[str, Any]]]
    agency: str = ""
    service: str = ""
    code: str = ""
    secret: str = field(default="", repr=False)
    key_in_path: bool = False
    #: The legacy wire pays no heed to names that nobody declared; every other face refuses them.
    lenient: bool = False
    #: What the face could not make sense of: raised once the call is on record.
    flaw: Fault | None = None
    #: False in the try-it console: its user's own right to the operation was checked instead.
    keyed: bool = True
    started: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.perf_counter)

    operation: Operation | None = None
    application: Application | None = None
    key: Key | None = None
    grant: Grant | None = None
    arguments: dict[str, Any] = field(default_factory=dict, repr=False)
    #: The page asked for, from 1, and the rows in a page; both 0 where the operation does not page.
    page: int = 0
    per_page: int = 0
    #: (quota, its window in seconds, calls left, seconds until the window ends), once it was counted.
    quota: tuple[int, int, int, int] | None = None
    #: Who is trying the operation in the admin; "" for calls by key.
    user: str = ""
    #: Through how many buses the call has come already.
    hops: int = 0
    #: What the address holds beyond the operation; only an operation that hands requests on has any there.
    tail: str = ""
    #: The request as it came, on the face that can hand one on; None on the others.
    passage: Callable[[], Passage] | None = field(default=None, repr=False)
    #: An nginx of ours stands before the bus that can fetch an upstream's answer itself.
    by_nginx: bool = False
    #: Headers that say more about the answer: how old it is, and why.
    notes: dict[str, str] = field(default_factory=dict)
    #: True between the journal's begin line and its end line.
    recorded: bool = False
