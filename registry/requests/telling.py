"""Who is notified of the steps of a request. Messages have names only: texts are on the request's page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from registry.models import AccessRequest, Agency, Event, Grant, RequestedOperation, User
from registry.notifications import notify
from registry.notifications.recipients import members
from registry.requests.rights import ASKING, deciders, second_persons
from registry.requests.trail import items_of


def tell_deciders(event: Event, request: AccessRequest) -> None:
    """Notify those who may decide on the request."""
    _tell(event, request, deciders(request), request.application.agency)


def tell_second_persons(item: RequestedOperation, first: User) -> None:
    """Notify those who may confirm what a first person has approved."""
    _tell(Event.REQUEST_CONFIRM, item.request, second_persons(item, first), item.request.application.agency)


def tell_applicant(event: Event, request: AccessRequest, until: date | None = None) -> None:
    """Notify those who request access for the applicant's agency."""
    applicant = request.application.agency
    _tell(event, request, members(applicant, ASKING), request.service.agency, until)


def tell_of_grant(grant: Grant, before: str) -> None:
    """Notify the agency of a grant's application that the grant was changed or revoked without a request.

    ``before``: the state that the grant had.
    """
    revoked = grant.state == Grant.State.REVOKED and before != Grant.State.REVOKED
    event = Event.GRANT_REVOKED if revoked else Event.GRANT_CHANGED
    people = members(grant.application.agency, ASKING)
    agency, operation = grant.operation.service.agency, grant.operation
    days = {"until": grant.valid_until} if event == Event.GRANT_CHANGED and grant.valid_until else {}
    names: dict[str, str | list[str] | int | date] = {
        "agency": str(agency), "application": str(grant.application), "operation": str(operation), **days,
    }  # fmt: skip
    notify(event, people, about=grant, url="", **names)


def _tell(
    event: Event, request: AccessRequest, people: Iterable[User], actor: Agency, until: date | None = None
) -> None:
    # Of what is decided in part, the applicant may call what was approved.
    named = [item for item in items_of(request) if item.is_approved or event != Event.REQUEST_APPROVED]
    titles = [item.operation.title or item.operation.code for item in named]
    days = {"until": until} if until is not None else {}
    names: dict[str, str | list[str] | int | date] = {
        "agency": str(actor), "application": str(request.application), "number": request.pk, "operations": titles,
        "service": request.service.title, **days,
    }  # fmt: skip
    notify(event, people, about=request, url="", **names)
