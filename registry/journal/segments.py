"""The journal's files: hash-chained lines, one segment to a writing thread.

A segment's name is ``{host}-{pid}-{thread}-{nanoseconds}-{sequence}.journal``. Each line is a JSON
object, a space, and the chain: HMAC-SHA256, in hex, over the previous line's chain and this line's
JSON, under settings.JOURNAL_KEY. The first line chains on the segment's name. A writer holds an
exclusive flock on its segment for as long as it lives, so that others can tell a live one.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from registry.journal.chain import ENDS, SUFFIX
from registry.secrets import authenticate

MAX_BYTES = 16 * 1024 * 1024
MAX_SECONDS = 3600.0


class Segment:
    """A segment being written by one thread."""

    def __init__(self, sequence: int, previous: tuple[str, str] | None) -> None:
        folder = Path(settings.JOURNAL_DIR)
        mark = ENDS if threading.current_thread().name == ENDS else ""
        writer = f"{socket.gethostname()}-{os.getpid()}-{mark}{threading.get_ident():x}"
        # Read once: a look at Django's settings costs a fifth of the digest.
        self.key, self.sync = settings.JOURNAL_KEY, settings.AUDIT_FSYNC
        self.name = f"{writer}-{time.time_ns()}-{sequence}{SUFFIX}"
        self.sequence = sequence
        self.opened = time.monotonic()
        self.size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self.fd = os.open(folder / self.name, flags, 0o640)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.chain = self.name.encode()
            self.append({"t": "open", "v": 1, "after": previous})
            if self.sync:
                self._sync_folder(folder)
        except OSError:
            os.close(self.fd)
            self.fd = -1
            raise

    def append(self, line: dict[str, Any]) -> None:
        """Write one line with one write(). Raises OSError; the segment then ends at its last whole line."""
        body = orjson.dumps(line)
        chained = authenticate(self.key, self.chain + body).encode()
        data = b"%b %b\n" % (body, chained)
        try:
            written = os.write(self.fd, data)
            if written != len(data):
                raise OSError("short write")
            if self.sync:
                os.fdatasync(self.fd)
        except OSError:
            os.ftruncate(self.fd, self.size)
            raise
        self.size += len(data)
        self.chain = chained

    def full(self) -> bool:
        return self.size > MAX_BYTES or time.monotonic() - self.opened > MAX_SECONDS

    def close(self) -> None:
        """End the segment with a line that says so."""
        if self.fd >= 0:
            try:
                self.append({"t": "close"})
            finally:
                os.close(self.fd)
                self.fd = -1

    def __del__(self) -> None:
        if getattr(self, "fd", -1) >= 0:
            os.close(self.fd)

    @staticmethod
    def _sync_folder(folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class _Writer(threading.local):
    segment: Segment | None = None
    pid = 0


_writer = _Writer()


def write(line: dict[str, Any]) -> None:
    """Append a line to this thread's segment. Raises OSError when the line is not safely written."""
    segment = _writer.segment
    if segment is None or _writer.pid != os.getpid():
        segment = _writer.segment = Segment(0, None)
        _writer.pid = os.getpid()
    elif segment.full():
        segment.close()
        segment = _writer.segment = Segment(segment.sequence + 1, (segment.name, segment.chain.decode()))
    try:
        segment.append(line)
    except OSError:
        # The disk may be full or the file gone: the next line tries a segment of its own.
        _writer.segment = None
        raise


def close() -> None:
    """End this thread's segment, if it has one."""
    segment, _writer.segment = _writer.segment, None
    if segment is not None:
        segment.close()
