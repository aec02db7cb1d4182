"""Access requests on the first page: those that wait for a decision, and the own ones with their trail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Max, QuerySet
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mantra.home.cards import MOST, Card, Line, Link, Stage, all_of, page_of
from registry import requests, tenancy
from registry.models import AccessKey, AccessRequest, User
from registry.moments import moment

State, MODEL = AccessRequest.State, "registry_accessrequest"
#: State → the colour of its label; "mute" for others.
COLOURS = {State.RETURNED: "warn", State.APPROVED: "yes", State.PARTLY: "yes", State.REJECTED: "no"}
_APPROVED = (State.APPROVED, State.PARTLY)


def to_decide(user: User) -> Iterable[tuple[Any, Line]]:
    """Yield (time, line) of the requests that wait for the user's decision, the oldest first."""
    return _waiting(requests.inbox(user))


def undecided(user: User) -> Iterable[tuple[Any, Line]]:
    """Yield (time, line) of the requests that wait for anybody's decision, the oldest first."""
    rows = tenancy.visible(AccessRequest.objects.filter(state__in=AccessRequest.DECIDABLE), user)
    return _waiting(
        rows.select_related("application__agency", "service__agency", "requested_by").order_by("requested_at")
    )


def _waiting(rows: QuerySet[AccessRequest]) -> Iterator[tuple[Any, Line]]:
    for row in rows.prefetch_related(None)[:MOST]:
        note = gettext("access request by %(user)s, %(moment)s") % {
            "user": row.requested_by, "moment": moment(row.requested_at),
        }  # fmt: skip
        yield row.requested_at, Line(str(row), _page(row), note)


def own(user: User) -> Card:
    """Return the requests of the user's agency, the newest first."""
    rows = list(requests.own(user).prefetch_related(None)[:MOST])
    keys = _last_use_of_keys(rows)
    return Card(
        "requests", _("Your access requests"), [_own(row, keys) for row in rows],
        _("You have not requested access yet. Find an operation in the catalogue, and request access on its page."),
        (all_requests(),), Link(_("Search the catalogue"), reverse("catalogue")),
    )  # fmt: skip


def _last_use_of_keys(rows: list[AccessRequest]) -> dict[int, Any]:
    """Return the last use of each application's active keys, None if it has not called yet."""
    keys = AccessKey.active().filter(application__in={row.application_id for row in rows}, operation=None)
    return dict(keys.order_by().values_list("application").annotate(Max("last_used_at")))


def _own(row: AccessRequest, keys: dict[int, Any]) -> Line:
    colour = COLOURS.get(State(row.state), "mute")
    return Line(str(row), _page(row), row.purpose, row.get_state_display(), colour, tuple(_trail(row, keys)))


def _trail(row: AccessRequest, keys: dict[int, Any]) -> Iterator[Stage]:
    """Yield the stages of a request: those that are done and, unless it has ended, those to come."""
    yield Stage(State.SUBMITTED.label, True)
    if row.state not in (State.WITHDRAWN, State.EXPIRED):
        yield Stage(State.IN_REVIEW.label, row.state != State.SUBMITTED)
    yield Stage(_("decision") if row.is_open else row.get_state_display(), not row.is_open)
    if row.is_open or row.state in _APPROVED:
        used = row.first_call_at or keys.get(row.application_id)
        called = bool(row.decided_at and used and used >= row.decided_at)
        yield Stage(_("access key"), row.state in _APPROVED and row.application_id in keys)
        yield Stage(_("first call"), called)


def all_requests() -> Link:
    return all_of(_("All access requests"), MODEL)


def _page(row: AccessRequest) -> str:
    return page_of(MODEL, row.pk)
