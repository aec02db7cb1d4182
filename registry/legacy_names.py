"""Names on the legacy wire: PHP changes those that are sent, and case does not count."""

from __future__ import annotations

_PHP = str.maketrans(" .[", "___")


def parameter_key(name: str) -> str:
    """Return what a parameter's name, sent or declared, is compared by: no variable of PHP can hold a space or dot."""
    return name.lstrip(" ").translate(_PHP).lower()
