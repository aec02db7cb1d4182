"""The journal's files: lines with an HMAC chain, one segment for each writing thread.

A segment's name is ``{host}-{pid}-{thread}-{nanoseconds}-{sequence}.journal``. Each line ends with its chain:
HMAC-SHA256, in hex, over the previous line's chain and this line's public digest, with settings.JOURNAL_KEY
(registry/journal/lines.py). The first line's previous chain is the segment's name. A writer holds an exclusive flock on
its segment while it is alive, by which others recognise an open segment.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from registry import disk
from registry.journal import lines
from registry.journal.chain import CALLS, COMPLETIONS, SUFFIX, link

MAX_BYTES = 16 * 1024 * 1024
MAX_SECONDS = 3600.0
#: Characters of salts that are taken from the system at once.
_SALTS = 256 * lines.SALT_LENGTH

#: The segment that another one continues: its name, the chain and the public digest of its last line.
Previous = tuple[str, str, str]


class Segment:
    """A segment that one thread writes.

    ``kind``: "", COMPLETIONS for ends of calls that began in other segments, or CALLS for those of the fast lane.
    """

    def __init__(self, sequence: int, previous: Previous | None, kind: str = "") -> None:
        folder = Path(settings.JOURNAL_DIR)
        self.pid = os.getpid()
        writer = f"{socket.gethostname()}-{self.pid}-{kind}{threading.get_ident():x}"
        self.key, self.sync = settings.JOURNAL_KEY, settings.AUDIT_FSYNC
        self.name = f"{writer}-{time.time_ns()}-{sequence}{SUFFIX}"
        self.sequence = sequence
        self.opened = time.monotonic()
        self.size = 0
        self._salts, self._salts_used = b"", _SALTS
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self.fd = os.open(folder / self.name, flags, 0o640)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.chain = self.digest = self.name.encode()
            self.append({"t": "open", "v": lines.FORMAT, "after": previous})
            if self.sync:
                disk.sync(folder)
        except OSError:
            os.close(self.fd)
            self.fd = -1
            raise

    def append(self, line: dict[str, Any]) -> None:
        """Write one line with one write(). Raises OSError; the segment then ends at its last complete line."""
        self.append_parts(*lines.split(line))

    def append_parts(self, facts: dict[str, Any], content: dict[str, Any]) -> None:
        """Do as append(), with a line that is split already."""
        stays = orjson.dumps(facts)
        erasable = salt = committed = b""
        if content:
            erasable, salt = orjson.dumps(content), self._salt()
            committed = lines.commitment(salt, erasable)
        digest = lines.next_digest(self.digest, stays, committed)
        chain = link(self.key, self.chain, digest)
        data = b"%b\t%b\t%b\t%b\t%b\n" % (stays, erasable, salt, digest[: lines.MARK_LENGTH], chain)
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
        self.chain, self.digest = chain, digest

    def _salt(self) -> bytes:
        """Return a new salt. Those of many lines are taken at once: each question to the system costs a microsecond."""
        if self._salts_used == _SALTS:
            self._salts, self._salts_used = os.urandom(_SALTS // 2).hex().encode(), 0
        begin, self._salts_used = self._salts_used, self._salts_used + lines.SALT_LENGTH
        return self._salts[begin : self._salts_used]

    def is_full(self) -> bool:
        """Return True if a new segment is due, by size or age."""
        return self.size > MAX_BYTES or time.monotonic() - self.opened > MAX_SECONDS

    def close(self) -> None:
        """End the segment with a close line."""
        if self.fd >= 0:
            try:
                self.append({"t": "close"})
            finally:
                os.close(self.fd)
                self.fd = -1

    def __del__(self) -> None:
        """End the segment of a thread that has ended: what has no close line was killed."""
        if getattr(self, "fd", -1) < 0:
            return
        if self.pid == os.getpid():
            with suppress(OSError):
                self.close()
        else:  # a fork's copy: the segment is the parent's
            os.close(self.fd)


class _Writer(threading.local):
    segment: Segment | None = None
    pid = 0


_writers = {"": _Writer(), COMPLETIONS: _Writer(), CALLS: _Writer()}


def write(line: dict[str, Any], kind: str = "") -> None:
    """Append a line to this thread's segment of a kind. Raises OSError if the line is not safely written."""
    write_parts(*lines.split(line), kind)


def write_parts(facts: dict[str, Any], content: dict[str, Any], kind: str = "") -> None:
    """Do as write(), with a line that is split already, as lines.split() does it: most lines are those of calls."""
    writer = _writers[kind]
    segment = writer.segment
    if segment is None or writer.pid != os.getpid():
        segment = writer.segment = Segment(0, None, kind)
        writer.pid = os.getpid()
    elif segment.is_full():
        segment.close()
        segment = writer.segment = Segment(segment.sequence + 1, _end_of(segment), kind)
    try:
        segment.append_parts(facts, content)
    except OSError:
        # The disk may be full, or the file deleted: the next line begins a new segment.
        writer.segment = None
        raise


def _end_of(segment: Segment) -> Previous:
    return segment.name, segment.chain.decode(), segment.digest.decode()


def sync() -> None:
    """Wait until all that this thread has written is on the disk. Raises OSError."""
    for writer in _writers.values():
        if writer.segment is not None and writer.segment.fd >= 0:
            os.fdatasync(writer.segment.fd)
    disk.sync(Path(settings.JOURNAL_DIR))


def close() -> None:
    """End this thread's segments, if it has any."""
    for writer in _writers.values():
        segment, writer.segment = writer.segment, None
        if segment is not None:
            segment.close()


# The main thread's; those of other threads are closed when their thread ends.
atexit.register(close)
