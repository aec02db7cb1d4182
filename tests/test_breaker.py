"""The breaker's three states."""

from __future__ import annotations

import time

from registry.circuit_breaker import Breaker


def test_it_opens_tries_and_closes() -> None:
    breaker = Breaker(threshold=2, pause=0.1)
    assert breaker.allows()
    breaker.failed()
    assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "open"
    assert not breaker.allows()
    time.sleep(0.12)
    assert breaker.state == "half-open"
    assert breaker.allows()
    assert not breaker.allows()  # one trial at a time
    breaker.failed()
    assert breaker.state == "open"
    time.sleep(0.12)
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.state == "closed"
    assert breaker.allows()


def test_failures_must_come_in_a_row() -> None:
    breaker = Breaker(threshold=2)
    for _ in range(10):
        breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"
