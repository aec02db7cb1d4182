"""A task of the worker that one process of an installation does at a time, run after run."""

from __future__ import annotations

import threading
from logging import Logger
from typing import ClassVar

from django.db import connection

from registry.journal import segments
from registry.leader import Leadership
from registry.rounds import survive

#: Seconds between two rounds of a task, and after one that failed.
ROUND, RETRY_DELAY = 1.0, 5.0


class LedTask:
    """A task of the worker with runs that take long. One process of an installation at a time does it: the one that
    holds leadership, which is renewed while a run is under way."""

    leadership: Leadership
    _stop: threading.Event
    _is_busy: bool
    log: ClassVar[Logger]
    #: What the log says of the task: that its rounds fail, and the name of its lock.
    idle: ClassVar[str]
    lock: ClassVar[str]

    def round(self) -> None:
        """Do all runs that wait. Without any, nothing is written."""
        raise NotImplementedError

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        self._stop, failing = stop, False
        threading.Thread(target=self.renew, args=(stop,), name="leadership", daemon=True).start()
        while not stop.is_set():
            failing = survive(self.round, failing, self.log, self.idle)
            stop.wait(RETRY_DELAY if failing else ROUND)
        survive(self.leadership.release, False, self.log, f"{self.lock} was not released")
        segments.close()
        connection.close()

    def renew(self, stop: threading.Event) -> None:
        """Renew leadership during runs: a step of one may take longer than a lock may stand still."""
        failing = False
        while not stop.wait(ROUND):
            if self._is_busy:
                failing = survive(self.leadership.hold, failing, self.log, f"{self.lock} was not renewed")
        connection.close()
