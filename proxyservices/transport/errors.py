"""The error of a request to an upstream: the phase in which it failed, and the reason."""

from __future__ import annotations

#: Where a request to another system can fail, in the order in which the phases follow each other.
PHASES = ("address", "dns", "connect", "tls", "write", "first-byte", "body", "parse")


class UpstreamError(Exception):
    """A request to another system failed.

    ``phase`` is one of PHASES. ``reason`` is one of the bus's own words, never a driver's text. ``sent``: a byte of
    the request went out, so the other side may have acted on it. ``slow``: a timeout was reached.
    """

    def __init__(self, phase: str, reason: str, *, sent: bool = False, slow: bool = False) -> None:
        super().__init__(phase, reason)
        self.phase = phase
        self.reason = reason
        self.sent = sent
        self.slow = slow
