"""The current snapshot of the registry in this worker process: immutable, replaced as a whole.

A thread polls one version row and loads a new snapshot when the version has changed. Each package prepares the plans of
its kind of operation (``PLANNERS``), so that registry does not depend on it.
"""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from registry.snapshot.loader import current_version, load
from registry.snapshot.types import Snapshot

log = logging.getLogger("mantra.snapshot")


class _Holder:
    """The current snapshot and the thread that refreshes it."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.checked = 0.0
        self.thread: threading.Thread | None = None
        self.stopping = threading.Event()
        self.failing = False


_holder = _Holder()


def current() -> Snapshot | None:
    """Return the current snapshot, None while the first one could not be loaded."""
    return _holder.snapshot


def refresh() -> Snapshot:
    """Load a new snapshot if the version has changed. Return the current one. Raises errors of the database."""
    snapshot = _holder.snapshot
    if snapshot is None or current_version() != snapshot.version:
        snapshot = _holder.snapshot = load()
    _holder.checked = time.monotonic()
    return snapshot


def age() -> float:
    """Return the seconds since the snapshot was last known to be the newest."""
    return time.monotonic() - _holder.checked


def start() -> None:
    """Start the thread that refreshes the snapshot. One per process, started after the fork.

    With settings.SNAPSHOT_SECONDS = 0 there is no thread: only refresh() refreshes it.
    """
    if settings.SNAPSHOT_SECONDS and (_holder.thread is None or not _holder.thread.is_alive()):
        _holder.stopping.clear()
        _refresh_quietly()  # at once, so that a new worker process refuses no call
        _holder.thread = threading.Thread(target=_follow, name="snapshot", daemon=True)
        _holder.thread.start()


def stop() -> None:
    """End the thread. The snapshot stays."""
    _holder.stopping.set()
    if _holder.thread is not None:
        _holder.thread.join(timeout=5)
        _holder.thread = None


def _follow() -> None:
    while not _holder.stopping.wait(settings.SNAPSHOT_SECONDS):
        _refresh_quietly()
    connection.close()


def _refresh_quietly() -> None:
    """Refresh the snapshot. Without the database the previous one stays current."""
    try:
        refresh()
        _holder.failing = False
    except Exception as error:  # the thread must not end
        if not _holder.failing:
            log.error("registry snapshot could not be refreshed (%s); keeping the previous one", type(error).__name__)
        _holder.failing = True
        if isinstance(error, DatabaseError | InterfaceError):
            connection.close()
