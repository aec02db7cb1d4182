"""What upstreams answered a while ago: kept in this process, bounded in bytes, and never longer than allowed."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from proxyservices.forwarding import response
from proxyservices.forwarding.attempts import _fetch
from proxyservices.forwarding.forwarded_headers import told
from proxyservices.forwarding.plan import Plan
from proxyservices.forwarding.response import _result
from proxyservices.headers import CONDITIONS
from proxyservices.styles.base import Asked, Task
from proxyservices.transport.response import Fetched
from registry.calls import Call, Passage
from registry.results import Fault, Relay, Result

log = logging.getLogger("mantra.proxyservices")


_FAILING = frozenset((500, 502, 503, 504))


# -------------------------------------------------------------------------------------------- cache


class _Cached:
    """A call whose answer may be at hand already."""

    def __init__(self, call: Call, plan: Plan, task: Task, passage: Passage | None, asked: Asked) -> None:
        self.call = call
        self.plan = plan
        self.asked = asked
        self.deadline = task.deadline
        self.held = passage.headers.get("If-None-Match", "") if passage is not None else ""
        asked.headers = unconditional(asked.headers)
        revision = call.operation.revision if call.operation is not None else 0
        alias = f"{passage.scheme}://{passage.host}" if passage is not None else ""
        self.key = key(plan, asked, revision, alias)
        self.caller = f"{call.key.id}" if call.key is not None else ""
        asked.headers += told(plan, task, passage)

    def run(self) -> Result:
        known = answers.get(self.key, self.caller)
        if known is not None and known.fresh:
            return self._from(known)
        try:
            found = self._ask(known)
        except Fault as fault:
            if known is not None and fault.kind.party == "provider" and self._may_stand_in(known):
                return self._stale(known)
            raise
        if known is not None and found.status in _FAILING and self._may_stand_in(known):
            found.close()
            return self._stale(known)
        if known is not None and found.status == 304:
            found.close()
            known = renewed(known, found, terms(self.plan, _as_200(found, known)))
            answers.put(self.key, self._whose(known.headers), known)
            return self._from(known)
        return self._keep(found)

    def _ask(self, known: Entry | None) -> Fetched:
        asked = self.asked
        if known is not None and (condition := known.condition()) is not None:
            asked = Asked(asked.method, asked.path, [*asked.headers, condition])
        return _fetch(self.call, self.plan, asked, self.deadline)

    def _keep(self, found: Fetched) -> Result:
        """Answer with what was fetched, and keep it where that is allowed."""
        held = terms(self.plan, found)
        if held is None or self.asked.method != "GET" or (held.private and not self.caller):
            if found.status == 200 and self.asked.method == "GET":
                answers.forget(self.key, self.caller)
            return _result(self.call, self.plan, found)
        whose = self.caller if held.private else SHARED
        if held.private:
            answers.forget(self.key, self.caller)

        def keep(body: bytes) -> None:
            answers.put(self.key, whose, entry(found, body, held))

        if found.length is not None and found.length <= response.AT_ONCE:
            made = entry(found, found.read(), held)
            answers.put(self.key, whose, made)
            return self._from(made, new=True)
        found.keep, found.keep_most = keep, MOST
        return _result(self.call, self.plan, found)

    def _whose(self, headers: list[tuple[str, str]]) -> str:
        control = ", ".join(value for name, value in headers if name.lower() == "cache-control")
        return self.caller if "private" in directives_of(control) else SHARED

    def _may_stand_in(self, known: Entry) -> bool:
        return known.may_be_stale and known.age <= self.plan.stale_seconds

    def _stale(self, known: Entry) -> Result:
        log.warning("request %s: an answer of %d s ago stands in", self.call.request_id, known.age)
        self.call.notes["Warning"] = '110 - "Response is Stale", 111 - "Revalidation Failed"'
        return self._from(known)

    def _from(self, known: Entry, new: bool = False) -> Result:
        """The answer out of an entry; a caller who holds it already hears that it still does."""
        if not new:
            self.call.notes["Age"] = str(known.age)
        head = self.asked.method == "HEAD"
        result = _result(self.call, self.plan, known.fetched(head))
        if isinstance(result, Relay) and self.held and _matches(known.etag, self.held):
            headers = [each for each in result.headers if each[0].lower() not in ("content-length", "content-type")]
            return Relay(304, headers, iter(()))
        return result


def _as_200(found: Fetched, known: Entry) -> Fetched:
    """A 304's headers over those that were kept, as if it had been the whole answer again."""
    names = {name.lower() for name, _ in found.headers}
    kept = [(name, value) for name, value in known.headers if name.lower() not in names]
    return Fetched(200, [*found.headers, *kept])


