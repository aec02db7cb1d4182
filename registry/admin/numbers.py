"""Numbers in what a browser sends."""

from __future__ import annotations


def number_of(text: str) -> int:
    """Return a whole number that a browser sent, 0 for all else and for one that no column can hold."""
    # Digits such as ² are digits to Python, and no number; one of 5,000 digits it refuses to read.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
