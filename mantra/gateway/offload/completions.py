"""The completion log: nginx writes the end of each call offloaded by this worker process, and the record gets it."""

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
from mantra.gateway.offload.result import READ, OffloadedResult
from proxyservices.health import tracker
from proxyservices.transport.errors import UpstreamError
from registry import faults
from registry.calls import Call
from registry.journal import segments
from registry.results import Fault

log = logging.getLogger("mantra.gateway")

#: Seconds between two reads of the files.
POLL_INTERVAL = 0.05
#: A new file is begun when the current one has this many bytes.
MAX_FILE_BYTES = 8 * 1024 * 1024
#: The most calls that may wait for their end.
MAX_WAITING = 20_000
#: Seconds after which a call without an end is recorded as interrupted.
GIVE_UP_AFTER = 3600.0
#: Seconds for which a worker process that is stopped waits for calls in progress.
DRAIN_SECONDS = 10.0
#: Seconds for which an unlocked file is not removed: it may have been created just now.
NEW_FILE_SECONDS = 60.0
#: Outcomes after which nginx itself writes the response to the caller, because the upstream sent none.
_NGINX_RESPONDS = ("unreachable", "late")
#: nginx's status for a caller that disconnected before there was a response.
CALLER_DISCONNECTED = 499
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}\Z")


# ----------------------------------------------------------------------------------------- the records

_LINE = re.compile(
    rb"([0-9a-f]{32}) (relayed|unreachable|late|large) ([0-9]{3}) ([0-9]{1,18}) ([0-9.]{1,20}) "
    rb"(-|end|[0-9]{1,18}) (OK)?\n\Z"
)


class CompletionLog:
    """The files that nginx writes for this worker process, and the calls that wait for their end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._work = threading.Event()
        self._files: list[_CompletionFile] = []
        self._waiting: dict[str, tuple[Call, OffloadedResult]] = {}

    def ready(self) -> bool:
        """Return True if one more call may be offloaded."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._start()
        return bool(self._files) and len(self._waiting) < MAX_WAITING

    def _start(self) -> None:
        _remove_abandoned_files()
        try:
            self._files.append(_CompletionFile())
        except OSError as error:
            log.error("no call is offloaded: the folder of completion logs cannot be written (errno %s)", error.errno)
        self._thread = threading.Thread(target=self._follow, name="completions", daemon=True)
        self._thread.start()
        atexit.register(self.drain)

    def expect(self, call: Call, result: OffloadedResult) -> str:
        """Let a call wait for its end. Return the name of the file into which nginx has to write it."""
        self._waiting[call.request_id] = call, result
        self._work.set()
        return self._files[-1].name

    def _follow(self) -> None:
        while True:
            self._work.wait()
            time.sleep(POLL_INTERVAL)
            try:
                self.poll()
            except Exception as error:  # the thread must not end
                log.error("the completion log could not be read: %s", type(error).__name__)
                time.sleep(1)

    def poll(self) -> None:
        """Record the calls that nginx has completed since the last poll."""
        with self._lock:
            if not self._waiting:
                self._work.clear()
            for file in self._files:
                for line in file.lines():
                    self._end(line)
            self._maintain()
            if self._waiting:
                self._work.set()

    def _end(self, line: bytes) -> None:
        match = _LINE.match(line)
        if match is None:
            log.error("a line of a completion log cannot be read")
            return
        request_id, outcome, status, size, seconds, expected_size, complete = match.groups()
        waiting = self._waiting.pop(request_id.decode(), None)
        if waiting is not None:
            call, result = waiting
            call.started_monotonic = time.perf_counter() - float(seconds)
            word = outcome.decode()
            whole = complete is not None and (word in _NGINX_RESPONDS or expected_size in (b"end", size))
            completed(call, result, word, int(status), int(size), whole)

    def _maintain(self) -> None:
        """Begin a new file if one is full, remove files that get no more lines, and give up a call without an end."""
        if self._files and self._files[-1].position > MAX_FILE_BYTES:
            self._files.append(_CompletionFile())
        now = time.monotonic()
        oldest = next(iter(self._waiting.values()), None)
        if oldest is not None and now - oldest[1].started > GIVE_UP_AFTER:
            id = next(iter(self._waiting))
            call, _ = self._waiting.pop(id)
            recording.end(call, Fault(faults.INTERRUPTED), 0, broken=True)
        since = min(oldest[1].started if oldest is not None else now, now - 60)
        while len(self._files) > 1 and self._files[1].created < since:
            self._files.pop(0).remove()

    def in_progress(self) -> int:
        """Return the number of calls that nginx has not reported yet."""
        return len(self._waiting)

    def drain(self) -> None:
        """Wait for calls in progress before the worker process ends. The shipping records later ones as interrupted."""
        until = time.monotonic() + DRAIN_SECONDS
        while self._waiting and time.monotonic() < until:
            self.poll()
            time.sleep(POLL_INTERVAL)
        with self._lock:
            for file in self._files:
                file.remove()
            self._files.clear()
            segments.close()


