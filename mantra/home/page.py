"""The first page: the cards of the user's roles, the most urgent first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mantra.home import (
    asking,
    calling,
    deciding,
    ending,
    first_steps,
    health,
    jobs,
    people,
    publishing,
    undeclared,
    usage,
)
from mantra.home.cards import Card
from registry import tenancy
from registry.models import Stop, User
from registry.roles import ADMINISTRATOR, HEAD, PROVIDER, PUBLISHER, REQUESTER, SUPERVISOR
from registry.snapshot import holder

Maker = Callable[[User], Card]

#: Role → its cards.
CARDS: dict[str, tuple[Maker, ...]] = {
    HEAD: (deciding.decisions, usage.usage, health.ill, undeclared.undeclared, ending.ending),
    PROVIDER: (
        deciding.decisions,
        publishing.drafts,
        health.ill,
        undeclared.undeclared,
        usage.usage,
        ending.ending,
        publishing.published,
    ),
    PUBLISHER: (
        deciding.decisions,
        publishing.drafts,
        health.ill,
        undeclared.undeclared,
        usage.usage,
        ending.ending,
        publishing.published,
    ),
    REQUESTER: (asking.own, jobs.own, ending.ending, calling.applications),
    SUPERVISOR: (usage.usage, health.ill, deciding.undecided),
    ADMINISTRATOR: (people.incomplete, health.ill, usage.usage, deciding.undecided),
}


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what waits for the user to the context of the first page."""
    user = request.user
    assert isinstance(user, User)
    roles = tenancy.roles(user)
    makers = dict.fromkeys(maker for role, of_role in CARDS.items() if role in roles for maker in of_role)
    cards, steps = [make(user) for make in makers], first_steps.steps(user)
    return context | {
        "title": _("First page"),
        # Who is only beginning is not shown what does not wait yet.
        "cards": [card for card in cards if card.lines or not steps],
        "steps": steps,
        "start": publishing.start_of(user),
        "catalogue": reverse("catalogue") if REQUESTER in roles else "",
        "without_role": not roles,
        "stops": _stops(user),
    }


def _stops(user: User) -> list[Stop]:
    """Return what is stopped now and concerns the user. While nothing is, as nearly always, nothing is read."""
    snapshot = holder.current()
    if snapshot is None or not snapshot.stops:
        return []
    return list(tenancy.visible(Stop.in_force(), user)[:5])
