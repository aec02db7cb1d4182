"""Quotas of grants: counted in this process, or in Redis/Valkey where one is configured."""

from __future__ import annotations

import logging
import time
from functools import lru_cache

import limits
from django.conf import settings
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from registry import faults
from registry.calls import Call
from registry.faults import Fault

log = logging.getLogger("mantra.quotas")


def limiter(url: str) -> FixedWindowRateLimiter:
    """Counts windows in the store at ``url``. Connects on first use only."""
    timeouts = {} if url.startswith("memory") else {"socket_timeout": 0.25, "socket_connect_timeout": 0.25}
    storage: Storage = storage_from_string(url, **timeouts)
    return FixedWindowRateLimiter(storage)


# Made at import: the library imports its driver on the way, which threads must not do side by side.
_limiter = limiter(settings.QUOTA_STORE)


@lru_cache(maxsize=4096)
def _items(quota: str) -> tuple[limits.RateLimitItem, ...]:
    return tuple(limits.parse_many(quota))


def spend(call: Call) -> None:
    """Take one call off the grant's quota. Raises Fault QUOTA_SPENT when nothing is left."""
    grant = call.grant
    if grant is None or not grant.quota:
        return
    try:
        for item in _items(grant.quota):
            fine = _limiter.hit(item, "grant", str(grant.id))
            reset, remaining = _limiter.get_window_stats(item, "grant", str(grant.id))
            seconds = max(1, int(reset - time.time()) + 1)
            if not fine:
                call.quota = (item.amount, item.get_expiry(), 0, seconds)
                raise Fault(faults.QUOTA_SPENT, retry_after=seconds, quota=str(item), seconds=seconds)
            # The tightest of several is what the caller needs to hear of.
            if call.quota is None or remaining < call.quota[2]:
                call.quota = (item.amount, item.get_expiry(), remaining, seconds)
    except Fault:
        raise
    except Exception as error:  # whatever the store's client raises
        log.error("the quota store failed: %s", type(error).__name__)
        if settings.QUOTA_STORE_DOWN == "refuse":
            raise Fault(faults.QUOTA_UNKNOWN, retry_after=5) from None