class _CompletionFile:
    """A file that nginx writes and this worker process reads. It is locked while the process lives."""

    def __init__(self) -> None:
        self.created = time.monotonic()
        self.name = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
        if not _NAME.match(self.name):
            raise OSError(errno.EINVAL, "host name")
        self.path = Path(settings.OFFLOAD_DIR) / f"{self.name}.completions"
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # nginx runs under another account, which may only append.
        os.fchmod(self._fd, 0o622)
        fcntl.flock(self._fd, fcntl.LOCK_SH)
        self.position = 0
        self._partial = b""

    def lines(self) -> list[bytes]:
        """Return the complete lines written since the last call."""
        written = b""
        while chunk := os.pread(self._fd, 1 << 20, self.position):
            self.position += len(chunk)
            written += chunk
        if not written:
            return []
        lines, newline, self._partial = (self._partial + written).rpartition(b"\n")
        return (lines + newline).splitlines(keepends=True)

    def remove(self) -> None:
        with suppress(OSError):
            self.path.unlink()
        os.close(self._fd)


def _remove_abandoned_files() -> None:
    """Remove the files of worker processes that ended. The shipping records their calls as interrupted."""
    for path in Path(settings.OFFLOAD_DIR).glob("*.completions"):
        with suppress(OSError), path.open("rb") as file:
            if time.time() - path.stat().st_mtime < NEW_FILE_SECONDS:
                continue  # it may have been created just now, and not be locked yet
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def completed(call: Call, result: OffloadedResult, outcome: str, status: int, size: int, whole: bool) -> None:
    """Record the end of a call, and report the upstream's success or failure to its health."""
    endpoint = result.endpoint
    call.server = endpoint.id
    fault: Fault | None = None
    if outcome == "unreachable":
        fault = Fault(faults.UPSTREAM_UNREACHABLE, request_id=call.request_id)
        tracker.failed(endpoint, UpstreamError("connect", "refused"), result.started)
    elif outcome == "late":
        fault = Fault(faults.UPSTREAM_TIMEOUT, seconds=f"{READ:g}")
        tracker.failed(endpoint, UpstreamError("first-byte", "slow", sent=True, slow=True), result.started)
    elif outcome == "large":
        fault, whole = Fault(faults.UPSTREAM_TOO_LARGE, limit=result.headers["X-Mantra-Max-Bytes"]), False
    elif status >= 500:
        tracker.failed(endpoint, tracker.STATUS, result.started)
    elif status != CALLER_DISCONNECTED:
        tracker.succeeded(endpoint, time.monotonic() - result.started)
    result.status = status
    with suppress(Fault):  # it has been logged, and the caller has its response
        recording.end(call, fault or result, size, broken=not whole, status=status)


completion_log = CompletionLog()
