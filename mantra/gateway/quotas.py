"""Quotas of grants, counted in this process, or in Redis/Valkey if one is configured."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import lru_cache, partial

import limits
from django.conf import settings

from mantra.gateway.quota_leases import HeldLeases
from mantra.gateway.quota_stores import Counter, Lease, Memory, RedisCounter, limiter
from registry import faults
from registry.calls import Call
from registry.circuit_breaker import CircuitBreaker
from registry.results import Fault, Words
from registry.snapshot.types import Grant, Key

log = logging.getLogger("mantra.quotas")

# Created at import: the library imports its driver then, which several threads must not do at the same time.
_limiter = limiter(settings.QUOTA_STORE)
_redis = RedisCounter(settings.QUOTA_STORE) if settings.QUOTA_STORE.startswith(("redis://", "rediss://")) else None

#: While the store is away, calls do not wait for it: one tries each second.
breaker = CircuitBreaker(reset_timeout=1.0)


def _hit(item: limits.RateLimitItem, grant: str) -> tuple[bool, int, int]:
    """Count one call. Return (allowed, calls left, seconds to the window's end)."""
    counter = _counter()
    if counter is not None:
        return counter.hit(item, grant)
    allowed = _limiter.hit(item, "grant", grant)
    reset, remaining = _limiter.get_window_stats(item, "grant", grant)
    return allowed, remaining, max(1, int(reset - time.time()) + 1)


#: Name of a period → its Indonesian name.
_PERIODS = {"second": "detik", "minute": "menit", "hour": "jam", "day": "hari", "month": "bulan", "year": "tahun"}


def _period(item: limits.RateLimitItem) -> Words:
    """Return the period of a limit as the message of its fault names it."""
    name, number = item.GRANULARITY.name, item.multiples
    if number == 1:
        return Words(_PERIODS[name], name)
    return Words(f"{number} {_PERIODS[name]}", f"{number} {name}s")


@lru_cache(maxsize=4096)
def _items(quota: str) -> tuple[limits.RateLimitItem, ...]:
    """Return the limits of a quota; none, which the log says, if it cannot be read: it was stored unchecked."""
    try:
        return tuple(dict.fromkeys(limits.parse_many(quota)))
    except ValueError:
        log.error("a quota cannot be read: %.100s", quota)
        return ()


def _keep_pace(key: Key) -> None:
    """Count the call of a key that is slowed down. Raises Fault KEY_SLOWED if it comes too soon after another one."""
    if time.time() >= key.slowed_until:
        return
    if not breaker.try_pass():
        go_on_without_store()
        return
    try:
        allowed, _left, seconds = _hit(limits.RateLimitItemPerSecond(1, key.slow_seconds), f"key:{key.id}")
    except Exception as error:  # as in consume()
        breaker.failed()
        log.error("the quota store failed: %s", type(error).__name__)
        go_on_without_store()
        return
    breaker.succeeded()
    if not allowed:
        raise Fault(faults.KEY_SLOWED, retry_after=seconds, interval=key.slow_seconds, seconds=seconds)


def consume(call: Call) -> None:
    """Count the call in its grant's quota, unless a lease has. Raises Fault QUOTA_EXCEEDED if nothing is left."""
    if call.key is not None and call.key.slow_seconds:
        _keep_pace(call.key)
    grant = call.grant
    if grant is None or not grant.quota or call.lease:
        return
    items = _items(grant.quota)
    drawn = _held.draw(grant.id)
    if drawn is not None:
        call.quota = drawn
        return
    if not items or not breaker.try_pass():
        go_on_without_store()
        return
    try:
        for item in items:
            allowed, remaining, seconds = _hit(item, str(grant.id))
            breaker.succeeded()
            if not allowed:
                call.quota = (item.amount, item.get_expiry(), 0, seconds)
                words = {"calls": item.amount, "period": _period(item), "seconds": seconds}
                raise Fault(faults.QUOTA_EXCEEDED, retry_after=seconds, **words)
            # Of several windows the caller gets the one with the fewest calls left.
            if call.quota is None or remaining < call.quota[2]:
                call.quota = (item.amount, item.get_expiry(), remaining, seconds)
        if _redis is not None and call.quota is not None:
            _held.counted(grant.id, call.quota[3], partial(lease, grant))
    except Fault:
        raise
    except Exception as error:  # the store's client documents no common base class of its errors
        breaker.failed()
        log.error("the quota store failed: %s", type(error).__name__)
        go_on_without_store()


def go_on_without_store() -> None:
    """Let a call pass uncounted, or raise Fault QUOTA_STORE_DOWN, as the setting says."""
    if settings.QUOTA_STORE_DOWN == "refuse":
        raise Fault(faults.QUOTA_STORE_DOWN, retry_after=5) from None


def count(grant: Grant, number: int) -> tuple[int, int]:
    """Count as many of a number of calls as a grant's quota has left, each as consume() would. For jobs.

    Return how many, and the seconds until more can be counted where it was not all. Without the store all pass, or
    QUOTA_STORE_DOWN is raised, as the setting says.
    """
    items = _items(grant.quota)
    if not items:
        return number, 0
    if not breaker.try_pass():
        go_on_without_store()
        return number, 0
    try:
        counter = _counter()
        granted, seconds = (_take if counter is None else counter.take)(items, str(grant.id), number)
    except Exception as error:  # as in consume()
        breaker.failed()
        log.error("the quota store failed: %s", type(error).__name__)
        go_on_without_store()
        return number, 0
    breaker.succeeded()
    return granted, seconds


def _take(items: Sequence[limits.RateLimitItem], grant: str, number: int) -> tuple[int, int]:
    """Count calls in a store of the library, which has no step for all windows: another's calls may come between."""
    for item in items:
        reset, remaining = _limiter.get_window_stats(item, "grant", grant)
        if remaining < number:
            number = max(0, remaining)
            if not number:
                return 0, max(1, int(reset - time.time()) + 1)
    hits = [_limiter.hit(item, "grant", grant, cost=number) for item in items]
    return (number, 0) if all(hits) else (0, 1)


# ----------------------------------------------------------------------------------------- leases


def lease(grant: Grant, id: str, count: int) -> Lease | None:
    """Count at most ``count`` calls of a grant with a quota in advance. None if that cannot be done now."""
    items, counter = _items(grant.quota), _counter()
    if not items or counter is None or not breaker.try_pass():
        return None
    try:
        leased = counter.lease(items, str(grant.id), id, count)
    except Exception as error:
        breaker.failed()
        log.error("the quota store failed: %s", type(error).__name__)
        return None
    breaker.succeeded()
    return leased


def give_back(ended: Sequence[tuple[str, int]]) -> None:
    """Give back what was not used of leases, each an id and the used calls. Without the store it stays counted."""
    counter = _counter()
    if counter is None or not breaker.try_pass():
        return
    try:
        counter.give_back(ended)
        breaker.succeeded()
    except Exception as error:
        breaker.failed()
        log.error("the quota store failed: %s", type(error).__name__)


def _counter() -> Counter | None:
    """Return the store if it is one of our own, None if it is one of the library's."""
    if _redis is not None:
        return _redis
    storage = _limiter.storage
    return storage if isinstance(storage, Memory) else None


_held = HeldLeases(give_back)
