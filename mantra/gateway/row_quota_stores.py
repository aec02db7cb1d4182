"""The stores that count rows and different persons: this process, or Redis/Valkey for all.

A window begins with the first row or person that is counted in it. What a response needs is taken in all windows or in
none, in one step, so that no window ever has more than its quota. Persons are remembered by digests of eight bytes,
exactly: never more of them than the quota, and each for one period.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import redis

from mantra.gateway.quota_stores import Script

#: The most persons that one process remembers without a shared store, some 200 MB; and the seconds between two looks
#: for windows that have ended.
MAX_PERSONS, SWEEP_SECONDS = 2_000_000, 60.0
#: The most persons that one step takes in the shared store: others wait for it meanwhile.
PERSONS_IN_STEP = 5_000


class Window(NamedTuple):
    """A quota in one of its periods. ``owner``: the application, to which all windows of a step belong."""

    owner: int
    name: str
    persons: bool
    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a step. ``refused``: the place of the window with too little left, -1 if all was counted.

    ``left``: what each window has left; ``ends``: when each ends, in seconds of the store's clock; ``seconds``: until
    the refusing window ends, else until the first one does.
    """

    refused: int
    left: tuple[int, ...]
    ends: tuple[float, ...]
    seconds: int


class StoreFull(Exception):
    """No more persons can be remembered."""


class Store(Protocol):
    """Counts rows and persons."""

    def take(self, windows: Sequence[Window], rows: int, persons: Collection[bytes]) -> Taken:
        """Count rows and persons in all windows, or in none. Raises errors of the store."""
        ...

    def give_back(self, windows: Sequence[tuple[Window, float]], rows: int) -> None:
        """Give back rows in those windows that still are the ones that end so. Raises errors of the store."""
        ...


class _Counted:
    """What was counted in a window."""

    __slots__ = ("ends", "persons", "rows")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.rows = 0
        self.persons: set[bytes] = set()


class Memory:
    """Windows in this process. Only calls of the same application wait for each other."""

    def __init__(self, clock: Callable[[], float] = time.time, most_persons: int = MAX_PERSONS) -> None:
        self._clock, self._most_persons = clock, most_persons
        self._owners: dict[int, tuple[threading.Lock, dict[str, _Counted]]] = {}
        #: About how many persons are remembered: exact after each sweep.
        self._persons = 0
        self._swept = clock()

    def take(self, windows: Sequence[Window], rows: int, persons: Collection[bytes]) -> Taken:
        now = self._clock()
        if now - self._swept > SWEEP_SECONDS:
            self._sweep(now)
        with self._owner(windows) as found:
            counted = [self._counted(found, window, now) for window in windows]
            new = [set(persons).difference(each.persons) if window.persons else set() for window, each in
                   zip(windows, counted, strict=True)]  # fmt: skip
            ends = tuple(each.ends for each in counted)
            for at, (window, each) in enumerate(zip(windows, counted, strict=True)):
                used = len(each.persons) if window.persons else each.rows
                more = len(new[at]) if window.persons else rows
                if more and used + more > window.most:
                    return Taken(at, (), ends, max(1, int(each.ends - now) + 1))
            remembered = sum(map(len, new))
            if remembered and self._persons + remembered > self._most_persons:
                raise StoreFull
            self._persons += remembered
            for window, each, fresh in zip(windows, counted, new, strict=True):
                if window.persons:
                    each.persons |= fresh
                else:
                    each.rows += rows
            left = tuple(
                window.most - (len(each.persons) if window.persons else each.rows)
                for window, each in zip(windows, counted, strict=True)
            )
        return Taken(-1, left, ends, max(1, int(min(ends) - now) + 1))

    def give_back(self, windows: Sequence[tuple[Window, float]], rows: int) -> None:
        with self._owner([window for window, _ends in windows]) as found:
            for window, ends in windows:
                each = found.get(window.name)
                if each is not None and each.ends == ends:
                    each.rows = max(0, each.rows - rows)

    def _owner(self, windows: Sequence[Window]) -> _Held:
        owner = windows[0].owner
        lock, found = self._owners.get(owner) or self._owners.setdefault(owner, (threading.Lock(), {}))
        return _Held(lock, found)

    def _counted(self, found: dict[str, _Counted], window: Window, now: float) -> _Counted:
        each = found.get(window.name)
        if each is None or now >= each.ends:
            each = found[window.name] = _Counted(now + window.seconds)
        return each

    def _sweep(self, now: float) -> None:
        """Forget the windows that have ended, and count the persons that are left."""
        self._swept, persons = now, 0
        for lock, found in list(self._owners.values()):
            with lock:
                for name in [name for name, each in found.items() if now >= each.ends]:
                    del found[name]
                persons += sum(len(each.persons) for each in found.values())
        self._persons = persons


