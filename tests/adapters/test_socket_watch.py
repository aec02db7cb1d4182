"""What cuts a connection off: the clock, and more bytes than were reckoned with."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from adapters.base import RowTooLarge, TimedOut
from adapters.socket_watch import Cancel, StatementWatchdog, Watch
from tests.bounds import assert_within

MIB = 2**20


@pytest.fixture
def flood() -> Iterator[socket.socket]:
    """A connection whose other side sends without end."""
    listener = socket.create_server(("127.0.0.1", 0))

    def send() -> None:
        with suppress(OSError):
            other, _ = listener.accept()
            with other:
                while True:
                    other.sendall(b"x" * MIB)

    threading.Thread(target=send, daemon=True).start()
    with socket.create_connection(listener.getsockname()) as connection:
        yield connection
    listener.close()


def read_all(connection: socket.socket, seconds: float) -> int:
    """Bytes that come until the connection is cut, or for so long."""
    came, until = 0, time.monotonic() + seconds
    with suppress(ConnectionResetError):
        while time.monotonic() < until and (data := connection.recv(MIB)):
            came += len(data)
    return came


def test_more_than_twice_the_width_is_cut_off(flood: socket.socket) -> None:
    watchdog = StatementWatchdog("test")
    watch = watchdog.begin(flood.fileno(), time.monotonic() + 60, 8 * MIB)
    began = time.monotonic()
    came = read_all(flood, 30)
    assert_within(10, began)
    assert came > 16 * MIB
    assert isinstance(watchdog.end(watch), RowTooLarge)
    assert watchdog.end(watch) is None


def test_without_a_width_any_amount_may_come(flood: socket.socket) -> None:
    watchdog = StatementWatchdog("test")
    watch = watchdog.begin(flood.fileno(), time.monotonic() + 60)
    assert read_all(flood, 0.5) > 16 * MIB
    assert watchdog.end(watch) is None
    assert flood.recv(1)


def test_each_statement_has_the_whole_width(flood: socket.socket) -> None:
    watchdog = StatementWatchdog("test")
    received = []
    for _ in range(4):
        watch = watchdog.begin(flood.fileno(), time.monotonic() + 60, 1024 * MIB)
        read_all(flood, 0.2)
        assert watchdog.end(watch) is None
        received.append(watch.before)
    assert received == sorted(received) and received[-1] > 0
    assert not watchdog._running


def test_the_clock_still_cuts(flood: socket.socket) -> None:
    watchdog = StatementWatchdog("test")
    watch = watchdog.begin(flood.fileno(), time.monotonic() - 0.5)
    read_all(flood, 10)
    assert isinstance(watchdog.end(watch), TimedOut)


def test_an_instant_cancel_comes_once_and_never_after_the_statement(flood: socket.socket) -> None:
    watchdog, calls = StatementWatchdog("test"), []
    limit = time.monotonic() + 60
    for silent in (False, True):
        watch = watchdog.begin(flood.fileno(), limit, cancel=Cancel(limit, lambda: calls.append(1), True, silent))
        for _ in range(2):
            watchdog._look(watch, limit + 0.5)
        reason = watchdog.end(watch)
        assert isinstance(reason, TimedOut)
        assert reason.unanswered is silent
        watchdog._look(watch, limit + 0.5)
    assert len(calls) == 2


def test_a_commit_is_not_cancelled_and_none_begins_after_a_cancel(flood: socket.socket) -> None:
    watchdog, calls = StatementWatchdog("test"), []
    limit = time.monotonic() + 60
    watch = watchdog.begin(flood.fileno(), limit, cancel=Cancel(limit, lambda: calls.append(1), instant=True))
    assert watchdog.may_commit(watch)
    watchdog._look(watch, limit + 0.5)
    assert (calls, watchdog.end(watch)) == ([], None)
    watch = watchdog.begin(flood.fileno(), limit, cancel=Cancel(limit, lambda: calls.append(1), instant=True))
    watchdog._look(watch, limit + 0.5)
    assert not watchdog.may_commit(watch)
    assert calls == [1]
    assert isinstance(watchdog.end(watch), TimedOut)


def test_a_socket_that_got_the_descriptor_of_the_watched_one_is_left_alone(flood: socket.socket) -> None:
    """A driver may close its socket before the watch over it ends, and any other one get its number."""
    watchdog = StatementWatchdog("test")
    here, there = socket.socketpair()
    with here, there:
        descriptor = os.dup(flood.fileno())
        overdue = Watch(descriptor, time.monotonic() - 1, 0, None)
        too_large = Watch(descriptor, time.monotonic() + 60, 1, None)
        os.dup2(here.fileno(), descriptor)
        try:
            for watch in (overdue, too_large):
                watchdog._look(watch, time.monotonic())
            there.sendall(b"x")
            assert here.recv(1) == b"x"
        finally:
            os.close(descriptor)
    assert isinstance(watchdog.end(overdue), TimedOut)
    assert watchdog.end(too_large) is None
