"""Responses of upstreams, kept in this process: bounded in bytes, and never longer than allowed (RFC 9111)."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

from proxyservices.forwarding.context import ForwardingContext
from proxyservices.forwarding.plan import Plan
from proxyservices.forwarding.response import BUFFERED_BYTES
from proxyservices.headers import CONDITIONAL, NEVER_VARIES, REVALIDATED, UNCACHEABLE
from proxyservices.styles.base import UpstreamRequest
from proxyservices.transport.response import UpstreamResponse
from registry.results import Fault

log = logging.getLogger("mantra.proxyservices")

Send = Callable[[UpstreamRequest], UpstreamResponse]

#: Statuses in whose place a stale response may be served (RFC 5861, 4).
_FAILURES = frozenset((500, 502, 503, 504))
#: Bytes of all responses together, and of one.
MAX_TOTAL_BYTES = 32 * 1024 * 1024
MAX_ENTRY_BYTES = 1024 * 1024
#: About what an entry takes beside its body.
_OVERHEAD = 2048
#: How an entity tag of the bus's own begins: the upstream does not know it.
OWN_TAG = '"mantra-'
#: The owner of a response that may go to every caller.
SHARED = ""
#: Monotonic seconds, by which responses age. Tests set their own.
clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored response. Times are seconds of the clock."""

    status: int
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    etag: str
    #: When the upstream made it, as far as it says, and until when it needs no revalidation.
    made: float
    fresh_until: float
    #: False where the upstream forbids serving it stale.
    may_be_stale: bool

    @property
    def age(self) -> int:
        return max(0, int(clock() - self.made))

    @property
    def fresh(self) -> bool:
        return clock() < self.fresh_until

    def condition(self) -> tuple[str, str] | None:
        """Return the header by which the upstream may answer 304; None where it knows no validator."""
        if not self.etag.startswith(OWN_TAG):
            return "If-None-Match", self.etag
        modified = next((value for name, value in self.headers if name.lower() == "last-modified"), "")
        return ("If-Modified-Since", modified) if modified else None

    def response(self, method: str, if_none_match: str = "") -> UpstreamResponse:
        """Return it as if the upstream had just sent it."""
        body = b"" if method == "HEAD" else self.body
        return UpstreamResponse(
            self.status, self.headers, body=body, matches_condition=_matches(self.etag, if_none_match)
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which a response may be stored."""

    #: Only for the caller that it was sent to.
    private: bool
    #: Seconds for which it needs no revalidation, counted from when it was made.
    seconds: float
    #: Its age in seconds when it came.
    age: float
    may_be_stale: bool


def fetch(context: ForwardingContext, request: UpstreamRequest, send: Send) -> UpstreamResponse:
    """Return a fresh stored response, else what the upstream sends, else a stale one. Raises Fault."""
    return _Lookup(context, request, send).fetch()


class _Lookup:
    """One request, and the stored response that may answer it."""

    def __init__(self, context: ForwardingContext, request: UpstreamRequest, send: Send) -> None:
        call, raw_request = context.call, context.raw_request
        self.context = context
        self.request = request
        self.send = send
        #: The caller's own condition is for the bus to judge: the upstream is asked for the whole response.
        self.if_none_match = raw_request.headers.get("If-None-Match", "") if raw_request is not None else ""
        request.headers = unconditional(request.headers)
        fingerprint = call.operation.fingerprint if call.operation is not None else 0
        alias = f"{raw_request.scheme}://{raw_request.host}" if raw_request is not None else ""
        self.key = key(context.plan, request, fingerprint, alias)
        self.caller = f"{call.key.id}" if call.key is not None else ""

    def fetch(self) -> UpstreamResponse:
        stored = responses.get(self.key, self.caller)
        if stored is None:
            return self._store(self.send(self.request))
        if stored.fresh:
            return self._serve(stored)
        try:
            response = self.send(self._conditional(stored))
        except Fault as fault:
            if fault.kind.party == "provider" and self._may_serve_stale(stored):
                return self._serve_stale(stored)
            raise
        if response.status in _FAILURES and self._may_serve_stale(stored):
            response.close()
            return self._serve_stale(stored)
        if response.status == 304:
            response.close()
            stored = renewed(stored, response, terms(self.context.plan, _as_200(response, stored)))
            responses.put(self.key, self._owner(stored.headers), stored)
            return self._serve(stored)
        return self._store(response)

    def _conditional(self, stored: Entry) -> UpstreamRequest:
        condition = stored.condition()
        if condition is None:
            return self.request
        return replace(self.request, headers=[*self.request.headers, condition])

    def _store(self, response: UpstreamResponse) -> UpstreamResponse:
        """Return what was received, and store it where its terms allow."""
        held = terms(self.context.plan, response)
        if held is None or self.request.method != "GET" or (held.private and not self.caller):
            if response.status == 200 and self.request.method == "GET":
                responses.forget(self.key, self.caller)
            return response
        owner = self.caller if held.private else SHARED
        if held.private:
            responses.forget(self.key, self.caller)

        def store(body: bytes) -> None:
            responses.put(self.key, owner, entry(response, body, held))

        if response.length is not None and response.length <= BUFFERED_BYTES:
            new = entry(response, response.read(), held)
            responses.put(self.key, owner, new)
            return new.response(self.request.method, self.if_none_match)
        response.on_complete, response.on_complete_max_bytes = store, MAX_ENTRY_BYTES
        return response

    def _owner(self, headers: list[tuple[str, str]]) -> str:
        control = ", ".join(value for name, value in headers if name.lower() == "cache-control")
        return self.caller if "private" in directives_of(control) else SHARED

    def _may_serve_stale(self, stored: Entry) -> bool:
        return stored.may_be_stale and stored.age <= self.context.plan.stale_if_error_seconds

    def _serve_stale(self, stored: Entry) -> UpstreamResponse:
        log.warning("request %s: serving a stale response, %d s old", self.context.request_id, stored.age)
        self.context.call.extra_headers["Warning"] = '110 - "Response is Stale", 111 - "Revalidation Failed"'
        return self._serve(stored)

    def _serve(self, stored: Entry) -> UpstreamResponse:
        self.context.call.extra_headers["Age"] = str(stored.age)
        return stored.response(self.request.method, self.if_none_match)


def _as_200(response: UpstreamResponse, stored: Entry) -> UpstreamResponse:
    """A 304's headers over the stored ones, as if it had been the whole response again."""
    names = {name.lower() for name, _ in response.headers}
    kept = [(name, value) for name, value in stored.headers if name.lower() not in names]
    return UpstreamResponse(200, [*response.headers, *kept])


def _matches(etag: str, if_none_match: str) -> bool:
    if not if_none_match:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def key(plan: Plan, request: UpstreamRequest, fingerprint: int, alias: str = "") -> Hashable:
    """Return what a stored response is found by: the definition, and everything in the request that is the caller's.

    ``alias``: the scheme and host that the caller used; upstreams build the addresses in their responses from it.
    """
    return plan.id, plan.source, fingerprint, request.path, request.body, _digest((("", alias), *request.headers))


def _digest(headers: tuple[tuple[str, str], ...]) -> bytes:
    """A digest: headers hold keys and cookies where an operation forwards credentials, and none is stored."""
    text = "\0".join(f"{name.lower()}\0{value}" for name, value in sorted(headers))
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def applies(plan: Plan, request: UpstreamRequest) -> bool:
    """Return True if the response may come from the cache: the request reads, and asks for the whole."""
    if not plan.cache_seconds and not plan.stale_if_error_seconds:
        return False
    if request.method not in ("GET", "HEAD") or request.body is not None:
        return False
    return not any(name.lower() in UNCACHEABLE for name, _ in request.headers)


def unconditional(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers without the caller's conditions: the bus judges those itself."""
    return [(name, value) for name, value in headers if name.lower() not in CONDITIONAL]


def terms(plan: Plan, response: UpstreamResponse) -> Terms | None:
    """Return the terms on which a response may be stored; None where it may not."""
    fields = response.fields
    directives = directives_of(fields.get("cache-control", ""))
    if response.status != 200 or "no-store" in directives or "set-cookie" in fields:
        return None
    if any(name in NEVER_VARIES for name in map(str.strip, fields.get("vary", "").lower().split(","))):
        return None
    seconds: float = plan.cache_seconds
    stated = directives.get("s-maxage") or directives.get("max-age")
    if stated is not None and stated.isascii() and stated.isdigit():
        seconds = min(seconds, int(stated[:9]))
    if "no-cache" in directives or "no-cache" in fields.get("pragma", "").lower():
        seconds = 0
    age = fields.get("age", "")
    return Terms(
        private="private" in directives,
        seconds=seconds,
        age=float(age[:9]) if age.isascii() and age.isdigit() else 0.0,
        may_be_stale=not directives.keys() & {"must-revalidate", "proxy-revalidate", "no-cache"},
    )


def directives_of(text: str) -> dict[str, str]:
    """Return Cache-Control's directives by name, with "" for those without a value."""
    found: dict[str, str] = {}
    for part in text.lower().split(","):
        name, _, value = part.strip().partition("=")
        if name:
            found[name] = value.strip('" ')
    return found


def entry(response: UpstreamResponse, body: bytes, held: Terms) -> Entry:
    """Return a response as it is stored; one without an entity tag gets one of the bus."""
    etag = response.fields.get("etag", "")
    headers = [(name, value) for name, value in response.headers if name.lower() not in ("age", "content-length")]
    if not etag:
        etag = f'{OWN_TAG}{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        headers.append(("ETag", etag))
    headers.append(("Content-Length", str(len(body))))
    made = clock() - held.age
    return Entry(response.status, headers, body, etag, made, made + held.seconds, held.may_be_stale)


def renewed(old: Entry, response: UpstreamResponse, held: Terms | None) -> Entry:
    """Return a stored response once the upstream has said that it is still valid."""
    new = [(name, value) for name, value in response.headers if name.lower() in REVALIDATED]
    names = {name.lower() for name, _ in new}
    headers = [(name, value) for name, value in old.headers if name.lower() not in names] + new
    made = clock() - (held.age if held is not None else 0)
    seconds = held.seconds if held is not None else 0
    return replace(old, headers=headers, made=made, fresh_until=made + seconds)


class Cache:
    """The least recently used goes first. The lock is held for a look into a dict, by calls that may be kept only."""

    def __init__(self, total: int = MAX_TOTAL_BYTES) -> None:
        self._total = total
        self._entries: OrderedDict[tuple[Hashable, str], Entry] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: Hashable, caller: str) -> Entry | None:
        """Return the shared entry, or this caller's own."""
        with self._lock:
            for owner in (SHARED, caller):
                found = self._entries.get((key, owner))
                if found is not None:
                    self._entries.move_to_end((key, owner))
                    return found
        return None

    def put(self, key: Hashable, owner: str, made: Entry) -> None:
        if len(made.body) > MAX_ENTRY_BYTES:
            return
        with self._lock:
            self._drop((key, owner))
            self._entries[key, owner] = made
            self.size += len(made.body) + _OVERHEAD
            while self.size > self._total:
                self._drop(next(iter(self._entries)))

    def forget(self, key: Hashable, caller: str) -> None:
        with self._lock:
            for owner in {SHARED, caller}:
                self._drop((key, owner))

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.size = 0

    def _drop(self, place: tuple[Hashable, str]) -> None:
        old = self._entries.pop(place, None)
        if old is not None:
            self.size -= len(old.body) + _OVERHEAD


responses = Cache()
