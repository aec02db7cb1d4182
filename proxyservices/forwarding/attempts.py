"""Sends a request to an operation's endpoints: bulkheads, balancing, retries, and failures as faults."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from proxyservices import decoders
from proxyservices.forwarding.forwarded_headers import told
from proxyservices.forwarding.plan import Plan
from proxyservices.health import balancer, tracker
from proxyservices.styles.base import SAFE, Asked, Task, joined
from proxyservices.styles.soap import Soap
from proxyservices.transport import client
from proxyservices.transport.bulkhead import Room
from proxyservices.transport.client import Question, Reply
from proxyservices.transport.endpoint import Address
from proxyservices.transport.errors import Failed
from proxyservices.transport.response import Fetched
from proxyservices.transport.upload import Upload
from registry import faults
from registry.calls import Call, Passage
from registry.results import Fault

log = logging.getLogger("mantra.proxyservices")

#: Answers that another address may better.
_POOR = frozenset((502, 503, 504))
#: What is no illness of the upstream: a method or version that it does not know, a call that came a long way round.
_CALLERS = frozenset((501, 505, 508))


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
        order = balancer.order(self.plan.addresses, self.safe)
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
                tracker.failed(address, tracker.STATUS, began)
                raise _Retry(Fault(faults.UPSTREAM_STATUS, upstream_status=reply.status), sent=True)
        except _Refused as refused:
            tracker.failed(address, refused.failure, began)
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
            tracker.failed(address, tracker.STATUS, began)
        else:
            tracker.succeeded(address, time.monotonic() - began)
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
        tracker.failed(address, failure, began)
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
        name.lower() == "content-type" and decoders.is_soap(value) for name, value in reply.headers
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
