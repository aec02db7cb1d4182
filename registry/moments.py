"""The one form of days and times on all pages and in all messages: that of mantra/formats, in the bus's time zone."""

from __future__ import annotations

from datetime import date, datetime

from django.utils import formats, timezone


def moment(at: datetime | None) -> str:
    """Return a day and a time as the reader's language writes it, "" for none."""
    return "" if at is None else formats.date_format(timezone.localtime(at), "DATETIME_FORMAT")


def day(on: date | None) -> str:
    """Return a day, or the day of a time, as the reader's language writes it, "" for none."""
    if on is None:
        return ""
    return formats.date_format(timezone.localtime(on) if isinstance(on, datetime) else on, "DATE_FORMAT")


def month(of: date) -> str:
    """Return the month of a day with its year, as the reader's language writes it."""
    return formats.date_format(of, "F Y")


def clock(at: datetime) -> str:
    """Return the time of day of a moment as the reader's language writes it."""
    return formats.date_format(timezone.localtime(at), "TIME_FORMAT")
