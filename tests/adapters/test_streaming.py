"""How many rows one fetch asks for."""

from __future__ import annotations

import pytest

from adapters.base import Limits, Row, RowTooLarge
from adapters.streaming import BATCH, CHUNK_BYTES, fetch_first, rows_that_fit


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
    found = fetch_first(table, BATCH, LIMITS)
    assert (len(found.rows), found.ended, found.widest) == (BATCH, False, 10)
    assert table.asked == [1, 16, 256, BATCH - 273]


def test_known_rows_are_asked_for_at_once() -> None:
    table = Table([10] * 1000)
    assert len(fetch_first(table, BATCH, LIMITS, 10).rows) == BATCH
    assert table.asked == [BATCH]


@pytest.mark.parametrize("width", [CHUNK_BYTES // 3, CHUNK_BYTES, 5 * CHUNK_BYTES])
def test_wide_rows_are_few(width: int) -> None:
    table = Table([width] * 40)
    found = fetch_first(table, BATCH, LIMITS)
    assert len(found.rows) * width <= max(CHUNK_BYTES, width)
    assert not found.ended
    assert rows_that_fit(found.widest, BATCH) == max(1, CHUNK_BYTES // width)


def test_the_end_is_seen_where_it_is() -> None:
    for count in (0, 1, 2, 16, 17, 18, 499):
        found = fetch_first(Table([10] * count), BATCH, LIMITS)
        assert (len(found.rows), found.ended) == (count, True)
    assert not fetch_first(Table([10] * BATCH), BATCH, LIMITS).ended


def test_a_row_over_the_width_is_refused() -> None:
    with pytest.raises(RowTooLarge):
        fetch_first(Table([10, 10, 2000, 10]), BATCH, Limits(10, 10, width=1000))
    assert len(fetch_first(Table([1000] * 4), BATCH, Limits(10, 10, width=1000)).rows) == 4
