"""A caller's request body on its way to an upstream."""

from __future__ import annotations

import time

from proxyservices.transport import deadlines
from registry import faults
from registry.calls import RawRequest
from registry.results import Fault


class Upload:
    """A caller's request body: counted, limited, read once."""

    __slots__ = ("_abort", "_deadline", "_left", "_limit", "_stream", "_watch", "started")

    def __init__(self, raw_request: RawRequest, limit: int, deadline: float) -> None:
        """``limit`` in bytes, ``deadline`` in monotonic seconds. Raises Fault if the stated length is too large."""
        length = raw_request.length
        if length is not None and length > limit:
            raise Fault(faults.BODY_TOO_LARGE, limit=limit)
        self._stream = raw_request.body
        #: Bytes still to come; None if the caller sends chunks.
        self._left = length
        self._abort = raw_request.abort
        #: The number by which deadlines knows the read.
        self._watch: int | None = None
        self._limit = limit
        self._deadline = deadline
        self.started = False

    def read(self, size: int = 65536) -> bytes:
        """Return at most ``size`` bytes, b"" at the end. Raises Fault."""
        if not self.started:
            self.started = True
            if self._abort is not None:
                self._watch = deadlines.watch(self._deadline, self._abort)
        if self._left == 0:
            return b""
        if time.monotonic() > self._deadline:
            raise Fault(faults.REQUEST_TOO_SLOW)
        try:
            chunk: bytes = self._stream.read(size if self._left is None else min(size, self._left))
        except TimeoutError:
            raise Fault(faults.REQUEST_TOO_SLOW) from None
        except OSError:
            raise caller_aborted() from None
        if self._left is not None:
            self._left -= len(chunk)
            if not chunk:
                raise caller_aborted()
        else:
            self._limit -= len(chunk)
            if self._limit < 0:
                raise Fault(faults.BODY_TOO_LARGE, limit=self._limit + len(chunk))
        return chunk

    def close(self) -> None:
        """End the watch over the deadline: no more of the body is needed."""
        if self._watch is not None:
            deadlines.cancel(self._watch)


def caller_aborted() -> Fault:
    return Fault(faults.BODY_INVALID, reason_id="koneksi terputus", reason_en="the connection was lost")
