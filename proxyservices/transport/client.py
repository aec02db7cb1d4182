"""The one door out: no call to another system leaves the bus any other way.

HTTP/1.1 over connections that are kept. The answer's body is read by http.client; its head is read here, because
http.client's way through the e-mail parser costs more than all the rest and takes what a gateway must refuse: bare
line feeds, folded lines, two lengths that differ (docs/performance.md has the figures).
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Protocol

from proxyservices.transport.connection import Headers, _Body, _Connection, _framing, _Malformed
from proxyservices.transport.errors import Failed
from proxyservices.transport.pool import _CONTROL, _PATH, Target, _Origin, _sweeper
from proxyservices.transport.tls import tls_failure
from registry.results import Fault

CHUNK = 65_536
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",
))  # fmt: skip
#: What the door alone says: it frames the request, and a word of somebody else's would frame it otherwise.
_OURS = _HOP_BY_HOP | {"host", "content-length", "expect"}


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. ``connect`` is for name, TCP and TLS together, ``read`` for each wait for bytes, ``total``
    from the call's start to its last byte. ``size`` bounds both bodies."""

    connect: float = 3.0
    read: float = 10.0
    total: float = 10.0
    size: int = 10_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """A request. ``path`` is what goes on the wire: percent-encoded, with its query.

    ``length``: how many bytes a ``body`` that is read will have; None: it is sent in chunks.
    """

    method: str
    path: str
    headers: Headers = field(default_factory=list)
    body: bytes | Readable | None = None
    length: int | None = None


