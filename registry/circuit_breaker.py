"""A breaker: what has failed several times running is left alone for a while, then tried once.

pybreaker holds its lock for as long as the guarded call runs, which would make calls wait for each
other. This one takes no lock: that two callers may both become the trial does no harm.
"""

from __future__ import annotations

import time


class Breaker:
    """Closed; open after ``threshold`` failures in a row; from then on one trial every ``pause`` seconds."""

    __slots__ = ("_next_trial", "failures", "pause", "threshold")

    def __init__(self, threshold: int = 3, pause: float = 5.0) -> None:
        self.threshold = threshold
        self.pause = pause
        self.failures = 0
        self._next_trial = 0.0

    @property
    def state(self) -> str:
        """closed, open or half-open (the next caller is the trial)."""
        if self.failures < self.threshold:
            return "closed"
        return "open" if time.monotonic() < self._next_trial else "half-open"

    def allows(self) -> bool:
        """Whether to try. In the half-open state the caller who hears yes is the trial."""
        if self.failures < self.threshold:
            return True
        now = time.monotonic()
        if now < self._next_trial:
            return False
        self._next_trial = now + self.pause
        return True

    def due(self, delay: float = 0.0) -> bool:
        """Whether a call may pass, without becoming the trial; an open breaker's not before ``delay`` seconds more."""
        return self.failures < self.threshold or time.monotonic() >= self._next_trial + delay

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self) -> None:
        self.failures += 1
        if self.failures >= self.threshold:
            self._next_trial = time.monotonic() + self.pause

    def retry_after(self) -> int:
        """Whole seconds until the next trial, at least 1."""
        return max(1, int(self._next_trial - time.monotonic()) + 1)
