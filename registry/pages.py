"""Addresses of pages by their names. A package reaches the pages of those above it, or of none, in this way only."""

from __future__ import annotations

from typing import Any

from django.urls import NoReverseMatch, reverse


def address(name: str, *args: Any) -> str:
    """Return the address of a page, "" if this installation does not have it."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""
