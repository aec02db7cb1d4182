"""Calls of a busy grant that this process has counted in the shared store in advance: few calls need a request to it.

A lease is at most a tenth of what is left of the quota, for less than a second. What was not used of it goes back. So
no more calls pass than the quota has. A call that is refused because another process holds a lease of the last few
would pass a second later.
"""

from __future__ import annotations

import atexit
import random
import threading
import time
from collections.abc import Callable, Sequence

from mantra.gateway.quota_stores import Lease

#: Amount, window, calls left, and seconds until the window ends: as in Call.quota.
Quota = tuple[int, int, int, int]
#: Calls within a second from which on a grant is busy.
BUSY = 20
#: The calls of a lease: at least, and at most.
FIRST, MOST = 16, 1000
#: Seconds for which a lease is good at most, by how much earlier than a window of the quota it ends, and the time
#: between two looks for leases that have ended.
LONGEST, MARGIN, ROUND = 1.0, 0.1, 0.25
#: The most grants of which a process knows the pace.
MAX_GRANTS = 20_000

TakeLease = Callable[[str, int], Lease | None]
GiveBack = Callable[[Sequence[tuple[str, int]]], None]


class _Held:
    """A lease, and the calls that are left of it."""

    __slots__ = ("count", "ends", "id", "lease", "left", "lock", "resets")

    def __init__(self, id: str, lease: Lease, now: float, seconds: int) -> None:
        self.id = id
        self.lease = lease
        self.count = self.left = lease.count
        #: When the lease and the tightest window of the quota end (monotonic seconds).
        self.ends = now + min(LONGEST, lease.milliseconds / 1000 - MARGIN)
        self.resets = now + seconds
        self.lock = threading.Lock()

    def close(self) -> int:
        """Let no call draw from the lease any more, and return how many did."""
        with self.lock:
            left, self.left = self.left, 0
            return self.count - left


class _Pace:
    """The calls of a grant in the second that began at ``since``. ``takes``: a thread takes a lease just now."""

    __slots__ = ("calls", "since", "takes", "used")

    def __init__(self) -> None:
        self.since = 0.0
        self.calls = 0
        #: The calls of the last lease.
        self.used = 0
        self.takes = False

    def count(self, now: float) -> None:
        if now - self.since > 1:
            self.since, self.calls = now, 0
        self.calls += 1


class HeldLeases:
    """The leases that a process holds. ``clock``: monotonic seconds."""

    def __init__(self, give_back: GiveBack, clock: Callable[[], float] = time.monotonic) -> None:
        self._give_back = give_back
        self._clock = clock
        self._held: dict[int, _Held] = {}
        self._paces: dict[int, _Pace] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def draw(self, grant: int) -> Quota | None:
        """Take a call from the grant's lease and return what is left of the quota; None if there is none."""
        held = self._held.get(grant)
        if held is None:
            return None
        now = self._clock()
        with held.lock:  # only calls of the same grant wait for each other
            if now >= held.ends or not held.left:
                return None
            held.left -= 1
            left = held.left
        self._pace(grant).count(now)
        lease = held.lease
        return lease.amount, lease.window, lease.remaining + left, max(1, int(held.resets - now) + 1)

    def counted(self, grant: int, seconds: int, take: TakeLease) -> None:
        """Note a call that was counted by itself, and take a lease if the grant is busy.

        ``seconds``: until the tightest window of the quota ends. ``take`` takes a lease by its id and number of calls.
        """
        pace, now = self._pace(grant), self._clock()
        pace.count(now)
        if pace.calls < BUSY or not self._begins_to_take(grant, pace, now):
            return
        try:
            id = f"{random.getrandbits(64):016x}"
            lease = take(id, min(MOST, max(FIRST, 2 * pace.used)))
            if lease is not None:
                self._held[grant] = _Held(id, lease, now, seconds)
                self._start()
        finally:
            pace.takes = False

    def _begins_to_take(self, grant: int, pace: _Pace, now: float) -> bool:
        """Return True for one thread at a time, while no lease is held. One that has ended is given back."""
        with self._lock:
            held = self._held.get(grant)
            if pace.takes or (held is not None and held.left and now < held.ends):
                return False
            pace.takes = True
        if held is not None:
            self._end([grant])
        return True

    def _pace(self, grant: int) -> _Pace:
        pace = self._paces.get(grant)
        if pace is None:
            if len(self._paces) >= MAX_GRANTS:
                self._paces = {}  # each begins anew, which takes a second
            pace = self._paces.setdefault(grant, _Pace())
        return pace

    def _end(self, grants: Sequence[int]) -> None:
        """Give back what is left of leases."""
        ended = []
        for grant in grants:
            held = self._held.pop(grant, None)
            if held is not None:
                used = self._pace(grant).used = held.close()
                if used < held.count:
                    ended.append((held.id, used))
        if ended:
            self._give_back(ended)

    def end_old(self) -> None:
        """Give back what is left of the leases that have ended."""
        now = self._clock()
        self._end([grant for grant, held in list(self._held.items()) if now >= held.ends])

    def end_all(self) -> None:
        """Give back what is left of all leases."""
        self._end(list(self._held))

    def _start(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="quota-leases", daemon=True)
                    self._thread.start()
                    atexit.register(self.end_all)

    def _run(self) -> None:
        while True:
            time.sleep(ROUND)
            self.end_old()
