"""Leases of calls that a process takes from the shared store: never more than the quota, and all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from limits import RateLimitItem, parse

from mantra.gateway.quota_leases import BUSY, FIRST, LONGEST, HeldLeases
from mantra.gateway.quota_stores import Lease, RedisCounter
from tests.servers.redis import RedisServer


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


PROCESSES: list[Process] = []


class Process:
    """What quotas.consume() does in one process, and the number of its requests to the store."""

    def __init__(self, url: str, item: RateLimitItem, grant: int, clock: Clock | None = None) -> None:
        self._store, self._item, self._grant = RedisCounter(url), item, grant
        PROCESSES.append(self)
        self.requests = 0
        self.held = HeldLeases(self._give_back, clock) if clock is not None else HeldLeases(self._give_back)

    def _lease(self, id: str, count: int) -> Lease | None:
        self.requests += 1
        return self._store.lease([self._item], str(self._grant), id, count)

    def _give_back(self, ended: Sequence[tuple[str, int]]) -> None:
        self._store.give_back(ended)

    def call(self) -> int | None:
        """Make a call: what is left of the quota, None if it is refused."""
        drawn = self.held.draw(self._grant)
        if drawn is not None:
            return drawn[2]
        self.requests += 1
        allowed, left, seconds = self._store.hit(self._item, str(self._grant))
        if not allowed:
            return None
        self.held.counted(self._grant, seconds, self._lease)
        return left


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server
        for process in PROCESSES:
            process.held.end_all()


def test_a_busy_grant_sends_few_requests_to_the_store(store: RedisServer) -> None:
    process = Process(store.url, parse("100000/hour"), 1, Clock())
    left = [process.call() for _ in range(1000)]
    assert left == list(range(99_999, 98_999, -1))
    # The first are counted one by one; then each held is twice as large as what was used of the one before.
    assert process.requests < BUSY + 15


def test_a_grant_that_is_not_busy_is_counted_call_by_call(store: RedisServer) -> None:
    clock = Clock()
    process = Process(store.url, parse("1000/hour"), 2, clock)
    for _ in range(3 * BUSY):
        clock.now += 0.1
        process.call()
    assert process.requests == 3 * BUSY


def test_what_is_not_used_goes_back(store: RedisServer) -> None:
    clock = Clock()
    process, other = (Process(store.url, parse("1000/hour"), 3, clock) for _ in range(2))
    for _ in range(BUSY + 1):
        process.call()
    assert other.call() == 1000 - BUSY - FIRST - 1
    clock.now += LONGEST
    assert process.held.draw(3) is None
    process.held.end_old()
    assert other.call() == 1000 - BUSY - 3


def test_a_process_that_ends_gives_all_back(store: RedisServer) -> None:
    process = Process(store.url, parse("1000/hour"), 4, Clock())
    for _ in range(BUSY):
        process.call()
    process.held.end_all()
    assert process.call() == 1000 - BUSY - 1


def test_no_more_calls_than_the_quota_and_all_of_them(store: RedisServer) -> None:
    processes = [Process(store.url, parse("700/hour"), 5) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        passed = sum(pool.map(partial(_until_refused, processes), range(8)))
    assert passed <= 700
    for process in processes:
        process.held.end_all()
    while processes[0].call() is not None:
        passed += 1
    assert passed == 700
    assert sum(process.requests for process in processes) < 700


def _until_refused(processes: Sequence[Process], number: int) -> int:
    passed = 0
    while processes[number % 2].call() is not None:
        passed += 1
    return passed
