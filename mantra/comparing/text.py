"""Text: the same letters and digits, without regard to case, blanks, punctuation, diacritics and titles of people."""

from __future__ import annotations

from typing import Any

from mantra.comparing.comparison import Rule, anything, composed, digest, is_long, is_number, text_of
from mantra.comparing.name_words import name_words


def normalised(value: Any) -> str | None:
    text = text_of(value)
    if is_long(text):
        return digest(composed(text))
    words, _, begins_short = name_words(text)
    if begins_short and words[0] == "m":
        words[0] = "muhammad"
    return "".join(words) or None


def equal(stored: Any, given: str) -> bool:
    one, other = normalised(stored), normalised(given)
    if one is None or one == other:
        return one is not None
    return is_number(stored) and other is not None and other.isdigit() and (other.lstrip("0") or "0") == one


RULE = Rule("text", normalised, anything, equal=equal)
