"""Admissions: what nginx may do itself for the next calls of a kind, given with the response to one of them.

A call of the kind has just gone through all steps of the bus, so that it is known to be admitted and that its upstream
responds. The calls of the admission are counted and recorded in advance: its lease. It is good for a second at most,
for requests that differ in their suffix, query and forwarded headers only, and for the snapshot that admitted the call.
"""

from __future__ import annotations

import json
import logging
import random
import time
from dataclasses import dataclass
from typing import Any

from mantra.gateway import quotas
from mantra.gateway.fast_lane import fitness, wire
from mantra.gateway.fast_lane.groups import group_of, groups, is_on
from mantra.gateway.fast_lane.pacing import Paces
from mantra.gateway.fast_lane.wire import Asking
from mantra.gateway.http import CALLER_VARY, Response, set_result_headers, stamp
from mantra.gateway.quota_stores import SHARE, Lease
from proxyservices.forwarding.bus_headers import bus_headers
from proxyservices.forwarding.context import ForwardingContext
from proxyservices.forwarding.plan import Plan
from proxyservices.forwarding.response import address_map
from proxyservices.headers import CONTENT
from proxyservices.styles.pass_through import PassThrough
from proxyservices.transport.endpoint import Endpoint
from registry.calls import Call
from registry.journal import lane_folder, segments
from registry.results import RelayedResponse
from registry.snapshot import holder

log = logging.getLogger("mantra.fast_lane")

#: For how long an admission is good at most, how much earlier than a window of its quota it ends, and the shortest one:
#: in milliseconds.
LONGEST, MARGIN, SHORTEST = 1000, 100, 50
#: The most characters of an admission: nginx reads a response's head into 16 KiB.
MAX_LENGTH = 8_000
#: Headers that nginx writes for each response, and those of requests of which each call has its own.
_PER_CALL = frozenset(("X-Request-Id", "RateLimit", "RateLimit-Policy"))
_OWN_VALUES = frozenset(("x-request-id", "traceparent", "tracestate"))

paces = Paces()


@dataclass(frozen=True, slots=True)
class _Offer:
    """What an admission is made of."""

    call: Call
    plan: Plan
    style: PassThrough
    endpoint: Endpoint
    version: int
    asking: Asking


def offer(asking: Asking, call: Call, response: Response) -> None:
    """Add an admission to the response to a call, if nginx can use one. Never raises: the call has succeeded."""
    try:
        admission = _admission(asking, call, response.status)
    except Exception as error:
        log.error("request %s: no admission could be made (%s)", call.request_id, type(error).__name__)
        return
    if admission:
        response.headers[wire.ADMISSION] = admission


def _admission(asking: Asking, call: Call, status: int) -> str:
    """Return an admission as a header, "" for none."""
    if not is_on() or not groups.ready or status >= 500 or call.key is None:
        return ""
    kind = call.key.id, call.client_ip, call.method, call.agency, call.service, call.code
    count = paces.wanted(kind, asking)
    if not count or fitness.why_not_this(call):
        return ""
    found = _offer(asking, call)
    return "" if found is None else _leased(found, kind, count)


def _offer(asking: Asking, call: Call) -> _Offer | None:
    """Return what an admission for calls like this one is made of. None if one would not be sure to be right."""
    settled = holder.settled()
    if settled is None or settled[1] is not call.snapshot:
        return None  # the registry has changed since: the next call will be admitted by it as it is now
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    assert isinstance(plan.style, PassThrough)
    endpoint = next((each for each in plan.endpoints if each.id == call.server), None)
    if endpoint is None or not groups.has(asking.groups, group_of(plan, endpoint)):
        return None
    return _Offer(call, plan, plan.style, endpoint, settled[0], asking)


def _leased(found: _Offer, kind: Any, count: int) -> str:
    """Count and record a lease, and return its admission, "" if that cannot be done."""
    call, id = found.call, f"{random.getrandbits(64):016x}"
    milliseconds = _milliseconds(call)
    lease: Lease | None = None
    assert call.grant is not None
    if call.grant.quota:
        if call.quota is None or call.quota[2] < SHARE:
            return ""  # it was not counted, or too little is left
        lease = quotas.lease(call.grant, id, count)
        if lease is None:
            return ""
        count, milliseconds = lease.count, min(milliseconds, lease.milliseconds - MARGIN)
    text = _text(found, id, count, milliseconds, lease) if milliseconds >= SHORTEST else ""
    if not text or not _recorded(found, id, count):
        quotas.give_back([(id, 0)])
        return ""
    paces.given(kind, id)
    return text


