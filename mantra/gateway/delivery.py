"""Responses on their way to callers. A caller who reads slowly is cut off: its response holds a thread, and perhaps a
connection of a source or upstream.

A caller may be waited for WEB_CALLER_SECONDS in one response, and for what its bytes take at WEB_CALLER_RATE. When half
of the threads wait for callers who are behind that rate, those go at once. A response whose rows or bytes are still
being fetched ends at the time limit of its operation, whatever its caller does; one that is stopped ends at once.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from weakref import WeakSet

from django.conf import settings

from adapters.socket_watch import Watchdog, byte_counts
from mantra.gateway.http import Environ, caller_socket
from mantra.gateway.recording import StreamedBody
from registry import faults
from registry.bulkhead import default_limit
from registry.results import Fault

#: Seconds by which a caller may be behind the rate while threads are scarce, and for which the piece that is under way
#: at the time limit may still be sent.
SCARCE_SECONDS = 1.0

#: The deliveries whose callers are behind the rate by more than SCARCE_SECONDS.
_behind: WeakSet[Delivery] = WeakSet()

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def watched(chunks: Iterable[bytes], environ: Environ) -> Iterable[bytes]:
    """Return a response's body, watched while it is sent if the server gives the caller's socket.

    A page of Django that is complete needs no watching: the server sends it without a thread, and ends it in time.
    """
    caller = caller_socket(environ)
    if caller is None:
        return chunks
    if not getattr(chunks, "streaming", True):
        chunks.resumable = True  # type: ignore[attr-defined]
        return chunks
    return Delivery(chunks, caller)


class Delivery:
    """A response's body, as the WSGI server iterates over it. Between two pieces the server waits for the caller."""

    __slots__ = (
        "__weakref__",
        "_acknowledged",
        "_body",
        "_caller",
        "_chunks",
        "_given",
        "_last",
        "_since",
        "_waited",
        "fault",
        "resumable",
    )

    def __init__(self, body: Iterable[bytes], caller: socket.socket) -> None:
        self._body = body
        self._chunks = iter(body)
        #: Tells the server that any thread may fetch the next piece: then no thread waits for the caller.
        self.resumable = isinstance(body, StreamedBody)
        self._caller = caller
        #: Since when the caller is waited for (monotonic); 0 while it is not.
        self._since = 0.0
        #: Seconds for which it was waited for before.
        self._waited = 0.0
        #: The bytes that were given to the server, and how many of them in the last piece.
        self._given = 0
        self._last = 0
        #: The bytes that the caller had acknowledged on this connection at the first check. A response that is sent in
        #: less time costs no system call.
        self._acknowledged: int | None = None
        #: Why the caller was cut off.
        self.fault: Fault | None = None
        watchdog.begin(self)

    def __iter__(self) -> Delivery:
        return self

    def __next__(self) -> bytes:
        if self._since:
            self._waited += time.monotonic() - self._since
            self._since = 0.0
        try:
            chunk = next(self._chunks)
        except StopIteration:
            raise
        except Exception:
            self._reset()
            raise
        finally:  # at the end too: the server may still send the last chunk's frame
            self._since = time.monotonic()
        self._last = len(chunk)
        self._given += self._last
        return chunk

    def close(self) -> None:
        """Called by the server after the last piece, or when the response is aborted."""
        fault = watchdog.end(self)
        if fault is not None and isinstance(self._body, StreamedBody):
            self._body.abort(fault)
        elif close := getattr(self._body, "close", None):
            close()

    def overdue(self, now: float) -> Fault | None:
        """Return the fault of a caller who is too slow, or whose call was stopped; None for others."""
        if isinstance(self._body, StreamedBody) and (stopped := self._body.stopped()) is not None:
            return stopped
        since = self._since
        if self._acknowledged is None:
            self._acknowledged = self._acknowledged_bytes()
        if not since or self._waited + now - since < SCARCE_SECONDS:
            return None
        if self._is_past_limit(now, since) or self._is_behind(now, since):
            _behind.discard(self)
            return Fault(faults.RESPONSE_TOO_SLOW)
        return None

    def _is_past_limit(self, now: float, since: float) -> bool:
        """Return True if the operation's time limit is over, and the piece under way has had its time."""
        body = self._body
        return isinstance(body, StreamedBody) and now > body.deadline and now - since > SCARCE_SECONDS

    def _is_behind(self, now: float, since: float) -> bool:
        """Return True if the caller is further behind the rate than it may be."""
        behind = self._waited + now - since - self._delivered() / settings.WEB_CALLER_RATE
        if behind < SCARCE_SECONDS:
            _behind.discard(self)
            return False
        if self.resumable:
            return bool(behind > settings.WEB_CALLER_SECONDS)
        _behind.add(self)
        return bool(behind > settings.WEB_CALLER_SECONDS or len(_behind) > default_limit())

    def cut(self) -> None:
        """Shut the caller's socket. It is reset, so that no caller takes what it has for the whole response."""
        with suppress(OSError):
            self._reset()
            self._caller.shutdown(socket.SHUT_RDWR)

    def _reset(self) -> None:
        """Have the connection reset when it is closed: to HTTP/1.0 a regular end is the end of the response."""
        with suppress(OSError):
            self._caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _delivered(self) -> int:
        """Return about how many bytes the caller has received: what the kernel still holds does not count."""
        if (
            self._acknowledged is None or self._acknowledged < 0
        ):  # a UNIX socket: what was sent before the piece that is under way
            return self._given - self._last
        return self._acknowledged_bytes() - self._acknowledged

    def _acknowledged_bytes(self) -> int:
        """Return the bytes that the caller has acknowledged on this connection; -1 if the kernel does not count."""
        try:
            return byte_counts(self._caller)[0]
        except OSError:
            return -1


class CallerWatchdog(Watchdog[Delivery]):
    """Cuts off callers who are too slow. ``begin`` and ``end`` cost a dict write each."""

    def begin(self, delivery: Delivery) -> None:
        """Start to watch a response."""
        self._add(delivery)

    def end(self, delivery: Delivery) -> Fault | None:
        """Stop watching. Returns the fault if the caller was cut off."""
        if self._running.pop(delivery, _ENDED) is None:
            return None
        # A cut may be in progress: until it is done, the socket must not be closed, as its number could be given to
        # another one.
        with self._lock:
            return delivery.fault

    def _look(self, delivery: Delivery, now: float) -> None:
        with self._lock:
            fault = delivery.overdue(now) if delivery in self._running else None
            if fault is not None and self._running.pop(delivery, _ENDED) is None:
                delivery.fault = fault
                delivery.cut()


#: In the place of a response that is not watched any more.
_ENDED = object()

watchdog = CallerWatchdog("caller-watch")
os.register_at_fork(after_in_child=watchdog.forget)
