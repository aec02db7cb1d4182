"""Offload of pass-through calls to nginx: the bus admits and records the call, nginx fetches the response.

nginx (deploy/nginx) sends a secret with each request. The response to a call that may be offloaded is X-Accel-Redirect
to a location that no external request can reach, with headers that define the request to the upstream. After the
transfer nginx writes one line into a file that only this worker process reads. From that line the call's record gets
its end, chained like every other. docs/deployment.md lists the calls that cannot be offloaded.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import socket
import time

import orjson
from django.conf import settings

from mantra.gateway.http import CALLER_VARY, Environ, Response
from mantra.gateway.offload.completions import completion_log
from mantra.gateway.offload.result import CONNECT, READ, OffloadedResult
from proxyservices.forwarding import attempts
from proxyservices.forwarding.context import ForwardingContext
from proxyservices.forwarding.response import address_map
from proxyservices.headers import CONTENT, OFFLOADED
from proxyservices.health import balancer, tracker
from proxyservices.styles.base import UpstreamRequest
from proxyservices.transport import allowlist, dial
from proxyservices.transport.errors import UpstreamError
from registry.bulkhead import default_limit
from registry.calls import Call, RawRequest
from registry.results import Result

log = logging.getLogger("mantra.gateway")

_FROM_NGINX = "HTTP_X_MANTRA_NGINX"
_LOCATION = "@upstream"
_SAFE_VALUE = re.compile(r"[\t -~]*\Z")

#: Seconds for which a resolved and permitted address of a host is used again.
NAME_SECONDS = 5.0

#: Characters of a path (twice) and a query with which the bus's headers still fit into nginx's buffer of 16 KiB.
MAX_ADDRESS = 8000


def came_from_nginx(environ: Environ) -> bool:
    """Return True if an nginx that takes offloaded calls sent the request. Removes its secret from the environment."""
    secret = environ.pop(_FROM_NGINX, "")
    expected = settings.ACCELERATED
    return bool(expected) and hmac.compare_digest(str(secret).encode(), expected.encode())


def offload(context: ForwardingContext, request: UpstreamRequest) -> Result | None:
    """Return the result with which nginx can finish the call, None if it cannot. Raises Fault."""
    if why_not(context, request):
        return None
    plan = context.plan
    (endpoint,) = balancer.select(plan.endpoints)
    target = endpoint.target
    until = min(context.deadline, time.monotonic() + plan.limits.connect)
    try:
        address = _permitted_address(target.origin.host, target.origin.port, until)
        upstream_request = attempts.request_for(endpoint, request, context.deadline)
    except UpstreamError as error:
        tracker.failed(endpoint, error, time.monotonic())
        raise attempts.fault_of(error, plan, context.request_id, context.deadline) from None
    headers = {
        "X-Accel-Redirect": _LOCATION,
        "X-Mantra-Target": f"http://{address}{upstream_request.path}",
        "X-Mantra-Host": target.authority,
        "X-Mantra-Returned": ",".join(plan.returned_headers),
        "X-Mantra-Content": ",".join(CONTENT),
        "X-Mantra-Max-Bytes": str(plan.limits.max_body_bytes),
        "X-Mantra-Vary": CALLER_VARY,
        "X-Mantra-Addresses": _addresses_of(context),
    }
    for name, value in upstream_request.headers:
        lower = name.lower()
        if lower not in OFFLOADED or f"X-Mantra-{lower}" in headers or not _SAFE_VALUE.match(value):
            return None
        headers[f"X-Mantra-{lower}"] = value
    return OffloadedResult(headers, endpoint)


def why_not(context: ForwardingContext, request: UpstreamRequest) -> str:
    """Return the reason, in one word, for which the call cannot be offloaded; "" if it can."""
    call, plan = context.call, context.plan
    operation, endpoints, limits = call.operation, plan.endpoints, plan.limits
    reasons = (
        (not plan.pass_through or call.protocol != "rest" or operation is None, "style"),
        (operation is not None and operation.open, "open"),
        (operation is not None and operation.cache_seconds, "cache"),
        (plan.forward_credentials, "credentials"),
        (request.method not in ("GET", "HEAD") or request.body is not None, "method"),
        (len(endpoints) != 1, "endpoints"),
        (any(endpoint.target.origin.context is not None for endpoint in endpoints), "tls"),
        (not all(endpoint.credential.permanent for endpoint in endpoints), "token"),
        (plan.bulkhead.limit < default_limit() or plan.backend_bulkhead is not None, "bulkhead"),
        (limits.connect < CONNECT or limits.read < READ, "time-limits"),
        (context.raw_request is not None and _is_long(context.raw_request), "address"),
    )
    reason = next((word for applies, word in reasons if applies), "")
    return reason or ("" if completion_log.ready() else "completion-log")


def _is_long(raw: RawRequest) -> bool:
    """Return True for an address that the bus's headers to nginx cannot hold: they have its path more than once."""
    return 2 * len(raw.path_suffix) + len(raw.query) > MAX_ADDRESS


def _addresses_of(context: ForwardingContext) -> str:
    """Return the call's AddressMap for nginx's script, as JSON in ASCII."""
    assert context.raw_request is not None
    addresses = address_map(context, context.raw_request)
    return json.dumps(
        {"alias": addresses.bus + addresses.alias, "base": addresses.bases[0], "suffix": addresses.suffix}
    )


# ------------------------------------------------------------------------------------------- addresses

_addresses: dict[tuple[str, int], tuple[float, str]] = {}


def _permitted_address(host: str, port: int, until: float) -> str:
    """Return a permitted IP address of the host with the port, as a URL has them. Raises UpstreamError."""
    now = time.monotonic()
    cached = _addresses.get((host, port))
    if cached is not None and now < cached[0]:
        return cached[1]
    permitted = [(family, ip) for family, ip in dial.resolve(host, port, until) if allowlist.is_permitted(ip)]
    if not permitted:
        raise UpstreamError("address", "forbidden")
    family, ip = permitted[0]
    address = f"[{ip}]:{port}" if family == socket.AF_INET6 else f"{ip}:{port}"
    _addresses[host, port] = now + NAME_SECONDS, address
    return address


# ------------------------------------------------------------------------------------------ the response


def response(call: Call, result: OffloadedResult, added: dict[str, str]) -> Response:
    """Return the instruction for nginx to fetch the response. The line that nginx writes ends the call's record."""
    headers = result.headers
    headers["X-Mantra-Added"] = orjson.dumps(added).decode()
    headers["X-Mantra-Id"] = call.request_id
    headers["X-Mantra-Completions"] = completion_log.expect(call, result)
    return Response(200, b"", headers)
