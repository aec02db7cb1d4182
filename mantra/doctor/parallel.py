"""Work on many things at the same time that ends at a time, whatever hangs."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.utils import translation

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    items: Sequence[Item], work: Callable[[Item], Result], late: Callable[[Item], Result], workers: int, seconds: float
) -> list[Result]:
    """Return what ``work`` makes of each item, in their order; what ``late`` makes of those that are not done in time.

    The threads of work that hangs do not keep the process from ending.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()
    for number in range(len(items)):
        waiting.put(number)
    language = translation.get_language()

    def run() -> None:
        with translation.override(language):
            while True:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                done.put((number, work(items[number])))

    for _number in range(min(workers, len(items))):
        threading.Thread(target=run, daemon=True).start()
    return _collect(items, done, late, time.monotonic() + seconds)


def _collect(
    items: Sequence[Item], done: queue.SimpleQueue[tuple[int, Result]], late: Callable[[Item], Result], until: float
) -> list[Result]:
    found: dict[int, Result] = {}
    while len(found) < len(items):
        try:
            number, result = done.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        found[number] = result
    return [found[number] if number in found else late(item) for number, item in enumerate(items)]
