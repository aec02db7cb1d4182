"""The one door out: no call to another system leaves the bus any other way.

HTTP/1.1 over connections that are kept. The answer's body is read by http.client; its head is read here, because
http.client's way through the e-mail parser costs more than all the rest and takes what a gateway must refuse: bare
line feeds, folded lines, two lengths that differ (docs/performance.md has the figures).
"""

from __future__ import annotations

import io
import os
import re
import select
import socket
import ssl
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any, Protocol
from urllib.parse import urlsplit

from proxyservices.network import PHASES, Failed, connect, secure, tls_context, tls_failure
from registry.faults import Fault

__all__ = [
    "PHASES", "Failed", "Limits", "Question", "Readable", "Reply", "Target", "ask", "hop_by_hop",
]  # fmt: skip

Headers = list[tuple[str, str]]

#: Connections that a target keeps, for how many seconds unused, and for how many in all: whoever changes the
#: address behind a name is followed after so long.
IDLE_MOST = 16
IDLE_SECONDS = 30.0
AGE_SECONDS = 300.0

#: Of an answer's head: bytes, lines, and how many heads may come before the final one (1xx).
HEAD_BYTES = 65_536
HEAD_LINES = 128
HEADS_BEFORE = 10

CHUNK = 65_536
_BUFFER = 16_384
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"[/*][!-\"$-~]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n")
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n")
_FIELD = re.compile(r"([^:\r\n]+):[\t ]*([^\r\n]*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[\t ]*(?:;[\t -~\x80-\xff]*)?\r\n")

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


# ---------------------------------------------------------------------------------------------- targets


class _Origin:
    """A scheme, host and port, and the connections to it that wait to be used again."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.host = host
        self.port = port
        self.context = context
        self.idle: deque[_Connection] = deque()
        # Also when the process ends.
        weakref.finalize(self, _close_all, self.idle)

    def take(self) -> _Connection | None:
        """A connection that is still up, or None."""
        now = time.monotonic()
        while True:
            try:
                connection = self.idle.pop()
            except IndexError:
                return None
            if now - connection.used < IDLE_SECONDS and connection.silent():
                return connection
            connection.close()

    def give(self, connection: _Connection) -> None:
        connection.used = time.monotonic()
        if connection.used - connection.born > AGE_SECONDS or len(self.idle) >= IDLE_MOST:
            connection.close()
        else:
            self.idle.append(connection)

    def sweep(self) -> None:
        """Close what nobody has used for a while: it waits at the left."""
        old = time.monotonic() - IDLE_SECONDS
        with suppress(IndexError):
            while self.idle[0].used < old:
                self.idle.popleft().close()

    def open(self, until: float) -> _Connection:
        _sweeper.go()
        link = connect(self.host, self.port, until)
        return _Connection(secure(link, self.context, self.host, until) if self.context else link)


def _close_all(idle: deque[_Connection]) -> None:
    while idle:
        with suppress(IndexError):
            idle.pop().close()


_origins: weakref.WeakValueDictionary[tuple[Any, ...], _Origin] = weakref.WeakValueDictionary()


class _Sweeper:
    """A thread that closes connections which nobody needs any more."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def go(self) -> None:
        if self._thread is None:
            # Two that start at once do no harm: the second one sweeps too.
            self._thread = threading.Thread(target=self._sweep, name="connection-sweeper", daemon=True)
            self._thread.start()

    def _sweep(self) -> None:
        while True:
            time.sleep(IDLE_SECONDS / 4)
            for origin in list(_origins.values()):
                origin.sweep()

    def forget(self) -> None:
        """In a forked child: thread and connections are the parent's. Closing says nothing on the wire."""
        self._thread = None
        for origin in list(_origins.values()):
            _close_all(origin.idle)


_sweeper = _Sweeper()
os.register_at_fork(after_in_child=_sweeper.forget)


