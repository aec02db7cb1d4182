"""Limits on calls in progress at once: each call holds a thread of the worker process, and other calls need theirs."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from django.conf import settings


class Bulkhead:
    """Places for calls. It outlives the plans: a change of the definition does not forget the calls in progress."""

    __slots__ = ("_freed", "_lock", "_waiting", "in_flight", "limit")

    def __init__(self, limit: int) -> None:
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._waiting = 0
        self.limit = limit
        self.in_flight = 0

    def try_acquire(self, timeout: float = 0.0) -> bool:
        """Return True if a place was free, or became free within ``timeout`` seconds; release() gives it back."""
        with self._lock:
            if self.in_flight >= self.limit and not (timeout > 0 and self._wait(timeout)):
                return False
            self.in_flight += 1
            return True

    def _wait(self, timeout: float) -> bool:
        self._waiting += 1
        try:
            return self._freed.wait_for(lambda: self.in_flight < self.limit, timeout)
        finally:
            self._waiting -= 1

    def release(self) -> None:
        """Give a place back."""
        with self._lock:
            self.in_flight -= 1
            if self._waiting:
                self._freed.notify()


_bulkheads: dict[Hashable, Bulkhead] = {}


def default_limit() -> int:
    """Return half of the worker process's threads, at least 1: the most that one operation or host may hold."""
    return max(1, int(settings.WEB_THREADS) // 2)


def bulkhead_for(key: Hashable, limit: int = 0) -> Bulkhead:
    """Return the bulkhead of a key with ``limit`` places; with default_limit() places for 0 or a higher limit."""
    limit = min(limit, default_limit()) if limit else default_limit()
    bulkhead = _bulkheads.get(key) or _bulkheads.setdefault(key, Bulkhead(limit))
    bulkhead.limit = limit
    return bulkhead


def by_kind() -> dict[str, list[Bulkhead]]:
    """Return all bulkheads by what they are for: operation, backend, host or responses."""
    kinds: dict[str, list[Bulkhead]] = {"operation": [], "backend": [], "host": [], "responses": []}
    for key, bulkhead in list(_bulkheads.items()):
        kinds[_kind(key)].append(bulkhead)
    return kinds


def _kind(key: Hashable) -> str:
    """Return what the bulkhead of a key is for: an operation's key is its number, a host's begins with a scheme."""
    if not isinstance(key, tuple):
        return "operation"
    return key[0] if key[0] in ("backend", "responses") else "host"


def reset() -> None:
    """Forget all bulkheads. For tests: plans that exist keep theirs."""
    _bulkheads.clear()
