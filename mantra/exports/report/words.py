"""Numbers, dates and names as the report writes them, in the language that is active."""

from __future__ import annotations

from datetime import date
from xml.sax.saxutils import escape

from django.utils import formats
from django.utils.translation import gettext as _

from mantra.statistics.words import NOTHING, number_of, text_of


def printable(text: object) -> str:
    """Return a text in one line, with the characters that the font has."""
    return " ".join(str(text).encode("cp1252", "replace").decode("cp1252").split())


def plain(text: object) -> str:
    """Return a text for a paragraph: its own signs are no mark-up."""
    return escape(printable(text))


def number(value: float | None, decimals: int = 0) -> str:
    """Return a number with its thousands apart."""
    return NOTHING if value is None else number_of(value, decimals)


def percent(value: float | None, decimals: int = 1) -> str:
    """Return a share. Only all is 100: nearly all is written as 99.9."""
    if value is None:
        return NOTHING
    edge = 10**-decimals
    shown = min(value, 100 - edge) if value < 100 else value
    return f"{number(max(shown, edge) if value > 0 else shown, decimals)} %"


def milliseconds(value: float | None) -> str:
    """Return a duration as a dashboard writes it."""
    return text_of(value, "ms")


def day(value: date) -> str:
    return formats.date_format(value, "j F Y")


def short_day(value: date) -> str:
    return formats.date_format(value, "D j")


def change(now: float, before: float) -> str:
    """Return how a number has changed, in percent of what it was; as a multiple if it is many times that."""
    if before == now:
        return _("unchanged")
    if not before:
        return _("none before")
    if now >= 10 * before:
        return _("%(number)s times as many") % {"number": number(now / before)}
    share = 100 * (now - before) / before
    return f"{'+' if share > 0 else '-'}{number(abs(share), 0 if abs(share) >= 10 else 1)} %"


def points(now: float | None, before: float | None) -> str:
    """Return by how many percentage points a share has changed."""
    if now is None or before is None:
        return NOTHING
    difference = round(now - before, 2)
    if not difference:
        return _("unchanged")
    sign = "+" if difference > 0 else "-"
    return _("%(number)s points") % {"number": f"{sign}{number(abs(difference), 2)}"}
