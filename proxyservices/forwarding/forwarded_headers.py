"""The headers that the bus adds to each request to an upstream, and the loop check they allow."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.conf import settings

from proxyservices.forwarding.plan import Plan
from proxyservices.styles.base import Task
from registry import faults
from registry.calls import Passage
from registry.results import Fault

#: The header that counts the buses a call has come through, and how many it may be.
HOPS = "Mantra-Hops"
MAX_HOPS = 4

#: This installation in Via; the number of the operation follows. Whoever passes the same operation twice goes round.
_NAME = "mantra-" + hashlib.blake2b(settings.SECRET_KEY.encode(), digest_size=6, person=b"via").hexdigest()
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")
_VISIBLE = re.compile(r"[ -~]{1,1000}\Z")


def _check_via(plan: Plan, passage: Passage) -> None:
    """Raise Fault where the call has come by here already."""
    via = passage.headers.get("Via", "")
    if via and f"{_NAME}.{plan.id}" in re.split(r"[\s,]+", via):
        raise Fault(faults.LOOP, hops=via.count(",") + 1)


def told(plan: Plan, task: Task, passage: Passage | None) -> list[tuple[str, str]]:
    """What the bus itself says with each question."""
    there: Any = passage.headers if passage is not None else {}
    via, trace = there.get("Via", ""), there.get("Traceparent", "")
    me = f"1.1 {_NAME}.{plan.id}"
    headers = [
        ("Via", f"{via}, {me}" if via and _VISIBLE.match(via) else me),
        (HOPS, str(task.hops + 1)),
        ("X-Request-Id", task.request_id),
    ]
    if task.address:
        headers.append(("X-Forwarded-For", task.address))
    if passage is not None:
        headers.append(("X-Forwarded-Proto", passage.scheme))
        if passage.host:
            headers.append(("X-Forwarded-Host", passage.host))
    if trace and _TRACE.match(trace):
        headers.append(("traceparent", trace))
        state = there.get("Tracestate", "")
        if state and _VISIBLE.match(state):
            headers.append(("tracestate", state))
    else:
        headers.append(("traceparent", f"00-{task.request_id:0>32.32}-{task.request_id[-16:]:0>16}-01"))
    return headers
