"""PHP's serialize format as values."""

from __future__ import annotations

import math
import re
from typing import Any

from proxyservices.decoders.limits import MOST_LEVELS, Unreadable, _bounded

# ------------------------------------------------------------------------------------ PHP serialize()

_SCALAR = re.compile(rb"(?:N|b:([01])|i:([+-]?[0-9]{1,20})|d:([^;]{1,400}));")
_SIZED = re.compile(rb"([sa]):([0-9]{1,9}):([\"{])")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def from_php(body: bytes) -> Any:
    """Arrays, texts, numbers, booleans and null; no objects, no references. Raises Unreadable."""
    _bounded(body, b";", b"{")
    value, end = _php(body, 0, MOST_LEVELS)
    if body[end:].strip():
        raise Unreadable("php")
    return value


def _php(body: bytes, at: int, levels: int) -> tuple[Any, int]:
    found = _SCALAR.match(body, at)
    if found is not None:
        boolean, whole, real = found.groups()
        if boolean is not None:
            return boolean == b"1", found.end()
        if whole is not None:
            return int(whole), found.end()
        return (None if real is None else _real(real.decode("latin-1"))), found.end()
    sized = _SIZED.match(body, at)
    if sized is None:
        raise Unreadable("php")
    kind, size, at = sized[1], int(sized[2]), sized.end()
    if kind == b"s":
        return _php_text(body, at, size) if sized[3] == b'"' else _unreadable()
    return _php_array(body, at, size, levels) if sized[3] == b"{" else _unreadable()


def _unreadable() -> Any:
    raise Unreadable("php")


def _php_text(body: bytes, at: int, size: int) -> tuple[str, int]:
    end = at + size
    if body[end : end + 2] != b'";':
        raise Unreadable("php")
    try:
        return body[at:end].decode(), end + 2
    except UnicodeDecodeError:
        raise Unreadable("php") from None


def _php_array(body: bytes, at: int, size: int, levels: int) -> tuple[Any, int]:
    if not levels:
        raise Unreadable("depth")
    found: dict[Any, Any] = {}
    for _place in range(size):
        if body[at : at + 1] not in (b"i", b"s"):
            raise Unreadable("php")
        key, at = _php(body, at, levels)
        found[key], at = _php(body, at, levels - 1)
    if body[at : at + 1] != b"}" or len(found) != size:
        raise Unreadable("php")
    if list(found) == list(range(size)):
        return list(found.values()), at + 1
    return {str(key): value for key, value in found.items()}, at + 1


def _real(text: str) -> Any:
    if text in ("NAN", "INF", "-INF"):
        return {"NAN": "NaN", "INF": "Infinity", "-INF": "-Infinity"}[text]
    if not _FLOAT.fullmatch(text):
        raise Unreadable("php")
    value = float(text)
    return value if math.isfinite(value) else str(value)
