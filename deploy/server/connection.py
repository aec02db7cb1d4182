"""One caller's connection: what has come of a request, what is left of a response, and what to do next with either."""

from __future__ import annotations

import io
import logging
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from server.bodies import PIECE, Body, Budget
from server.heads import MAX_HEAD, MAX_LINE, Head, Refused
from server.pace import Pace
from server.responses import Response, problem

log = logging.getLogger("gunicorn.error")

#: Bytes that are read from a connection at once.
_READ = 16 * 1024
#: A body up to so many bytes is read before the application is called, and so holds no thread.
COLLECTED = 256 * 1024
#: A piece of a response up to so many bytes goes out together with its head.
_JOINED = 64 * 1024
#: Seconds that a caller may take to close its end, and the bytes that are read from it in that time. A connection that
#: is closed with unread bytes is reset, and the caller may lose the end of its response.
CLOSE_SECONDS = 2.0
CLOSE_BYTES = 4 * 1024 * 1024
_RESET = struct.pack("ii", 1, 0)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Server:
    """What all connections of a process share."""

    application: Application
    pace: Pace
    #: Seconds for which a silent connection is kept between two requests.
    keep_alive: float
    #: Whether a proxy of ours in front says how callers come.
    trusts_proxy: bool
    #: Bytes of bodies that may be held in memory before their applications run.
    budget: Budget
    #: By descriptor.
    connections: dict[int, Connection]
    #: Calls ready() of the connection with a descriptor, in a thread that serves.
    wake: Callable[[int], None]
    #: False when the process is to end: then each response is the last of its connection.
    alive: bool = True


