"""The breaker's three states."""

from __future__ import annotations

from registry.circuit_breaker import CircuitBreaker
from tests.clock import Clock


def test_breaker_opens_half_opens_and_closes() -> None:
    clock = Clock()
    breaker = CircuitBreaker(2, 5.0, clock)
    assert breaker.try_pass()
    breaker.failed()
    assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "open"
    assert not breaker.try_pass()
    clock.move(4.5)
    assert not breaker.try_pass()
    clock.move(0.5)
    assert breaker.state == "half-open"
    assert breaker.try_pass()
    assert not breaker.try_pass()  # one trial at a time
    breaker.failed()
    assert breaker.state == "open"
    clock.move(5.0)
    assert breaker.try_pass()
    breaker.succeeded()
    assert breaker.state == "closed"
    assert breaker.try_pass()


def test_breaker_opens_only_on_failures_in_a_row() -> None:
    breaker = CircuitBreaker(threshold=2)
    for _ in range(10):
        breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"
