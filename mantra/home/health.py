"""The card of what is ill: backends and data sources that were called lately and are not healthy."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mantra.health import board as health_board
from mantra.home.cards import MOST, Card, Line, Link
from registry.models import User


def ill(user: User) -> Card:
    """Return what is not healthy, the worst first."""
    lines = [
        Line(line.name, line.url, line.error, line.label, line.colour)
        for line in health_board.lines(health_board.ill(user)[:MOST])
    ]
    board = Link(health_board.TITLE, reverse("health_board"))
    return Card("ill", _("Needs attention"), lines, _("Everything that was called recently is healthy."), (board,))
