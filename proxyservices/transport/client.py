"""The outbound HTTP client: every request to another system leaves the bus through it.

HTTP/1.1 over connections that are used again. http.client reads a response's body; its head is read here, because
http.client's way through the e-mail parser costs more than all the rest and accepts what a gateway must refuse: bare
line feeds, folded lines, two lengths that differ (docs/performance.md has the figures).
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Protocol

from proxyservices.headers import FRAMING
from proxyservices.server_url import REQUEST_TARGET
from proxyservices.transport.connection import Connection, Headers, MalformedResponse, ResponseBody, body_framing
from proxyservices.transport.errors import UpstreamError
from proxyservices.transport.pool import Origin, Target
from proxyservices.transport.tls import tls_failure
from registry.results import Fault

CHUNK = 65_536
#: The safe methods (RFC 9110, 9.2.1): such a request may be sent twice.
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))

#: Characters that no value of a header can have.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. ``connect`` is for name, TCP and TLS together, ``read`` for each wait for bytes, ``total``
    from the call's start to its last byte. ``max_body_bytes`` limits both bodies."""

    connect: float = 3.0
    read: float = 10.0
    total: float = 10.0
    max_body_bytes: int = 10_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """A request. ``path`` is sent unchanged: percent-encoded, with its query.

    ``length``: the bytes of a ``body`` that is read; None: it is sent in chunks.
    """

    method: str
    path: str
    headers: Headers = field(default_factory=list)
    body: bytes | Readable | None = None
    length: int | None = None


def send(target: Target, request: Request, limits: Limits, deadline: float | None = None) -> Response:
    """Send a request, and return its response as soon as the head is read.

    ``deadline``: a time.monotonic() value for the whole call. A redirect is a response like any other. Raises
    UpstreamError; Fault if reading the request's body does.
    """
    deadline = time.monotonic() + limits.total if deadline is None else deadline
    exchange = _Exchange(target, request, limits, deadline)
    connection = target.origin.acquire()
    if connection is not None:
        try:
            return exchange.run(connection, reused=True)
        except _Stale:
            # The other side had closed it and has seen nothing of this call: that is no failure.
            pass
    connection = target.origin.open(min(deadline, time.monotonic() + limits.connect))
    return exchange.run(connection, reused=False)


class _Stale(Exception):
    """A reused connection turned out to be closed, and the request may be sent again on another."""


class _Exchange:
    """One request and the head of its response, on one connection or, after a stale one, on the next."""

    __slots__ = ("body", "deadline", "head", "limits", "request", "target")

    def __init__(self, target: Target, request: Request, limits: Limits, deadline: float) -> None:
        """Raises UpstreamError for a request that cannot be written."""
        self.target = target
        self.request = request
        self.limits = limits
        self.deadline = deadline
        self.head, length = _request_head(target, request, limits)
        self.body = _RequestBody(request, length, limits.max_body_bytes, deadline)

    def run(self, connection: Connection, reused: bool) -> Response:
        """Send the request and read the head of the response. Raises UpstreamError, Fault; _Stale if ``reused``."""
        connection.begin(self.deadline, self.limits.read)
        phase = "write"
        try:
            sent_whole = self._send(connection)
            phase = "first-byte"
            return self._read_head(connection, sent_whole)
        except Exception as error:
            connection.close()
            if reused and self._may_resend(connection, error):
                raise _Stale from None
            raise _as_upstream_error(error, connection.sent, phase) from None
        except BaseException:
            connection.close()
            raise

    def _may_resend(self, connection: Connection, error: Exception) -> bool:
        """Return True if the connection was closed and the request can have had no effect (RFC 9112, 9.3.1)."""
        closed = isinstance(error, EOFError | OSError) and not isinstance(error, TimeoutError)
        harmless = not connection.sent or self.request.method in _SAFE
        return closed and not connection.answered and not self.body.started and harmless

    def _send(self, connection: Connection) -> bool:
        """Return True if the whole request went out; False if a response came before its end (RFC 9112, 9.5)."""
        try:
            if self.body.whole is not None:
                connection.send(self.head + self.body.whole)
                return True
            connection.send(self.head)
            for piece in self.body:
                if connection.rejected_early():
                    return False
                connection.send(piece)
            return True
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError) as error:
            if _is_of_tls(error):
                raise
            # An upstream that refuses a request may have sent its response before it closed the connection.
            connection.wire.read_timeout = min(connection.wire.read_timeout, 1.0)
            if _has_answered(connection) and connection.sent:
                return False
            raise

    def _read_head(self, connection: Connection, sent_whole: bool) -> Response:
        status, reusable, headers = connection.final_head()
        length, chunked = body_framing(headers)
        if self.request.method == "HEAD" or status in (204, 304):
            length, chunked = 0, False  # RFC 9112, 6.3
        elif length is not None and length > self.limits.max_body_bytes:
            raise UpstreamError("body", "too-large", sent=True)
        reusable = reusable and sent_whole and (chunked or length is not None)
        if reusable:
            reusable = not any(name.lower() == "connection" and "close" in value.lower() for name, value in headers)
        body = ResponseBody(connection.incoming, length, chunked)
        return Response(status, headers, connection, self.target.origin, body, reusable, self.limits.max_body_bytes)


def _has_answered(connection: Connection) -> bool:
    """Return True if a connection that takes no more bytes has some to read. Raises ssl.SSLError: a TLS alert."""
    try:
        return bool(connection.incoming.peek(1))
    except OSError as error:
        if _is_of_tls(error):
            raise
        return False


