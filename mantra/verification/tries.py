"""Wrong tries at a key, counted in this process, or in Redis/Valkey for all processes, as quotas are.

A try is settled after it was compared and before it is answered, in one step: it is locked, or it is counted if it was
wrong. Many tries at once learn no more than one after the other. A window begins with its first wrong try.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import redis
from django.conf import settings

from mantra.gateway.quota_stores import Script
from registry import faults
from registry.results import Fault
from registry.secrets import authenticate

log = logging.getLogger("mantra.verification")

#: The most keys whose tries a process remembers: the oldest are forgotten first. It is some 60 MB.
MAX_KEYS = 200_000


class Limit(NamedTuple):
    """What is counted, by a name that says nothing, and how many tries it may have."""

    name: str
    most: int


class Store(Protocol):
    """Counts wrong tries."""

    def settle(self, limits: Sequence[Limit], wrong: bool, seconds: int) -> int:
        """Return the seconds until a window that is full ends; else 0, and count a wrong try in each window."""
        ...


class Memory:
    """Windows in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MAX_KEYS) -> None:
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._clock, self._most = clock, most

    def settle(self, limits: Sequence[Limit], wrong: bool, seconds: int) -> int:
        if not wrong and not any(limit.name in self._windows for limit in limits):
            return 0  # most tries are right, and need not wait for one another
        now = self._clock()
        with self._lock:
            for limit in limits:
                count, ends = self._window(limit.name, now)
                if count >= limit.most:
                    return max(1, int(ends - now) + 1)
            if wrong:
                for limit in limits:
                    count, ends = self._window(limit.name, now)
                    self._windows[limit.name] = count + 1, ends if count else now + seconds
                while len(self._windows) > self._most:
                    self._windows.popitem(last=False)
        return 0

    def _window(self, name: str, now: float) -> tuple[int, float]:
        found = self._windows.get(name)
        if found is None:
            return 0, 0.0
        if now >= found[1]:
            del self._windows[name]
            return 0, 0.0
        return found


#: KEYS: the windows. ARGV: the seconds of a window, 1 for a wrong try, then what each may have. Returns 0, or the
#: milliseconds of a lock.
_SETTLE = Script("""
for at, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[at + 2]) then
        return math.max(1, redis.call('PTTL', key))
    end
end
if ARGV[2] == '1' then
    for _, key in ipairs(KEYS) do
        if redis.call('INCR', key) == 1 then
            redis.call('EXPIRE', key, ARGV[1])
        end
    end
end
return 0
""")


class Redis:
    """Windows in Redis or Valkey. Raises redis.RedisError."""

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)

    def settle(self, limits: Sequence[Limit], wrong: bool, seconds: int) -> int:
        keys = [f"TRIES:{limit.name}" for limit in limits]
        milliseconds = int(_SETTLE.run(self._pool, keys, seconds, int(wrong), *(limit.most for limit in limits)))
        return (milliseconds + 999) // 1000


def _store() -> Store:
    url = settings.QUOTA_STORE
    return Redis(url) if url.startswith(("redis://", "rediss://")) else Memory()


#: Created at import: several threads must not do it at the same time.
store: Store = _store()


def settle(
    operation: int, subject: str, application: int, wrong: bool, tries: int, tries_of_all: int, seconds: int
) -> None:
    """Count a try if it was wrong. Raises Fault VERIFICATION_LOCKED, also for a right one, and QUOTA_STORE_DOWN.

    ``operation``: the id of the verification. ``application``: the id of the caller's.
    ``subject``: what is tried, as text: of a key that exists its record, since sources find a record by several
    spellings of its key ("007", "7 ", "7x"), of which each would have tries of its own.
    """
    digest = _digest(operation, subject)
    limits = (Limit(f"{digest}:{application}", tries), Limit(digest, tries_of_all))
    try:
        locked = store.settle(limits, wrong, seconds)
    except Exception as error:  # uncounted, a value can be guessed
        log.error("the store of tries failed: %s", type(error).__name__)
        raise Fault(faults.QUOTA_STORE_DOWN, retry_after=5) from None
    if locked:
        raise Fault(faults.VERIFICATION_LOCKED, retry_after=locked, seconds=locked)


def _digest(operation: int, subject: str) -> str:
    """Return the name of a subject's windows: nobody finds the subject by it."""
    return authenticate(settings.JOURNAL_KEY, f"tries:{operation}:{subject}".encode("utf-8", "surrogatepass"))[:32]
