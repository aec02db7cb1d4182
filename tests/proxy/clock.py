"""A clock that a test moves."""

from __future__ import annotations

from types import ModuleType

import pytest

from proxyservices.health import tracker


class Clock:
    """Monotonic seconds that pass when a test says so. Fractions of two add up exactly."""

    def __init__(self) -> None:
        self._now = 4096.0

    def __call__(self) -> float:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += seconds


def stopped_clock(monkeypatch: pytest.MonkeyPatch, module: ModuleType = tracker) -> Clock:
    """A clock for a module: by default for the health of upstreams, and the breakers of addresses met from now on."""
    made = Clock()
    monkeypatch.setattr(module, "clock", made)
    return made
