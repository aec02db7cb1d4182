"""How a request to an upstream fails: in which phase, and for what reason."""

from __future__ import annotations

#: Where a call to another system can fail, in the order in which it gets there.
PHASES = ("address", "dns", "connect", "tls", "write", "first-byte", "body", "parse")


class Failed(Exception):
    """A call to another system that came to nothing.

    ``phase`` is one of PHASES, ``reason`` a word of ours, never a driver's text. ``sent``: a byte of the request
    went out, so the other side may have acted on it. ``slow``: a time limit was met.
    """

    def __init__(self, phase: str, reason: str, *, sent: bool = False, slow: bool = False) -> None:
        super().__init__(phase, reason)
        self.phase = phase
        self.reason = reason
        self.sent = sent
        self.slow = slow