class Connection:
    """A caller's connection. Threads call ready() when the kernel has news of it; one of them at a time does the work.

    The kernel tells of news once only (EPOLLET). What comes while a thread is at work is noted by the thread that
    learns of it, and the one at work looks again.
    """

    __slots__ = (
        "_base", "_begun", "_body", "_buffer", "_chunks", "_closes_at", "_drained", "_has_ended", "_head",
        "_is_half_closed", "_is_late", "_left_to_drain", "_lock", "_news", "_output", "_quiet_since", "_reserved",
        "_response", "_sent", "_server", "_socket", "_stalled_since", "_waits_without_thread",
    )  # fmt: skip

    def __init__(self, connection: socket.socket, base: dict[str, Any], server: Server) -> None:
        self._socket = connection
        self._base = base
        self._server = server
        self._lock = threading.Lock()
        self._news = False
        #: True after a read that left nothing in the kernel, until there is news.
        self._drained = False
        #: True once the caller has ended its side.
        self._is_half_closed = False
        self._buffer = bytearray()
        self._head: Head | None = None
        #: The bytes of the server's budget that the request has reserved.
        self._reserved = 0
        #: True if the request's body did not arrive in time. The application says so, in the caller's format.
        self._is_late = False
        #: True if the connection ended within the request's body. The application says so too.
        self._has_ended = False
        #: When the first byte of the request came, when the last response ended, and since when the caller takes
        #: nothing of this one (monotonic); 0.0 for none.
        self._begun = 0.0
        self._quiet_since = time.monotonic()
        self._stalled_since = 0.0
        #: The response under way, the iterable that is its body, what is left of that, and what the kernel has not
        #: taken of it yet.
        self._response: Response | None = None
        self._body: Any = None
        self._chunks: Iterator[bytes] | None = None
        self._output: list[memoryview] = []
        self._sent = 0
        #: True where the response goes on in any thread, so that no thread need wait for the caller.
        self._waits_without_thread = False
        #: Of a connection that is being closed: until when its caller is waited for, and how much is still read.
        self._closes_at = 0.0
        self._left_to_drain = 0

    # ---------------------------------------------------------------------------------- turns

    def ready(self, is_half_closed: bool = False) -> None:
        """Go on with the connection as far as it is possible without waiting for the caller.

        ``is_half_closed``: the caller has ended its side. The kernel then has no more news of what comes from it.
        """
        if is_half_closed:
            self._is_half_closed = True
        self._news = True
        while self._news and self._lock.acquire(False):
            try:
                self._news = self._drained = False
                self._advance()
            except BaseException as error:  # whatever it is costs its connection, and never the thread
                log.error("A connection was ended: %s", type(error).__name__)
                self._reset()
            finally:
                self._lock.release()

    def _advance(self) -> None:
        if self._closes_at:
            self._drain()
        elif (self._response is None or self._send()) and self._serve_next() and (self._buffer or not self._drained):
            self._server.wake(self._socket.fileno())  # what has come already waits its turn, as those of others do

    def _serve_next(self) -> bool:
        """Serve a request if one is there. Return True if it is over and the connection goes on."""
        return self._begin_request() and self._serve() and self._send()

    @property
    def quiet_since(self) -> float:
        """Since when the caller has sent nothing of a request (monotonic); 0.0 during one."""
        return 0.0 if self._begun or self._response is not None else self._quiet_since

    # ---------------------------------------------------------------------------------- requests

    def _begin_request(self) -> bool:
        """Return True if a request can be served now: its head is there, and a small body wholly."""
        try:
            while not self._is_complete():
                data = self._read()
                if not data and not self._has_ended:
                    return False
                if not self._begun:
                    self._begun = time.monotonic()
                self._add(data)
        except Refused as refused:
            self._refuse(refused.status, refused.phrase)
            return False
        return True

    def _add(self, data: bytes) -> None:
        head = self._head
        if head is None and not self._buffer and data.find(b"\r\n\r\n") == len(data) - 4 != 0:
            self._set_head(data)  # a whole head and nothing else, as nearly always
            return
        if head is not None and head.chunked:
            data = head.feed_chunks(data)
        self._buffer += data

    def _read(self) -> bytes:
        """Return what has come; b"" if nothing has, or the connection has ended."""
        if self._drained:
            return b""
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data and self._head is None:
            self._end()
        elif not data:
            self._has_ended = True
        self._drained = len(data) < _READ and not self._is_half_closed
        return data

    def _is_complete(self) -> bool:
        """Return True if the request can be served. Raises Refused."""
        head = self._head or self._find_head()
        if head is None:
            return False
        if head.chunked:
            return head.ended or len(head.body) >= self._reserved or self._is_late or self._has_ended
        assert head.length is not None
        return head.length <= len(self._buffer) or not self._reserved or self._is_late or self._has_ended

    def _find_head(self) -> Head | None:
        """Return the head if it is there, and take it from the buffer. Raises Refused."""
        buffer = self._buffer
        while buffer[:2] == b"\r\n":  # RFC 9112, 2.2
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD:
            if buffer.count(b"\n") != buffer.count(b"\r\n"):  # line feeds alone end no head: it would never be found
                raise Refused(400, "Bad Request")
            if len(buffer) > MAX_LINE and buffer.find(b"\r\n", 0, MAX_LINE + 2) < 0:
                raise Refused(414, "URI Too Long")
            if len(buffer) > MAX_HEAD:
                raise Refused(431, "Request Header Fields Too Large")
            return None
        if not self._begun:
            self._begun = time.monotonic()
        data = bytes(memoryview(buffer)[: end + 4])
        del buffer[: end + 4]
        return self._set_head(data)

    def _set_head(self, data: bytes) -> Head:
        head = self._head = Head(data, self._base)
        if head.length != 0:
            self._begin_body(head)
        return head

    def _begin_body(self, head: Head) -> None:
        """Decide whether a body is read before the request is served: where it is small, and there is memory."""
        size = COLLECTED if head.length is None else head.length
        if size <= COLLECTED and self._server.budget.reserve(size):
            self._reserved = size
        if self._reserved and head.expects:
            head.expects = False
            with suppress(OSError):
                self._socket.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if head.chunked and self._buffer:
            data = bytes(self._buffer)
            self._buffer[:] = head.feed_chunks(data)

    def _input(self, head: Head) -> io.BytesIO | io.BufferedReader:
        """Return the request's body for the application."""
        if head.length == 0:
            return io.BytesIO()
        if head.chunked:
            if head.ended:
                return io.BytesIO(head.body)
            begun, head.body = bytes(head.body), bytearray()
        else:
            assert head.length is not None
            begun = bytes(memoryview(self._buffer)[: head.length])
            del self._buffer[: head.length]
            if len(begun) == head.length:
                return io.BytesIO(begun)
        return io.BufferedReader(Body(self._socket, head, begun, self._server.pace, self._is_late), PIECE)

    def _refuse(self, status: int, phrase: str) -> None:
        """Refuse what is no request, and close the connection."""
        request_id, content = problem(status, phrase)
        log.info("request %s was refused: %d %s", request_id, status, phrase)
        with suppress(OSError):
            self._socket.send(content)
        self._close()

    # ---------------------------------------------------------------------------------- responses

    def _serve(self) -> bool:
        """Call the application. Return True if there is a response to send."""
        head = self._head
        assert head is not None
        environ = head.environ
        content = environ["wsgi.input"] = self._input(head)
        if self._server.trusts_proxy and environ.get("HTTP_X_FORWARDED_PROTO") == "https":
            environ["wsgi.url_scheme"] = "https"
        response = self._response = Response()
        try:
            body = self._body = self._server.application(environ, response.start)
            chunks = iter(body)
            first = next(chunks, b"")
            if head.chunked and isinstance(content, io.BufferedReader):
                self._buffer += content.raw.rest  # type: ignore[attr-defined]
            size = len(first) if body.__class__ is tuple and len(body) == 1 else None  # type: ignore[arg-type]
            self._waits_without_thread = size is not None or getattr(body, "resumable", False)
            keep_alive = head.keep_alive and self._server.alive and _is_read(content)
            start = response.head(environ["SERVER_PROTOCOL"], environ["REQUEST_METHOD"], size, keep_alive)
        except Exception as error:
            self._fail(error)
            return False
        self._chunks = chunks
        self._queue(first, start)
        return True

    def _fail(self, error: Exception) -> None:
        """End a response that failed: it must not look whole."""
        log.error("A request was aborted: %s", type(error).__name__)
        response = self._response
        assert response is not None
        if not response.started:
            self._close_body()
            self._refuse(500, "Internal Server Error")
        elif response.is_framed:  # the caller misses the end
            self._end_response()
            self._close()
        else:
            self._reset()

    def _queue(self, chunk: bytes, head: bytes = b"") -> None:
        """Add a piece of the body to what is to be sent, behind the response's head if that has not gone out yet."""
        response = self._response
        assert response is not None
        if response.length is not None:
            chunk = chunk[: response.length] if len(chunk) > response.length else chunk
            response.length -= len(chunk)
        elif response.chunked and chunk:
            head += b"%x\r\n" % len(chunk)
            parts = (head, chunk, b"\r\n")
            self._output += map(memoryview, (b"".join(parts),) if len(chunk) < _JOINED else parts)
            return
        if len(chunk) < _JOINED:
            self._output.append(memoryview(head + chunk if head else chunk))
        else:
            self._output += map(memoryview, (head, chunk) if head else (chunk,))

    def _send(self) -> bool:
        """Send what the kernel takes. Return True if the response is complete and the connection goes on."""
        try:
            while self._flush():
                chunk = self._next_chunk()
                if chunk is None:
                    return self._finish()
                if chunk:
                    self._queue(chunk)
        except OSError:  # the caller has gone
            self._reset()
        except Exception as error:
            self._fail(error)
        return False

    def _next_chunk(self) -> bytes | None:
        """Return the next piece of the body, None after its end."""
        if self._chunks is None:
            return None
        chunk = next(self._chunks, None)
        if chunk is None:
            self._chunks = None
            response = self._response
            assert response is not None
            if response.chunked:
                self._output.append(memoryview(b"0\r\n\r\n"))
                return b""
        return chunk

    def _flush(self) -> bool:
        """Return True if nothing waits to be sent, False if the caller has to read first. Raises OSError."""
        output = self._output
        while output:
            try:
                sent = self._socket.send(output[0]) if len(output) == 1 else self._socket.sendmsg(output)
            except BlockingIOError:
                self._stalled_since = self._stalled_since or time.monotonic()
                if self._waits_without_thread:
                    return False
                self._wait_for_caller()
                continue
            self._sent += sent
            while output and sent >= len(output[0]):
                sent -= len(output.pop(0))
            if sent:
                output[0] = output[0][sent:]
        self._stalled_since = 0.0
        return True

    def _wait_for_caller(self) -> None:
        """Wait in this thread until the caller reads. Raises TimeoutError."""
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        if not poll.poll(1000 * max(self._stalled_since + self._seconds_to_read() - time.monotonic(), 0)):
            raise TimeoutError("the caller reads too slowly")

    def _seconds_to_read(self) -> float:
        return self._server.pace.seconds_for(self._sent)

    def _finish(self) -> bool:
        """End a response whose bytes are all sent. Return True if the connection goes on."""
        response = self._response
        assert response is not None
        if response.length:  # fewer bytes came than the head promised
            self._reset()
            return False
        self._end_response()
        if response.keep_alive:
            return True
        self._close()
        return False

    def _end_response(self) -> None:
        self._close_body()
        self._end_request()

    def _close_body(self) -> None:
        """Tell the application that its response is over, however it ended."""
        body, self._body, self._chunks = self._body, None, None
        close = getattr(body, "close", None)
        if close is not None:
            try:
                close()
            except Exception as error:
                log.error("A response could not be closed: %s", type(error).__name__)

    def _end_request(self) -> None:
        """Forget the request and its response."""
        self._head = self._response = None
        self._is_late = self._has_ended = False
        self._release_budget()
        self._output.clear()
        self._sent = 0
        self._stalled_since = 0.0
        self._begun = 0.0
        self._quiet_since = time.monotonic()

    def _release_budget(self) -> None:
        reserved, self._reserved = self._reserved, 0
        if reserved:
            self._server.budget.release(reserved)

    # ---------------------------------------------------------------------------------- ends

    def _close(self) -> None:
        """Say that nothing more will come, and wait for the caller to close too, without a thread."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._closes_at = time.monotonic() + CLOSE_SECONDS
        self._left_to_drain = CLOSE_BYTES
        self._buffer.clear()
        self._release_budget()
        self._drain()

    def _drain(self) -> None:
        """Read what still comes on a connection that is being closed, and end it after the last byte."""
        while True:
            try:
                received = len(self._socket.recv(65536))
            except BlockingIOError:
                return
            except OSError:
                received = 0
            self._left_to_drain -= received
            if not received or self._left_to_drain < 0:
                self._end()
                return

    def _reset(self) -> None:
        """End the connection so that no caller takes what it has for the whole response."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._end()

    def _shut(self) -> None:
        """Have a thread that serves reset the connection: the end of a response may have to wait for a source."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._socket.shutdown(socket.SHUT_RDWR)

    def _end(self) -> None:
        """Close the connection at once."""
        self._server.connections.pop(self._socket.fileno(), None)
        self._close_body()  # it may know the socket by its number, which another one gets once it is closed
        self._socket.close()
        self._end_request()
        self._buffer.clear()
        self._drained = True

    def expire(self, now: float) -> None:
        """End the connection if its caller has been waited for long enough. A thread that is at work does not wait."""
        if not self._is_overdue(now) or not self._lock.acquire(False):
            return
        try:
            if self._is_overdue(now):
                self._give_up()
        finally:
            self._lock.release()
        if self._news:
            self.ready()

    def _is_overdue(self, now: float) -> bool:
        if self._closes_at:
            return now > self._closes_at
        if self._response is not None:
            return bool(self._stalled_since) and now > self._stalled_since + self._seconds_to_read()
        if self._begun:
            return now > self._begun + self._server.pace.seconds_for(len(self._buffer))
        return now > self._quiet_since + self._server.keep_alive

    def _give_up(self) -> None:
        if self._closes_at:
            self._end()
        elif self._response is not None:
            self._shut()
        elif not self._begun:
            self._end()
        elif self._head is None:
            self._refuse(408, "Request Timeout")
        elif not self._is_late:
            self._is_late = True
            self._server.wake(self._socket.fileno())

    def close_idle(self) -> bool:
        """End the connection if it is between two requests. Return True if it was."""
        if not self._lock.acquire(False):
            return False
        try:
            idle = self._response is None and not self._begun and not self._closes_at
            if idle:
                self._end()
        finally:
            self._lock.release()
        if self._news:
            self.ready()
        return idle


def _is_read(content: io.BytesIO | io.BufferedReader) -> bool:
    """Return True if no byte of a request's body is left on the connection."""
    return not isinstance(content, io.BufferedReader) or content.raw.is_read  # type: ignore[attr-defined]
