"""What the drivers that speak over a socket share: names resolved in time, and time caps that hold."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from contextlib import suppress

from adapters.base import ConnectFailed

#: Seconds past the time cap after which the watch cuts a connection whose server did not end the
#: statement itself.
GRACE = 1.0

_INTERVAL = 0.25


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
        self._running: dict[object, tuple[float, int]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, descriptor: int, deadline: float) -> object:
        """Watch a socket from now on. ``deadline`` is a time.monotonic() value."""
        token = object()
        self._running[token] = (deadline + GRACE, descriptor)
        if self._thread is None:
            self._start()
        return token

    def end(self, token: object) -> bool:
        """Stop watching. True when the connection was cut."""
        if self._running.pop(token, None) is not None:
            return False
        # The cut may be under way: the descriptor must not be closed, and its number given to another
        # socket, before it is done.
        with self._lock:
            return True

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
            for token, (deadline, descriptor) in list(self._running.items()):
                if deadline < now:
                    with self._lock:
                        if self._running.pop(token, None) is not None:
                            _cut(descriptor)


def _cut(descriptor: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as twin:
        twin.shutdown(socket.SHUT_RDWR)


watch = Watch()
os.register_at_fork(after_in_child=watch.forget)
