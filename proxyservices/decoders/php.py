"""The format of PHP's serialize() as values."""

from __future__ import annotations

import math
import re
from typing import Any

from proxyservices.decoders.charset import codec_of
from proxyservices.decoders.limits import MAX_LEVELS, DecodeError, check_size

_SCALAR = re.compile(rb"(?:N|b:([01])|i:([+-]?[0-9]{1,20})|d:([^;]{1,400}));")
_SIZED = re.compile(rb"([sa]):([0-9]{1,9}):([\"{])")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def decode_php(body: bytes, charset: str = "") -> Any:
    """Return arrays, texts, numbers, booleans and null. Raises DecodeError, also for objects and references."""
    check_size(body, b";", b"{")
    value, end = _decode_value(body, 0, MAX_LEVELS, codec_of(charset))
    if body[end:].strip():
        raise DecodeError("php")
    return value


def _decode_value(body: bytes, at: int, levels: int, codec: str) -> tuple[Any, int]:
    """Return the value that begins at ``at``, and the position after it."""
    scalar = _SCALAR.match(body, at)
    if scalar is not None:
        boolean, integer, real = scalar.groups()
        if boolean is not None:
            return boolean == b"1", scalar.end()
        if integer is not None:
            return int(integer), scalar.end()
        return (None if real is None else _real(real.decode("latin-1"))), scalar.end()
    sized = _SIZED.match(body, at)
    if sized is None:
        raise DecodeError("php")
    kind, size, at = sized[1], int(sized[2]), sized.end()
    if kind == b"s":
        return _decode_text(body, at, size, codec) if sized[3] == b'"' else _unreadable()
    return _decode_array(body, at, size, levels, codec) if sized[3] == b"{" else _unreadable()


def _unreadable() -> Any:
    raise DecodeError("php")


def _decode_text(body: bytes, at: int, size: int, codec: str) -> tuple[str, int]:
    end = at + size
    if body[end : end + 2] != b'";':
        raise DecodeError("php")
    try:
        return str(body[at:end], codec), end + 2
    except UnicodeError:
        raise DecodeError("php") from None


def _decode_array(body: bytes, at: int, size: int, levels: int, codec: str) -> tuple[Any, int]:
    if not levels:
        raise DecodeError("depth")
    members: dict[Any, Any] = {}
    for _ in range(size):
        if body[at : at + 1] not in (b"i", b"s"):
            raise DecodeError("php")
        key, at = _decode_value(body, at, levels, codec)
        members[key], at = _decode_value(body, at, levels - 1, codec)
    if body[at : at + 1] != b"}" or len(members) != size:
        raise DecodeError("php")
    if list(members) == list(range(size)):
        return list(members.values()), at + 1
    return {str(key): value for key, value in members.items()}, at + 1


def _real(text: str) -> Any:
    if text in ("NAN", "INF", "-INF"):
        return {"NAN": "NaN", "INF": "Infinity", "-INF": "-Infinity"}[text]
    if not _FLOAT.fullmatch(text):
        raise DecodeError("php")
    value = float(text)
    return value if math.isfinite(value) else str(value)
