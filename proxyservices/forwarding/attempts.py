"""Sends a request to an operation's endpoints: bulkheads, balancing, retries, and failures as faults."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from proxyservices import decoders
from proxyservices.forwarding.bus_headers import bus_headers
from proxyservices.forwarding.context import ForwardingContext
from proxyservices.forwarding.plan import Plan
from proxyservices.health import balancer, tracker
from proxyservices.styles.base import SAFE_METHODS, RequestContext, UpstreamRequest, with_query
from proxyservices.transport import client
from proxyservices.transport.client import Request, Response
from proxyservices.transport.credentials import CredentialError
from proxyservices.transport.endpoint import Endpoint
from proxyservices.transport.errors import UpstreamError
from proxyservices.transport.response import UpstreamResponse
from proxyservices.transport.upload import Upload
from registry import faults
from registry.bulkhead import Bulkhead
from registry.calls import EarlierAttempt, RawRequest
from registry.results import Fault

log = logging.getLogger("mantra.proxyservices")

#: Statuses for which a safe request is sent to another endpoint where there is one.
_RETRIED = frozenset((502, 503, 504))
#: Statuses of 5xx that say nothing about the upstream's health: a method or version that it does not know, a loop.
_NOT_FAILURES = frozenset((501, 505, 508))


@contextmanager
def in_bulkhead(plan: Plan) -> Iterator[None]:
    """Hold a place in the plan's bulkheads: whatever waits for an upstream holds a thread. Raises Fault."""
    _acquire(plan)
    try:
        yield
    finally:
        _release(plan.bulkhead, plan.backend_bulkhead)


def _acquire(plan: Plan) -> None:
    """Take a place in the bulkheads of the operation and its backend. Raises Fault."""
    if not plan.bulkhead.try_acquire():
        raise Fault(faults.UPSTREAM_BUSY, retry_after=1)
    if plan.backend_bulkhead is not None and not plan.backend_bulkhead.try_acquire():
        plan.bulkhead.release()
        raise Fault(faults.UPSTREAM_BUSY, retry_after=1)


def build_request(context: ForwardingContext) -> UpstreamRequest:
    """Return the request for the call's upstream; its description may have to be fetched first. Raises Fault."""
    style = context.plan.style
    if style.may_fetch:
        with in_bulkhead(context.plan):
            return style.build_request(context)
    return style.build_request(context)


def send(context: ForwardingContext, request: UpstreamRequest) -> UpstreamResponse:
    """Send a request to the endpoints in turn until one responds. Raises Fault.

    The response holds the call's place in the bulkheads until it is closed.
    """
    plan = context.plan
    _acquire(plan)
    try:
        return _Attempts(context, request).run()
    except BaseException:
        _release(plan.bulkhead, plan.backend_bulkhead)
        raise
    finally:
        if isinstance(request.body, Upload):
            request.body.close()


def send_once(
    plan: Plan,
    endpoint: Endpoint,
    arguments: dict[str, Any],
    raw_request: RawRequest | None,
    method: str,
    request_id: str,
) -> Response:
    """Send one request to one endpoint: no cache, retry or bulkhead, no record. Raises UpstreamError, Fault."""
    context = RequestContext(
        arguments=arguments,
        raw_request=raw_request if plan.pass_through else None,
        method=method,
        request_id=request_id,
        deadline=time.monotonic() + plan.limits.total,
        max_body_bytes=plan.limits.max_body_bytes,
        operation_id=plan.id,
    )
    request = plan.style.build_request(context)
    request.bus_headers = bus_headers(context)
    return send_to(endpoint, request, plan, context.deadline)


def request_for(endpoint: Endpoint, request: UpstreamRequest, deadline: float) -> Request:
    """Return the request as it goes to one endpoint, with its credential. Raises CredentialError."""
    headers = [*request.headers, *request.bus_headers]
    credential = endpoint.credential.headers(deadline)
    if credential:
        replaced = {name.lower() for name, _ in credential}
        headers = [*(each for each in headers if each[0].lower() not in replaced), *credential]
    target = endpoint.target
    path = target.base + request.path
    if not path or path[0] != "/":
        path = "/" + path
    if target.query:
        path = with_query(path, target.query)
    return Request(request.method, path, headers, request.body, request.length)


