"""JSON as values, numbers digit for digit."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from proxyservices.decoders.charset import text_of
from proxyservices.decoders.limits import MAX_LEVELS, DecodeError, check_size


def decode_json(body: bytes, charset: str = "") -> Any:
    """Return a JSON document's value; decimals keep their digits. Raises DecodeError."""
    check_size(body, b",", b"[", b"{")
    text = text_of(body, charset)
    try:
        value = json.loads(text, parse_float=_decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise DecodeError("json") from None
    _check_depth(value)
    return value


def _decimal(text: str) -> Any:
    if "e" not in text and "E" not in text:
        return Decimal(text)
    value = float(text)  # as a Decimal, a few digits of exponent would be written out as megabytes of zeros
    if not math.isfinite(value):
        raise DecodeError("json")
    return value


def _no_constant(text: str) -> Any:
    raise DecodeError("json")


def _check_depth(value: Any) -> None:
    """Raise DecodeError for a value that is nested deeper than MAX_LEVELS: later steps are recursive."""
    level = [value]
    for _depth in range(MAX_LEVELS):
        level = [
            each
            for outer in level
            for each in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(each, (dict, list))
        ]
        if not level:
            return
    raise DecodeError("depth")
