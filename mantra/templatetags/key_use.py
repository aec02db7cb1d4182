"""Filters of the pages on the use of a key."""

from __future__ import annotations

from django import template

from mantra.statistics.words import number_of

register = template.Library()


@register.filter
def number(value: int) -> str:
    """Return a number with its thousands apart."""
    return number_of(value, 0)
