"""The card of what needs attention: the worst lines of the health board."""

from __future__ import annotations

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from mantra.health import board
from mantra.health.checks import attention
from mantra.home.cards import MOST, Card, Line, Link
from registry.models import User


def ill(user: User) -> Card:
    """Return what is not healthy, the worst first."""
    found = [board.line(each) for each in attention(user)[:MOST]]
    lines = [
        Line(
            each["finding"].name,
            each["finding"].url or reverse("health_board"),
            capfirst(each["finding"].advice or each["finding"].sentence),
            each["label"],
            each["colour"],
        )
        for each in found
    ]
    link = Link(board.TITLE, reverse("health_board"))
    return Card("ill", _("Needs attention"), lines, _("Everything that was called recently is healthy."), (link,))
