"""Numbers, exact to the last digit, as people write them: 1.234.567,89 as well as 1,234,567.89."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from mantra.comparing.comparison import MAX_TEXT, Rule, composed, digest, is_number, text_of

_CURRENCY = re.compile(r"\A([-+(]?)\s*(?:rp\.?|idr)\s*|\s*(?:rupiah|idr)\Z", re.IGNORECASE)
#: Rp 5.000,- is five thousand.
_NO_CENTS = re.compile(r"[.,](?:-|--|=)\Z")
_WRITTEN = re.compile(r"[0-9]+(?:[.,][0-9]+)*\Z")
_GROUPED = re.compile(r"[0-9]{1,3}(?:([.,])[0-9]{3})(?:\1[0-9]{3})*\Z")
_BLANKS = re.compile(r"(?<=[0-9])[\s'_](?=[0-9])")
#: No text of more characters is read as a number.
_LONGEST = 200
_MINUS = str.maketrans("−–—", "---")


def _read(text: str) -> str | None:
    """Return a written number with a point and no zeros that say nothing; None for anything else.

    One separator before exactly three digits groups thousands, be it a point or a comma: ``1.234`` is 1234. After a
    leading zero, or four digits, it is the decimal one.
    """
    if len(text) > _LONGEST:
        return None
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_MINUS)
    text = _NO_CENTS.sub("", _CURRENCY.sub(r"\1", text).strip())
    negative = False
    if text.startswith("(") and text.endswith(")"):
        negative, text = True, text[1:-1].strip()
    elif text[:1] in ("-", "+"):
        negative, text = text[0] == "-", text[1:].strip()
    text = _BLANKS.sub("", _CURRENCY.sub(r"\1", text))
    if not _WRITTEN.match(text):
        return None
    whole, fraction = text, ""
    points, commas = text.count("."), text.count(",")
    if points and commas:
        decimal = "." if text.rindex(".") > text.rindex(",") else ","
        if text.count(decimal) > 1:
            return None
        whole, fraction = text.split(decimal)
        if not _GROUPED.match(whole):
            return None
    elif points + commas > 1:
        if not _GROUPED.match(text):
            return None
    elif points + commas == 1 and (text[0] == "0" or not _GROUPED.match(text)):
        whole, fraction = re.split("[.,]", text)
    whole = whole.replace(".", "").replace(",", "").lstrip("0") or "0"
    fraction = fraction.rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return f"-{number}" if negative and number != "0" else number


def normalised(value: Any) -> str | None:
    """Return a number as its digits. What is no number stays as it is, with a mark."""
    text = text_of(value)
    if not text:
        return None
    if is_number(value) and text[-1].isdigit() and "E" not in text and "x" not in text and "e" not in text:
        return text
    return _read(text) or "?" + (composed(text) if len(text) <= MAX_TEXT else digest(text))


def is_readable(given: str) -> bool:
    return _read(text_of(given)) is not None


RULE = Rule("number", normalised, is_readable)
