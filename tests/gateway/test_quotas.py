"""Windows counted in this process, and in a store for all."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from limits import parse, parse_many

from mantra.gateway import quota_stores, quotas
from mantra.gateway.quota_stores import Memory, RedisCounter
from registry import faults
from registry.circuit_breaker import CircuitBreaker
from registry.results import Fault
from tests.clock import stopped_clock
from tests.servers.process import free_port
from tests.servers.redis import RedisServer
from tests.servers.stopping import stopped


def test_it_works() -> None:
    limiter, item = quotas.limiter("memory://"), parse("3/minute")
    assert [limiter.hit(item, "grant", "1") for _ in range(4)] == [True, True, True, False]
    assert limiter.hit(item, "grant", "2")
    reset, remaining = limiter.get_window_stats(item, "grant", "1")
    assert remaining == 0
    assert 55 < reset - time.time() <= 60


def test_a_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = stopped_clock(monkeypatch, quota_stores)
    limiter, item = quotas.limiter("memory://"), parse("1/minute")
    assert limiter.hit(item, "grant", "1")
    clock.move(59)
    assert not limiter.hit(item, "grant", "1")
    clock.move(1)
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


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def test_the_shared_store_counts_for_all(store: RedisServer) -> None:
    one, other, item = quotas.RedisCounter(store.url), quotas.RedisCounter(store.url), parse("3/minute")
    found = [each.hit(item, "bersama") for each in (one, other, one, other)]
    assert [(fine, left) for fine, left, _ in found] == [(True, 2), (True, 1), (True, 0), (False, 0)]
    assert all(50 < seconds <= 60 for _, _, seconds in found)
    assert one.hit(item, "lain")[0]
    # Where the library itself had counted, the count goes on.
    assert quotas.limiter(store.url).get_window_stats(item, "grant", "bersama")[1] == 0


def test_a_shared_window_ends(store: RedisServer) -> None:
    shared, item = quotas.RedisCounter(store.url), parse("1/2 second")
    assert [shared.hit(item, "sebentar")[0] for _ in range(2)] == [True, False]
    time.sleep(2.1)  # the store's own clock
    assert shared.hit(item, "sebentar")[0]


def test_a_shared_store_that_forgot_the_script_counts_on(store: RedisServer) -> None:
    shared, item = quotas.RedisCounter(store.url), parse("9/minute")
    assert shared.hit(item, "lupa")[1] == 8
    redis.Redis.from_url(store.url).script_flush()
    assert shared.hit(item, "lupa")[1] == 7


def test_no_shared_call_is_lost(store: RedisServer) -> None:
    shared, item = quotas.RedisCounter(store.url), parse("10000/day")
    with ThreadPoolExecutor(8) as pool:
        left = list(pool.map(lambda _: shared.hit(item, "ramai")[1], range(800)))
    assert sorted(left) == list(range(10_000 - 800, 10_000))


def test_a_shared_store_that_is_away_is_told_in_time() -> None:
    shared = quotas.RedisCounter(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(redis.RedisError):
        shared.hit(parse("1/second"), "x")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(store: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the calls' breaker; they count in the store."""
    clock = Clock()
    monkeypatch.setattr(quotas, "_redis", quotas.RedisCounter(store.url))
    monkeypatch.setattr(quotas, "breaker", CircuitBreaker(reset_timeout=1.0, clock=clock))
    return clock


def counted(grant: str, quota: str = "1000/hour") -> bool:
    """Whether a call under the grant was counted."""
    call: Any = SimpleNamespace(key=None, grant=SimpleNamespace(id=grant, quota=quota), quota=None, lease="")
    quotas.consume(call)
    return call.quota is not None


def test_a_quota_that_cannot_be_read_says_nothing_against_the_store(
    store: RedisServer, clock: Clock, settings: Any
) -> None:
    for _ in range(5):
        assert not counted("rusak", quota="banyak")
    assert counted("baik")
    settings.QUOTA_STORE_DOWN = "refuse"
    with pytest.raises(Fault):
        counted("rusak", quota="banyak")


def failures(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged of the store: threads of other tests may log meanwhile."""
    return [record for record in caplog.records if record.name == "mantra.quotas"]


def test_calls_do_not_each_wait_for_a_store_that_hangs(
    store: RedisServer, clock: Clock, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    assert counted("diam")
    with stopped(store):
        assert not any(counted("diam") for _ in range(20))
        # The others did not ask.
        assert len(failures(caplog)) == 3
        clock.now += 1.5
        assert not any(counted("diam") for _ in range(20))
        assert len(failures(caplog)) == 4
        settings.QUOTA_STORE_DOWN = "refuse"
        with pytest.raises(Fault) as error:
            counted("diam")
        assert error.value.kind is faults.QUOTA_STORE_DOWN
    clock.now += 1.5
    assert all(counted("diam") for _ in range(5))


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_many_calls_are_counted_in_one_step(request: pytest.FixtureRequest, store: str) -> None:
    counter = Memory() if store == "memory" else RedisCounter(request.getfixturevalue("redis").url)
    items = parse_many("10/minute; 25/hour")
    grant = f"many-{store}"
    assert counter.take(items, grant, 4)[0] == 4
    assert counter.hit(items[0], grant) == (True, 5, pytest.approx(60, abs=1))
    # Of the minute 5 are left; the hour has not counted the single call.
    assert counter.take(items, grant, 100)[0] == 5
    granted, seconds = counter.take(items, grant, 1)
    assert granted == 0
    assert 58 <= seconds <= 61
    assert counter.take(items[1:], grant, 100)[0] == 16
    assert counter.take(items[1:], grant, 100)[0] == 0
    taken: list[int] = []

    def take() -> None:
        taken.append(counter.take(items[:1], f"together-{store}", 3)[0])

    threads = [threading.Thread(target=take) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 10