class _Held:
    """The windows of an application while its lock is held."""

    __slots__ = ("_found", "_lock")

    def __init__(self, lock: threading.Lock, found: dict[str, _Counted]) -> None:
        self._lock, self._found = lock, found

    def __enter__(self) -> dict[str, _Counted]:
        self._lock.acquire()
        return self._found

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


#: KEYS: the windows. ARGV: the rows; of each window "p" for persons or "r", its quota and its seconds; the persons.
#: Returns the place of the refusing window and its milliseconds, or 0, then what each window has left, when it ends
#: (milliseconds of the server's clock) and its milliseconds.
_TAKE = Script("""
local rows, windows = tonumber(ARGV[1]), #KEYS
local first = 2 + 3 * windows
for at, key in ipairs(KEYS) do
    local most = tonumber(ARGV[3 * at])
    local used, more = 0, rows
    if ARGV[3 * at - 1] == 'p' then
        more = 0
        for place = first, #ARGV do
            more = more + 1 - redis.call('SISMEMBER', key, ARGV[place])
        end
        used = redis.call('SCARD', key)
    else
        used = tonumber(redis.call('GET', key) or '0')
    end
    if more > 0 and used + more > most then
        local left = redis.call('PTTL', key)
        return {at, left > 0 and left or tonumber(ARGV[3 * at + 1]) * 1000}
    end
end
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local found = {0}
for at, key in ipairs(KEYS) do
    local used
    if ARGV[3 * at - 1] == 'p' then
        for place = first, #ARGV do
            redis.call('SADD', key, ARGV[place])
        end
        used = redis.call('SCARD', key)
    else
        used = redis.call('INCRBY', key, rows)
    end
    local left = redis.call('PTTL', key)
    if left < 0 then
        left = tonumber(ARGV[3 * at + 1]) * 1000
        redis.call('PEXPIRE', key, left)
    end
    found[3 * at - 1] = tonumber(ARGV[3 * at]) - used
    found[3 * at] = string.format('%.0f', ms + left)
    found[3 * at + 1] = left
end
return found
""")

#: KEYS: windows. ARGV: the rows, then when each window was to end. A window is the same if it ends then, to half a
#: second: the next one ends a minute later at least.
_GIVE_BACK = Script("""
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
for at, key in ipairs(KEYS) do
    local left = redis.call('PTTL', key)
    if left > 0 and math.abs(ms + left - tonumber(ARGV[at + 1])) < 500 then
        redis.call('DECRBY', key, ARGV[1])
    end
end
return 0
""")


class Redis:
    """Windows in Redis or Valkey, for all processes. Raises redis.RedisError."""

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.25)

    def take(self, windows: Sequence[Window], rows: int, persons: Collection[bytes]) -> Taken:
        taken = None
        for part in _parts(list(persons)):
            # Of many persons those of the first parts stay counted if a later part is refused: never too many leave.
            taken = self._take(windows, rows, part)
            if taken.refused >= 0:
                break
            rows = 0
        assert taken is not None
        return taken

    def _take(self, windows: Sequence[Window], rows: int, persons: Sequence[bytes]) -> Taken:
        limits = [value for each in windows for value in ("p" if each.persons else "r", each.most, each.seconds)]
        refused, *found = _TAKE.run(self._pool, [_key(each) for each in windows], rows, *limits, *persons)
        if refused:
            return Taken(int(refused) - 1, (), (), int(found[0]) // 1000 + 1)
        ends = tuple(float(each) / 1000 for each in found[1::3])
        return Taken(-1, tuple(map(int, found[::3])), ends, int(min(map(int, found[2::3]))) // 1000 + 1)

    def give_back(self, windows: Sequence[tuple[Window, float]], rows: int) -> None:
        ends = [f"{ends * 1000:.0f}" for _window, ends in windows]
        _GIVE_BACK.run(self._pool, [_key(window) for window, _ends in windows], rows, *ends)


def _parts(persons: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    yield persons[:PERSONS_IN_STEP]
    for start in range(PERSONS_IN_STEP, len(persons), PERSONS_IN_STEP):
        yield persons[start : start + PERSONS_IN_STEP]


def _key(window: Window) -> str:
    return f"{'PERSONS' if window.persons else 'ROWS'}:{window.owner}:{window.name}"


def store_of(url: str) -> Store:
    """Return the store at the address of MANTRA_QUOTA_STORE. It connects on first use."""
    return Redis(url) if url.startswith(("redis://", "rediss://")) else Memory()
