"""The headers that the bus adds to each request to an upstream, and the loop check they allow."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from django.conf import settings

from proxyservices.styles.base import RequestContext
from registry import faults
from registry.calls import Call
from registry.results import Fault

#: The header that counts the buses a call has come through, and how many it may be.
HOPS_HEADER = "Mantra-Hops"
MAX_HOPS = 4

#: This installation in Via; the id of the operation follows. A call that passes one operation twice is in a loop.
_NAME = "mantra-" + hashlib.blake2b(settings.SECRET_KEY.encode(), digest_size=6, person=b"via").hexdigest()
_VISIBLE = re.compile(r"[ -~]{1,1000}\Z")


def refuse_too_many_hops(call: Call) -> None:
    """Raise Fault where a call has come through too many buses."""
    if call.hops >= MAX_HOPS:
        raise Fault(faults.LOOP, hops=call.hops)


def refuse_loops(context: RequestContext) -> None:
    """Raise Fault where Via shows that the call has come through this operation before."""
    via = context.raw_request.headers.get("Via", "") if context.raw_request is not None else ""
    if via and f"{_NAME}.{context.operation_id}" in re.split(r"[\s,]+", via):
        raise Fault(faults.LOOP, hops=via.count(",") + 1)


def bus_headers(context: RequestContext) -> list[tuple[str, str]]:
    """Return the headers that the bus adds to a request: Via, hops, X-Forwarded-*, request id, traceparent."""
    raw_request = context.raw_request
    received: Mapping[str, str] = raw_request.headers if raw_request is not None else {}
    via, (trace, state) = received.get("Via", ""), context.trace_context
    own = f"1.1 {_NAME}.{context.operation_id}"
    headers = [
        ("Via", f"{via}, {own}" if via and _VISIBLE.match(via) else own),
        (HOPS_HEADER, str(context.hops + 1)),
        ("X-Request-Id", context.request_id),
    ]
    if context.client_ip:
        headers.append(("X-Forwarded-For", context.client_ip))
    if raw_request is not None:
        headers.append(("X-Forwarded-Proto", raw_request.scheme))
        if raw_request.host:
            headers.append(("X-Forwarded-Host", raw_request.host))
    if trace:
        headers.append(("traceparent", trace))
        if state:
            headers.append(("tracestate", state))
    else:
        # W3C Trace Context, 3.2: a new trace, named after the request id.
        headers.append(("traceparent", f"00-{context.request_id:0>32.32}-{context.request_id[-16:]:0>16}-01"))
    return headers
