"""The stores that count quotas: this process, or Redis/Valkey for all.

In Redis one script counts and returns the remaining calls, in one round trip and without redis-py's general command
path: with the storage of the library limits a call's quota took longer than the rest of the call.

A lease is a number of calls that are counted in advance, in all windows of a quota at once. What was not used of it
goes back into the same windows only: what a window counted is never more than its quota, whatever became of its leases.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import limits
import redis
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

#: A lease takes at most this part of what a window has left, so that nobody else's calls are refused for it.
SHARE = 10
#: Seconds for which a store remembers a lease: what nginx reports later is not given back.
MEMORY_SECONDS = 60
#: The most leases that this process remembers.
MAX_LEASES = 100_000
#: Seconds since the epoch, by which the windows in this process end. Tests set their own.
clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Lease:
    """Calls that were counted in advance. ``remaining``: what the tightest window has left.

    ``amount`` and ``window`` are that one's. ``milliseconds``: until the first of all windows ends.
    """

    count: int
    amount: int
    window: int
    remaining: int
    milliseconds: int


class Counter(Protocol):
    """A store of our own: it counts a call in one step, and gives leases."""

    def hit(self, item: limits.RateLimitItem, grant: str) -> tuple[bool, int, int]:
        """Count one call. Return (allowed, calls left, seconds to the window's end). Raises errors of the store."""
        ...

    def take(self, items: Sequence[limits.RateLimitItem], grant: str, count: int) -> tuple[int, int]:
        """Count as many of ``count`` calls as all windows have left. Raises errors of the store.

        Return their number, and the seconds until the window with the fewest calls left ends.
        """
        ...

    def lease(self, items: Sequence[limits.RateLimitItem], grant: str, id: str, count: int) -> Lease | None:
        """Count at most ``count`` calls in advance; None if no window has enough left. Raises errors of the store."""
        ...

    def give_back(self, ended: Sequence[tuple[str, int]]) -> int:
        """Give back what was not used of leases (id, used calls), once, and return the number. Raises its errors."""
        ...


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
        #: The leases that may still be given back, the oldest first: count, and each window with its end.
        self._leases: OrderedDict[str, tuple[int, list[tuple[_Window, float]]]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        window = self._window(key)
        now = clock()
        with window.lock:  # only calls of the same grant wait for each other
            if now >= window.ends:
                window.count, window.ends = 0, now + expiry
            window.count += amount
            return window.count

    def get(self, key: str) -> int:
        window = self._windows.get(key)
        return window.count if window is not None and clock() < window.ends else 0

    def get_expiry(self, key: str) -> float:
        window = self._windows.get(key)
        return window.ends if window is not None else clock()

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._windows)
        self._windows = {}
        return count

    def clear(self, key: str) -> None:
        self._windows.pop(key, None)

    def hit(self, item: limits.RateLimitItem, grant: str) -> tuple[bool, int, int]:
        """Count one call (Counter). The library takes three steps for that."""
        key = item.key_for("grant", grant)
        count = self.incr(key, item.get_expiry())
        seconds = int(self._windows[key].ends - clock()) + 1
        return count <= item.amount, max(0, item.amount - count), max(1, seconds)

    def take(self, items: Sequence[limits.RateLimitItem], grant: str, count: int) -> tuple[int, int]:
        """Count calls at once (Counter)."""
        count, left, now, _windows = self._take(items, grant, count, 1)
        _remaining, ends = min(left)
        return count, max(1, int(ends - now) + 1)

    def _take(
        self, items: Sequence[limits.RateLimitItem], grant: str, count: int, share: int
    ) -> tuple[int, list[tuple[int, float]], float, list[_Window]]:
        """Count at most ``count`` calls in all windows, and of none more than a part of what it has left.

        Return their number, what each window has left and when it ends, the time, and the windows.
        """
        windows = [self._window(item.key_for("grant", grant)) for item in items]
        now = clock()
        with _all_locked(windows):
            for window, item in zip(windows, items, strict=True):
                if now >= window.ends:
                    window.count, window.ends = 0, now + item.get_expiry()
                count = min(count, (item.amount - window.count) // share)
            count = max(0, count)
            for window in windows:
                window.count += count
            left = [(item.amount - window.count, window.ends) for window, item in zip(windows, items, strict=True)]
        return count, left, now, windows

    def lease(self, items: Sequence[limits.RateLimitItem], grant: str, id: str, count: int) -> Lease | None:
        """Count calls in advance (Counter)."""
        count, left, now, windows = self._take(items, grant, count, SHARE)
        if count < 1:
            return None
        self._remember(id, count, [(window, window.ends) for window in windows])
        return _lease_of(items, count, [(remaining, int((ends - now) * 1000)) for remaining, ends in left])

    def give_back(self, ended: Sequence[tuple[str, int]]) -> int:
        """Give back what was not used of leases (Counter)."""
        return sum(self._give_back(id, used) for id, used in ended)

    def _give_back(self, id: str, used: int) -> int:
        with self._lock:
            count, windows = self._leases.pop(id, (0, []))
        unused = count - max(0, used)
        if unused <= 0:
            return 0
        for window, ends in windows:
            with window.lock:
                if window.ends == ends and clock() < ends:
                    window.count -= unused
        return unused

    def _window(self, key: str) -> _Window:
        return self._windows.get(key) or self._windows.setdefault(key, _Window())

    def _remember(self, id: str, count: int, windows: list[tuple[_Window, float]]) -> None:
        with self._lock:
            self._leases[id] = count, windows
            if len(self._leases) > MAX_LEASES:
                self._leases.popitem(last=False)


@contextmanager
def _all_locked(windows: Sequence[_Window]) -> Iterator[None]:
    """Hold the locks of a grant's windows, always in the order of its quota."""
    with ExitStack() as stack:
        for window in windows:
            stack.enter_context(window.lock)
        yield


def _lease_of(items: Sequence[limits.RateLimitItem], count: int, left: Sequence[tuple[int, int]]) -> Lease:
    """Return a lease. ``left``: the calls and milliseconds that each window has left."""
    at = min(range(len(items)), key=lambda each: left[each][0])
    item, remaining = items[at], left[at][0]
    return Lease(count, item.amount, item.get_expiry(), remaining, min(milliseconds for _, milliseconds in left))


def limiter(url: str) -> FixedWindowRateLimiter:
    """Return a limiter that counts windows in the store at ``url``. It connects on first use."""
    if url.startswith("memory"):
        return FixedWindowRateLimiter(Memory())
    storage: Storage = storage_from_string(url, socket_timeout=0.25, socket_connect_timeout=0.25)
    return FixedWindowRateLimiter(storage)


class Script:
    """A script of Redis, called by its digest. It is sent when the server does not know it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._hash = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324  # EVALSHA names a script by its SHA-1

    def run(self, pool: redis.ConnectionPool, keys: Sequence[str], *arguments: Any) -> Any:
        """Return what the script returns. Raises redis.RedisError."""
        connection = pool.get_connection()
        try:
            connection.send_command("EVALSHA", self._hash, len(keys), *keys, *arguments)
            try:
                return connection.read_response()
            except redis.exceptions.NoScriptError:
                connection.send_command("EVAL", self._text, len(keys), *keys, *arguments)
                return connection.read_response()
        except BaseException:
            # A late reply must not be read as the reply to the next command.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)


#: Counts, and returns (count, seconds left). A window without an expiry gets one.
_COUNT = Script("""
local count = redis.call('INCR', KEYS[1])
local left = redis.call('TTL', KEYS[1])
if left < 0 then
    redis.call('EXPIRE', KEYS[1], ARGV[1])
    left = tonumber(ARGV[1])
end
return {count, left}
""")

#: KEYS: the windows, and the lease. ARGV: the calls, the seconds for which the lease is remembered, the divisor, then
#: each window's amount and seconds. Returns the calls, then what each window has left in calls and milliseconds.
_LEASE = Script("""
local count, windows = tonumber(ARGV[1]), #KEYS - 1
local taken = {}
for at = 1, windows do
    taken[at] = tonumber(redis.call('GET', KEYS[at]) or '0')
    count = math.min(count, math.floor((tonumber(ARGV[2 * at + 2]) - taken[at]) / tonumber(ARGV[3])))
end
if count < 1 then
    return {0}
end
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local found, ends = {count}, {}
for at = 1, windows do
    redis.call('INCRBY', KEYS[at], count)
    local left = redis.call('PTTL', KEYS[at])
    if left < 0 then
        left = tonumber(ARGV[2 * at + 3]) * 1000
        redis.call('PEXPIRE', KEYS[at], left)
    end
    found[2 * at] = tonumber(ARGV[2 * at + 2]) - taken[at] - count
    found[2 * at + 1] = left
    ends[at] = {KEYS[at], string.format('%.0f', ms + left)}
end
redis.call('SET', KEYS[windows + 1], cjson.encode({count, ends}), 'EX', ARGV[2])
return found
""")

#: KEYS: the windows. ARGV: the calls, then each window's amount and seconds. Returns the calls, then what each window
#: has left in calls and milliseconds.
_TAKE = Script("""
local count = tonumber(ARGV[1])
local taken = {}
for at = 1, #KEYS do
    taken[at] = tonumber(redis.call('GET', KEYS[at]) or '0')
    count = math.max(0, math.min(count, tonumber(ARGV[2 * at]) - taken[at]))
end
local found = {count}
for at = 1, #KEYS do
    if count > 0 then
        redis.call('INCRBY', KEYS[at], count)
    end
    local left = redis.call('PTTL', KEYS[at])
    if left < 0 then
        left = tonumber(ARGV[2 * at + 1]) * 1000
        redis.call('PEXPIRE', KEYS[at], left)
    end
    found[2 * at] = tonumber(ARGV[2 * at]) - taken[at] - count
    found[2 * at + 1] = left
end
return found
""")

#: KEYS: the leases. ARGV: the calls that were used of each. Returns how many were given back. A window is the same if
#: it ends when it was to end then, to half a second: the next one ends a second later at least.
_GIVE_BACK = Script("""
local now, all = redis.call('TIME'), 0
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
for at, key in ipairs(KEYS) do
    local stored = redis.call('GET', key)
    local lease = stored and cjson.decode(stored) or {0, {}}
    local unused = lease[1] - math.max(0, tonumber(ARGV[at]))
    redis.call('DEL', key)
    for _, window in ipairs(unused > 0 and lease[2] or {}) do
        local left = redis.call('PTTL', window[1])
        if left > 0 and math.abs(ms + left - tonumber(window[2])) < 500 then
            redis.call('DECRBY', window[1], unused)
        end
    end
    all = all + math.max(0, unused)
end
return all
""")


class RedisCounter:
    """Counts windows in Redis or Valkey, under the same keys as the storage of limits."""

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)

    def hit(self, item: limits.RateLimitItem, grant: str) -> tuple[bool, int, int]:
        """Count one call (Counter). Raises redis.RedisError."""
        count, left = map(int, _COUNT.run(self._pool, [_key(item, grant)], item.get_expiry()))
        return count <= item.amount, max(0, item.amount - count), max(1, left)

    def take(self, items: Sequence[limits.RateLimitItem], grant: str, count: int) -> tuple[int, int]:
        """Count calls at once (Counter). Raises redis.RedisError."""
        windows = [value for item in items for value in (item.amount, item.get_expiry())]
        keys = [_key(item, grant) for item in items]
        count, *left = map(int, _TAKE.run(self._pool, keys, count, *windows))
        _remaining, milliseconds = min(zip(left[::2], left[1::2], strict=True))
        return count, milliseconds // 1000 + 1

    def lease(self, items: Sequence[limits.RateLimitItem], grant: str, id: str, count: int) -> Lease | None:
        """Count calls in advance (Counter). Raises redis.RedisError."""
        keys = [*(_key(item, grant) for item in items), _lease_key(id)]
        windows = [value for item in items for value in (item.amount, item.get_expiry())]
        count, *left = map(int, _LEASE.run(self._pool, keys, count, MEMORY_SECONDS, SHARE, *windows))
        if not count:
            return None
        return _lease_of(items, count, list(zip(left[::2], left[1::2], strict=True)))

    def give_back(self, ended: Sequence[tuple[str, int]]) -> int:
        """Give back what was not used of leases (Counter). Raises redis.RedisError."""
        return int(_GIVE_BACK.run(self._pool, [_lease_key(id) for id, _ in ended], *(used for _, used in ended)))


def _key(item: limits.RateLimitItem, grant: str) -> str:
    return f"LIMITS:{item.key_for('grant', grant)}"


def _lease_key(id: str) -> str:
    return f"LEASE:{id}"
