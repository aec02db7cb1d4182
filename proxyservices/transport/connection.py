"""One HTTP/1.1 connection: a socket with deadlines, and the strict reader of response heads and bodies."""

from __future__ import annotations

import io
import re
import select
import socket
import ssl
import struct
import time
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any

Headers = list[tuple[str, str]]

#: Of an answer's head: bytes, lines, and how many heads may come before the final one (1xx).
HEAD_BYTES = 65_536
HEAD_LINES = 128
HEADS_BEFORE = 10
_BUFFER = 16_384
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n")
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n")
_FIELD = re.compile(r"([^:\r\n]+):[\t ]*([^\r\n]*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[\t ]*(?:;[\t -~\x80-\xff]*)?\r\n")


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
