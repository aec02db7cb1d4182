"""Admissions: what nginx may do itself for the next calls of a kind, given with the response to one of them.

A call of the kind has just gone through all steps of the bus, so that it is known to be admitted and that its upstream
responds. The calls of the admission are counted and recorded in advance: its lease. It is good for a second at most,
for requests that differ in their suffix, query and forwarded headers only, and for the snapshot that admitted the call.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from mantra.gateway.fast_lane import fitness, leasing, wire
from mantra.gateway.fast_lane.groups import group_of, groups, is_on
from mantra.gateway.fast_lane.leasing import Caller, Leased
from mantra.gateway.fast_lane.pacing import Paces
from mantra.gateway.fast_lane.wire import LaneRequest
from mantra.gateway.http import CALLER_VARY, Response, set_result_headers, stamp
from proxyservices.forwarding.bus_headers import bus_headers
from proxyservices.forwarding.context import ForwardingContext
from proxyservices.forwarding.plan import Plan
from proxyservices.forwarding.response import address_map
from proxyservices.headers import CONTENT
from proxyservices.styles.pass_through import PassThrough
from proxyservices.transport.endpoint import Endpoint
from registry.calls import Call
from registry.journal import lane_folder
from registry.results import RelayedResponse
from registry.snapshot import holder
from registry.snapshot.types import stoppable

log = logging.getLogger("mantra.fast_lane")

#: The most characters of an admission: nginx reads a response's head into 16 KiB.
MAX_LENGTH = 8_000
#: Headers that nginx writes for each response, and those of requests of which each call has its own.
_PER_CALL = frozenset(("X-Request-Id", "RateLimit", "RateLimit-Policy"))
_OWN_VALUES = frozenset(("x-request-id", "traceparent", "tracestate"))

paces = Paces()


@dataclass(frozen=True, slots=True)
class _Terms:
    """What an admission is made of. ``version``: that of the registry; ``groups``: of those that nginx has loaded."""

    call: Call
    caller: Caller
    plan: Plan
    style: PassThrough
    endpoint: Endpoint
    version: int
    groups: str


def offer(lane_request: LaneRequest, call: Call, response: Response) -> None:
    """Add an admission to the response to a call, if nginx can use one. Never raises: the call has succeeded."""
    try:
        admission = _admission(lane_request, call, response.status)
    except Exception as error:
        log.error("request %s: no admission could be made (%s)", call.request_id, type(error).__name__)
        return
    if admission:
        response.headers[wire.ADMISSION] = admission


def _admission(lane_request: LaneRequest, call: Call, status: int) -> str:
    """Return an admission as a header, "" for none."""
    caller = leasing.caller_of(call)
    if not is_on() or not groups.ready or status >= 500 or caller is None:
        return ""
    kind = caller.key.id, call.client_ip, call.method, call.agency, call.service, call.code
    count = paces.wanted(kind, lane_request)
    if not count or fitness.why_not_this(call):
        return ""
    terms = _terms(lane_request, call, caller)
    leased = leasing.take(call, caller, count) if terms is not None else None
    if terms is None or leased is None:
        return ""
    text = _text(terms, leased)
    if not text or not leasing.record(leased, call, caller):
        leasing.give_back(leased)
        return ""
    paces.given(kind, leased.id)
    return text


def _terms(lane_request: LaneRequest, call: Call, caller: Caller) -> _Terms | None:
    """Return what an admission for calls like this one is made of. None if one would not be sure to be right."""
    settled, plan = holder.settled(), caller.operation.plan
    if settled is None or settled[1] is not call.snapshot:
        return None  # the registry has changed since: the next call will be admitted by it as it is now
    if not isinstance(plan, Plan) or not isinstance(plan.style, PassThrough):
        return None
    endpoint = next((each for each in plan.endpoints if each.id == call.server), None)
    if endpoint is None or not groups.has(lane_request.groups, group_of(plan, endpoint)):
        return None
    return _Terms(call, caller, plan, plan.style, endpoint, settled[0], lane_request.groups)


def _text(terms: _Terms, leased: Leased) -> str:
    """Return an admission as nginx reads it: JSON in ASCII.

    "" if it is too long for a header, or has what JSON escapes: whatever is not plain in a value goes by the bus.
    """
    plan = terms.plan
    admission = {
        "id": leased.id,
        "version": terms.version,
        "groups": terms.groups,
        "group": group_of(plan, terms.endpoint),
        "lease": leased.count,
        "ms": leased.milliseconds,
        "log": lane_folder.log_name(time.time()),
        "methods": [terms.call.method],
        "retry": int(plan.retries > 0 and len(plan.endpoints) > 1),
        "max_bytes": plan.limits.max_body_bytes,
        "quota": leased.quota,
        "parts": _parts(terms.call),
        **_request(terms),
        **_response(terms),
    }
    text = json.dumps(admission, separators=(",", ":"))
    return text if len(text) <= MAX_LENGTH and "\\" not in text else ""


def _parts(call: Call) -> str:
    """Return what takes part in the calls and can be stopped, as ticks name it."""
    parts = stoppable(call.operation, call.application, call.key, call.grant, call.origin)
    return ",".join(sorted({f"{kind}:{id}" for kind, id in parts}))


def _request(terms: _Terms) -> dict[str, Any]:
    """Return what the requests to the upstream have in common, and which headers of callers go on."""
    context = ForwardingContext.of(terms.call, terms.plan)
    target, style = terms.endpoint.target, terms.style
    added = [each for each in bus_headers(context) if each[0].lower() not in _OWN_VALUES]
    credential = terms.endpoint.credential.headers(context.deadline)
    owned = {name.lower() for name, _ in (*added, *credential)}
    return {
        "host": target.authority,
        "base": target.base + style.path,
        "query": style.query,
        "forward": sorted({lower for lower in style.forwarded if lower not in owned}),
        "send": dict([("User-Agent", "MANTRA"), *added, *credential]),
    }


def _response(terms: _Terms) -> dict[str, Any]:
    """Return what becomes of the upstream's headers in responses to callers."""
    call, plan = terms.call, terms.plan
    context = ForwardingContext.of(call, plan)
    assert context.raw_request is not None
    addresses = address_map(context, context.raw_request)
    own = terms.endpoint.target.url.partition("?")[0].rstrip("/") + plan.base_path
    added = Response(200, b"", {"Content-Security-Policy": "sandbox"})
    set_result_headers(added, call, RelayedResponse(200, [], iter(())), terms.caller.operation)
    stamp(added, call.request_id)
    return {
        "returned": sorted(plan.returned_headers | CONTENT),
        "vary": CALLER_VARY,
        "added": {name: value for name, value in added.headers.items() if name not in _PER_CALL},
        "addresses": {
            "alias": addresses.bus + addresses.alias,
            "base": own,
            "bases": [own, *(base for base in addresses.bases if base != own)],
        },
    }
