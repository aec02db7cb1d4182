"""Bounds on time and memory, on a machine that may have other work."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def load_factor() -> float:
    """How many times as long as alone things may take: 1 on an idle machine, 2 where every core has one other job.

    At most 3, so that what hangs fails on a busy machine too.
    """
    running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1  # not counting ourselves
    return min(1 + max(os.getloadavg()[0], running) / (os.cpu_count() or 1), 3.0)


def assert_within(seconds: float, began: float) -> None:
    """Assert that no more than so many seconds, times the machine's load, have passed since ``began`` (monotonic)."""
    assert_short(time.monotonic() - began, seconds)


def assert_short(taken: float, seconds: float) -> None:
    """Assert that what took ``taken`` seconds took no more than so many, times the machine's load."""
    factor = load_factor()
    assert taken < seconds * factor, f"{taken:.2f} s, where {seconds:g} s times {factor:.1f} for the load were allowed"


def assert_grows_less(bound: float, growth: Callable[[], float]) -> None:
    """Assert that memory grows by less than that, by the least of three measurements: what leaks does so each time."""
    found: list[float] = []
    while len(found) < 3:
        found.append(growth())
        if found[-1] < bound:
            return
    raise AssertionError(f"it grew by {found}, where less than {bound:g} was allowed")
