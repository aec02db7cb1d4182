"""Threads of a process, and a round of their work, which has to survive every error."""

from __future__ import annotations

import threading
from collections.abc import Callable
from logging import Logger

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection


def survive(work: Callable[[], object], failing: bool, log: Logger, message: str) -> bool:
    """Do a round. Return True if it failed; only the first failure in a row is logged, as ``message`` and its type.

    ``failing``: what the round before has returned. After an error of the database its connection is closed.
    """
    try:
        work()
    except Exception as error:  # whatever it is, the next round may succeed
        if not failing:
            log.error("%s (%s)", message, type(error).__name__)
        if isinstance(error, DatabaseError | InterfaceError):
            connection.close()
        return True
    return False


class ProcessThread:
    """A thread of which a process has one, from its start on. ``run`` works until the event is set."""

    def __init__(self, name: str, run: Callable[[threading.Event], object]) -> None:
        self._name, self._run = name, run
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, after the fork. With settings.SNAPSHOT_SECONDS = 0 there is none."""
        if settings.SNAPSHOT_SECONDS and not (self._thread and self._thread.is_alive()):
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, args=(self._stopping,), name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None
