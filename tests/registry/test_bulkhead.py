"""A bulkhead: so many at once, and a place that is given back goes to a call that waits for it."""

from __future__ import annotations

import threading

from registry.bulkhead import Bulkhead
from tests.servers.process import wait_until


def test_it_works() -> None:
    bulkhead = Bulkhead(2)
    assert [bulkhead.try_acquire() for _ in range(3)] == [True, True, False]
    bulkhead.release()
    assert bulkhead.try_acquire()
    assert bulkhead.in_flight == 2


def test_a_full_bulkhead_refuses_after_its_timeout() -> None:
    bulkhead = Bulkhead(0)
    assert not bulkhead.try_acquire(0.01)
    assert bulkhead._waiting == 0


def test_a_waiting_call_gets_the_place_that_is_released() -> None:
    bulkhead = Bulkhead(1)
    bulkhead.try_acquire()
    outcomes: list[bool] = []
    waiting = threading.Thread(target=lambda: outcomes.append(bulkhead.try_acquire(30)))
    waiting.start()
    wait_until(lambda: bulkhead._waiting == 1, 10, "the second call")
    bulkhead.release()
    waiting.join(10)
    assert outcomes == [True]
    assert bulkhead.in_flight == 1
