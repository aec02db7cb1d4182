"""Windows counted in this process."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from limits import parse

from mantra.gateway import quotas


def test_it_works() -> None:
    limiter, item = quotas.limiter("memory://"), parse("3/minute")
    assert [limiter.hit(item, "grant", "1") for _ in range(4)] == [True, True, True, False]
    assert limiter.hit(item, "grant", "2")
    reset, remaining = limiter.get_window_stats(item, "grant", "1")
    assert remaining == 0
    assert 55 < reset - time.time() <= 60


def test_a_window_ends() -> None:
    limiter, item = quotas.limiter("memory://"), parse("1/second")
    assert limiter.hit(item, "grant", "1")
    assert not limiter.hit(item, "grant", "1")
    time.sleep(1.05)
    assert limiter.get_window_stats(item, "grant", "1")[1] == 1
    assert limiter.hit(item, "grant", "1")


def test_no_call_is_lost_and_no_thread_started() -> None:
    limiter, item = quotas.limiter("memory://"), parse("10000/day")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: limiter.hit(item, "grant", "1"), range(4000)))
        threads = set(threading.enumerate())
        limiter.hit(item, "grant", "1")
        assert set(threading.enumerate()) <= threads
    assert limiter.get_window_stats(item, "grant", "1")[1] == 10_000 - 4001
