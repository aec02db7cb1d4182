"""Sockets of the drivers: host names, idle connections, and a watchdog that enforces limits of time and size."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress

from adapters.base import ConnectFailed, RowTooLarge, SourceError, TimedOut

#: Seconds after the time cap when the watchdog cuts a connection whose server did not end the statement.
GRACE = 1.0

#: Seconds between two checks. A server may exceed the size limit by what it sends in that time.
_INTERVAL = 0.05

#: The place of the number of received bytes in Linux's struct tcp_info.
_BYTES_RECEIVED = struct.Struct("<128xQ")


def address_count(host: str, port: int) -> int:
    """Return how many addresses a host name has. Raises ConnectFailed if it has none."""
    try:
        return len(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        raise ConnectFailed("host-unknown") from None


def refuses_connections(host: str, port: int) -> bool:
    """Return True if the host refuses connections to the port, as it does where nothing listens."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def is_idle(descriptor: int) -> bool:
    """Return True if nothing was received on an idle connection. When a server has closed it, its end was received."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(0)


class StatementWatchdog:
    """Cuts connections whose statement exceeds its time or size.

    A healthy server enforces the time cap itself. One that hangs, or is unreachable, does not, and no driver's own
    time-out is reliable then: shutting the socket down under the driver makes it return at once. ``begin`` and
    ``end`` cost a dict write each.
    """

    def __init__(self) -> None:
        self._running: dict[object, tuple[float, int, int]] = {}
        #: By running statement: the bytes that its connection had received at the first check.
        self._before: dict[object, int] = {}
        #: By statement whose connection was cut: the reason.
        self._cuts: dict[object, SourceError] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, descriptor: int, deadline: float, width: int = 0) -> object:
        """Start to watch a socket. ``deadline`` is a time.monotonic() value.

        ``width``: also cut it once about twice that many bytes have arrived. A driver buffers what it fetches.
        """
        token = object()
        self._running[token] = (deadline + GRACE, descriptor, 2 * width)
        if self._thread is None:
            self._start()
        return token

    def end(self, token: object) -> SourceError | None:
        """Stop watching. Returns the reason if the connection was cut."""
        if self._running.pop(token, None) is not None:
            return None
        # A cut may be in progress: until it is done, the descriptor must not be closed, as its number could be
        # given to another socket.
        with self._lock:
            return self._cuts.pop(token, None)

    def forget(self) -> None:
        """Start anew in a forked child: the thread is the parent's."""
        self.__init__()  # type: ignore[misc]

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="statement-watch", daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        while True:
            time.sleep(_INTERVAL)
            now = time.monotonic()
            running = list(self._running.items())
            for token, (deadline, descriptor, max_bytes) in running:
                if deadline < now:
                    self._end(token, descriptor, TimedOut("timeout"))
                elif max_bytes and self._received(token, descriptor) > max_bytes:
                    self._end(token, descriptor, RowTooLarge())
            if self._before:
                tokens = {token for token, _ in running}
                self._before = {token: count for token, count in self._before.items() if token in tokens}

    def _end(self, token: object, descriptor: int, why: SourceError) -> None:
        with self._lock:
            if self._running.pop(token, None) is not None:
                self._cuts[token] = why
                _cut(descriptor)

    def _received(self, token: object, descriptor: int) -> int:
        """Return the bytes that a connection has received since the first check of its statement."""
        with self._lock:
            if token not in self._running:
                return 0
            received = _received_bytes(descriptor)
        return received - self._before.setdefault(token, received)


def _received_bytes(descriptor: int) -> int:
    """Return the bytes that a TCP connection has received; 0 for other sockets."""
    with suppress(OSError, struct.error), socket.socket(fileno=os.dup(descriptor)) as twin:
        info = twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED.size)
        return int(_BYTES_RECEIVED.unpack(info)[0])
    return 0


def _cut(descriptor: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as twin:
        twin.shutdown(socket.SHUT_RDWR)


watchdog = StatementWatchdog()
os.register_at_fork(after_in_child=watchdog.forget)
