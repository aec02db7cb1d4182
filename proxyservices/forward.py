"""What a proxy call does: the same question to an upstream, and its answer back."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from django.conf import settings

from proxyservices import answers, cache, client, documents, health, wsdl
from proxyservices.addresses import Address
from proxyservices.answers import Fetched
from proxyservices.cache import Entry
from proxyservices.client import Failed, Question, Reply
from proxyservices.described import Unusable, fetch
from proxyservices.plan import Plan
from proxyservices.room import Room
from proxyservices.soap import Soap
from proxyservices.styles import SAFE, Asked, Task, Upload, joined
from registry import faults
from registry.calls import Call, Passage, Relay, Result
from registry.faults import Fault

__all__ = ["HOPS", "MAX_HOPS", "run", "trial"]

log = logging.getLogger("mantra.proxyservices")

#: The header that counts the buses a call has come through, and how many it may be.
HOPS = "Mantra-Hops"
MAX_HOPS = 4

#: This installation in Via; the number of the operation follows. Whoever passes the same operation twice goes round.
_NAME = "mantra-" + hashlib.blake2b(settings.SECRET_KEY.encode(), digest_size=6, person=b"via").hexdigest()
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")
_VISIBLE = re.compile(r"[ -~]{1,1000}\Z")

#: Answers that another address may better.
_POOR = frozenset((502, 503, 504))
_FAILING = frozenset((500, 502, 503, 504))
#: What is no illness of the upstream: a method or version that it does not know, a call that came a long way round.
_CALLERS = frozenset((501, 505, 508))


#: Takes a question off the bus's hands; None where it cannot.
Hand = Callable[[Call, Plan, Asked, float], Result | None]


def run(call: Call, hand: Hand | None = None) -> Result:
    """Ask the upstream, or the cache, or have ``hand`` see to it. Raises Fault."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    if call.hops >= MAX_HOPS:
        raise Fault(faults.LOOP, hops=call.hops)
    grant = call.grant
    if plan.passes and grant is not None and grant.fields and call.passage is not None:
        raise Fault(faults.FIELDS_INSEPARABLE)
    passage = call.passage() if call.passage is not None else None
    if passage is not None:
        _check_via(plan, passage)
        if plan.passes and call.method in ("GET", "HEAD") and wsdl.asked(passage.query):
            return _description(call, plan, passage)
    task = _task(call, plan, passage)
    asked = _made(plan, task)
    if cache.cacheable(plan, asked):
        return _Cached(call, plan, task, passage, asked).run()
    asked.headers += told(plan, task, passage)
    if hand is not None and (handed := hand(call, plan, asked, task.deadline)) is not None:
        return handed
    return _result(call, plan, _fetch(call, plan, asked, task.deadline))


@contextmanager
def _place(plan: Plan) -> Iterator[None]:
    """A place in the operation's room for what the bus fetches beside the call: it holds a thread as well."""
    if not plan.room.enter():
        raise Fault(faults.UPSTREAM_BUSY, retry_after=1)
    try:
        yield
    finally:
        plan.room.leave()


def _made(plan: Plan, task: Task) -> Asked:
    """The question. A WSDL that is not stored may have to be fetched for it."""
    if isinstance(plan.recipe, Soap) and plan.contract is None:
        with _place(plan):
            return plan.recipe.make(task)
    return plan.recipe.make(task)


def _task(call: Call, plan: Plan, passage: Passage | None) -> Task:
    return Task(
        arguments=call.arguments,
        passage=passage if plan.passes else None,
        method=call.method,
        request_id=call.request_id,
        deadline=time.monotonic() + plan.limits.total,
        size_cap=plan.limits.size,
        format=call.format,
        address=call.address,
        secret=call.secret,
        hops=call.hops,
    )


