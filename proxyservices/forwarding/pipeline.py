from __future__ import annotations

from collections.abc import Callable

from proxyservices.descriptions import rewrite
from proxyservices.forwarding import cache
from proxyservices.forwarding.attempts import _fetch, _made
from proxyservices.forwarding.cache import _Cached
from proxyservices.forwarding.context import _task
from proxyservices.forwarding.description import _description
from proxyservices.forwarding.forwarded_headers import MAX_HOPS, _check_via, told
from proxyservices.forwarding.plan import Plan
from proxyservices.forwarding.response import _result
from proxyservices.styles.base import Asked
from registry import faults
from registry.calls import Call
from registry.results import Fault, Result

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
        if plan.passes and call.method in ("GET", "HEAD") and rewrite.asked(passage.query):
            return _description(call, plan, passage)
    task = _task(call, plan, passage)
    asked = _made(plan, task)
    if cache.cacheable(plan, asked):
        return _Cached(call, plan, task, passage, asked).run()
    asked.headers += told(plan, task, passage)
    if hand is not None and (handed := hand(call, plan, asked, task.deadline)) is not None:
        return handed
    return _result(call, plan, _fetch(call, plan, asked, task.deadline))
