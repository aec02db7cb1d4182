"""The memory of all documents that a process decodes at a time.

A parsed document takes many times the size of its text: 5 MB of ``{"a":1}`` become 250 MB of objects. Many calls at
once must not fill a process with them, whatever their operations' size limits.
"""

from __future__ import annotations

import threading

from proxyservices.decoders.limits import DecodeError

#: Estimated bytes of all documents under way in a process, and of one.
MAX_TOTAL_BYTES = 256 * 1024 * 1024
#: A document of less is not counted: most calls share no lock.
MIN_COUNTED_BYTES = 1024 * 1024
#: The longest wait in seconds for the memory of other documents.
MAX_WAIT_SECONDS = 2.0
#: About what a text, a number or a member takes as a decoded value and as its copy in the caller's format, measured
#: with CPython 3.11: 384 bytes for an object with one member, which has two separators.
_PART_BYTES = 200
#: The body, its text, and what is written of it.
_BODY_COPIES = 3
_OTHERS = bytes(code for code in range(256) if code not in b"{[<=;\t,\n")


def estimate(body: bytes) -> int:
    """Return about how many bytes a document of any format takes, by its separators."""
    separators = body.translate(None, _OTHERS)  # five times as fast as to count each of them in the body
    # Lines that end in a comma have one part, not two.
    parts = len(separators) - min(separators.count(b","), separators.count(b"\n"))
    return _BODY_COPIES * len(body) + _PART_BYTES * parts


class Budget:
    """Bytes that documents may take. Only documents of at least MIN_COUNTED_BYTES are counted."""

    def __init__(self, total: int = MAX_TOTAL_BYTES) -> None:
        self._total = total
        self._used = 0
        self._changed = threading.Condition()

    @property
    def used(self) -> int:
        return self._used

    def reserve(self, body: bytes, seconds: float) -> Reservation | None:
        """Return a reservation for a body's document; None if there is no room within ``seconds``.

        Raises DecodeError for a document that is larger than the whole budget.
        """
        if len(body) * (_BODY_COPIES + _PART_BYTES) < MIN_COUNTED_BYTES or (size := estimate(body)) < MIN_COUNTED_BYTES:
            return Reservation(self, 0)
        if size > self._total:
            raise DecodeError("size")
        with self._changed:
            if not self._changed.wait_for(lambda: self._used + size <= self._total, min(seconds, MAX_WAIT_SECONDS)):
                return None
            self._used += size
        return Reservation(self, size)

    def release(self, size: int) -> None:
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class Reservation:
    """A document's part of a budget, until it is released or forgotten."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: Budget, size: int) -> None:
        self._budget = budget
        self._size = size

    def release(self) -> None:
        """Give the bytes back. A second call does nothing."""
        size, self._size = self._size, 0
        if size:
            self._budget.release(size)

    __del__ = release


budget = Budget()