def _description(call: Call, plan: Plan, passage: Passage) -> Result:
    """The upstream's WSDL or schema with the alias for its addresses: as it is stored, else as it is there now."""
    base = settings.BASE_URL or f"{passage.scheme}://{passage.host}"
    alias = f"{base}/rest/{quote(call.agency)}/{quote(call.service)}/{quote(call.code)}"
    upstreams = [address.target.url for address in plan.addresses]
    try:
        kept = wsdl.kept(passage.query, passage.tail, plan.contract, plan.id)
        if kept is not None:
            url, text = kept
            raw = text.encode() if text else _fetched(plan, url)
            return _described(wsdl.rewritten(raw, url, alias, upstreams, plan.id), call)
    except LookupError:
        raise Fault(faults.OPERATION_UNKNOWN) from None
    except Unusable:
        raise Fault(faults.SOAP_CONTRACT) from None
    task = _task(call, plan, passage)
    asked = plan.recipe.make(task)
    asked.headers += told(plan, task, passage)
    found = _fetch(call, plan, asked, task.deadline)
    content_type = found.fields.get("content-type", "")
    if call.method == "HEAD" or found.status != 200 or documents.kind_of(content_type) not in ("xml", ""):
        return _result(call, plan, found)
    raw = found.read()
    there = upstreams[0].partition("?")[0] + passage.tail
    body = wsdl.rewritten(raw, f"{there}?{passage.query}", alias, upstreams, plan.id)
    return answers.written(raw, content_type) if body is None else answers.written(body, wsdl.MEDIA_TYPE)


def _fetched(plan: Plan, url: str) -> bytes:
    with _place(plan):
        return fetch(url, plan.limits.total)


def _described(body: bytes | None, call: Call) -> Relay:
    if body is None:
        raise Fault(faults.UPSTREAM_WRONG, request_id=call.request_id)
    return answers.written(body, wsdl.MEDIA_TYPE)


def _result(call: Call, plan: Plan, found: Fetched) -> Result:
    """What comes of an answer. Raises Fault, and then holds nothing any more."""
    try:
        return answers.result(call, plan, found)
    except BaseException:
        found.close()
        raise


def _check_via(plan: Plan, passage: Passage) -> None:
    """Raise Fault where the call has come by here already."""
    via = passage.headers.get("Via", "")
    if via and f"{_NAME}.{plan.id}" in re.split(r"[\s,]+", via):
        raise Fault(faults.LOOP, hops=via.count(",") + 1)


def told(plan: Plan, task: Task, passage: Passage | None) -> list[tuple[str, str]]:
    """What the bus itself says with each question."""
    there: Any = passage.headers if passage is not None else {}
    via, trace = there.get("Via", ""), there.get("Traceparent", "")
    me = f"1.1 {_NAME}.{plan.id}"
    headers = [
        ("Via", f"{via}, {me}" if via and _VISIBLE.match(via) else me),
        (HOPS, str(task.hops + 1)),
        ("X-Request-Id", task.request_id),
    ]
    if task.address:
        headers.append(("X-Forwarded-For", task.address))
    if passage is not None:
        headers.append(("X-Forwarded-Proto", passage.scheme))
        if passage.host:
            headers.append(("X-Forwarded-Host", passage.host))
    if trace and _TRACE.match(trace):
        headers.append(("traceparent", trace))
        state = there.get("Tracestate", "")
        if state and _VISIBLE.match(state):
            headers.append(("tracestate", state))
    else:
        headers.append(("traceparent", f"00-{task.request_id:0>32.32}-{task.request_id[-16:]:0>16}-01"))
    return headers


# ------------------------------------------------------------------------------------------- asking


def question(address: Address, asked: Asked, deadline: float) -> Question:
    """The question as it goes to one address. Raises Failed where no credential is to be had."""
    shown = address.credential.headers(deadline)
    headers = asked.headers
    if shown:
        ours = {name.lower() for name, _ in shown}
        headers = [*(each for each in headers if each[0].lower() not in ours), *shown]
    target = address.target
    path = target.base + asked.path
    if not path or path[0] != "/":
        path = "/" + path
    if target.query:
        path = joined(path, target.query)
    return Question(asked.method, path, headers, asked.body, asked.length)


class _Refused(Exception):
    """No credential was to be had; nothing of the call went out."""

    def __init__(self, failure: Failed) -> None:
        super().__init__()
        self.failure = failure


def _put(address: Address, asked: Asked, plan: Plan, deadline: float) -> Reply:
    """Ask one address once; once more where it turned a token down that can be had anew. Raises Failed, _Refused."""
    for again in (True, False):
        try:
            made = question(address, asked, deadline)
        except Failed as failure:
            raise _Refused(failure) from None
        reply = client.ask(address.target, made, plan.limits, deadline)
        if reply.status != 401 or not again or not asked.again or not address.credential.refused():
            return reply
        reply.close()
    return reply


def _fetch(call: Call, plan: Plan, asked: Asked, deadline: float) -> Fetched:
    """Ask the addresses in turn until one answers. Raises Fault."""
    if not plan.room.enter():
        raise Fault(faults.UPSTREAM_BUSY, retry_after=1)
    try:
        return _Attempts(call, plan, asked, deadline).run()
    except BaseException:
        plan.room.leave()
        raise
    finally:
        if isinstance(asked.body, Upload):
            asked.body.done()


