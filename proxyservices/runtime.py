"""The state in a process that outlives a proxied call: connections, tokens, limits, health, descriptions, responses."""

from __future__ import annotations

from proxyservices.descriptions import services
from proxyservices.forwarding import cache
from proxyservices.health import tracker
from proxyservices.transport import credentials, deadlines, pool
from registry import bulkhead


def reset() -> None:
    """Forget all of it. For tests: each begins as a new process does."""
    cache.responses.clear()
    services.reset()
    tracker.reset()
    credentials.reset()
    bulkhead.reset()
    deadlines.reset()
    pool.reset()