def _milliseconds(call: Call) -> int:
    """Return for how long an admission may be good: less than LONGEST where the key or the grant ends."""
    assert call.key is not None
    assert call.grant is not None
    ends = min(call.key.expires_at, call.grant.valid_until) - time.time()
    return LONGEST if ends > LONGEST / 1000 else int(ends * 1000)


def _recorded(found: _Offer, id: str, count: int) -> bool:
    """Record a lease, with all that its calls have in common. Return False if it cannot be recorded."""
    call = found.call
    operation, application, key, grant = call.operation, call.application, call.key, call.grant
    assert operation is not None
    assert application is not None
    assert key is not None
    assert grant is not None
    line = {
        "t": "lease",
        "id": id,
        "at": time.time(),
        "n": count,
        "protocol": call.protocol,
        "method": call.method,
        "ip": call.client_ip,
        "format": call.format,
        "op": (operation.agency, operation.service, operation.code, operation.id, operation.revision),
        "by": (application.agency, application.code, key.public, key.id),
        "grant": grant.id,
    }
    if call.origin is not None:
        line["from"] = (*call.origin, call.server)
        if classification := operation.classification(grant.fields):
            line["class"] = classification
    try:
        segments.write(line)
    except OSError as error:
        log.error("the journal cannot be written: errno %s", error.errno)
        return False
    return True


def _text(found: _Offer, id: str, count: int, milliseconds: int, lease: Lease | None) -> str:
    """Return an admission as nginx reads it: JSON in ASCII.

    "" if it is too long for a header, or has what JSON escapes: whatever is not plain in a value goes by the bus.
    """
    admission = {
        "id": id,
        "version": found.version,
        "groups": found.asking.groups,
        "group": group_of(found.plan, found.endpoint),
        "lease": count,
        "ms": milliseconds,
        "log": lane_folder.log_name(time.time()),
        "methods": [found.call.method],
        "retry": int(found.plan.retries > 0 and len(found.plan.endpoints) > 1),
        "max_bytes": found.plan.limits.max_body_bytes,
        "quota": None if lease is None else _quota(found.call, lease),
        **_request(found),
        **_response(found),
    }
    text = json.dumps(admission, separators=(",", ":"))
    return text if len(text) <= MAX_LENGTH and "\\" not in text else ""


def _quota(call: Call, lease: Lease) -> list[int]:
    """Return what RateLimit headers say: the quota, its window, what is left after the lease, seconds to its end."""
    assert call.quota is not None
    return [lease.amount, lease.window, lease.remaining, max(1, call.quota[3])]


def _request(found: _Offer) -> dict[str, Any]:
    """Return what the requests to the upstream have in common, and which headers of callers go on."""
    context = ForwardingContext.of(found.call, found.plan)
    target, style = found.endpoint.target, found.style
    added = [each for each in bus_headers(context) if each[0].lower() not in _OWN_VALUES]
    credential = found.endpoint.credential.headers(context.deadline)
    owned = {name.lower() for name, _ in (*added, *credential)}
    return {
        "host": target.authority,
        "base": target.base + style.path,
        "query": style.query,
        "forward": sorted({lower for lower in style.forwarded if lower not in owned}),
        "send": dict([("User-Agent", "MANTRA"), *added, *credential]),
    }


def _response(found: _Offer) -> dict[str, Any]:
    """Return what becomes of the upstream's headers in responses to callers."""
    call, plan = found.call, found.plan
    context = ForwardingContext.of(call, plan)
    assert call.operation is not None
    assert context.raw_request is not None
    addresses = address_map(context, context.raw_request)
    own = found.endpoint.target.url.partition("?")[0].rstrip("/") + plan.base_path
    added = Response(200, b"", {"Content-Security-Policy": "sandbox"})
    set_result_headers(added, call, RelayedResponse(200, [], iter(())), call.operation)
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
