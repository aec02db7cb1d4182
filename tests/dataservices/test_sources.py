"""A source's room among the threads of a worker: half of them at most, and a short wait where calls come and go."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.base import ConnectFailed
from dataservices import pool
from dataservices.pool import BULKHEAD_WAIT, Busy, PooledConnection, SourcePool
from tests.bounds import assert_short, assert_within


@pytest.fixture
def source(tmp_path: Path, settings: Any) -> Iterator[SourcePool]:
    """Room for two calls, being half of four threads, and connections for both."""
    settings.WEB_THREADS = 4
    path = tmp_path / "data.sqlite3"
    sqlite3.connect(path).close()
    made = SourcePool(1, "sqlite", {"database": str(path), "roots": [str(tmp_path)]}, 5)
    yield made
    made.dispose()


def full(source: SourcePool) -> list[PooledConnection]:
    return [source.checkout(False, 5) for _ in range(2)]


def refused(source: SourcePool) -> float:
    """The seconds after which a call is turned away."""
    began = time.monotonic()
    with pytest.raises(Busy):
        source.checkout(False, 5)
    return time.monotonic() - began


def test_source_takes_half_of_the_threads(source: SourcePool) -> None:
    leases = full(source)
    refused(source)
    leases.pop().give_back()
    source.checkout(False, 5).give_back()
    leases.pop().drop()
    for lease in full(source):
        lease.give_back()


def test_where_calls_come_and_go_one_more_waits_and_gets_in(source: SourcePool) -> None:
    first, second = full(source)
    threading.Timer(BULKHEAD_WAIT / 2, first.give_back).start()
    began = time.monotonic()
    third = source.checkout(False, 5)
    assert time.monotonic() - began > BULKHEAD_WAIT / 4
    assert_within(BULKHEAD_WAIT + 0.2, began)
    for lease in (second, third):
        lease.give_back()


def test_full_source_refuses_after_its_waiting_time(source: SourcePool) -> None:
    leases = full(source)
    taken = refused(source)
    assert taken >= BULKHEAD_WAIT * 0.9
    assert_short(taken, BULKHEAD_WAIT + 0.2)
    for lease in leases:
        lease.give_back()


def test_full_source_without_movement_refuses_at_once(source: SourcePool) -> None:
    leases = full(source)
    time.sleep(BULKHEAD_WAIT * 1.5)
    # The least of three: a busy machine lets a thread wait as well.
    assert min(refused(source) for _ in range(3)) < BULKHEAD_WAIT / 2
    leases.pop().give_back()
    leases.append(source.checkout(False, 5))
    # One has just come and gone: it moves again.
    assert refused(source) >= BULKHEAD_WAIT * 0.9
    for lease in leases:
        lease.give_back()


def test_a_call_that_is_turned_away_is_no_movement(source: SourcePool) -> None:
    leases = full(source)
    time.sleep(BULKHEAD_WAIT * 1.5)
    refused(source)
    # The least of three: a busy machine lets a thread wait as well.
    assert min(refused(source) for _ in range(3)) < BULKHEAD_WAIT / 2
    for lease in leases:
        lease.give_back()


def test_a_password_that_has_changed_there_and_here(postgresql: Any, settings: Any) -> None:
    """Connections that are open go on; the new password in the book makes a new pool, without a restart."""
    root = postgresql.superuser()
    cursor = root.cursor()
    cursor.execute("DROP ROLE IF EXISTS berganti")
    cursor.execute("CREATE ROLE berganti LOGIN PASSWORD 'lama'")
    old = postgresql.source(user="berganti", password="lama")
    try:
        held = pool.source_pool(990001, "postgresql", old, 2)
        lease = held.checkout(False, 5)
        cursor.execute("ALTER ROLE berganti PASSWORD 'baru'")
        cursor_of_old = lease.connection.cursor()
        cursor_of_old.execute("SELECT 1")
        lease.drop()
        with pytest.raises(ConnectFailed) as error:
            held.checkout(False, 5)
        assert error.value.reason == "login"
        renewed = pool.source_pool(990001, "postgresql", {**old, "password": "baru"}, 2)
        assert renewed is not held
        renewed.checkout(False, 5).give_back()
        assert pool.source_pool(990001, "postgresql", {**old, "password": "baru"}, 2) is renewed
    finally:
        pool._source_pools.pop(990001).dispose()
        cursor.execute("DROP ROLE berganti")
        root.close()
