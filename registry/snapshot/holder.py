"""The current snapshot of the registry in this worker process: immutable, replaced as a whole.

A thread polls one version row, reads the change log when the version has changed, and prepares what the log names. In
between it compares the snapshot with the tables, a few rows at a time.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from registry.snapshot.loader import Loader
from registry.snapshot.types import Snapshot

log = logging.getLogger("mantra.snapshot")

#: Seconds that calls have the processor to themselves between two steps of a large change.
BREATH = 0.02


class _Holder:
    """The current snapshot and the thread that refreshes it."""

    def __init__(self) -> None:
        self.loader = Loader()
        self.lock = threading.Lock()
        self.snapshot: Snapshot | None = None
        #: The snapshot with the version whose changes it has all; None while changes are left to prepare.
        self.settled: tuple[int, Snapshot] | None = None
        self.checked = 0.0
        #: When the rows were read last, all of them: by the first load, then by comparing.
        self.compared = time.monotonic()
        self.thread: threading.Thread | None = None
        self.stopping = threading.Event()
        #: Since when refreshing fails (time.time()), and the type of the error; 0.0 and "" while it does not.
        self.failing_since = 0.0
        self.error = ""


_holder = _Holder()


def current() -> Snapshot | None:
    """Return the current snapshot, None while the first one could not be loaded."""
    return _holder.snapshot


def settled() -> tuple[int, Snapshot] | None:
    """Return the current snapshot and its version; None while it has a part of the version's changes only."""
    return _holder.settled


def refresh() -> Snapshot:
    """Put all changes into force that are committed. Return the current snapshot. Raises errors of the database."""
    while _advance():
        pass
    assert _holder.snapshot is not None
    return _holder.snapshot


def forget() -> None:
    """Forget the snapshot, as a new process does."""
    with _holder.lock:
        _holder.loader, _holder.snapshot, _holder.settled = Loader(), None, None


def _advance() -> bool:
    """Put committed changes into force for a fraction of a second. Return True if some are left."""
    with _holder.lock:
        loader = _holder.loader
        loader.take_stops()
        if loader.snapshot is not _holder.snapshot:
            _holder.snapshot, _holder.settled = loader.snapshot, None
        loader.poll()
        left = loader.step()
        snapshot = _holder.snapshot = loader.snapshot
        _holder.settled = (loader.version, snapshot) if snapshot is not None and not left else None
    _holder.checked = time.monotonic()
    return left


def age() -> float:
    """Return the seconds since the snapshot was last known to be the newest."""
    return time.monotonic() - _holder.checked


def version() -> int:
    """Return the version of the registry that was read last; -1 before the first time."""
    return _holder.loader.version


def failure() -> tuple[float, str] | None:
    """Return since when refreshing fails (time.time()), and the type of the last error; None while it does not."""
    return (_holder.failing_since, _holder.error) if _holder.failing_since else None


def follows() -> bool:
    """Return True if a thread refreshes the snapshot in this process. It ends with stop() only, and a fork has none."""
    return _holder.thread is not None


def followed() -> Snapshot | None:
    """Return the current snapshot if a thread refreshes it in this process; None without a thread or a snapshot."""
    return _holder.snapshot if _holder.thread is not None else None


def start() -> None:
    """Start the thread that refreshes the snapshot. One per process, started after the fork.

    With settings.SNAPSHOT_SECONDS = 0 there is no thread: only refresh() refreshes it.
    """
    if settings.SNAPSHOT_SECONDS and not follows():
        _holder.stopping.clear()
        _holder.compared = time.monotonic()
        _load()
        _holder.thread = threading.Thread(target=_follow, name="snapshot", daemon=True)
        _holder.thread.start()


def _without_thread() -> None:
    _holder.thread = None


os.register_at_fork(after_in_child=_without_thread)


def _load() -> None:
    """Load the first snapshot at once, so that a new worker process refuses no call."""
    gc.disable()  # nearly all that is made stays: each collection would look through it in vain
    try:
        while _advance_quietly():
            pass
    finally:
        gc.enable()


def stop() -> None:
    """End the thread. The snapshot stays."""
    _holder.stopping.set()
    if _holder.thread is not None:
        _holder.thread.join(timeout=5)
        _holder.thread = None


def _follow() -> None:
    seconds = settings.SNAPSHOT_SECONDS
    while not _holder.stopping.wait(seconds):
        left = _advance_quietly()
        seconds = BREATH if left else settings.SNAPSHOT_SECONDS
    connection.close()


def _advance_quietly() -> bool:
    """Refresh the snapshot. Without the database the previous one stays current. Return True if changes are left."""
    try:
        left = _advance()
        if not left:
            _compare()
        _holder.failing_since, _holder.error = 0.0, ""
        return left
    except Exception as error:  # the thread must not end
        if not _holder.failing_since:
            log.error("registry snapshot could not be refreshed (%s); keeping the previous one", type(error).__name__)
        _holder.failing_since, _holder.error = _holder.failing_since or time.time(), type(error).__name__
        if isinstance(error, DatabaseError | InterfaceError):
            connection.close()
        return False


def _compare() -> None:
    """Compare a few rows with the tables: all of them in turn, then none for settings.SNAPSHOT_COMPARE_SECONDS."""
    loader, now = _holder.loader, time.monotonic()
    if loader.comparing or now - _holder.compared > settings.SNAPSHOT_COMPARE_SECONDS:
        with _holder.lock:
            loader.compare()
        _holder.compared = now
