"""Which callers are too slow for their responses, by a clock of the test's own."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from mantra.gateway import delivery
from mantra.gateway.delivery import Delivery, watched
from mantra.gateway.recording import RecordedResult, StreamedBody
from registry import faults
from registry.calls import Call
from registry.results import Rows

KIB = 1024
Pair = tuple[socket.socket, socket.socket]


def connected() -> Pair:
    """The bus's end of a TCP connection, and the caller's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        return listener.accept()[0], caller


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, caller = connected()
    with ours, caller:
        yield ours, caller


@pytest.fixture(autouse=True)
def limits(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds, a KiB a second, four threads; and no thread that watches beside the test."""
    settings.WEB_CALLER_SECONDS, settings.WEB_CALLER_RATE, settings.WEB_THREADS = 10.0, KIB, 4
    monkeypatch.setattr(delivery.watchdog, "begin", lambda use: None)


def started(ours: socket.socket) -> Delivery:
    """A response whose first piece is being sent."""
    made = Delivery(iter([b"x" * 100 * KIB, b"y"]), ours)
    made.overdue(time.monotonic())
    next(made)
    return made


def fill(ours: socket.socket) -> int:
    """Send until the kernel takes no more: how many bytes that was."""
    ours.setblocking(False)
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += ours.send(b"x" * 64 * KIB)
    return sent


def test_it_works() -> None:
    ours, caller = connected()
    with ours, caller:
        assert b"".join(watched([b"a", b"b"], {"mantra.socket": ours})) == b"ab"
        assert watched((b"a",), {}) == (b"a",)


def test_a_caller_who_takes_nothing_has_its_seconds(pair: Pair) -> None:
    made, now = started(pair[0]), time.monotonic()
    assert made.overdue(now + 9.9) is None
    fault = made.overdue(now + 10.1)
    assert fault is not None and fault.code == faults.RESPONSE_TOO_SLOW.code


def test_the_bytes_that_a_caller_takes_give_it_time(pair: Pair) -> None:
    made, now = started(pair[0]), time.monotonic()
    pair[0].sendall(b"x" * 20 * KIB)
    pair[1].recv(20 * KIB, socket.MSG_WAITALL)
    assert made.overdue(now + 29) is None
    assert made.overdue(now + 31) is not None


def test_bytes_that_the_kernel_holds_give_no_time(pair: Pair) -> None:
    ours, caller = pair
    made, now = started(ours), time.monotonic()
    sent = fill(ours)
    read = 0
    while read < 10 * KIB:
        read += len(caller.recv(10 * KIB - read))
    taken = delivery.byte_counts(ours)[0] / KIB  # what lies in the caller's own kernel is with the caller
    assert taken < sent / KIB
    assert made.overdue(now + 9 + taken) is None
    assert made.overdue(now + 12 + taken) is not None


def test_a_unix_socket_counts_what_was_given() -> None:
    ours, caller = socket.socketpair()
    with ours, caller:
        made, now = started(ours), time.monotonic()
        assert made.overdue(now + 11) is not None
        next(made)
        assert made.overdue(now + 109) is None
        assert made.overdue(now + 112) is not None


def test_the_time_that_the_bus_takes_is_not_the_callers(pair: Pair) -> None:
    moments: list[float] = []

    def slow_source() -> Iterator[bytes]:
        yield b"x"
        moments.append(time.monotonic())
        assert made.overdue(time.monotonic() + 60) is None
        yield b"y"

    made = Delivery(slow_source(), pair[0])
    assert b"".join(made) == b"xy"
    assert moments


def test_what_a_source_is_still_read_for_ends_at_the_time_limit(pair: Pair) -> None:
    """Whatever the caller takes: the connection of the source must be free again."""
    began = time.monotonic()
    call = Call("rest", "GET", "127.0.0.1", "1", "json", lambda call: [])
    rows = Rows((), iter(()), lambda: None, deadline=began + 3)
    made = Delivery(StreamedBody(RecordedResult(call, rows), (b"x" * KIB, b"y"), iter(())), pair[0])
    next(made)
    pair[0].sendall(b"x" * 100 * KIB)
    pair[1].recv(100 * KIB, socket.MSG_WAITALL)
    assert made.overdue(began + 2.9) is None
    assert made.overdue(began + 3.1) is not None
    rows.close()  # all rows are read
    assert made.overdue(began + 3.1) is None


def test_when_half_of_the_threads_wait_the_slow_ones_go(pair: Pair) -> None:
    with ExitStack() as held:
        ends = [connected() for _ in range(3)]
        for end in ends:
            held.enter_context(end[0])
            held.enter_context(end[1])
        first, second, third = (started(ours) for ours, _ in ends)
        fast, now = started(pair[0]), time.monotonic()
        pair[0].sendall(b"x" * 10 * KIB)
        pair[1].recv(10 * KIB, socket.MSG_WAITALL)
        assert [each.overdue(now + 2) is None for each in (fast, first, second)] == [True] * 3
        # The third is one more than half; and then there are two again.
        assert third.overdue(now + 2) is not None
        assert [each.overdue(now + 3) is None for each in (fast, first, second)] == [True] * 3


def test_a_caller_who_has_gone_frees_its_place(pair: Pair) -> None:
    now = time.monotonic()
    for _ in range(5):
        made = started(pair[0])
        assert made.overdue(now + 2) is None
        made.close()


def test_a_cut_off_caller_is_reset(pair: Pair) -> None:
    """A regular end would look like the end of the response to HTTP/1.0."""
    ours, caller = pair
    made = started(ours)
    fill(ours)
    made.cut()
    ours.close()

    def read() -> None:
        while caller.recv(65536):
            pass

    with pytest.raises(ConnectionResetError):
        read()
