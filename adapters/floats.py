"""Floats of four bytes, as what they stand for."""

from __future__ import annotations

import struct
from contextlib import suppress


def single(value: float) -> float:
    """A four-byte number as the shortest that it stands for: 0.1, not 0.10000000149011612."""
    for digits in (6, 7, 8, 9):
        found = float(f"{value:.{digits}g}")
        with suppress(OverflowError):
            if struct.pack("f", found) == struct.pack("f", value):
                return found
    return value