class _Attempts:
    """One call's way through the addresses."""

    __slots__ = ("asked", "call", "deadline", "left", "plan", "safe")

    def __init__(self, call: Call, plan: Plan, asked: Asked, deadline: float) -> None:
        self.call = call
        self.plan = plan
        self.asked = asked
        self.deadline = deadline
        self.safe = asked.method in SAFE
        #: Attempts that may still follow one of which a byte went out.
        self.left = plan.retries

    def run(self) -> Fetched:
        order = health.order(self.plan.addresses, self.safe)
        fault: Fault | None = None
        place = 0
        while True:
            address = order[place % len(order)]
            another = len(order) - 1 - place
            try:
                found = self._attempt(address, another > 0)
                if found is not None:
                    return found
            except _Retry as retry:
                fault = retry.fault
                # An address that was not reached costs no retry; but the same one will not be reached now either.
                if retry.sent:
                    self.left -= 1
                if another <= 0 and (not retry.sent or retry.slow):
                    raise fault from None
            else:
                fault = fault or Fault(faults.UPSTREAM_BUSY, retry_after=1)
                if another <= 0:
                    raise fault
            place += 1
            if self.left < 0 or time.monotonic() >= self.deadline:
                raise fault

    def _attempt(self, address: Address, another: bool) -> Fetched | None:
        """An answer, or None where the address has no room. Raises Fault; _Retry where another attempt may follow."""
        room = address.room
        if room is not None and not room.enter():
            return None
        began = time.monotonic()
        try:
            reply = _put(address, self.asked, self.plan, self.deadline)
            if reply.status in _POOR and self.safe and another and self.left > 0:
                reply.close()
                health.failed(address, health.STATUS, began)
                raise _Retry(Fault(faults.UPSTREAM_STATUS, upstream_status=reply.status), sent=True)
        except _Refused as refused:
            health.failed(address, refused.failure, began)
            self._leave(room)
            log.warning("request %s: no credential for upstream %s", self.call.request_id, address.id)
            raise _Retry(Fault(faults.UPSTREAM_CREDENTIAL, request_id=self.call.request_id), sent=False) from None
        except Failed as failure:
            self._leave(room)
            raise self._judged(address, failure, began) from None
        except BaseException:
            self._leave(room)
            raise
        if reply.status >= 500 and reply.status not in _CALLERS and not _soap_fault(reply):
            health.failed(address, health.STATUS, began)
        else:
            health.succeeded(address, time.monotonic() - began)
        return Fetched(
            reply.status,
            reply.headers,
            reply,
            close=self._leaving(room),
            failed=lambda failure: self._broken(address, failure, began),
        )

    def _judged(self, address: Address, failure: Failed, began: float) -> Exception:
        """What a failure before the answer comes to: a Fault, or a _Retry where it may be tried again."""
        fault = self._broken(address, failure, began)
        if self.asked.again and (self.safe or not failure.sent):
            return _Retry(fault, failure.sent, failure.slow)
        return fault

    def _broken(self, address: Address, failure: Failed, began: float) -> Fault:
        """Put a failure on record, and say it as a fault."""
        if failure.reason == "caller":
            return Fault(faults.BODY_INVALID, why_id="sambungan terputus", why_en="the connection broke")
        health.failed(address, failure, began)
        log.warning(
            "request %s: upstream %s failed: %s (%s)", self.call.request_id, address.id, failure.phase, failure.reason
        )
        return fault_of(failure, self.plan, self.call.request_id, self.deadline)

    @staticmethod
    def _leave(room: Room | None) -> None:
        if room is not None:
            room.leave()

    def _leaving(self, room: Room | None) -> Callable[[], None]:
        plan = self.plan

        def leave() -> None:
            plan.room.leave()
            if room is not None:
                room.leave()

        return leave


def _soap_fault(reply: Reply) -> bool:
    """Whether a 500 may be no failure of the upstream's: SOAP tells a caller's own mistakes by it too."""
    return reply.status == 500 and any(
        name.lower() == "content-type" and documents.is_soap(value) for name, value in reply.headers
    )


class _Retry(Exception):
    """An attempt failed, and another one can do no harm."""

    def __init__(self, fault: Fault, sent: bool, slow: bool = False) -> None:
        super().__init__()
        self.fault = fault
        self.sent = sent
        self.slow = slow


