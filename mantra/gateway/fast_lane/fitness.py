"""Which operations and calls may go over the fast lane. Every doubt goes by the bus."""

from __future__ import annotations

from django.conf import settings

from mantra.egress import guard
from proxyservices.forwarding.plan import Plan
from proxyservices.headers import FAST_LANE
from proxyservices.styles.pass_through import PassThrough
from proxyservices.transport.endpoint import Endpoint
from registry.bulkhead import default_limit
from registry.calls import Call
from registry.snapshot.types import Operation

#: The timeouts of nginx's locations, in seconds (deploy/nginx/fast_lane). What cannot be connected to in time, the bus
#: tries again with its own timeout; a response that did not come in time is not waited for anew.
CONNECT, READ = 3.0, 10.0


def why_not(operation: Operation) -> str:
    """Return the reason, in one word, for which no call of an operation may go over the fast lane; "" if some may."""
    plan = operation.plan
    if not isinstance(plan, Plan) or not isinstance(plan.style, PassThrough):
        return "style"
    limits = plan.limits
    reasons = (
        (operation.open, "open"),
        (operation.cache_seconds, "cache"),
        (operation.is_masked, "fields"),
        (plan.forward_credentials, "credentials"),
        (operation.guard in (guard.MASK, guard.BLOCK), "guard"),
        (not {"GET", "HEAD"} & set(plan.methods), "method"),
        (not FAST_LANE.issuperset(plan.style.forwarded), "headers"),
        (plan.bulkhead.limit < default_limit() or plan.backend_bulkhead is not None, "bulkhead"),
        (limits.connect < CONNECT or limits.read != READ or limits.total < READ, "time-limits"),
        (not all(map(is_plain, plan.endpoints)), "endpoints"),
    )
    return next((word for applies, word in reasons if applies), "")


def is_plain(endpoint: Endpoint) -> bool:
    """Return True if nginx can ask a server as the bus does: without TLS, tokens and a query in its address."""
    target = endpoint.target
    return target.origin.context is None and endpoint.credential.permanent and not target.query


def why_not_this(call: Call) -> str:
    """Return the reason for which calls like this one may not go over the fast lane; "" if they may."""
    operation = call.operation
    if operation is None or call.key is None or call.grant is None:
        return "caller"
    reasons = (
        (call.protocol != "rest" or call.method not in ("GET", "HEAD"), "method"),
        (call.trial is not None or call.earlier is not None, "call"),
        (call.hops or call.trace_context[0], "hops"),
        (call.trace is not None or settings.TRACING, "tracing"),
        (call.key_in_path or call.key.slow_seconds or call.key.wrapped, "key"),
        # nginx knows a key, not what ends a token or which certificate belongs to whom.
        (call.key.token or call.key.application.certificate_required, "credentials"),
        (call.signature is not None, "signature"),
        (call.grant.fields or call.grant.masks or (operation.has_specific and not call.grant.lawful), "fields"),
    )
    return next((word for applies, word in reasons if applies), "") or why_not(operation)