class _RequestBody:
    """A request's body on its way: whole, in pieces of known length, or in chunks."""

    __slots__ = ("_deadline", "_length", "_max_bytes", "_reader", "started", "whole")

    def __init__(self, request: Request, length: int | None, max_bytes: int, deadline: float) -> None:
        body = request.body
        #: None for a body that is read piece by piece.
        self.whole = b"" if body is None else bytes(body) if isinstance(body, bytes | bytearray) else None
        #: True once a piece of it may have been read: it can be read only once.
        self.started = False
        self._reader = body
        self._length = length
        self._max_bytes = max_bytes
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        self.started = True
        return self._measured(self._length) if self._length is not None else self._chunked()

    def _measured(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._read(min(CHUNK, left))
            if not piece:
                raise _CallerError
            left -= len(piece)
            yield piece

    def _chunked(self) -> Iterator[bytes]:
        count = 0
        while piece := self._read(CHUNK):
            count += len(piece)
            if count > self._max_bytes:
                raise UpstreamError("write", "too-large", sent=True)
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"

    def _read(self, size: int) -> bytes:
        try:
            piece = self._reader.read(size)  # type: ignore[union-attr]
        except Fault:
            raise
        except Exception:
            raise _CallerError from None
        if len(piece) > size:
            raise _CallerError
        if time.monotonic() > self._deadline:
            raise _CallerError(True)
        return piece


class _CallerError(Exception):
    """The request's body could not be read, ended early, or came too slowly."""

    def __init__(self, slow: bool = False) -> None:
        super().__init__()
        self.slow = slow


def _request_head(target: Target, request: Request, limits: Limits) -> tuple[bytes, int | None]:
    """Return the request up to its body, and the body's length, None for chunks.

    Raises UpstreamError: "malformed" if HTTP/1.1 cannot express it (RFC 9112, 3 and 5), "too-large".
    """
    method, body = request.method, request.body
    if not _TOKEN.fullmatch(method) or not REQUEST_TARGET.fullmatch(request.path):
        raise UpstreamError("write", "malformed")
    lines = [f"{method} {request.path} HTTP/1.1\r\nHost: {target.authority}\r\n"]
    for name, value in request.headers:
        if not _TOKEN.fullmatch(name) or CONTROL.search(value):
            raise UpstreamError("write", "malformed")
        if name.lower() not in FRAMING:
            lines.append(f"{name}: {value}\r\n")
    length = 0 if body is None else len(body) if isinstance(body, bytes | bytearray) else request.length
    if length is None:
        lines.append("Transfer-Encoding: chunked\r\n")
    elif length > limits.max_body_bytes:
        raise UpstreamError("write", "too-large")
    elif body is not None or method not in ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE"):
        lines.append(f"Content-Length: {length}\r\n")
    lines.append("\r\n")
    try:
        return "".join(lines).encode("latin-1"), length
    except UnicodeEncodeError:
        raise UpstreamError("write", "malformed") from None


def _is_of_tls(error: Exception) -> bool:
    """Return True for an exception about TLS itself, rather than about a connection that ended."""
    if not isinstance(error, ssl.SSLError) or isinstance(
        error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    ):
        return False
    # Some versions of Python 3.11 have no class of its own for OpenSSL 3's error.
    return error.reason != "UNEXPECTED_EOF_WHILE_READING"


def _as_upstream_error(error: Exception, sent: bool, phase: str) -> Exception:
    """Return an exception as an UpstreamError. A Fault of the caller's body, and a defect, stay as they are."""
    if isinstance(error, UpstreamError | Fault):
        return error
    if isinstance(error, _CallerError):
        return UpstreamError("write", "caller", sent=sent, slow=error.slow)
    if isinstance(error, TimeoutError):
        return UpstreamError(phase, "slow", sent=sent, slow=True)
    if _is_of_tls(error):
        return tls_failure(error, sent)
    if isinstance(error, EOFError | OSError | HTTPException):
        return UpstreamError(phase, "closed", sent=sent)
    if isinstance(error, MalformedResponse):
        return UpstreamError("parse", str(error), sent=sent)
    return error


class Response:
    """A response with its body still on the wire. ``close`` it in every case."""

    def __init__(
        self,
        status: int,
        headers: Headers,
        connection: Connection,
        origin: Origin,
        body: ResponseBody,
        reusable: bool,
        max_body_bytes: int,
    ) -> None:
        self.status = status
        self.headers = headers
        #: None once it is released.
        self._connection: Connection | None = connection
        self._origin = origin
        self._body = body
        #: True if the connection may serve another request after this body.
        self._reusable = reusable
        self._max_body_bytes = max_body_bytes
        #: True once the whole body was read.
        self._complete = body.length == 0
        if self._complete:
            self.close()

    def header(self, name: str) -> str:
        """Return the first value of a header; "" if there is none."""
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), "")

    def chunks(self) -> Iterator[bytes]:
        """Return the body as it comes, with its Content-Encoding. Raises UpstreamError."""
        connection, body, count = self._connection, self._body, 0
        while connection is not None and not self._complete:
            try:
                piece = body.read1(CHUNK)
                if not piece and body.length:
                    raise EOFError
            except Exception as error:
                self.close()
                raise _as_upstream_error(error, True, "body") from None
            count += len(piece)
            if count > self._max_body_bytes:
                self.close()
                raise UpstreamError("body", "too-large", sent=True)
            if not piece or body.length == 0:
                self._complete = True
                self.close()
            if piece:
                yield piece

    def read(self, max_bytes: int | None = None) -> bytes:
        """Return the whole body. Raises UpstreamError, also for more than ``max_bytes``."""
        if max_bytes is not None:
            self._max_body_bytes = min(self._max_body_bytes, max_bytes)
        try:
            return b"".join(self.chunks())
        finally:
            self.close()

    def close(self) -> None:
        """Release the connection: for the next request if the whole body was read, else closed."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._complete and self._reusable:
            self._origin.release(connection)
        else:
            connection.close()