def send_to(endpoint: Endpoint, request: UpstreamRequest, plan: Plan, deadline: float) -> Response:
    """Send a request to one endpoint, and again with a new token where it refused the old. Raises UpstreamError."""
    for may_renew in (True, False):
        response = client.send(endpoint.target, request_for(endpoint, request, deadline), plan.limits, deadline)
        if response.status != 401 or not may_renew or not request.replayable:
            break
        if not endpoint.credential.renew_after_refusal():
            break
        response.close()
    return response


class _Retry(Exception):
    """An attempt failed, and another one can do no harm."""

    def __init__(self, fault: Fault, sent: bool, slow: bool = False) -> None:
        super().__init__()
        self.fault = fault
        #: True if a byte of the request went out.
        self.sent = sent
        self.slow = slow


#: The reason of an attempt that another made → what health is told.
_FAILURES: dict[str, UpstreamError | str] = {
    "unreachable": UpstreamError("connect", "unreachable"),
    "closed": UpstreamError("first-byte", "closed", sent=True),
    "late": UpstreamError("first-byte", "slow", sent=True, slow=True),
    "status": tracker.STATUS,
}


class _Attempts:
    """One request's way through the endpoints."""

    __slots__ = ("context", "plan", "request", "retries_left", "safe")

    def __init__(self, context: ForwardingContext, request: UpstreamRequest) -> None:
        self.context = context
        self.plan = context.plan
        self.request = request
        self.safe = request.method in SAFE_METHODS
        #: Attempts that may still follow one of which a byte went out.
        self.retries_left = context.plan.retries

    def run(self) -> UpstreamResponse:
        """Try the endpoints as the balancer orders them. Raises Fault."""
        endpoints = self._select()
        fault: Fault | None = None
        number = 0
        while True:
            endpoint = endpoints[number % len(endpoints)]
            others_left = len(endpoints) - 1 - number
            try:
                response = self.attempt(endpoint, others_left > 0)
                if response is not None:
                    return response
            except _Retry as retry:
                fault = retry.fault
                # An endpoint that was not reached costs no retry; but the same one will not be reached now either.
                if retry.sent:
                    self.retries_left -= 1
                if others_left <= 0 and (not retry.sent or retry.slow):
                    raise fault from None
            else:
                fault = fault or Fault(faults.UPSTREAM_BUSY, retry_after=1)
                if others_left <= 0:
                    raise fault
            number += 1
            if self.retries_left < 0 or time.monotonic() >= self.context.deadline:
                raise fault

    def _select(self) -> list[Endpoint]:
        """Return the endpoints to try. Raises Fault, also if an earlier attempt allows no further one."""
        earlier = self.context.call.earlier
        if earlier is None:
            return balancer.select(self.plan.endpoints, self.safe)
        fault = self._of_earlier(earlier)
        endpoints = balancer.select(self.plan.endpoints, self.safe)
        others = [endpoint for endpoint in endpoints if endpoint.id != earlier.server]
        if self.retries_left < 0 or (earlier.reason in ("late", "large") and not others):
            raise fault
        return others or endpoints

    def _of_earlier(self, earlier: EarlierAttempt) -> Fault:
        """Tell health about an attempt that another made, count it, and return its fault."""
        plan, limits = self.plan, self.plan.limits
        endpoint = next((each for each in plan.endpoints if each.id == earlier.server), None)
        self.context.call.server = earlier.server
        if earlier.reason == "large":
            self.retries_left = -1  # any other response would be as large
            return Fault(faults.UPSTREAM_TOO_LARGE, limit=limits.max_body_bytes)
        failure, began = _FAILURES[earlier.reason], time.monotonic()
        if endpoint is not None:
            tracker.failed(endpoint, failure, began)
        if earlier.reason != "unreachable":
            self.retries_left -= 1
        if isinstance(failure, str):
            return Fault(faults.UPSTREAM_STATUS, upstream_status=502)
        return fault_of(failure, plan, self.context.request_id, self.context.deadline)

    def attempt(self, endpoint: Endpoint, others_left: bool) -> UpstreamResponse | None:
        """Return a response, or None where the endpoint's bulkhead is full. Raises Fault; _Retry where it may."""
        bulkhead = endpoint.bulkhead
        if bulkhead is not None and not bulkhead.try_acquire():
            return None
        started = time.monotonic()
        try:
            response = self._exchange(endpoint, others_left, started)
        except BaseException:
            if bulkhead is not None:
                bulkhead.release()
            raise
        return UpstreamResponse(
            response.status,
            response.headers,
            response,
            close=partial(_release, self.plan.bulkhead, self.plan.backend_bulkhead, bulkhead),
            failed=lambda error: self._record_failure(endpoint, error, started),
        )

    def _exchange(self, endpoint: Endpoint, others_left: bool, started: float) -> Response:
        request_id = self.context.request_id
        self.context.call.server = endpoint.id
        try:
            response = send_to(endpoint, self.request, self.plan, self.context.deadline)
        except CredentialError as error:
            tracker.failed(endpoint, error, started)
            log.warning("request %s: no credential for upstream %s", request_id, endpoint.id)
            raise _Retry(Fault(faults.UPSTREAM_CREDENTIAL, request_id=request_id), sent=False) from None
        except UpstreamError as error:
            raise self._retry_or_fault(endpoint, error, started) from None
        if response.status in _RETRIED and self.safe and others_left and self.retries_left > 0:
            response.close()
            tracker.failed(endpoint, tracker.STATUS, started)
            raise _Retry(Fault(faults.UPSTREAM_STATUS, upstream_status=response.status), sent=True)
        if response.status >= 500 and response.status not in _NOT_FAILURES and not _may_be_soap_fault(response):
            tracker.failed(endpoint, tracker.STATUS, started)
        else:
            tracker.succeeded(endpoint, time.monotonic() - started)
        return response

    def _retry_or_fault(self, endpoint: Endpoint, error: UpstreamError, started: float) -> Exception:
        fault = self._record_failure(endpoint, error, started)
        if self.request.replayable and (self.safe or not error.sent):
            return _Retry(fault, error.sent, error.slow)
        return fault

    def _record_failure(self, endpoint: Endpoint, error: UpstreamError, started: float) -> Fault:
        """Tell health and the log about a failure, and return its fault."""
        if error.reason == "caller":
            return Fault(faults.BODY_INVALID, reason_id="koneksi terputus", reason_en="the connection was lost")
        tracker.failed(endpoint, error, started)
        request_id = self.context.request_id
        log.warning("request %s: upstream %s failed: %s (%s)", request_id, endpoint.id, error.phase, error.reason)
        return fault_of(error, self.plan, request_id, self.context.deadline)


