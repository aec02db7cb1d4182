"""Ends the wait for a caller who dribbles his body.

A server reads a body in pieces of its own and waits for each byte anew: the time cap alone would never be looked at.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress

#: Seconds between two looks at those who are waited for.
PAUSE = 0.25

_waiting: dict[int, tuple[float, Callable[[], None]]] = {}
_numbers = itertools.count()
_wake = threading.Event()
_starting = threading.Lock()
_threads: list[threading.Thread] = []


def begin(deadline: float, cut: Callable[[], None]) -> int:
    """Call ``cut`` once ``deadline`` (monotonic seconds) has passed, unless end() is called with what this returns."""
    number = next(_numbers)
    _waiting[number] = deadline, cut
    if not _wake.is_set():
        _start()
        _wake.set()
    return number


def end(number: int) -> None:
    _waiting.pop(number, None)


def _start() -> None:
    with _starting:
        if not any(thread.is_alive() for thread in _threads):
            _threads[:] = [threading.Thread(target=_watch, name="patience", daemon=True)]
            _threads[0].start()


def _watch() -> None:
    while True:
        _wake.wait()
        time.sleep(PAUSE)
        now = time.monotonic()
        for number, (deadline, cut) in _waiting.copy().items():
            if deadline < now and _waiting.pop(number, None) is not None:
                with suppress(OSError):
                    cut()
        _wake.clear()
        if _waiting:
            _wake.set()
