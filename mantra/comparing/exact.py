"""Exact: the same characters. Blanks around a value do not count, and Unicode's ways to write one letter are one."""

from __future__ import annotations

from typing import Any

from mantra.comparing.comparison import MAX_TEXT, Rule, anything, composed, digest, is_number, text_of


def normalised(value: Any) -> str | None:
    text = composed(text_of(value))
    if not text:
        return None
    return text if len(text) <= MAX_TEXT else digest(text)


def equal(stored: Any, given: str) -> bool:
    """Return True for equal values. Leading zeros, which a number column has lost, are ignored for a stored number."""
    one, other = composed(text_of(stored)), composed(text_of(given))
    if one == other:
        return one != ""
    return is_number(stored) and other.isascii() and other.isdigit() and (other.lstrip("0") or "0") == one


RULE = Rule("exact", normalised, anything, equal=equal)
