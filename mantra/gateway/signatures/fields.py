"""Structured fields (RFC 9651) as signatures use them: dictionaries of items and inner lists.

Stricter than the RFC in two points: a name that is there twice is an error, and decimals, dates and display strings
are, of which no signature has one.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

#: The most characters of a field, the most members of a dictionary, and of an inner list.
MAX_LENGTH, MAX_MEMBERS, MAX_ITEMS = 8192, 8, 32

_NAME = re.compile(r"[a-z*][a-z0-9_\-.*]{0,63}")
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_STRING = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_SPACES = re.compile(r" *")
_BLANKS = re.compile(r"[ \t]*")
_ESCAPED = re.compile(r"\\(.)")


class Unreadable(ValueError):
    """The text is no structured field of the expected kind."""


class Token(str):
    """A word without quotes."""

    __slots__ = ()


#: A value without its parameters.
Bare = str | Token | int | bool | bytes
#: Parameters in their order.
Parameters = dict[str, Bare]


@dataclass(slots=True)
class Item:
    value: Bare
    parameters: Parameters = field(default_factory=dict)

    def __str__(self) -> str:
        return written(self.value) + written_parameters(self.parameters)


@dataclass(slots=True)
class InnerList:
    items: list[Item]
    parameters: Parameters = field(default_factory=dict)

    def __str__(self) -> str:
        return f"({' '.join(map(str, self.items))}){written_parameters(self.parameters)}"


def written(value: Bare) -> str:
    """Return a value as a field has it."""
    if isinstance(value, bool):
        return "?1" if value else "?0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f":{base64.b64encode(value).decode()}:"
    if isinstance(value, Token):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def written_parameters(parameters: Parameters) -> str:
    """Return parameters as a field has them."""
    return "".join(f";{name}" if value is True else f";{name}={written(value)}" for name, value in parameters.items())


def dictionary(text: str) -> dict[str, Item | InnerList]:
    """Return the members of a dictionary. Raises Unreadable."""
    if len(text) > MAX_LENGTH:
        raise Unreadable("length")
    return _Reader(text).dictionary()


class _Reader:
    """Reads a text from its beginning to its end."""

    __slots__ = ("_at", "_text")

    def __init__(self, text: str) -> None:
        self._text = text.strip(" ")
        self._at = 0

    def dictionary(self) -> dict[str, Item | InnerList]:
        members: dict[str, Item | InnerList] = {}
        while self._at < len(self._text):
            name = self._match(_NAME)
            if name in members or len(members) == MAX_MEMBERS:
                raise Unreadable(name)
            members[name] = self._member() if self._take("=") else Item(True, self._parameters())
            self._match(_BLANKS)
            if self._at == len(self._text):
                break
            if not self._take(","):
                raise Unreadable(name)
            self._match(_BLANKS)
            if self._at == len(self._text):  # a comma at the end
                raise Unreadable(name)
        return members

    def _member(self) -> Item | InnerList:
        if not self._take("("):
            return self._item()
        items: list[Item] = []
        while True:
            spaces = self._match(_SPACES)
            if self._take(")"):
                return InnerList(items, self._parameters())
            if (items and not spaces) or len(items) == MAX_ITEMS:
                raise Unreadable("list")
            items.append(self._item())

    def _item(self) -> Item:
        return Item(self._bare(), self._parameters())

    def _parameters(self) -> Parameters:
        found: Parameters = {}
        while self._take(";"):
            self._match(_SPACES)
            name = self._match(_NAME)
            if name in found or len(found) == MAX_ITEMS:
                raise Unreadable(name)
            found[name] = self._bare() if self._take("=") else True
        return found

    def _bare(self) -> Bare:
        first = self._text[self._at : self._at + 1]
        if first == '"':
            return _ESCAPED.sub(r"\1", self._match(_STRING)[1:-1])
        if first == ":":
            return _decoded(self._match(_BYTES)[1:-1])
        if first == "?":
            self._at += 2
            flag = self._text[self._at - 1 : self._at]
            if flag not in ("0", "1"):
                raise Unreadable("boolean")
            return flag == "1"
        if first == "-" or first.isdigit():
            number = self._match(_INTEGER)
            if self._text[self._at : self._at + 1] in (".", *"0123456789"):
                raise Unreadable("number")
            return int(number)
        return Token(self._match(_TOKEN))

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise Unreadable(self._text[self._at : self._at + 10])
        self._at = found.end()
        return found[0]

    def _take(self, character: str) -> bool:
        """Pass over a character if it is the next one."""
        if self._text[self._at : self._at + 1] != character:
            return False
        self._at += 1
        return True


def _decoded(text: str) -> bytes:
    """Return the bytes that a text spells in base64: in one way only."""
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Unreadable("base64") from None
    if base64.b64encode(value).decode() != text:
        raise Unreadable("base64")
    return value
