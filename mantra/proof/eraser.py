"""The worker's task that erases content after MANTRA_CONTENT_DAYS (registry/journal/erasing.py)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from django.db import connection
from django.utils import timezone

from registry.journal import erasing
from registry.rounds import survive

log = logging.getLogger("mantra.journal")

#: Seconds between two rounds.
ROUND = 600.0


class Eraser:
    """Erases what is old. ``now``: the clock."""

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        failing = False
        while not stop.wait(ROUND):
            failing = survive(lambda: self.round(stop), failing, log, "old content of the journal was not erased")
            connection.close()

    def round(self, stop: threading.Event) -> int:
        """Erase what is old now. Return the number of segments."""
        return erasing.erase_old(self._now(), lambda: not stop.is_set())
