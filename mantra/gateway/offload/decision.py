"""As-is calls of which nginx moves the bytes: the bus admits, counts and records them, and says where to fetch.

nginx (deploy/nginx) shows a secret with each request. A call that fits is answered with X-Accel-Redirect to a location
that nobody can reach from outside, and with headers that say what goes to which address. When the transfer is over
nginx writes one line into a file that this worker alone reads, and from it the call's record gets its end, chained like
every other line. docs/deployment.md names what cannot go this way.
"""

from __future__ import annotations

import hmac
import logging
import re
import socket
import time

import orjson
from django.conf import settings

from mantra.gateway.http import Environ, Response
from mantra.gateway.offload.completions import _ends
from mantra.gateway.offload.result import CONNECT, READ, Handed
from proxyservices.forwarding import attempts, pipeline
from proxyservices.forwarding.plan import Plan
from proxyservices.health import balancer, tracker
from proxyservices.styles.base import Asked
from proxyservices.transport import allowlist, dial
from proxyservices.transport.bulkhead import half
from proxyservices.transport.errors import Failed
from registry.calls import Call
from registry.results import Result

log = logging.getLogger("mantra.gateway")

_SHOWN = "HTTP_X_MANTRA_NGINX"
_LOCATION = "@upstream"
#: Names of headers that nginx can be told to send, in lower case.
SENT = frozenset((
    "accept", "accept-encoding", "accept-language", "accesskey", "authorization", "content-type", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "mantra-hops", "prefer", "range",
    "soapaction", "traceparent", "tracestate", "user-agent", "via", "x-api-key", "x-forwarded-for",
    "x-forwarded-host", "x-forwarded-proto", "x-request-id",
))  # fmt: skip
_SAFE_VALUE = re.compile(r"[\t -~]*\Z")

#: Seconds for which a name's address, once judged, is connected to; and between two looks at what nginx wrote.
NAMED = 5.0


def shown(environ: Environ) -> bool:
    """Whether the request came by an nginx that can fetch for us. Takes the secret out, so that nobody hands it on."""
    secret = environ.pop(_SHOWN, "")
    known = settings.ACCELERATED
    return bool(known) and hmac.compare_digest(str(secret).encode(), known.encode())


def run(call: Call) -> Result:
    """Ask the upstream, or have nginx ask it. Raises Fault."""
    return pipeline.run(call, _hand if call.by_nginx else None)


def _hand(call: Call, plan: Plan, asked: Asked, deadline: float) -> Result | None:
    """The call as nginx can do it; None where it cannot. Raises Fault."""
    if not fits(call, plan, asked):
        return None
    (address,) = balancer.order(plan.addresses)
    target = address.target
    try:
        where = _where(target.origin.host, target.origin.port, min(deadline, time.monotonic() + plan.limits.connect))
        question = attempts.question(address, asked, deadline)
    except Failed as failure:
        tracker.failed(address, failure, time.monotonic())
        raise attempts.fault_of(failure, plan, call.request_id, deadline) from None
    headers = {
        "X-Accel-Redirect": _LOCATION,
        "X-Mantra-Target": f"http://{where}{question.path}",
        "X-Mantra-Host": target.authority,
        "X-Mantra-Back": ",".join(plan.back),
        "X-Mantra-Most": str(plan.limits.size),
    }
    for name, value in question.headers:
        lower = name.lower()
        if lower not in SENT or f"X-Mantra-{lower}" in headers or not _SAFE_VALUE.match(value):
            return None
        headers[f"X-Mantra-{lower}"] = value
    return Handed(headers, address)


def fits(call: Call, plan: Plan, asked: Asked) -> bool:
    """Whether nginx can do it without a promise of the operation being broken."""
    operation, limits = call.operation, plan.limits
    return (
        plan.style == "as-is"
        and call.face == "rest"
        and operation is not None
        and not operation.open
        and not operation.cache_seconds
        and not plan.pass_credentials
        and asked.method in ("GET", "HEAD")
        and asked.body is None
        and len(plan.addresses) == 1
        and plan.addresses[0].target.origin.context is None
        and plan.addresses[0].credential.lasting
        and plan.room.most >= half()
        and limits.connect >= CONNECT
        and limits.read >= READ
        and _ends.ready()
    )


# ------------------------------------------------------------------------------------------- addresses

_named: dict[tuple[str, int], tuple[float, str]] = {}


def _where(host: str, port: int, until: float) -> str:
    """The judged address and port that the host has now, as it stands in a URL. Raises Failed."""
    now = time.monotonic()
    held = _named.get((host, port))
    if held is not None and now < held[0]:
        return held[1]
    judged = [(family, found) for family, found in dial.resolve(host, port, until) if allowlist.allowed(found)]
    if not judged:
        raise Failed("address", "forbidden")
    family, found = judged[0]
    where = f"[{found}]:{port}" if family == socket.AF_INET6 else f"{found}:{port}"
    _named[host, port] = now + NAMED, where
    return where


# ------------------------------------------------------------------------------------------ the answer


def response(call: Call, handed: Handed, added: dict[str, str]) -> Response:
    """What nginx is told. From here on the record's end is what nginx writes."""
    headers = handed.headers
    headers["X-Mantra-Added"] = orjson.dumps(added).decode()
    headers["X-Mantra-Id"] = call.request_id
    headers["X-Mantra-Ends"] = _ends.expect(call, handed)
    return Response(200, b"", headers)
