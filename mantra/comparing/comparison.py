"""What a comparison says, what a rule is, and stored values as texts."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

#: Texts up to this length are read by a rule. Longer ones are equal or not, by a digest of the whole text.
MAX_TEXT = 500
#: The most digits before or after the point with which a number is written out.
_MAX_DIGITS = 400


class Comparison(NamedTuple):
    matches: bool
    #: 0–100; rules without degrees say 0 or 100.
    similarity: int


EQUAL, UNEQUAL = Comparison(True, 100), Comparison(False, 0)


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    #: The canonical text of a value; None if there is nothing in it.
    normalised: Callable[[Any], str | None]
    #: Whether a given text has the rule's form.
    readable: Callable[[str], bool]
    #: Whether a stored value and a given text are equal; None for: if their canonical texts are.
    equal: Callable[[Any, str], bool] | None = None
    #: The similarity of a stored value and a given text; None for rules without degrees.
    similarity: Callable[[Any, str], int] | None = None
    default_threshold: int | None = None


#: Blanks, and characters that are not seen: NUL, marks of direction, joiners, byte order marks.
_UNSEEN = re.compile(
    "[\\s\0\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufe00-\ufe0f]+"
)
_ENDS = "".join(
    chr(code) for code in (*range(0x21), 0x7F, 0x85, 0xA0, 0xAD, 0x61C, 0x1680, *range(0x2000, 0x2010),
                           *range(0x2028, 0x2030), 0x205F, *range(0x2060, 0x206A), 0x3000, 0xFEFF)
)  # fmt: skip


def text_of(value: Any) -> str:
    """Return a value as a text without blanks around it; empty for None, and for what is no value of a column."""
    if type(value) is str:
        return value.strip(_ENDS)
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value).strip(_ENDS)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() < 4 * _MAX_DIGITS else hex(value)
    if isinstance(value, (Decimal, float)):
        return _number_text(value)
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytes_text(bytes(value))
    return str(value) if isinstance(value, UUID) else ""


def _number_text(value: Decimal | float) -> str:
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not number.is_finite() or abs(number.adjusted()) > _MAX_DIGITS or len(number.as_tuple().digits) > _MAX_DIGITS:
        return str(number)
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _bytes_text(value: bytes) -> str:
    try:
        return value.decode().strip(_ENDS)
    except UnicodeDecodeError:
        return value.hex()


def is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal, float)) and not isinstance(value, bool)


def is_long(text: str) -> bool:
    """Return True for a text that rules do not read. A few characters are written with many letters."""
    if len(text) > MAX_TEXT:
        return True
    return not text.isascii() and len(unicodedata.normalize("NFKD", text)) > 3 * MAX_TEXT


def digest(text: str) -> str:
    """Return what stands for a long text: as long as a short one, and equal only for an equal one."""
    return "#" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text).strip(_ENDS)


#: Letters that have no base letter in Unicode, and apostrophes within words.
_LETTERS = str.maketrans({
    "ø": "o", "đ": "d", "ł": "l", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h",
    "'": None, "`": None, "’": None, "‘": None, "ʼ": None, "ʻ": None, "´": None, "ʾ": None, "ʿ": None,
})  # fmt: skip
_APOSTROPHES = str.maketrans("", "", "'`")


def plain(text: str) -> str:
    """Return a text in small letters, without diacritics, apostrophes and characters that are not seen."""
    if text.isascii():
        text = text.lower()
        return text.translate(_APOSTROPHES) if "'" in text or "`" in text else text
    parts = unicodedata.normalize("NFKD", _UNSEEN.sub(_blank, text)).casefold()
    parts = unicodedata.normalize("NFKD", parts).translate(_LETTERS)
    return "".join(character for character in parts if not unicodedata.combining(character))


def _blank(match: re.Match[str]) -> str:
    return " " if any(character.isspace() for character in match[0]) else ""


def anything(given: str) -> bool:
    return True