def _release(*bulkheads: Bulkhead | None) -> None:
    for bulkhead in bulkheads:
        if bulkhead is not None:
            bulkhead.release()


def _may_be_soap_fault(response: Response) -> bool:
    """Return True for a 500 that may be no failure of the upstream: SOAP reports a caller's own mistakes so too."""
    return response.status == 500 and any(
        name.lower() == "content-type" and decoders.is_soap(value) for name, value in response.headers
    )


def fault_of(error: UpstreamError, plan: Plan, request_id: str, deadline: float) -> Fault:
    """Return an upstream's failure as the caller sees it."""
    limits = plan.limits
    if error.slow:
        seconds = limits.read
        if time.monotonic() >= deadline - 0.05:
            seconds = limits.total
        elif error.phase in ("dns", "connect", "tls"):
            seconds = limits.connect
        return Fault(faults.UPSTREAM_TIMEOUT, seconds=f"{seconds:g}")
    if error.reason == "too-large":
        if error.phase == "write":
            return Fault(faults.BODY_TOO_LARGE, limit=limits.max_body_bytes)
        return Fault(faults.UPSTREAM_TOO_LARGE, limit=limits.max_body_bytes)
    if error.reason == "malformed":
        return Fault(faults.REQUEST_NOT_CONVERTIBLE, reason_id="URL atau header", reason_en="the URL or a header")
    kind = {
        "address": faults.UPSTREAM_FORBIDDEN_ADDRESS,
        "tls": faults.UPSTREAM_TLS,
        "body": faults.UPSTREAM_BROKE_OFF,
        "parse": faults.UPSTREAM_ANSWER_UNREADABLE,
    }.get(error.phase, faults.UPSTREAM_UNREACHABLE)
    return Fault(kind, request_id=request_id)
