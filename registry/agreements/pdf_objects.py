"""The objects of a PDF as readers meet them: the names and words of each, and where the data of its stream begins.

Readers find objects by a table that may be anywhere, or by looking for the word obj. So each place with that word is
read as an object, also one in a comment, a text or a stream (ISO 32000-2: 7.2 lexical conventions, 7.3.8 streams).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from registry.agreements.budget import UNREADABLE, Budget
from registry.agreements.errors import Refused

_OBJECT = re.compile(rb"obj(?![A-Za-z])")
_DELIMITERS = rb"\x00\t\n\f\r ()<>\[\]{}/%"
_TOKEN = re.compile(
    rb"(?P<ignored>[\x00\t\n\f\r ]+|%%[^\r\n]*|<(?!<)[^>]*>?)|(?P<text>\()|"
    rb"(?P<name>/[^%(d)s]*)|(?P<word>[^%(d)s]+)|(?P<sign><<|>>|.)" % {b"d": _DELIMITERS},
    re.DOTALL,
)
_IN_TEXT = re.compile(rb"\\.|[()]", re.DOTALL)
_HEX_IN_NAME = re.compile(rb"#([0-9A-Fa-f]{2})")
_LINE_END = re.compile(rb"\r\n|\r|\n")
#: Words that end an object.
_ENDS = frozenset((b"endobj", b"endstream", b"obj", b"xref", b"trailer", b"startxref"))
#: What a step of a loop costs, in bytes of the budget; values of an array that are read.
STEP, MAX_VALUES = 200, 10
#: The most bytes of the line with the word stream.
_LINE = 1_000


@dataclass(frozen=True, slots=True)
class PdfObject:
    """An object: its tokens without texts and comments, names as they are read. ``data``: where its stream begins."""

    tokens: tuple[bytes, ...]
    data: int | None

    def has(self, *names: bytes) -> bool:
        return any(name in self.tokens for name in names)

    def values_of(self, name: bytes) -> tuple[bytes, ...]:
        """Return the tokens of each value of an entry: a name, a number, or the first ones of its array."""
        found: list[bytes] = []
        for place, token in enumerate(self.tokens):
            if token == name:
                found += self._value(place + 1)
        return tuple(found)

    def _value(self, place: int) -> tuple[bytes, ...]:
        if self.tokens[place : place + 1] != (b"[",):
            return self.tokens[place : place + 1]
        array = self.tokens[place + 1 : place + 1 + MAX_VALUES]
        return array[: array.index(b"]")] if b"]" in array else array


def plain(text: bytes) -> bytes:
    """Return a text with its names as they are read: /J#53 is /JS."""
    return _HEX_IN_NAME.sub(lambda match: bytes((int(match[1], 16),)), text) if b"#" in text else text


def objects(content: bytes, budget: Budget) -> Iterator[PdfObject]:
    """Yield what may be an object. Raises Refused if the file takes too much work."""
    for match in _OBJECT.finditer(content):
        yield _object(content, match.end(), budget)


def _object(content: bytes, place: int, budget: Budget) -> PdfObject:
    tokens: list[bytes] = []
    while match := _TOKEN.match(content, place):
        budget.spend(STEP + match.end() - place)
        place = match.end()
        token = match[0]
        if match["text"]:
            place = _end_of_text(content, place, budget)
        elif match["word"] == b"stream":
            return PdfObject(tuple(tokens), _data(content, place))
        elif match["word"] in _ENDS:
            break
        elif not match["ignored"]:
            tokens.append(plain(token))
    return PdfObject(tuple(tokens), None)


def _end_of_text(content: bytes, place: int, budget: Budget) -> int:
    """Return where the text in brackets ends that begins before ``place``."""
    depth = 1
    for match in _IN_TEXT.finditer(content, place):
        budget.spend(STEP)
        depth += {b"(": 1, b")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return len(content)


def _data(content: bytes, place: int) -> int:
    """Return where the data of a stream begins: in the line after the word, whatever follows the word in its line."""
    found = _LINE_END.search(content, place, place + _LINE)
    if found is None:
        raise Refused(UNREADABLE)
    return found.end()
