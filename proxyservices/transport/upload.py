"""A caller's request body on its way to an upstream."""

from __future__ import annotations

import time

from proxyservices.transport import deadlines
from registry import faults
from registry.calls import Passage
from registry.results import Fault


class Upload:
    """A caller's body on its way to the upstream: counted, bounded, read once."""

    __slots__ = ("_cut", "_deadline", "_left", "_limit", "_patience", "_stream", "begun")

    def __init__(self, passage: Passage, limit: int, deadline: float) -> None:
        length = passage.length
        if length is not None and length > limit:
            raise Fault(faults.BODY_TOO_LARGE, limit=limit)
        self._stream = passage.body
        self._left = length
        self._cut = passage.cut
        self._patience: int | None = None
        self._limit = limit
        self._deadline = deadline
        self.begun = False

    def read(self, size: int = 65536) -> bytes:
        """At most ``size`` bytes, b"" at the end. Raises Fault where the caller breaks off or sends too much."""
        if not self.begun:
            self.begun = True
            if self._cut is not None:
                self._patience = deadlines.begin(self._deadline, self._cut)
        if self._left == 0:
            return b""
        if time.monotonic() > self._deadline:
            raise Fault(faults.BODY_INVALID, why_id="terlalu lambat", why_en="it came too slowly")
        try:
            chunk: bytes = self._stream.read(size if self._left is None else min(size, self._left))
        except OSError:
            raise _broken() from None
        if self._left is not None:
            self._left -= len(chunk)
            if not chunk:
                raise _broken()
        else:
            self._limit -= len(chunk)
            if self._limit < 0:
                raise Fault(faults.BODY_TOO_LARGE, limit=self._limit + len(chunk))
        return chunk

    def done(self) -> None:
        """Nothing more of it is wanted."""
        if self._patience is not None:
            deadlines.end(self._patience)


def _broken() -> Fault:
    return Fault(faults.BODY_INVALID, why_id="sambungan terputus", why_en="the connection broke")
