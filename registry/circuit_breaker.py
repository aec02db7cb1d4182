"""A circuit breaker: after several failures in a row no call passes for a time, then one trial call.

pybreaker holds its lock while the guarded call runs, so that calls would wait for each other. This one has no lock: it
does no harm if two callers both become the trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class CircuitBreaker:
    """Closed; open after ``threshold`` failures in a row, then with one trial call every ``reset_timeout`` seconds."""

    __slots__ = ("_clock", "_next_trial", "failures", "reset_timeout", "threshold")

    def __init__(
        self, threshold: int = 3, reset_timeout: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.threshold = threshold
        self.reset_timeout = reset_timeout
        self.failures = 0
        self._next_trial = 0.0

    @property
    def state(self) -> str:
        """Return closed, open or half-open (the next call is the trial)."""
        if self.failures < self.threshold:
            return "closed"
        return "open" if self._clock() < self._next_trial else "half-open"

    def try_pass(self) -> bool:
        """Return True if a call may pass. In the half-open state this call becomes the trial."""
        if self.failures < self.threshold:
            return True
        now = self._clock()
        if now < self._next_trial:
            return False
        self._next_trial = now + self.reset_timeout
        return True

    def may_pass(self, delay: float = 0.0) -> bool:
        """Return True if a call may pass, without making it the trial; ``delay`` seconds later with an open circuit."""
        return self.failures < self.threshold or self._clock() >= self._next_trial + delay

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self) -> None:
        self.failures += 1
        if self.failures >= self.threshold:
            self._next_trial = self._clock() + self.reset_timeout

    def retry_after(self) -> int:
        """Return the whole seconds until the next trial, at least 1."""
        return max(1, int(self._next_trial - self._clock()) + 1)
