"""The bodies of the legacy wire as values that can be compared: JSON, XML and PHP's serialize().

A value is None, a text, a Number, a boolean, a list, or a dict with texts as names. A body is whatever the old host
sends: what cannot be read raises Unreadable, and nothing else is raised. Bytes that are no UTF-8 stay in a text as
surrogates.
"""

from __future__ import annotations

import json
import re
from typing import Any

from proxyservices.decoders.legacy import decode_legacy_xml
from proxyservices.decoders.limits import DecodeError

#: Levels of a document, and values in one.
MAX_LEVELS, MAX_VALUES = 60, 500_000


class Unreadable(Exception):
    """A body is not in its format."""


class Number(str):
    """A number as it is written: ``7.0`` and ``7`` are two."""

    __slots__ = ()


def read(body: bytes, format: str) -> Any:
    """Return the value of a body. ``format`` is json, xml or api. Raises Unreadable."""
    try:
        return {"json": _json, "xml": _xml, "api": _php}[format](body)
    except (ValueError, RecursionError, DecodeError):
        raise Unreadable from None


def _json(body: bytes) -> Any:
    text = body.decode("utf-8", "surrogateescape")
    return _listed(json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number))


def _xml(body: bytes) -> Any:
    if not body.startswith(b"<?xml"):
        raise Unreadable
    return dict(decode_legacy_xml(body))


def _listed(value: Any, level: int = 0) -> Any:
    """Return the value with each dict with the keys "0", "1", … as a list: the old program knows one kind only."""
    if level > MAX_LEVELS:
        raise Unreadable
    if isinstance(value, list):
        return [_listed(each, level + 1) for each in value]
    if not isinstance(value, dict):
        return value
    members = {name: _listed(each, level + 1) for name, each in value.items()}
    if members and list(members) == [str(index) for index in range(len(members))]:
        return list(members.values())
    return members


_SCALAR = re.compile(rb"N;|b:([01]);|[id]:([-+.0-9A-Za-z]{1,400});")
_SIZED = re.compile(rb"([sa]):([0-9]{1,9}):")


def _php(body: bytes) -> Any:
    reader = _PhpReader(body)
    value = reader.value(0)
    if body[reader.at :].strip():
        raise Unreadable
    return _listed(value)


class _PhpReader:
    """Reads serialize() with any bytes in its texts, which the decoder for upstreams refuses."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0
        self.left = MAX_VALUES

    def value(self, level: int) -> Any:
        self.left -= 1
        if level > MAX_LEVELS or self.left < 0:
            raise Unreadable
        scalar = _SCALAR.match(self.body, self.at)
        if scalar is not None:
            self.at = scalar.end()
            truth, number = scalar.groups()
            return truth == b"1" if truth is not None else Number(number.decode()) if number is not None else None
        sized = _SIZED.match(self.body, self.at)
        if sized is None:
            raise Unreadable
        self.at, size = sized.end(), int(sized[2])
        return self._text(size) if sized[1] == b"s" else self._array(size, level)

    def _text(self, size: int) -> str:
        end = self.at + 1 + size
        if self.body[self.at : self.at + 1] != b'"' or self.body[end : end + 2] != b'";':
            raise Unreadable
        text = self.body[self.at + 1 : end].decode("utf-8", "surrogateescape")
        self.at = end + 2
        return text

    def _array(self, size: int, level: int) -> dict[str, Any]:
        self._skip(b"{")
        members: dict[str, Any] = {}
        for _ in range(size):
            name = self.value(level)
            if not isinstance(name, str):
                raise Unreadable
            members[str(name)] = self.value(level + 1)
        self._skip(b"}")
        return members

    def _skip(self, sign: bytes) -> None:
        if self.body[self.at : self.at + 1] != sign:
            raise Unreadable
        self.at += 1
