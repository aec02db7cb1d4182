"""What is made of whole columns, or of a driver's bytes, must be what one value after another would be."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters import dbase
from adapters.dbf.table_copy import Column
from adapters.tds import types as tds
from mantra.gateway.formats import json
from registry.results import Column as Out


def one_by_one(scale: int, values: Sequence[Any]) -> list[Any]:
    return [dbase.digits(value, scale) if isinstance(value, float) else value for value in values]


@pytest.mark.parametrize("scale", [0, 1, 2, 4, 9])
def test_decimals_of_a_dbf_column(scale: int) -> None:
    pick = random.Random(scale)
    numbers = [round(pick.uniform(-1, 1) * 10.0 ** pick.randint(-scale, 15 - scale), scale) for _ in range(500)]
    convert = dbase._convert(Column("x", "decimal", scale))
    assert convert is not None
    for values in (
        numbers,
        [0.0, -0.0, 1.0],
        [None, *numbers, None],
        [None, None],
        [],
        [1e15, 2.0],  # more digits than a double is sure of
        [0.1 + 0.2, 1.5],  # not made from so few digits
        [1.5, "1,5", None, 7, b"x"],
    ):
        assert list(convert(values)) == one_by_one(scale, values)


def test_numbers_of_the_tds_wire() -> None:
    pick = random.Random(1)
    for _ in range(2000):
        precision = pick.randint(1, 38)
        scale = pick.randint(0, precision)
        number = pick.choice((0, 1, 10**precision - 1, pick.randrange(10**precision)))
        sign = pick.choice((0, 1))
        data = struct.pack("<BBB", precision, scale, sign) + number.to_bytes(16, "little")
        expected = format(Decimal((0, tuple(map(int, str(number))), -scale)), "f")
        assert tds._decimal(data) == ("-" if number and not sign else "") + expected


def test_days_and_moments_of_the_tds_wire() -> None:
    pick = random.Random(2)
    for day in (date.min, date.max, *(date.min + timedelta(pick.randrange(3_652_058)) for _ in range(500))):
        assert tds._date(struct.pack("<hHH", day.year, day.month, day.day)) == day.isoformat()
        for fraction, written in ((0, ""), (5_000_000, ".005"), (123_456_700, ".1234567"), (100, ".0000001")):
            parts = (day.year, day.month, day.day, 23, 59, 8, fraction)
            expected = datetime(*parts[:6]).isoformat(" ") + written
            assert tds._moment(struct.pack("<hHHHHHI", *parts)) == expected


@pytest.mark.parametrize(
    "names", [["a"], ["a", "b"], ["'", '"', "\\", "{x}", "a\nb", "é", "\u2028"], [f"k{n}" for n in range(400)]]
)
def test_rows_become_objects_of_any_names(names: list[str]) -> None:
    encoder = json.RowEncoder([Out(name, "text") for name in names])
    for count in (1, 3, 10):
        batch = [tuple(f"{row} {place}" for place in range(len(names))) for row in range(count)]
        assert encoder._objects(batch) == [dict(zip(names, row, strict=True)) for row in batch]
