"""The picture of the book that admission reads: immutable, in memory, swapped whole.

A worker polls one version row and takes a new picture when it has moved. What a kind of operation
needs to run is prepared by its own room (``PREPARERS``), so that this one need not know of it.
"""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from registry.snapshot.loader import _version, take
from registry.snapshot.types import Snapshot

log = logging.getLogger("mantra.snapshot")


class _Holder:
    """The current picture and the thread that keeps it so."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.checked = 0.0
        self.thread: threading.Thread | None = None
        self.stopping = threading.Event()
        self.failing = False


_holder = _Holder()


def current() -> Snapshot | None:
    """The picture in force, or None while the first could not be taken yet."""
    return _holder.snapshot


def refresh() -> Snapshot:
    """Take a new picture if the version has moved, and put it in force."""
    held = _holder.snapshot
    if held is None or _version() != held.version:
        held = _holder.snapshot = take()
    _holder.checked = time.monotonic()
    return held


def age() -> float:
    """Seconds since the picture was last known to be the newest."""
    return time.monotonic() - _holder.checked


def start() -> None:
    """Keep the picture fresh in a thread of its own. One per process, started after the fork.

    With settings.SNAPSHOT_SECONDS = 0 nobody keeps it so but who calls refresh().
    """
    if settings.SNAPSHOT_SECONDS and (_holder.thread is None or not _holder.thread.is_alive()):
        _holder.stopping.clear()
        _try()  # at once, so that a fresh worker turns no call away
        _holder.thread = threading.Thread(target=_watch, name="snapshot", daemon=True)
        _holder.thread.start()


def stop() -> None:
    """End the thread; the picture stays."""
    _holder.stopping.set()
    if _holder.thread is not None:
        _holder.thread.join(timeout=5)
        _holder.thread = None


def _watch() -> None:
    while not _holder.stopping.wait(settings.SNAPSHOT_SECONDS):
        _try()
    connection.close()


def _try() -> None:
    """Refresh; while the database is away the last picture stays in force."""
    try:
        refresh()
        _holder.failing = False
    except Exception as error:  # the thread must outlive whatever a reload meets
        if not _holder.failing:
            log.error("the book could not be read (%s); the last picture stays in force", type(error).__name__)
        _holder.failing = True
        if isinstance(error, DatabaseError | InterfaceError):
            connection.close()
