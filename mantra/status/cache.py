"""What the status page shows, kept for all readers. Only the first ones after a pause wait for the registry."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import connection
from django.utils import timezone

from mantra.status import states
from mantra.status.states import Service
from registry.bulkhead import Bulkhead
from registry.rounds import survive
from registry.statistics.reading import Period, Selection, totals

log = logging.getLogger("mantra.status")

#: Seconds after which the states are read anew, and the availabilities.
STATES_SECONDS, AVAILABILITY_SECONDS = 10.0, 300.0
#: Seconds after which a status is old; for which readers wait for a newer one then, and how many of them do.
OLD_SECONDS, WAIT_SECONDS, MOST_WAITING = 30.0, 3.0, 2
#: The periods of the availability, in days.
DAYS = (30, 90)

#: Days → per cent, None without calls.
Availability = dict[int, float | None]


@dataclass(frozen=True, slots=True)
class Status:
    """What was read, and when. ``stale``: nothing newer could be read."""

    at: datetime
    services: tuple[tuple[Service, Availability], ...]
    stale: bool = False


class StatusCache:
    """The last status of this process. A thread reads the next one when somebody looks and it is due."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = Bulkhead(MOST_WAITING)
        #: Set while nothing is being read.
        self._idle = threading.Event()
        self._idle.set()
        self._status: Status | None = None
        self._availability: dict[tuple[str, str], Availability] = {}
        self._read_at = self._tried_at = self._counted_at = float("-inf")
        self._failing = False

    def current(self) -> Status | None:
        """Return the last status, None if nothing could be read yet. Begins to read the next one if it is due."""
        if self._begin():
            threading.Thread(target=self._run, name="status", daemon=True).start()
        if self._is_old() and not self._failing:
            self._wait()
        status = self._status
        return replace(status, stale=True) if status is not None and self._is_old() else status

    def _is_old(self) -> bool:
        return self._clock() - self._read_at > OLD_SECONDS

    def _begin(self) -> bool:
        """Return True for one reader at a time, if the status is due."""
        with self._lock:
            if not self._idle.is_set() or self._clock() - self._tried_at < STATES_SECONDS:
                return False
            self._idle.clear()
            self._tried_at = self._clock()
            return True

    def _wait(self) -> None:
        """Wait for what is being read, unless it has taken long or many others wait."""
        left = self._tried_at + WAIT_SECONDS - self._clock()
        if left > 0 and self._waiting.try_acquire():
            try:
                self._idle.wait(left)
            finally:
                self._waiting.release()

    def _run(self) -> None:
        try:
            self._failing = survive(self.read, self._failing, log, "the status page shows what was known before")
        finally:
            connection.close()
            self._idle.set()

    def read(self) -> Status:
        """Read the status and keep it. Raises the database's errors."""
        found = states.services()
        if self._clock() - self._counted_at > AVAILABILITY_SECONDS:
            self._availability = {(each.agency, each.code): _availability(each) for each in found}
            self._counted_at = self._clock()
        nothing: Availability = dict.fromkeys(DAYS)
        shown = ((each, self._availability.get((each.agency, each.code), nothing)) for each in found)
        self._status = status = Status(timezone.now(), tuple(shown))
        self._read_at = self._clock()
        return status


def _availability(service: Service) -> Availability:
    """Return the share of calls that the provider's side answered: of the public operations alone."""
    calls = Selection(operations=tuple(service.operations))
    return {days: totals(calls, Period.of(days)).availability for days in DAYS}
