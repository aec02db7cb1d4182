"""How long callers are waited for."""

from __future__ import annotations

#: Seconds that a request may take beside its bytes' time while threads are scarce.
HURRIED_SECONDS = 0.5


class Pace:
    """A caller may be waited for ``seconds``, and for the time that its bytes take at ``rate`` bytes a second.

    Where a thread waits for the rest of a body and more than a quarter of the ``threads`` do so, it is HURRIED_SECONDS.
    """

    def __init__(self, seconds: float = 15, rate: int = 32 * 1024, threads: int = 16) -> None:
        self.seconds = seconds
        self.rate = rate
        self._patient = max(threads // 4, 1)

    def seconds_for(self, count: int, waiting: int = 0) -> float:
        """Return the seconds for so many bytes, while so many other threads wait for callers."""
        seconds = self.seconds if waiting < self._patient else min(self.seconds, HURRIED_SECONDS)
        return seconds + count / self.rate
