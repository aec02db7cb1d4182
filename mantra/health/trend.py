"""Measurements that are kept for a time, to say whether something grows, and how fast.

They are kept in the cache that all processes share, so that a page and a command know what the worker has measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from django.core.cache import cache
from django.db import DatabaseError

_DAY = 86_400.0
#: A process that reads the clock, in seconds. Tests have one of their own.
clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Sample:
    """A value at a time (seconds)."""

    at: float
    value: int


def noted(name: str, value: int, every: float, keep: float) -> list[Sample]:
    """Return what was measured, the oldest first and this value last.

    A value is kept if the one before was kept ``every`` seconds ago, for ``keep`` seconds.
    """
    latest = Sample(clock(), value)
    try:
        return [*_kept(f"health:{name}"[:200], latest, every, keep), latest]
    except DatabaseError:  # the cache is there, and manage.py doctor speaks of the disk while it is away
        return [latest]


def _kept(key: str, latest: Sample, every: float, keep: float) -> list[Sample]:
    """Return what was measured before, and keep the latest measurement if it is due."""
    known = [Sample(*each) for each in cache.get(key, ())]
    kept = [each for each in known if latest.at - keep <= each.at <= latest.at]
    if not kept or latest.at - kept[-1].at >= every:
        cache.set(key, [(each.at, each.value) for each in [*kept, latest]], keep)
    return kept


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
