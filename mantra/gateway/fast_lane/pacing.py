"""How many calls an admission is for: none for who calls rarely, then twice what was used of the one before.

Each process has its own view of who calls how often, without a lock: what two threads get wrong is a lease that is too
small, or one too many, whose calls are given back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from mantra.gateway.fast_lane.wire import LaneRequest

#: The calls of a first lease, and of any.
FIRST, MOST = 64, 10_000
#: Seconds within which two calls are not rare, and within which nginx surely has the admission that it was given.
SOON, ARRIVED = 1.0, 0.5
#: The most kinds of calls of which a process knows the pace.
MAX_KINDS = 20_000


class _Pace:
    __slots__ = ("called_at", "given", "given_at")

    def __init__(self) -> None:
        self.called_at = self.given_at = float("-inf")
        #: The id of the admission that was given last.
        self.given = ""


class Paces:
    """The pace of each kind of calls: those for which one admission is good. ``clock``: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[Hashable, _Pace] = {}

    def wanted(self, kind: Hashable, lane_request: LaneRequest) -> int:
        """Note a call of a kind, and return for how many calls it should get an admission; 0: for none."""
        pace, now = self._pace(kind), self._clock()
        before, pace.called_at = pace.called_at, now
        if lane_request.last != pace.given and now - pace.given_at < ARRIVED:
            return 0  # the one that was given is on its way
        if lane_request.used > 1:
            return min(MOST, max(FIRST, 2 * lane_request.used))
        return FIRST if now - before < SOON else 0

    def given(self, kind: Hashable, id: str) -> None:
        """Note the admission that was given for a kind of calls."""
        pace = self._pace(kind)
        pace.given, pace.given_at = id, self._clock()

    def _pace(self, kind: Hashable) -> _Pace:
        pace = self._kinds.get(kind)
        if pace is None:
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()  # they are noted anew within a second
            pace = self._kinds.setdefault(kind, _Pace())
        return pace
