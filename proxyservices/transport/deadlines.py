"""Aborts reads that have passed their deadline: a caller may send its body one byte at a time.

A server reads a body in pieces of its own and waits for each byte separately, so that the call's timeout alone would
never be checked.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress

#: Seconds between two checks of the deadlines.
CHECK_INTERVAL = 0.25

#: number → (deadline in monotonic seconds, what to call then).
_deadlines: dict[int, tuple[float, Callable[[], None]]] = {}
_numbers = itertools.count()
_wake = threading.Event()
_starting = threading.Lock()
_threads: list[threading.Thread] = []


def watch(deadline: float, abort: Callable[[], None]) -> int:
    """Call ``abort`` once ``deadline`` (monotonic seconds) has passed. Return the number to pass to cancel()."""
    number = next(_numbers)
    _deadlines[number] = deadline, abort
    if not _wake.is_set():
        _start()
        _wake.set()
    return number


def cancel(number: int) -> None:
    """Forget a deadline; nothing happens if it has passed already."""
    _deadlines.pop(number, None)


def reset() -> None:
    """Forget all deadlines. For tests."""
    _deadlines.clear()


def _start() -> None:
    with _starting:
        if not any(thread.is_alive() for thread in _threads):
            _threads[:] = [threading.Thread(target=_check, name="deadlines", daemon=True)]
            _threads[0].start()


def _check() -> None:
    while True:
        _wake.wait()
        time.sleep(CHECK_INTERVAL)
        now = time.monotonic()
        for number, (deadline, abort) in _deadlines.copy().items():
            if deadline < now and _deadlines.pop(number, None) is not None:
                with suppress(OSError):
                    abort()
        _wake.clear()
        if _deadlines:
            _wake.set()