@dataclass(frozen=True, slots=True)
class Target:
    """An upstream's address. Targets of the same host and certificates share their connections."""

    url: str
    #: The path before every path that is asked there, without a slash at its end.
    base: str
    #: What the address holds behind a "?".
    query: str
    #: The Host header: host, and port unless it is the scheme's own.
    authority: str
    origin: _Origin = field(repr=False, compare=False)

    @staticmethod
    def of(url: str, authority_pem: str = "", client_certificate_pem: str = "") -> Target:
        """Raises ValueError with a word: address, authority or client-certificate. Not for the call path."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            name = host if ":" in host else host.encode("idna").decode("ascii")
        except ValueError:
            raise ValueError("address") from None
        base, query = parts.path.rstrip("/"), parts.query
        said = _PATH.fullmatch(f"{base or '/'}?{query}") and not _CONTROL.search(url) and " " not in url
        if parts.scheme not in ("http", "https") or not name or "@" in parts.netloc or "%" in host or not said:
            raise ValueError("address")
        context = tls_context(authority_pem, client_certificate_pem) if parts.scheme == "https" else None
        usual = 443 if context else 80
        key = (parts.scheme, name, port or usual, authority_pem, client_certificate_pem)
        origin = _origins.get(key)
        if origin is None:
            origin = _origins.setdefault(key, _Origin(name, port or usual, context))
        shown = f"[{name}]" if ":" in name else name
        authority = shown if port in (None, usual) else f"{shown}:{port}"
        return Target(url, base, query, authority, origin)


# ------------------------------------------------------------------------------------------ connections


class _Wire(io.RawIOBase):
    """What comes in on a socket, within the time that the call has left."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        #: A time.monotonic() value, and the most seconds for one wait.
        self.deadline = 0.0
        self.pause = 0.0
        #: Hand out what is there, wait for nothing.
        self.patient = True
        #: The other side has ended.
        self.ended = False
        self.secure = isinstance(link, ssl.SSLSocket)
        self._waits = -1.0
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        if not self.secure:
            link.settimeout(None)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self.patient:
            return self._glance(buffer)
        self.limit()
        try:
            return self.link.recv_into(buffer)
        except BlockingIOError:
            raise TimeoutError from None

    def _glance(self, buffer: Any) -> int | None:
        """What is there right now; None for nothing. TLS may have news that are none: tickets for a later session."""
        if not self._poll.poll(0):
            return None
        if self.secure:
            self.link.settimeout(0)
            self._waits = -1.0
        try:
            count = self.link.recv_into(buffer)
        except ssl.SSLWantReadError:
            return None
        except OSError:
            count = 0
        self.ended = count == 0
        return count

    def limit(self) -> None:
        """Bound the next wait. Raises TimeoutError when no time is left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        seconds = min(left, self.pause)
        if abs(seconds - self._waits) < 0.01:
            return
        self._waits = seconds
        if self.secure:
            self.link.settimeout(seconds)
        else:
            # The kernel's own limit: Python's would cost a second system call, and the interpreter lock, each time.
            whole = max(1000, int(seconds * 1_000_000))
            limit = struct.pack("ll", whole // 1_000_000, whole % 1_000_000)
            self.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            self.link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


class _Connection:
    """One connection: a request at a time, then its answer."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.wire = _Wire(link)
        self.incoming = io.BufferedReader(self.wire, _BUFFER)
        self.born = self.used = time.monotonic()
        self.sent = False
        #: A byte of the answer came.
        self.answered = False
        self._before = 0
        self._final: tuple[int, bool, Headers] | None = None

    def close(self) -> None:
        with suppress(OSError):
            self.link.close()

    def silent(self) -> bool:
        """Whether an idle connection has nothing to say. What it says is its end, or nothing that was asked for."""
        return not self.speaks() and not self.wire.ended

    def speaks(self) -> bool:
        """Whether bytes are there to be read, without waiting for any."""
        self.wire.patient = False
        try:
            return bool(self.incoming.peek(1))
        finally:
            self.wire.patient = True

    def begin(self, deadline: float, pause: float) -> None:
        self.wire.deadline = deadline
        self.wire.pause = pause
        self.sent = self.answered = False
        self._before = 0
        self._final = None

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self.wire.limit()
            try:
                count = self.link.send(view)
            except BlockingIOError:
                raise TimeoutError from None
            self.sent = True
            view = view[count:]

    def refuses(self) -> bool:
        """Whether an answer has come already that makes the rest of the request useless."""
        while self._final is None and self.speaks():
            self._next()
        return self._final is not None and self._final[0] >= 300

    def final(self) -> tuple[int, bool, Headers]:
        """The answer's status, whether the connection stays (HTTP/1.1), headers. Those before it (1xx) are passed over.

        Raises _Malformed, EOFError, OSError.
        """
        while self._final is None:
            self._next()
        return self._final

    def _next(self) -> None:
        head = self._head()
        if head[0] >= 200:
            self._final = head
        elif head[0] == 101:
            raise _Malformed("upgrade")
        else:
            self._before += 1
            if self._before > HEADS_BEFORE:
                raise _Malformed("interim")

    def _head(self) -> tuple[int, bool, Headers]:
        first = self.incoming.readline(HEAD_BYTES)
        if not first:
            raise EOFError
        self.answered = True
        lines: list[bytes] = []
        size = len(first)
        while True:
            line = self.incoming.readline(HEAD_BYTES)
            size += len(line)
            if size > HEAD_BYTES or len(lines) > HEAD_LINES:
                raise _Malformed("head-too-large")
            if not line:
                raise EOFError
            lines.append(line)
            if line in (b"\r\n", b"\n"):
                break
        fields = b"".join(lines)
        status = _STATUS.fullmatch(first)
        if status is None:
            raise _Malformed("status-line")
        if _FIELDS.fullmatch(fields) is None:
            raise _Malformed("header")
        headers = [(name, value.rstrip("\t ")) for name, value in _FIELD.findall(fields.decode("latin-1"))]
        return int(status[2]), status[1] == b"1", headers


