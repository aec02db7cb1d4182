"""What nginx wrote about the calls it finished for this worker, and the records that end by it."""

from __future__ import annotations

import atexit
import errno
import fcntl
import logging
import os
import re
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from mantra.gateway import recording
from mantra.gateway.offload.result import READ, Handed
from proxyservices.health import tracker
from proxyservices.transport.errors import Failed
from registry import faults
from registry.calls import Call
from registry.journal import chain, segments
from registry.results import Fault

log = logging.getLogger("mantra.mantra")


LOOK = 0.05
#: A file of ends is left for a new one when it has so many bytes.
FULL = 8 * 1024 * 1024
#: Calls that may wait for their end at once, seconds after which one is given up, and seconds for which a worker that
#: is stopped waits for those under way.
MOST, LOST, DRAIN = 20_000, 3600.0, 10.0
#: Seconds for which a file that nobody holds is left alone.
YOUNG = 60.0
#: The thread that writes ends, by whose name its segments are told from others.
ENDS = chain.ENDS
#: What nginx tells the caller itself, where no answer came.
_NGINX_SAYS = ("unreachable", "late")
#: nginx's status for a caller that left before there was an answer.
CALLER_LEFT = 499
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}\Z")


# ----------------------------------------------------------------------------------------- the records

_LINE = re.compile(
    rb"([0-9a-f]{32}) (relayed|unreachable|late|large) ([0-9]{3}) ([0-9]{1,18}) ([0-9.]{1,20}) "
    rb"(-|end|[0-9]{1,18}) (OK)?\n\Z"
)


class Ends:
    """What nginx wrote of this worker's calls, and the calls that still wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        self._files: list[_File] = []
        self._waiting: dict[str, tuple[Call, Handed]] = {}

    def ready(self) -> bool:
        """Whether another call may wait."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._begin()
        return bool(self._files) and len(self._waiting) < MOST

    def _begin(self) -> None:
        _clear()
        try:
            self._files.append(_File())
        except OSError as error:
            log.error("nothing goes by nginx: the folder of ends cannot be written (errno %s)", error.errno)
        self._thread = threading.Thread(target=self._follow, name=ENDS, daemon=True)
        self._thread.start()
        atexit.register(self.drain)

    def expect(self, call: Call, handed: Handed) -> str:
        """Have a call wait for its end; the name of the file in which nginx is to write it."""
        self._waiting[call.request_id] = call, handed
        self._wanted.set()
        return self._files[-1].name

    def _follow(self) -> None:
        while True:
            self._wanted.wait()
            time.sleep(LOOK)
            try:
                self.look()
            except Exception as error:  # the thread must outlive whatever it meets
                log.error("ends could not be read: %s", type(error).__name__)
                time.sleep(1)

    def look(self) -> None:
        """Take in what nginx has written since."""
        with self._lock:
            if not self._waiting:
                self._wanted.clear()
            for file in self._files:
                for line in file.lines():
                    self._end(line)
            self._forget()
            if self._waiting:
                self._wanted.set()

    def _end(self, line: bytes) -> None:
        told = _LINE.match(line)
        if told is None:
            log.error("nginx wrote an end that cannot be read")
            return
        waited = self._waiting.pop(told[1].decode(), None)
        if waited is not None:
            call, handed = waited
            call.clock = time.perf_counter() - float(told[5])
            what = told[2].decode()
            whole = told[7] is not None and (what in _NGINX_SAYS or told[6] in (b"end", told[4]))
            ended(call, handed, what, int(told[3]), int(told[4]), whole)

    def _forget(self) -> None:
        """Begin a new file where one is full, leave those that nobody is to write into, and give up what never came."""
        if self._files and self._files[-1].position > FULL:
            self._files.append(_File())
        now = time.monotonic()
        oldest = next(iter(self._waiting.values()), None)
        if oldest is not None and now - oldest[1].began > LOST:
            id = next(iter(self._waiting))
            call, _ = self._waiting.pop(id)
            recording.end(call, Fault(faults.INTERRUPTED), 0, broken=True)
        since = min(oldest[1].began if oldest is not None else now, now - 60)
        while len(self._files) > 1 and self._files[1].born < since:
            self._files.pop(0).leave()

    def drain(self) -> None:
        """Wait for what is under way when the worker ends; what takes longer is recorded as interrupted."""
        until = time.monotonic() + DRAIN
        while self._waiting and time.monotonic() < until:
            self.look()
            time.sleep(LOOK)
        with self._lock:
            for file in self._files:
                file.leave()
            self._files.clear()
            segments.close()


class _File:
    """A file of ends: this worker's to read, nginx's to write. Locked while its worker lives."""

    def __init__(self) -> None:
        self.born = time.monotonic()
        self.name = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
        if not _NAME.match(self.name):
            raise OSError(errno.EINVAL, "host name")
        self.path = Path(settings.ENDS_DIR) / f"{self.name}.ends"
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # nginx runs under another account, and may do no more than add to it.
        os.fchmod(self._fd, 0o622)
        fcntl.flock(self._fd, fcntl.LOCK_SH)
        self.position = 0
        self._torn = b""

    def lines(self) -> list[bytes]:
        """The whole lines since the last look."""
        found = b""
        while piece := os.pread(self._fd, 1 << 20, self.position):
            self.position += len(piece)
            found += piece
        if not found:
            return []
        whole, newline, self._torn = (self._torn + found).rpartition(b"\n")
        return (whole + newline).splitlines(keepends=True)

    def leave(self) -> None:
        with suppress(OSError):
            self.path.unlink()
        os.close(self._fd)


def _clear() -> None:
    """Remove the files of workers that are gone; the shipping has recorded their calls as interrupted."""
    for path in Path(settings.ENDS_DIR).glob("*.ends"):
        with suppress(OSError), path.open("rb") as file:
            if time.time() - path.stat().st_mtime < YOUNG:
                continue  # it may be made just now, and not be locked yet
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def ended(call: Call, handed: Handed, what: str, status: int, size: int, whole: bool) -> None:
    """Put the end of a call on record, and tell health how its upstream did."""
    address, result = handed.address, handed
    fault: Fault | None = None
    if what == "unreachable":
        fault = Fault(faults.UPSTREAM_DOWN, request_id=call.request_id)
        tracker.failed(address, Failed("connect", "refused"), handed.began)
    elif what == "late":
        fault = Fault(faults.UPSTREAM_SLOW, seconds=f"{READ:g}")
        tracker.failed(address, Failed("first-byte", "slow", sent=True, slow=True), handed.began)
    elif what == "large":
        fault, whole = Fault(faults.UPSTREAM_LARGE, limit=handed.headers["X-Mantra-Most"]), False
    elif status >= 500:
        tracker.failed(address, tracker.STATUS, handed.began)
    elif status != CALLER_LEFT:
        tracker.succeeded(address, time.monotonic() - handed.began)
    handed.status = status
    with suppress(Fault):  # it was logged; nobody waits for an answer any more
        recording.end(call, fault or result, size, broken=not whole, status=status)


_ends = Ends()
