"""JSON as values, numbers digit for digit."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from proxyservices.decoders.limits import MOST_LEVELS, Unreadable, _bounded

# --------------------------------------------------------------------------------------------- JSON


def from_json(body: bytes) -> Any:
    """Decimals keep their digits. Raises Unreadable."""
    _bounded(body, b",", b"[", b"{")
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_float=_decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Unreadable("json") from None
    _shallow(value)
    return value


def _decimal(text: str) -> Any:
    if "e" not in text and "E" not in text:
        return Decimal(text)
    value = float(text)  # written out, a few digits of exponent would be megabytes of zeros
    if not math.isfinite(value):
        raise Unreadable("json")
    return value


def _no_constant(text: str) -> Any:
    raise Unreadable("json")


def _shallow(value: Any) -> None:
    """Refuse what nests too deep for those who walk through it."""
    level = [value]
    for _depth in range(MOST_LEVELS):
        level = [
            each
            for outer in level
            for each in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(each, (dict, list))
        ]
        if not level:
            return
    raise Unreadable("depth")