def _matches(etag: str, held: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in held.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


#: Bytes of all answers together, and of one.
TOTAL = 32 * 1024 * 1024
MOST = 1024 * 1024
#: About what an entry takes beside its body.
_OVERHEAD = 2048
#: What the bus says anew with each question; an answer that varies by it fits no other question.
_OURS = frozenset(("*", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "traceparent"))
#: Headers of a 304 that replace those that were kept.
_RENEWED = frozenset(("cache-control", "date", "etag", "expires", "vary", "content-location", "last-modified"))
#: What a tag of the bus's own begins with: the upstream would not know it.
OWN_TAG = '"mantra-'
#: Whose it is, where it is everybody's.
SHARED = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer. Times are monotonic seconds."""

    status: int
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    etag: str
    #: When it was made, as far as the upstream tells, and until when it needs no asking.
    made: float
    fresh_until: float
    #: Whether the upstream lets it stand in for a newer one that is not to be had.
    may_be_stale: bool

    @property
    def age(self) -> int:
        return max(0, int(time.monotonic() - self.made))

    @property
    def fresh(self) -> bool:
        return time.monotonic() < self.fresh_until

    def condition(self) -> tuple[str, str] | None:
        """The header under which the upstream need not send it again."""
        if not self.etag.startswith(OWN_TAG):
            return "If-None-Match", self.etag
        modified = next((value for name, value in self.headers if name.lower() == "last-modified"), "")
        return ("If-Modified-Since", modified) if modified else None

    def fetched(self, head: bool = False) -> Fetched:
        return Fetched(self.status, self.headers, body=b"" if head else self.body)


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which an answer may be kept."""

    #: Only for the caller whom it was given to.
    private: bool
    #: Seconds for which it needs no asking, counted from when it was made.
    seconds: float
    #: Seconds that it was old when it came.
    age: float
    may_be_stale: bool


def key(plan: Plan, asked: Asked, revision: int, alias: str = "") -> Hashable:
    """What an answer is the answer to: everything in the question that is the caller's.

    ``alias``: the scheme and host by which the caller came, of which upstreams make the addresses in their answers.
    """
    headers = tuple((name, value) for name, value in asked.headers if name.lower() not in _OURS)
    return plan.id, revision, asked.path, asked.body, _digest((("", alias), *headers))


def _digest(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Headers hold keys and cookies where an operation hands them on: those are not kept."""
    text = "\0".join(f"{name.lower()}\0{value}" for name, value in sorted(headers))
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def cacheable(plan: Plan, asked: Asked) -> bool:
    """Whether a question's answer may come from here: it reads, and it asks for the whole."""
    if not plan.cache_seconds and not plan.stale_seconds:
        return False
    if asked.method not in ("GET", "HEAD") or asked.body is not None:
        return False
    return not any(name.lower() in ("range", "if-match", "if-unmodified-since") for name, _ in asked.headers)


def unconditional(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers without the caller's own conditions: those are for the bus to judge then."""
    return [(name, value) for name, value in headers if name.lower() not in CONDITIONS]


def terms(plan: Plan, found: Fetched) -> Terms | None:
    """Under which terms an answer may be kept; None where it may not."""
    fields = found.fields
    directives = directives_of(fields.get("cache-control", ""))
    if found.status != 200 or "no-store" in directives or "set-cookie" in fields:
        return None
    if any(name in _OURS for name in map(str.strip, fields.get("vary", "").lower().split(","))):
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
    """Cache-Control's directives by name, with "" for those that have no value."""
    found: dict[str, str] = {}
    for part in text.lower().split(","):
        name, _, value = part.strip().partition("=")
        if name:
            found[name] = value.strip('" ')
    return found


def entry(found: Fetched, body: bytes, held: Terms) -> Entry:
    """An answer as it is kept; without a tag of the upstream's it gets one."""
    etag = found.fields.get("etag", "")
    headers = [(name, value) for name, value in found.headers if name.lower() not in ("age", "content-length")]
    if not etag:
        etag = f'{OWN_TAG}{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        headers.append(("ETag", etag))
    headers.append(("Content-Length", str(len(body))))
    made = time.monotonic() - held.age
    return Entry(found.status, headers, body, etag, made, made + held.seconds, held.may_be_stale)


def renewed(old: Entry, found: Fetched, held: Terms | None) -> Entry:
    """What is kept, once the upstream has said that it still holds."""
    new = [(name, value) for name, value in found.headers if name.lower() in _RENEWED]
    names = {name.lower() for name, _ in new}
    headers = [(name, value) for name, value in old.headers if name.lower() not in names] + new
    made = time.monotonic() - (held.age if held is not None else 0)
    seconds = held.seconds if held is not None else 0
    return replace(old, headers=headers, made=made, fresh_until=made + seconds)


class Cache:
    """The least recently used goes first. The lock is held for a look into a dict, by calls that may be kept only."""

    def __init__(self, total: int = TOTAL) -> None:
        self._total = total
        self._entries: OrderedDict[tuple[Hashable, str], Entry] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: Hashable, caller: str) -> Entry | None:
        """The entry that is everybody's, or this caller's own."""
        with self._lock:
            for whose in (SHARED, caller):
                found = self._entries.get((key, whose))
                if found is not None:
                    self._entries.move_to_end((key, whose))
                    return found
        return None

    def put(self, key: Hashable, whose: str, made: Entry) -> None:
        if len(made.body) > MOST:
            return
        with self._lock:
            self._drop((key, whose))
            self._entries[key, whose] = made
            self.size += len(made.body) + _OVERHEAD
            while self.size > self._total:
                self._drop(next(iter(self._entries)))

    def forget(self, key: Hashable, caller: str) -> None:
        with self._lock:
            for whose in {SHARED, caller}:
                self._drop((key, whose))

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.size = 0

    def _drop(self, place: tuple[Hashable, str]) -> None:
        old = self._entries.pop(place, None)
        if old is not None:
            self.size -= len(old.body) + _OVERHEAD


answers = Cache()
