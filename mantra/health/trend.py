"""Measurements that are kept for a time, to say whether something grows, and how fast.

The process that sends messages measures (mantra/health/alarms.py). The values are in the cache of all processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from django.core.cache import cache
from django.db import DatabaseError

_DAY = 86_400.0
#: The clock, in seconds.
clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Sample:
    """A value at a time (seconds)."""

    at: float
    value: int


def note(name: str, value: int, every: float, keep: float) -> None:
    """Keep a value for ``keep`` seconds, if the one before was kept ``every`` seconds ago."""
    kept = [each for each in _kept(name) if clock() - keep <= each.at <= clock()]
    if not kept or clock() - kept[-1].at >= every:
        cache.set(_key(name), [(each.at, each.value) for each in [*kept, Sample(clock(), value)]], keep)


def noted(name: str, value: int) -> list[Sample]:
    """Return what was kept, the oldest first, and as the last one the value of now."""
    latest = Sample(clock(), value)
    try:
        return [*_kept(name), latest]
    except DatabaseError:  # the cache is there, and manage.py doctor speaks of the disk while it is away
        return [latest]


def _kept(name: str) -> list[Sample]:
    return [Sample(*each) for each in cache.get(_key(name), ())]


def _key(name: str) -> str:
    return f"health:{name}"[:200]


def grows(samples: list[Sample], seconds: float) -> bool | None:
    """Return True if a value grew all the time for ``seconds``; None if it was not measured that long."""
    recent = [each for each in samples if samples[-1].at - each.at <= 2 * seconds]
    if recent[-1].at - recent[0].at < seconds:
        return None
    return all(before.value < after.value for before, after in pairwise(recent))


def per_day(samples: list[Sample], hours: float) -> float | None:
    """Return by how much a value changes in a day, None if it was not measured for so many hours."""
    seconds = samples[-1].at - samples[0].at
    if seconds < hours * 3600:
        return None
    return (samples[-1].value - samples[0].value) * _DAY / seconds
