"""The cards of what waits for a decision: requests for access and requests to publish."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from mantra.home import asking, publishing
from mantra.home.cards import MOST, Card, Line, Link, all_of
from registry.models import User


def decisions(user: User) -> Card:
    """Return what waits for the user's decision, the oldest first."""
    found = [*asking.to_decide(user), *publishing.to_decide(user)]
    return Card(
        "inbox", _("Waiting for your decision"), _oldest(found), _("Nothing waits for your decision."), _links()
    )


def undecided(user: User) -> Card:
    """Return what waits for anybody's decision, the oldest first."""
    found = [*asking.undecided(user), *publishing.undecided(user)]
    return Card(
        "undecided", _("Waiting for a decision"), _oldest(found), _("No request waits for a decision."), _links()
    )


def _oldest(found: list[tuple[Any, Line]]) -> list[Line]:
    return [line for _moment, line in sorted(found, key=lambda each: each[0])[:MOST]]


def _links() -> tuple[Link, ...]:
    return (asking.all_requests(), all_of(_("All publish requests"), "registry_publishrequest"))
