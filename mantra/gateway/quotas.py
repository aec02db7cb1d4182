"""Quotas of grants, counted in this process, or in Redis/Valkey if one is configured.

In Redis one script counts and returns the remaining calls, in one round trip and without redis-py's general command
path: with the storage of the library limits a call's quota took longer than the rest of the call.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from functools import lru_cache
from typing import Any, ClassVar

import limits
import redis
from django.conf import settings
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from registry import faults
from registry.calls import Call
from registry.circuit_breaker import CircuitBreaker
from registry.results import Fault, Words

log = logging.getLogger("mantra.quotas")


class _Window:
    """The number of calls since a window began, and the time at which the window ends (epoch seconds)."""

    __slots__ = ("count", "ends", "lock")

    def __init__(self) -> None:
        self.count = 0
        self.ends = 0.0
        self.lock = threading.Lock()


class Memory(Storage):
    """Windows in this process, one for each grant with a quota, never removed.

    The library's own store starts a thread after each count, to remove old windows.
    """

    STORAGE_SCHEME: ClassVar[list[str]] = ["process"]

    def __init__(self, uri: str | None = None, **options: Any) -> None:
        super().__init__(uri, **options)
        self._windows: dict[str, _Window] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        window = self._windows.get(key) or self._windows.setdefault(key, _Window())
        now = time.time()
        with window.lock:  # only calls of the same grant wait for each other
            if now >= window.ends:
                window.count, window.ends = 0, now + expiry
            window.count += amount
            return window.count

    def get(self, key: str) -> int:
        window = self._windows.get(key)
        return window.count if window is not None and time.time() < window.ends else 0

    def get_expiry(self, key: str) -> float:
        window = self._windows.get(key)
        return window.ends if window is not None else time.time()

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._windows)
        self._windows = {}
        return count

    def clear(self, key: str) -> None:
        self._windows.pop(key, None)


def limiter(url: str) -> FixedWindowRateLimiter:
    """Return a limiter that counts windows in the store at ``url``. It connects on first use."""
    if url.startswith("memory"):
        return FixedWindowRateLimiter(Memory())
    storage: Storage = storage_from_string(url, socket_timeout=0.25, socket_connect_timeout=0.25)
    return FixedWindowRateLimiter(storage)


class RedisCounter:
    """Counts windows in Redis or Valkey, under the same keys as the storage of limits."""

    #: Counts, and returns (count, seconds left). A window without an expiry gets one.
    _SCRIPT = """
local count = redis.call('INCR', KEYS[1])
local left = redis.call('TTL', KEYS[1])
if left < 0 then
    redis.call('EXPIRE', KEYS[1], ARGV[1])
    left = tonumber(ARGV[1])
end
return {count, left}
"""

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)
        self._hash = hashlib.sha1(self._SCRIPT.encode()).hexdigest()  # noqa: S324  # EVALSHA names a script by its SHA-1

    def hit(self, item: limits.RateLimitItem, grant: str) -> tuple[bool, int, int]:
        """Count one call. Return (allowed, calls left, seconds to the window's end). Raises redis.RedisError."""
        key, seconds = f"LIMITS:{item.key_for('grant', grant)}", item.get_expiry()
        connection = self._pool.get_connection()
        try:
            count, left = self._count(connection, key, seconds)
        except BaseException:
            # A late reply must not be read as the reply to the next command.
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)
        return count <= item.amount, max(0, item.amount - count), max(1, left)

    def _count(self, connection: Any, key: str, seconds: int) -> tuple[int, int]:
        connection.send_command("EVALSHA", self._hash, 1, key, seconds)
        try:
            count, left = connection.read_response()
        except redis.exceptions.NoScriptError:
            connection.send_command("EVAL", self._SCRIPT, 1, key, seconds)
            count, left = connection.read_response()
        return int(count), int(left)


# Created at import: the library imports its driver then, which several threads must not do at the same time.
_limiter = limiter(settings.QUOTA_STORE)
_redis = RedisCounter(settings.QUOTA_STORE) if settings.QUOTA_STORE.startswith(("redis://", "rediss://")) else None

#: While the store is away, calls do not wait for it: one tries each second.
_breaker = CircuitBreaker(reset_timeout=1.0)


def _hit(item: limits.RateLimitItem, grant: str) -> tuple[bool, int, int]:
    """Count one call. Return (allowed, calls left, seconds to the window's end)."""
    if _redis is not None:
        return _redis.hit(item, grant)
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
        return tuple(limits.parse_many(quota))
    except ValueError:
        log.error("a quota cannot be read: %.100s", quota)
        return ()


def consume(call: Call) -> None:
    """Count the call in its grant's quota. Raises Fault QUOTA_EXCEEDED if nothing is left."""
    grant = call.grant
    if grant is None or not grant.quota:
        return
    items = _items(grant.quota)
    if not items or not _breaker.try_pass():
        _go_on_without_store()
        return
    try:
        for item in items:
            allowed, remaining, seconds = _hit(item, str(grant.id))
            _breaker.succeeded()
            if not allowed:
                call.quota = (item.amount, item.get_expiry(), 0, seconds)
                words = {"calls": item.amount, "period": _period(item), "seconds": seconds}
                raise Fault(faults.QUOTA_EXCEEDED, retry_after=seconds, **words)
            # Of several windows the caller gets the one with the fewest calls left.
            if call.quota is None or remaining < call.quota[2]:
                call.quota = (item.amount, item.get_expiry(), remaining, seconds)
    except Fault:
        raise
    except Exception as error:  # the store's client documents no common base class of its errors
        _breaker.failed()
        log.error("the quota store failed: %s", type(error).__name__)
        _go_on_without_store()


def _go_on_without_store() -> None:
    """Let a call pass uncounted, or raise Fault QUOTA_STORE_DOWN, as the setting says."""
    if settings.QUOTA_STORE_DOWN == "refuse":
        raise Fault(faults.QUOTA_STORE_DOWN, retry_after=5) from None
