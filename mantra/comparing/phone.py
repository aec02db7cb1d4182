"""Phone numbers as the digits that one dials from abroad."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from mantra.comparing.comparison import MAX_TEXT, Rule, composed, digest, text_of

#: An extension: a desk behind the number, which is the same number.
_EXTENSION = re.compile(
    r"[\s,;(]*(?:ext|ekst|ekstensi|extension|pesawat|pes|psw|x|#)\.?\s*:?\s*[0-9]{1,6}\)?\s*\Z", re.IGNORECASE
)
_LABEL = re.compile(r"\A(?:telepon|telp|tel|tlp|hp|wa|phone|no)\.?\s*:?\s*", re.IGNORECASE)
_CHARACTERS = re.compile(r"\+?[0-9\s().\-/]+\Z")
_NO_DIGITS = re.compile(r"[^0-9]")
_SHORTEST, _LONGEST = 5, 16


def _read(text: str) -> str | None:
    if len(text) > 60:
        return None
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("–", "-").replace("‐", "-").replace("−", "-")
    text = _EXTENSION.sub("", _LABEL.sub("", text))
    if not _CHARACTERS.match(text):
        return None
    digits = _NO_DIGITS.sub("", text)
    if not _SHORTEST <= len(digits) <= _LONGEST:
        return None
    if text[0] == "+" or digits.startswith("00"):
        digits = digits.removeprefix("00") if text[0] != "+" else digits
        # +62 (0)812: the zero is not dialled from abroad.
        return "62" + digits[2:].lstrip("0") if digits.startswith("62") else digits
    if digits[0] == "0":
        return "62" + digits[1:]
    if digits.startswith("62") and len(digits) >= 10:
        return "62" + digits[2:].lstrip("0")
    # A mobile number that a spreadsheet has read as a number; others lack their area code, and stay as they are.
    return "62" + digits if digits[0] == "8" and len(digits) >= 9 else digits


def normalised(value: Any) -> str | None:
    text = text_of(value)
    if not text:
        return None
    return _read(text) or "?" + (composed(text) if len(text) <= MAX_TEXT else digest(text))


def is_readable(given: str) -> bool:
    return _read(text_of(given)) is not None


RULE = Rule("phone", normalised, is_readable)
