"""Ends a run of which nothing is heard any more, so that it has its summary, which says where it hung.

pytest-timeout ends a test that takes too long, but not one whose thread is in a library that never returns.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

#: Seconds beyond the time limit of a test, which is to end it first.
_BEYOND = 30.0


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):  # a process without workers could not interrupt itself
        config.pluginmanager.register(Silence(float(config.getini("timeout")) + _BEYOND), "silence")


class Silence:
    """Interrupts the run when no test has begun or ended for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._heard = time.monotonic()
        self._running: set[str] = set()
        self._over = threading.Event()
        self._hung: list[str] = []

    @pytest.hookimpl
    def pytest_sessionstart(self) -> None:
        threading.Thread(target=self._watch, name="silence", daemon=True).start()

    @pytest.hookimpl
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._heard = time.monotonic()
        self._running.add(nodeid)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._heard = time.monotonic()
        if report.when == "teardown":
            self._running.discard(report.nodeid)

    @pytest.hookimpl
    def pytest_sessionfinish(self) -> None:
        self._over.set()

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._hung:
            terminalreporter.section(f"nothing was heard for {self._seconds:g} s; begun and not ended:")
            for nodeid in self._hung:
                terminalreporter.line(nodeid)

    def _watch(self) -> None:
        while not self._over.wait(1):
            if time.monotonic() - self._heard > self._seconds:
                self._hung = sorted(self._running) or ["nothing"]
                os.kill(os.getpid(), signal.SIGINT)
                return
