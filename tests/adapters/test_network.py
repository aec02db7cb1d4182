"""What cuts a connection off: the clock, and more bytes than were reckoned with."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from adapters.base import BATCH, PIECE_BYTES, Limits, Row, TimedOut, TooWide, fitting, gather
from adapters.network import Watch

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
    watch = Watch()
    token = watch.begin(flood.fileno(), time.monotonic() + 60, 8 * MIB)
    began = time.monotonic()
    came = read_all(flood, 30)
    assert time.monotonic() - began < 10
    assert came > 16 * MIB
    assert isinstance(watch.end(token), TooWide)
    assert watch.end(token) is None


def test_without_a_width_any_amount_may_come(flood: socket.socket) -> None:
    watch = Watch()
    token = watch.begin(flood.fileno(), time.monotonic() + 60)
    assert read_all(flood, 0.5) > 16 * MIB
    assert watch.end(token) is None
    assert flood.recv(1)


def test_each_statement_has_the_whole_width(flood: socket.socket) -> None:
    watch = Watch()
    for _ in range(4):
        token = watch.begin(flood.fileno(), time.monotonic() + 60, 1024 * MIB)
        read_all(flood, 0.2)
        assert watch.end(token) is None
    assert not watch._before or len(watch._before) == 1


def test_the_clock_still_cuts(flood: socket.socket) -> None:
    watch = Watch()
    token = watch.begin(flood.fileno(), time.monotonic() - 0.5)
    read_all(flood, 10)
    assert isinstance(watch.end(token), TimedOut)


# How many rows are asked for.


class Table:
    def __init__(self, widths: list[int]) -> None:
        self.widths = widths
        self.asked: list[int] = []

    def __call__(self, count: int) -> list[Row]:
        self.asked.append(count)
        taken, self.widths = self.widths[:count], self.widths[count:]
        return [(1, "x" * width) for width in taken]


LIMITS = Limits(10_000, 10)


def test_unknown_rows_are_looked_at_one_then_some_then_all() -> None:
    table = Table([10] * 1000)
    found = gather(table, BATCH, LIMITS)
    assert (len(found.rows), found.ended, found.widest) == (BATCH, False, 10)
    assert table.asked == [1, 16, 256, BATCH - 273]


def test_known_rows_are_asked_for_at_once() -> None:
    table = Table([10] * 1000)
    assert len(gather(table, BATCH, LIMITS, 10).rows) == BATCH
    assert table.asked == [BATCH]


@pytest.mark.parametrize("width", [PIECE_BYTES // 3, PIECE_BYTES, 5 * PIECE_BYTES])
def test_wide_rows_are_few(width: int) -> None:
    table = Table([width] * 40)
    found = gather(table, BATCH, LIMITS)
    assert len(found.rows) * width <= max(PIECE_BYTES, width)
    assert not found.ended
    assert fitting(found.widest, BATCH) == max(1, PIECE_BYTES // width)


def test_the_end_is_seen_where_it_is() -> None:
    for count in (0, 1, 2, 16, 17, 18, 499):
        found = gather(Table([10] * count), BATCH, LIMITS)
        assert (len(found.rows), found.ended) == (count, True)
    assert not gather(Table([10] * BATCH), BATCH, LIMITS).ended


def test_a_row_over_the_width_is_refused() -> None:
    with pytest.raises(TooWide):
        gather(Table([10, 10, 2000, 10]), BATCH, Limits(10, 10, width=1000))
    assert len(gather(Table([1000] * 4), BATCH, Limits(10, 10, width=1000)).rows) == 4
