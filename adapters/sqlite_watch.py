"""Ends statements of SQLite, which runs in this process, at their deadline or when they write too much.

A thread interrupts them from outside, as SQLite's own progress handler is not called while one function runs, and
needs Python's lock each time that it is.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

from adapters.base import QueryFailed, SourceError, TimedOut

log = logging.getLogger("mantra.adapters")

#: Bytes that all running statements of a process may have written: temporary files of sorting and grouping, and
#: what a statement that writes adds to its file and journal.
MAX_WRITTEN = 256 * 1024 * 1024

#: Seconds between two checks.
_INTERVAL = 0.05

_WRITTEN = re.compile(rb"^wchar: (\d+)", re.M)


class WatchedStatement:
    """A statement from its start until its result is closed.

    As a context manager: the calling thread runs the statement. It is interrupted only in there.
    """

    __slots__ = ("_before", "_connection", "_lock", "_thread", "deadline", "why", "written")

    def __init__(self, connection: Any, deadline: float) -> None:
        self.deadline = deadline
        #: The bytes that its threads have written while it ran.
        self.written = 0
        #: Why it was interrupted, if it was.
        self.why: SourceError | None = None
        self._connection = connection
        #: The number of the thread that runs it now, and the bytes that this had written at the last check.
        self._thread = 0
        self._before: int | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._before, self._thread = None, threading.get_native_id()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._thread = 0

    def measure(self) -> None:
        """Add what was written since the last check."""
        thread = self._thread
        if thread:
            written = _bytes_written(thread)
            with self._lock:
                if self._thread == thread:
                    self.written += max(written - self._before, 0) if self._before is not None else 0
                    self._before = written

    def interrupt(self, why: SourceError) -> None:
        """Interrupt the statement if it runs now. Repeated: SQLite forgets an interruption between two attempts."""
        with self._lock:
            if self._thread:
                self.why = self.why or why
                self._connection.interrupt()


def _bytes_written(thread: int) -> int:
    """Return the bytes that a thread of this process has written to files; 0 where Linux does not count them."""
    try:
        match = _WRITTEN.search(Path(f"/proc/self/task/{thread}/io").read_bytes())
    except OSError:
        return 0
    return int(match[1]) if match else 0


class SQLiteWatch:
    """The statements of this process. ``begin`` and ``end`` cost a dict write each."""

    def __init__(self) -> None:
        self._statements: dict[int, WatchedStatement] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self, connection: Any, deadline: float) -> WatchedStatement:
        """Start to watch a statement. ``deadline`` is a time.monotonic() value."""
        statement = WatchedStatement(connection, deadline)
        self._statements[id(statement)] = statement
        if self._thread is None:
            self._start()
        return statement

    def end(self, statement: WatchedStatement) -> None:
        """Stop to watch a statement. Safe to call twice."""
        self._statements.pop(id(statement), None)

    def forget(self) -> None:
        """Start anew in a forked child: the thread is the parent's."""
        self.__init__()  # type: ignore[misc]

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="sqlite-watch", daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        while True:
            time.sleep(_INTERVAL)
            try:
                self.check(time.monotonic())
            except Exception:  # the next statements must still be watched
                log.exception("sqlite-watch failed")

    def check(self, now: float) -> None:
        """Interrupt the statements over their deadline, and the one that wrote most if together they wrote too much."""
        statements = list(self._statements.values())
        for statement in statements:
            statement.measure()
            if statement.deadline < now:
                statement.interrupt(TimedOut("timeout"))
        if sum(statement.written for statement in statements) > MAX_WRITTEN:
            max(statements, key=lambda each: each.written).interrupt(QueryFailed("temporary-space"))


watch = SQLiteWatch()
os.register_at_fork(after_in_child=watch.forget)
