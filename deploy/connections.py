"""Callers' connections under gunicorn's threaded worker: what one caller does, or does not do, delays no other.

Gunicorn waits for a caller in three places that hold what all callers need. It awaits the first byte of a request in a
thread of the pool, the rest of it without a bound on the whole, and the caller's end of a closed connection in the
thread that accepts. Here no thread waits for a first byte, each request has a time limit, and one thread of its own
closes connections.
"""

from __future__ import annotations

import json
import logging
import select
import socket
import struct
import threading
import time
import uuid
from concurrent.futures import Future
from typing import Any, ClassVar

from gunicorn import util
from gunicorn.http import parser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers import gthread

log = logging.getLogger("gunicorn.error")

#: Seconds that a caller may take to close its end, and the bytes that are read from it in that time. A connection that
#: is closed with unread bytes is reset, and the caller may lose the end of its response.
CLOSE_SECONDS = 2.0
CLOSE_BYTES = 4 * 1024 * 1024
#: Connections that wait for their callers' end at once. Further ones are closed without waiting.
MAX_CLOSING = 1000
#: Seconds that a request may take beside its bytes' time while threads are scarce.
HURRIED_SECONDS = 0.5


class Closer:
    """Closes connections in one thread: says that nothing more will come, and waits for the caller to close too."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        #: By descriptor, the oldest first: the socket, when to stop waiting, and the bytes that may still come.
        self._closing: dict[int, tuple[socket.socket, float, int]] = {}
        threading.Thread(target=self._run, name="closer", daemon=True).start()

    def close(self, connection: socket.socket) -> None:
        """Take over a connection and close it soon. The caller's object is closed already when this returns."""
        if connection.fileno() < 0:
            return
        owned = socket.socket(fileno=connection.detach())
        if not self._half_closed(owned) or len(self._closing) >= MAX_CLOSING:
            owned.close()
            return
        self._closing[owned.fileno()] = owned, time.monotonic() + CLOSE_SECONDS, CLOSE_BYTES
        self._poll.register(owned.fileno(), select.EPOLLIN)

    @staticmethod
    def _half_closed(connection: socket.socket) -> bool:
        """Say that nothing more will come. Returns False if the caller has gone, or the bus resets the connection."""
        try:
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
                return False
            connection.setblocking(False)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return True

    def _run(self) -> None:
        while True:
            for descriptor, _event in self._poll.poll(0.25):
                self._drain(descriptor)
            now = time.monotonic()
            for descriptor, (_connection, until, _left) in list(self._closing.items()):
                if until > now:
                    break
                self._end(descriptor)

    def _drain(self, descriptor: int) -> None:
        connection, until, left = self._closing[descriptor]
        try:
            received = len(connection.recv(65536))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        if received and left > received:
            self._closing[descriptor] = connection, until, left - received
        else:
            self._end(descriptor)

    def _end(self, descriptor: int) -> None:
        # Closing a socket takes it out of the poll. It leaves the table first: its number may be used again at once.
        self._closing.pop(descriptor)[0].close()


class Pace:
    """How long a caller may be waited for: ``seconds``, and the time that its bytes take at ``rate`` bytes a second.

    When more than a quarter of the ``threads`` wait for requests, it is only HURRIED_SECONDS.
    """

    def __init__(self, seconds: float = 15, rate: int = 32 * 1024, threads: int = 16) -> None:
        self._seconds = seconds
        self._rate = rate
        self._patient = max(threads // 4, 1)

    def seconds_for(self, received: int, waiting: int) -> float:
        """Return the seconds for a request of which so many bytes have come, while so many threads wait for others."""
        seconds = self._seconds if waiting < self._patient else min(self._seconds, HURRIED_SECONDS)
        return seconds + received / self._rate


class Unreader(SocketUnreader):  # type: ignore[misc]  # gunicorn carries no types
    """Reads requests from a connection. Each has a time limit, however its bytes are spread over it."""

    # A body is handed on in pieces of 64 KiB. Gunicorn would read up to 1 MiB ahead and copy it at each piece, which
    # takes some 2 MiB more for each upload.
    max_body_chunk = 64 * 1024
    #: The worker's own.
    pace = Pace()
    #: The requests that threads wait for at this moment, beyond their first bytes.
    waiting: ClassVar[set[Unreader]] = set()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._received = 0
        #: Seconds for which the request's bytes were awaited.
        self._waited = 0.0
        #: Whether the socket has a timeout of this request or of one before.
        self._bounded = False

    def begin(self) -> None:
        """Begin the next request of the connection."""
        self._received = 0
        self._waited = 0.0

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self._received or self._bounded:  # the first bytes are there already, or the listener's timeout holds
            self._bound(self.pace.seconds_for(self._received, len(self.waiting)) - self._waited)
            self.waiting.add(self)
        began = time.monotonic()
        try:
            data: bytes = super().chunk(size_hint)
        except BlockingIOError:
            raise TimeoutError("the request did not arrive in time") from None
        finally:
            self.waiting.discard(self)
        self._waited += time.monotonic() - began
        self._received += len(data)
        return data

    def _bound(self, seconds: float) -> None:
        if seconds <= 0:
            raise TimeoutError("the request did not arrive in time")
        self._bounded = True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(seconds))


def timeval(seconds: float) -> bytes:
    """Return a time as the kernel's struct timeval, at least a millisecond: none at all would mean for ever."""
    whole, part = divmod(max(int(seconds * 1000), 1), 1000)
    return struct.pack("ll", whole, part * 1000)


class Connection(gthread.TConn):  # type: ignore[misc]  # gunicorn carries no types
    """A connection that is closed by the closer, and whose first byte is awaited by no thread of the pool."""

    #: The worker process's own; a Worker sets it.
    closer: Closer

    def wait_for_data(self, timeout: float) -> bool:
        """Return whether data is there already. Else gunicorn waits for it in the poll of all connections."""
        return bool(super().wait_for_data(0))

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.closer.close(self.sock)
        else:
            util.close(self.sock)


class Worker(gthread.ThreadWorker):  # type: ignore[misc]
    """Gunicorn's threaded worker with such connections."""

    def init_process(self) -> None:
        Connection.closer = closer = Closer()
        gthread.TConn = Connection
        parser.SocketUnreader = Unreader
        # Gunicorn ends a response that failed half way in the thread that sent it.
        util.close_graceful = closer.close
        util.write_error = write_problem
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        super().accept(listener)
        self._make_room()

    def finish_request(self, conn: Connection, fs: Future[Any]) -> None:
        super().finish_request(conn, fs)
        self._make_room()

    def _make_room(self) -> None:
        """Close the oldest silent connection when there are as many connections as there may be."""
        silent = self.pending_conns or self.keepalived_conns
        if self.nr_conns >= self.worker_connections and silent:
            silent[0].timeout = 0.0
            self.murder_pending()
            self.murder_keepalived()

    def handle(self, conn: Connection) -> Any:
        if conn.parser is not None:
            conn.parser.unreader.begin()
        return super().handle(conn)


def write_problem(connection: socket.socket, status: int, reason: str, _message: str) -> None:
    """Refuse what gunicorn cannot read as a request, in the shape in which nginx refuses such (deploy/nginx)."""
    request_id = uuid.uuid4().hex
    log.info("request %s was refused: %d %s", request_id, status, reason)
    problem = {"type": "about:blank", "title": reason, "status": status, "request_id": request_id}
    body = json.dumps(problem).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n\r\n"
    )
    util.write_nonblock(connection, head.encode() + body)
