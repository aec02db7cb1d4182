"""Wrong tries at a key, counted in this process, or in Redis/Valkey for all processes, as quotas are.

A try is counted before it is compared, and given back if all that was sent agrees: many tries at once are no more than
the provider allows. A window begins with its first try; what is left in it at its end are wrong tries.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import redis
from django.conf import settings

from mantra.gateway.quota_stores import Script
from registry import faults
from registry.results import Fault
from registry.secrets import authenticate

log = logging.getLogger("mantra.verification")

#: The most keys whose tries a process remembers: the oldest are forgotten first. It is some 60 MB.
MAX_KEYS = 200_000


@dataclass(frozen=True, slots=True)
class Limit:
    """What is counted, by a name that says nothing, and how many tries it may have."""

    name: str
    most: int


class Store(Protocol):
    """Counts tries."""

    def take(self, limits: Sequence[Limit], seconds: int) -> int:
        """Count a try in each window, or in none if one is full. Return 0, or the seconds until that one ends."""
        ...

    def give_back(self, names: Sequence[str]) -> None:
        """Take a try out of the windows again."""
        ...


class Memory:
    """Windows in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MAX_KEYS) -> None:
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._clock, self._most = clock, most

    def take(self, limits: Sequence[Limit], seconds: int) -> int:
        now = self._clock()
        with self._lock:
            for limit in limits:
                count, ends = self._window(limit.name, now)
                if count >= limit.most:
                    return max(1, int(ends - now) + 1)
            for limit in limits:
                count, ends = self._window(limit.name, now)
                self._windows[limit.name] = count + 1, ends if count else now + seconds
            while len(self._windows) > self._most:
                self._windows.popitem(last=False)
        return 0

    def _window(self, name: str, now: float) -> tuple[int, float]:
        count, ends = self._windows.get(name, (0, 0.0))
        if count and now >= ends:
            del self._windows[name]
            return 0, 0.0
        return count, ends

    def give_back(self, names: Sequence[str]) -> None:
        with self._lock:
            for name in names:
                count, ends = self._windows.get(name, (0, 0.0))
                if count > 1:
                    self._windows[name] = count - 1, ends
                elif count:
                    del self._windows[name]


#: KEYS: the windows. ARGV: the seconds of a window, then what each may have. Returns 0, or the milliseconds of a lock.
_TAKE = Script("""
for at, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[at + 1]) then
        return math.max(1, redis.call('PTTL', key))
    end
end
for _, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then
        redis.call('EXPIRE', key, ARGV[1])
    end
end
return 0
""")

_GIVE_BACK = Script("""
for _, key in ipairs(KEYS) do
    local count = tonumber(redis.call('GET', key) or '0')
    if count > 1 then
        redis.call('DECR', key)
    elseif count == 1 then
        redis.call('DEL', key)
    end
end
return 0
""")


class Redis:
    """Windows in Redis or Valkey. Raises redis.RedisError."""

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)

    def take(self, limits: Sequence[Limit], seconds: int) -> int:
        keys = [f"TRIES:{limit.name}" for limit in limits]
        milliseconds = int(_TAKE.run(self._pool, keys, seconds, *(limit.most for limit in limits)))
        return (milliseconds + 999) // 1000

    def give_back(self, names: Sequence[str]) -> None:
        _GIVE_BACK.run(self._pool, [f"TRIES:{name}" for name in names])


def _store() -> Store:
    url = settings.QUOTA_STORE
    return Redis(url) if url.startswith(("redis://", "rediss://")) else Memory()


#: Created at import: several threads must not do it at the same time.
store: Store = _store()


@dataclass(frozen=True, slots=True)
class Try:
    """A try that was counted."""

    names: tuple[str, ...]

    def give_back(self) -> None:
        """Count the try no longer: what was sent agrees, or nothing was compared."""
        try:
            store.give_back(self.names)
        except Exception as error:  # it stays counted: that only locks earlier
            log.error("the store of tries failed: %s", type(error).__name__)


def take(operation: int, subject: str, application: int, tries: int, tries_of_all: int, seconds: int) -> Try:
    """Count a try. Raises Fault VERIFICATION_LOCKED, and QUOTA_STORE_DOWN: uncounted, a value can be guessed.

    ``operation``: the id of the verification. ``application``: the id of the caller's, 0 for the author's own.
    ``subject``: what is tried, as text: of a key that exists its record, since sources find a record by several
    spellings of its key ("007", "7 ", "7x"), of which each would have tries of its own.
    """
    digest = _digest(operation, subject)
    limits = (Limit(f"{digest}:{application}", tries), Limit(digest, tries_of_all))
    try:
        locked = store.take(limits, seconds)
    except Exception as error:
        log.error("the store of tries failed: %s", type(error).__name__)
        raise Fault(faults.QUOTA_STORE_DOWN, retry_after=5) from None
    if locked:
        raise Fault(faults.VERIFICATION_LOCKED, retry_after=locked, seconds=locked)
    return Try(tuple(limit.name for limit in limits))


def _digest(operation: int, subject: str) -> str:
    """Return the name of a subject's windows: nobody finds the subject by it."""
    secret = authenticate(settings.JOURNAL_KEY, f"tries:{operation}:{subject}".encode("utf-8", "surrogatepass"))
    return hashlib.blake2b(secret.encode(), digest_size=16).hexdigest()
