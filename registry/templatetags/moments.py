"""The filters ``moment`` and ``day``, which all templates have: the only way in which a page writes a date."""

from __future__ import annotations

from datetime import date, datetime

from django import template

from registry import moments

register = template.Library()


@register.filter
def moment(at: datetime | str | None) -> str:
    """Return a day and a time as the reader's language writes it, "" for none."""
    return moments.moment(at) if isinstance(at, datetime) else ""


@register.filter
def day(on: date | str | None) -> str:
    """Return a day as the reader's language writes it, "" for none."""
    return moments.day(on) if isinstance(on, date) else ""