def fault_of(failure: Failed, plan: Plan, request_id: str, deadline: float) -> Fault:
    """A failure as the caller is told of it."""
    limits = plan.limits
    if failure.slow:
        seconds = limits.read
        if time.monotonic() >= deadline - 0.05:
            seconds = limits.total
        elif failure.phase in ("dns", "connect", "tls"):
            seconds = limits.connect
        return Fault(faults.UPSTREAM_SLOW, seconds=f"{seconds:g}")
    if failure.reason == "too-large":
        if failure.phase == "write":
            return Fault(faults.BODY_TOO_LARGE, limit=limits.size)
        return Fault(faults.UPSTREAM_LARGE, limit=limits.size)
    if failure.reason == "malformed":
        return Fault(faults.NOT_CONVERTIBLE, why_id="alamat atau header", why_en="its address or a header")
    kind = {
        "address": faults.UPSTREAM_FORBIDDEN,
        "tls": faults.UPSTREAM_TLS,
        "body": faults.UPSTREAM_BROKE,
        "parse": faults.UPSTREAM_WRONG,
    }.get(failure.phase, faults.UPSTREAM_DOWN)
    return Fault(kind, request_id=request_id)


def trial(
    plan: Plan,
    address: Address,
    arguments: dict[str, Any],
    passage: Passage | None,
    method: str,
    request_id: str,
) -> Reply:
    """One attempt at one address, without cache, retries, rooms, or a word to health. Raises Failed, Fault."""
    deadline = time.monotonic() + plan.limits.total
    task = Task(
        arguments=arguments,
        passage=passage if plan.passes else None,
        method=method,
        request_id=request_id,
        deadline=deadline,
        size_cap=plan.limits.size,
    )
    asked = plan.recipe.make(task)
    asked.headers += told(plan, task, passage)
    try:
        return _put(address, asked, plan, deadline)
    except _Refused as refused:
        raise refused.failure from None


# -------------------------------------------------------------------------------------------- cache


class _Cached:
    """A call whose answer may be at hand already."""

    def __init__(self, call: Call, plan: Plan, task: Task, passage: Passage | None, asked: Asked) -> None:
        self.call = call
        self.plan = plan
        self.asked = asked
        self.deadline = task.deadline
        self.held = passage.headers.get("If-None-Match", "") if passage is not None else ""
        asked.headers = cache.unconditional(asked.headers)
        revision = call.operation.revision if call.operation is not None else 0
        alias = f"{passage.scheme}://{passage.host}" if passage is not None else ""
        self.key = cache.key(plan, asked, revision, alias)
        self.caller = f"{call.key.id}" if call.key is not None else ""
        asked.headers += told(plan, task, passage)

    def run(self) -> Result:
        known = cache.answers.get(self.key, self.caller)
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
            known = cache.renewed(known, found, cache.terms(self.plan, _as_200(found, known)))
            cache.answers.put(self.key, self._whose(known.headers), known)
            return self._from(known)
        return self._keep(found)

    def _ask(self, known: Entry | None) -> Fetched:
        asked = self.asked
        if known is not None and (condition := known.condition()) is not None:
            asked = Asked(asked.method, asked.path, [*asked.headers, condition])
        return _fetch(self.call, self.plan, asked, self.deadline)

    def _keep(self, found: Fetched) -> Result:
        """Answer with what was fetched, and keep it where that is allowed."""
        terms = cache.terms(self.plan, found)
        if terms is None or self.asked.method != "GET" or (terms.private and not self.caller):
            if found.status == 200 and self.asked.method == "GET":
                cache.answers.forget(self.key, self.caller)
            return _result(self.call, self.plan, found)
        whose = self.caller if terms.private else cache.SHARED
        if terms.private:
            cache.answers.forget(self.key, self.caller)

        def keep(body: bytes) -> None:
            cache.answers.put(self.key, whose, cache.entry(found, body, terms))

        if found.length is not None and found.length <= answers.AT_ONCE:
            made = cache.entry(found, found.read(), terms)
            cache.answers.put(self.key, whose, made)
            return self._from(made, new=True)
        found.keep, found.keep_most = keep, cache.MOST
        return _result(self.call, self.plan, found)

    def _whose(self, headers: list[tuple[str, str]]) -> str:
        control = ", ".join(value for name, value in headers if name.lower() == "cache-control")
        return self.caller if "private" in cache.directives_of(control) else cache.SHARED

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
