"""A clock that a test moves."""

from __future__ import annotations

from types import ModuleType

import pytest


class Clock:
    """Monotonic seconds that pass when a test says so. Fractions of two add up exactly."""

    def __init__(self) -> None:
        self._now = 4096.0

    def __call__(self) -> float:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += seconds


def stopped_clock(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> Clock:
    """A clock for a module that reads its own ``clock``."""
    made = Clock()
    monkeypatch.setattr(module, "clock", made)
    return made
