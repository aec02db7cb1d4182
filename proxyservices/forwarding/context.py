"""What one proxied call needs on its way."""

from __future__ import annotations

import time

from proxyservices.forwarding.plan import Plan
from proxyservices.styles.base import Task
from registry.calls import Call, Passage


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
