"""Names on the legacy wire: PHP changes those that are sent, and case does not count."""

from __future__ import annotations

_PHP = str.maketrans(" .[", "___")


def sent_name(name: str) -> str:
    """Return a parameter's name as PHP gives it to its program: no variable of PHP can hold a space or a dot."""
    return name.lstrip(" ").translate(_PHP)


def parameter_key(name: str) -> str:
    """Return what a parameter's name, sent or declared, is compared by."""
    return sent_name(name).lower()