def hop_by_hop(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers without those that are for one connection only: RFC 9110's, and those that Connection names."""
    headers = list(headers)
    named = {name.strip().lower() for key, value in headers if key.lower() == "connection" for name in value.split(",")}
    return [(key, value) for key, value in headers if key.lower() not in _HOP_BY_HOP and key.lower() not in named]


os.register_at_fork(after_in_child=_sweeper.forget)


# --------------------------------------------------------------------------------------------- asking


def ask(target: Target, question: Question, limits: Limits, deadline: float | None = None) -> Reply:
    """Send a question and read the head of its answer. ``deadline``: a time.monotonic() value, for all of the call.

    A redirect is an answer like any other. Raises Failed; Fault where reading the question's body does.
    """
    deadline = time.monotonic() + limits.total if deadline is None else deadline
    head, length = _head(target, question, limits)
    connection = target.origin.take()
    if connection is not None:
        try:
            return _exchange(connection, target, question, head, length, limits, deadline)
        except _Stale:
            # The other side had closed it, and nothing of this call has been seen there: that is no failure.
            pass
    connection = target.origin.open(min(deadline, time.monotonic() + limits.connect))
    return _exchange(connection, target, question, head, length, limits, deadline, fresh=True)


class _Stale(Exception):
    """A kept connection turned out to be closed, and the request may go out again on another."""


def _exchange(
    connection: _Connection,
    target: Target,
    question: Question,
    head: bytes,
    length: int | None,
    limits: Limits,
    deadline: float,
    fresh: bool = False,
) -> Reply:
    connection.begin(deadline, limits.read)
    body = _Outgoing(question, length, limits.size, deadline)
    phase = "write"
    try:
        whole = _send(connection, head, body)
        phase = "first-byte"
        return _reply(connection, target, question.method, limits, whole)
    except Exception as error:
        connection.close()
        closed = isinstance(error, EOFError | OSError) and not isinstance(error, TimeoutError)
        again = not connection.sent or question.method in _SAFE
        if not fresh and closed and not connection.answered and not body.begun and again:
            raise _Stale from None
        raise _failure(error, connection.sent, phase) from None
    except BaseException:
        connection.close()
        raise


def _send(connection: _Connection, head: bytes, body: _Outgoing) -> bool:
    """Whether all of it went out: an answer may come before the end, and then the rest is not wanted."""
    try:
        if body.whole is not None:
            connection.send(head + body.whole)
            return True
        connection.send(head)
        for piece in body:
            if connection.refuses():
                return False
            connection.send(piece)
        return True
    except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
        # Who refuses a request may have said so before closing.
        connection.wire.pause = min(connection.wire.pause, 1.0)
        if _has_answered(connection) and connection.sent:
            return False
        raise


def _has_answered(connection: _Connection) -> bool:
    """Whether a connection that takes no more bytes has some for us. Raises ssl.SSLError: what TLS had to say."""
    try:
        return bool(connection.incoming.peek(1))
    except ssl.SSLEOFError:
        return False
    except ssl.SSLError:
        raise
    except OSError:
        return False


class _Outgoing:
    """A request's body on its way: whole, in pieces of known length, or in chunks."""

    def __init__(self, question: Question, length: int | None, most: int, deadline: float) -> None:
        body = question.body
        self.whole = b"" if body is None else bytes(body) if isinstance(body, bytes | bytearray) else None
        self.begun = False
        self._reader = body
        self._length = length
        self._most = most
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        self.begun = True
        return self._measured(self._length) if self._length is not None else self._chunked()

    def _measured(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._read(min(CHUNK, left))
            if not piece:
                raise _Caller
            left -= len(piece)
            yield piece

    def _chunked(self) -> Iterator[bytes]:
        count = 0
        while piece := self._read(CHUNK):
            count += len(piece)
            if count > self._most:
                raise Failed("write", "too-large", sent=True)
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"

    def _read(self, most: int) -> bytes:
        try:
            piece = self._reader.read(most)  # type: ignore[union-attr]
        except Fault:
            raise
        except Exception:
            raise _Caller from None
        if len(piece) > most:
            raise _Caller
        if time.monotonic() > self._deadline:
            raise _Caller(True)
        return piece


class _Caller(Exception):
    """The body that was to be handed on could not be read, ended early, or took all the time there was."""

    def __init__(self, slow: bool = False) -> None:
        super().__init__()
        self.slow = slow


def _head(target: Target, question: Question, limits: Limits) -> tuple[bytes, int | None]:
    """The request up to its body, and the body's length: None for chunks. Raises Failed where it can't be said."""
    method, body = question.method, question.body
    if not _TOKEN.fullmatch(method) or not _PATH.fullmatch(question.path):
        raise Failed("write", "malformed")
    lines = [f"{method} {question.path} HTTP/1.1\r\nHost: {target.authority}\r\n"]
    for name, value in question.headers:
        if not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise Failed("write", "malformed")
        if name.lower() not in _OURS:
            lines.append(f"{name}: {value}\r\n")
    length = 0 if body is None else len(body) if isinstance(body, bytes | bytearray) else question.length
    if length is None:
        lines.append("Transfer-Encoding: chunked\r\n")
    elif length > limits.size:
        raise Failed("write", "too-large")
    elif body is not None or method not in ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE"):
        lines.append(f"Content-Length: {length}\r\n")
    lines.append("\r\n")
    try:
        return "".join(lines).encode("latin-1"), length
    except UnicodeEncodeError:
        raise Failed("write", "malformed") from None


def _reply(connection: _Connection, target: Target, method: str, limits: Limits, whole: bool) -> Reply:
    status, stays, headers = connection.final()
    length, chunked = _framing(headers)
    if method == "HEAD" or status in (204, 304):
        length, chunked = 0, False
    elif length is not None and length > limits.size:
        raise Failed("body", "too-large", sent=True)
    stays = stays and whole and (chunked or length is not None)
    if stays:
        stays = not any(name.lower() == "connection" and "close" in value.lower() for name, value in headers)
    return Reply(status, headers, connection, target.origin, _Body(connection.incoming, length, chunked), stays, limits)


def _failure(error: Exception, sent: bool, phase: str) -> Exception:
    """The Failed that an exception comes to. A Fault of the caller's body stays one."""
    if isinstance(error, Failed | Fault):
        return error
    if isinstance(error, _Caller):
        return Failed("write", "caller", sent=sent, slow=error.slow)
    if isinstance(error, TimeoutError):
        return Failed(phase, "slow", sent=sent, slow=True)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return tls_failure(error, sent)
    if isinstance(error, EOFError | OSError | HTTPException):
        return Failed(phase, "closed", sent=sent)
    if isinstance(error, _Malformed):
        return Failed("parse", str(error), sent=sent)
    return error


class Reply:
    """An answer whose body waits on the wire. ``close`` it, whatever becomes of it."""

    def __init__(
        self,
        status: int,
        headers: Headers,
        connection: _Connection,
        origin: _Origin,
        body: _Body,
        stays: bool,
        limits: Limits,
    ) -> None:
        self.status = status
        self.headers = headers
        self._connection: _Connection | None = connection
        self._origin = origin
        self._body = body
        self._stays = stays
        self._limits = limits
        self._whole = body.length == 0
        if self._whole:
            self.close()

    def header(self, name: str) -> str:
        """The first value of a header; "" where there is none."""
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), "")

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes, as it was encoded. Raises Failed."""
        connection, body, count = self._connection, self._body, 0
        while connection is not None and not self._whole:
            try:
                piece = body.read1(CHUNK)
                if not piece and body.length:
                    raise EOFError
            except Exception as error:
                self.close()
                raise _failure(error, True, "body") from None
            count += len(piece)
            if count > self._limits.size:
                self.close()
                raise Failed("body", "too-large", sent=True)
            if not piece or body.length == 0:
                self._whole = True
                self.close()
            if piece:
                yield piece

    def read(self) -> bytes:
        """The whole body. Raises Failed."""
        try:
            return b"".join(self.chunks())
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connection: kept when the answer was read whole, cut otherwise."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._whole and self._stays:
            self._origin.give(connection)
        else:
            connection.close()
