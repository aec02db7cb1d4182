"""Floats of four bytes as the shortest number that represents them."""

from __future__ import annotations

import struct
from contextlib import suppress


def single(value: float) -> float:
    """Return a four-byte number as the shortest that represents it: 0.1, not 0.10000000149011612."""
    for digits in (6, 7, 8, 9):
        rounded = float(f"{value:.{digits}g}")
        with suppress(OverflowError):
            if struct.pack("f", rounded) == struct.pack("f", value):
                return rounded
    return value