class _Malformed(Exception):
    """An answer that is not to be understood, in a word."""


class _Body(HTTPResponse):
    """The body of an answer whose head was read already; chunks are taken by the letter."""

    def __init__(self, incoming: io.BufferedReader[Any], length: int | None, chunked: bool) -> None:
        self.fp = incoming
        self._method = ""
        self.chunked = chunked
        self.chunk_left: int | None = None
        self.length = length

    def _get_chunk_left(self) -> int | None:
        left = self.chunk_left
        if not left:
            if left is not None and self._line(2) != b"\r\n":
                raise _Malformed("chunks")
            size = _CHUNK_SIZE.fullmatch(self._line(4096))
            if size is None:
                raise _Malformed("chunks")
            left = self.chunk_left = int(size[1], 16) or None
            if left is None:
                self._skip_trailers()
                self._close_conn()
        return left

    def _line(self, most: int) -> bytes:
        line = self.fp.readline(most)
        if not line.endswith(b"\n") and len(line) < most:
            raise EOFError
        return line

    def _skip_trailers(self) -> None:
        lines, size = [b""], 0
        while lines[-1] not in (b"\r\n", b"\n"):
            lines.append(self._line(HEAD_BYTES))
            size += len(lines[-1])
            if size > HEAD_BYTES or len(lines) > HEAD_LINES:
                raise _Malformed("head-too-large")
        if _FIELDS.fullmatch(b"".join(lines)) is None:
            raise _Malformed("chunks")

    def _close_conn(self) -> None:
        # The connection outlives the answer.
        self.fp = None  # type: ignore[assignment]


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


def _framing(headers: Headers) -> tuple[int | None, bool]:
    """(Content-Length, chunked). Raises _Malformed where the headers leave a doubt about where the answer ends."""
    lengths, codings = [], []
    for name, value in headers:
        size = len(name)
        if size == 14 and name.lower() == "content-length":
            lengths.append(value)
        elif size == 17 and name.lower() == "transfer-encoding":
            codings.append(value.lower())
    if codings:
        if lengths:
            raise _Malformed("length")
        if codings != ["chunked"]:
            raise _Malformed("encoding")
        return None, True
    if not lengths:
        return None, False
    if len(set(lengths)) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise _Malformed("length")
    return int(lengths[0]), False


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
