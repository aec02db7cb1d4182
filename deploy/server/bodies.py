"""Bodies of requests as wsgi.input: those that came with their head, and those that the application waits for."""

from __future__ import annotations

import io
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, ClassVar

from server.heads import Head, Refused
from server.pace import Pace

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: A body is handed on in pieces of so many bytes.
PIECE = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Body(io.RawIOBase):
    """The body of a request while it arrives. A read blocks the thread, at the server's pace.

    Reads raise TimeoutError from a caller who is too slow, and OSError where chunks are malformed. A body that ends
    too soon is shorter than its length says.
    """

    #: The bodies that threads wait for at this moment.
    waiting: ClassVar[set[Body]] = set()

    def __init__(self, caller: socket.socket, head: Head, begun: bytes, pace: Pace, is_late: bool) -> None:
        super().__init__()
        self._caller = caller
        self._head = head
        self._ready = memoryview(begun)
        self._left = head.length
        self._pace = pace
        self._received = len(begun)
        self._waited = float("inf") if is_late else 0.0
        self._must_say_continue = head.expects
        #: What came after the end of a body in chunks.
        self.rest = b""

    def readable(self) -> bool:
        return True

    @property
    def is_read(self) -> bool:
        """True if no byte of the body is left on the connection."""
        return self._head.ended if self._left is None else not self._left

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read at least a byte, at the body's end none."""
        target = memoryview(buffer).cast("B")
        while not self._ready:
            if self.is_read:
                return 0
            data = self._receive(len(target))
            if not data:
                return 0
            self._take(data)
        count = min(len(target), len(self._ready))
        if self._left is not None:
            count = min(count, self._left)
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        if self._left is not None:
            self._left -= count
        return count

    def _take(self, data: bytes) -> None:
        if not self._head.chunked:
            self._ready = memoryview(data)
            return
        try:
            self.rest = self._head.feed_chunks(data)
        except Refused:
            raise ConnectionAbortedError("the chunks are malformed") from None
        self._ready = memoryview(bytes(self._head.body))
        self._head.body.clear()

    def _receive(self, size: int) -> bytes:
        """Return bytes of the connection, b"" at its end. Raises TimeoutError."""
        if self._must_say_continue:
            self._must_say_continue = False
            self._caller.send(_CONTINUE)
        self.waiting.add(self)
        try:
            self._wait()
        finally:
            self.waiting.discard(self)
        if self._left is not None:
            size = min(size, self._left)
        data = self._caller.recv(max(size, 1) if self._left is not None else PIECE)
        self._received += len(data)
        return data

    def _wait(self) -> None:
        left = self._pace.seconds_for(self._received, len(self.waiting) - 1) - self._waited
        poll = select.poll()
        poll.register(self._caller, select.POLLIN | select.POLLRDHUP)
        began = time.monotonic()
        ready = left > 0 and poll.poll(left * 1000)
        self._waited += time.monotonic() - began
        if not ready:
            raise TimeoutError("the body did not arrive in time")


class Budget:
    """Bytes that requests under way may hold in memory, all connections together."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._lock = threading.Lock()

    def reserve(self, size: int) -> bool:
        """Reserve so many bytes until release(). Return False if fewer are free."""
        with self._lock:
            if self._free < size:
                return False
            self._free -= size
            return True

    def release(self, size: int) -> None:
        with self._lock:
            self._free += size
