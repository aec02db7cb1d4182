"""Makes texts plain: digits of other scripts, characters that are written as escapes, texts in base64."""

from __future__ import annotations

import base64
import binascii
import re
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

#: The longest text in base64 that is decoded in one piece.
MAX_TOKEN = 64 * 1024

_DIGITS = {
    code: str(unicodedata.digit(chr(code)))
    for code in range(128, 0x1FC00)  # there are none above
    if unicodedata.digit(chr(code), None) is not None
}
#: What looks like nothing, like a blank or like a dash between digits.
_SEPARATORS = {
    code: "-" if unicodedata.category(chr(code)) == "Pd" else " "
    for code in (*range(128, 0x3100), *range(0xFE00, 0xFFFF))
    if unicodedata.category(chr(code)) in ("Zs", "Cf", "Pd")
}
_LIKE = {
    0xFF20: "@", 0xFE6B: "@", 0xFF0E: ".", 0xFE52: ".", 0x2024: ".", 0xFF0B: "+", 0x00B7: ".", 0x2022: ".",
    0x2044: "/", 0x2215: "/", 0x2212: "-",
}  # fmt: skip
_FOLDED = {**_DIGITS, **_SEPARATORS, **_LIKE}
#: The characters beyond ASCII that are read as a digit, a separator or a sign of an address.
UNUSUAL = frozenset(map(chr, _FOLDED))

_ESCAPE = re.compile(
    r"&#(?:([0-9]{1,7})|[xX]([0-9a-fA-F]{1,6}));?"
    r"|\\u\{?([0-9a-fA-F]{4})\}?|%u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})|=([34][0-9A-F]|2E)"
    r"|&(amp|commat|period|nbsp|hyphen|dash|lowbar|sol|plus|num);|(\\/)"
)
_NAMED = {
    "amp": "&", "commat": "@", "period": ".", "nbsp": " ", "hyphen": "-", "dash": "-", "lowbar": "_", "sol": "/",
    "plus": "+", "num": "#",
}  # fmt: skip
#: What a text with escapes has one of.
_MARKS = ("&", "%", "\\", "=")

_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{15,}={0,2}")
_URL_SAFE = str.maketrans("-_", "+/")
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n" + bytes(range(128, 256))


def folded(text: str) -> str:
    """Return a text of the same length in which digits, separators and signs of any script are those of ASCII."""
    if text.isascii() or UNUSUAL.isdisjoint(text):
        return text
    return text.translate(_FOLDED)


@dataclass(slots=True)
class View:
    """A text as a reader sees it, and where its characters are in the text as it is written."""

    text: str
    #: The places in ``text`` behind each replaced character, and those in the written text.
    _ends: list[int] = field(default_factory=list)
    _origins: list[int] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    def origin(self, begin: int, end: int) -> tuple[int, int]:
        """Return the place in the written text of a place in this one."""
        return self._begin_of(begin), self._end_of(end)

    def _begin_of(self, place: int) -> int:
        at = bisect_right(self._ends, place)
        if at < len(self._ends) and place == self._ends[at] - 1:
            return self._starts[at]
        return place if not at else self._origins[at - 1] + place - self._ends[at - 1]

    def _end_of(self, place: int) -> int:
        at = bisect_right(self._ends, place)
        return place if not at else self._origins[at - 1] + place - self._ends[at - 1]


def unescaped(text: str) -> View | None:
    """Return the text without entities, JSON's and URLs' escapes; None if it has none."""
    if not any(mark in text for mark in _MARKS):
        return None
    view = View("")
    pieces: list[str] = []
    length = upto = 0
    for match in _ESCAPE.finditer(text):
        plain = _character(match)
        if plain is None:
            continue
        pieces += (text[upto : match.start()], plain)
        length += match.start() - upto + 1
        upto = match.end()
        view._ends.append(length)
        view._starts.append(match.start())
        view._origins.append(upto)
    if not pieces:
        return None
    view.text = "".join((*pieces, text[upto:]))
    return view


def _character(match: re.Match[str]) -> str | None:
    """Return the character that an escape stands for; None if it is none that can be seen."""
    decimal, *hexadecimal, named, slash = match.groups()
    if slash:
        return "/"
    if named:
        return _NAMED[named]
    code = int(decimal) if decimal else next(int(each, 16) for each in hexadecimal if each)
    return chr(code) if 32 <= code <= sys.maxunicode and not 0xD800 <= code < 0xE000 else None


def in_base64(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield what a text has in base64: its place, and what it says, where that is a text."""
    for match in _TOKEN.finditer(text):
        token = match.group().rstrip("=")
        if token.isdigit() or (token.isalpha() and (token.islower() or token.istitle())):
            continue
        for start in range(0, len(token), MAX_TOKEN):
            # A prefix, as the path of a URL, moves the groups of four.
            for shift in range(4) if len(token) <= MAX_TOKEN else (0,):
                decoded = _decoded(token[start + shift : start + MAX_TOKEN])
                if decoded:
                    begin = match.start() + start
                    yield begin, min(match.end(), begin + MAX_TOKEN + 2), decoded


def _decoded(token: str) -> str:
    """Return what a token in base64 says; "" if that is no text."""
    if len(token) % 4 == 1:
        token = token[:-1]
    try:
        content = base64.b64decode(token.translate(_URL_SAFE) + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return ""
    if b"\0" in content:
        content = content.translate(None, b"\0")
    if len(content.translate(None, _PRINTABLE)) * 8 > len(content):
        return ""
    return content.decode("utf-8", "replace")
