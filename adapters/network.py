"""What the drivers that speak over a socket share: names resolved in time, and time caps that hold."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress

from adapters.base import ConnectFailed, SourceError, TimedOut, TooWide

#: Seconds past the time cap after which the watch cuts a connection whose server did not end the
#: statement itself.
GRACE = 1.0

#: Seconds between two looks. What a server sends meanwhile is what an answer may be too large by.
_INTERVAL = 0.05

#: Where Linux tells in its answer to TCP_INFO how many bytes a connection has received.
_BYTES_RECEIVED = struct.Struct("<128xQ")


def addresses(host: str, port: int) -> int:
    """How many addresses a host name has. Raises ConnectFailed when it has none."""
    try:
        return len(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        raise ConnectFailed("host-unknown") from None


def refuses(host: str, port: int) -> bool:
    """Whether the host itself turns connections to the port down, as one does where nothing listens."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def silent(descriptor: int) -> bool:
    """Whether an idle connection has nothing to say. A server that has gone away has: its farewell."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(0)


class Watch:
    """Cuts connections whose statement ran past its time.

    A server enforces the time cap itself while it is well. One that hangs, or that a network swallowed,
    never does, and no driver's own time-out can be relied on then: closing the socket under the driver
    makes it return at once. ``begin`` and ``end`` cost a dict write each.
    """

    def __init__(self) -> None:
        self._running: dict[object, tuple[float, int, int]] = {}
        #: Of running statements: how many bytes their connections had received when they were first looked at.
        self._before: dict[object, int] = {}
        #: Of connections that were cut: what for.
        self._cuts: dict[object, SourceError] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, descriptor: int, deadline: float, width: int = 0) -> object:
        """Watch a socket from now on. ``deadline`` is a time.monotonic() value.

        ``width``: cut it, too, once about twice so many bytes have come. A driver keeps what it is asked for whole.
        """
        token = object()
        self._running[token] = (deadline + GRACE, descriptor, 2 * width)
        if self._thread is None:
            self._start()
        return token

    def end(self, token: object) -> SourceError | None:
        """Stop watching. What for the connection was cut, if it was."""
        if self._running.pop(token, None) is not None:
            return None
        # The cut may be under way: the descriptor must not be closed, and its number given to another
        # socket, before it is done.
        with self._lock:
            return self._cuts.pop(token, None)

    def forget(self) -> None:
        """In a forked child: the thread was the parent's."""
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
            for token, (deadline, descriptor, most) in running:
                if deadline < now:
                    self._end(token, descriptor, TimedOut("timeout"))
                elif most and self._came(token, descriptor) > most:
                    self._end(token, descriptor, TooWide())
            if self._before:
                kept = {token for token, _ in running}
                self._before = {token: came for token, came in self._before.items() if token in kept}

    def _end(self, token: object, descriptor: int, why: SourceError) -> None:
        with self._lock:
            if self._running.pop(token, None) is not None:
                self._cuts[token] = why
                _cut(descriptor)

    def _came(self, token: object, descriptor: int) -> int:
        """Bytes that a connection has received since its statement was first looked at."""
        with self._lock:
            if token not in self._running:
                return 0
            came = _received(descriptor)
        return came - self._before.setdefault(token, came)


def _received(descriptor: int) -> int:
    """Bytes that a TCP connection has received; 0 where it does not tell."""
    with suppress(OSError, struct.error), socket.socket(fileno=os.dup(descriptor)) as twin:
        told = twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED.size)
        return int(_BYTES_RECEIVED.unpack(told)[0])
    return 0


def _cut(descriptor: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as twin:
        twin.shutdown(socket.SHUT_RDWR)


watch = Watch()
os.register_at_fork(after_in_child=watch.forget)
