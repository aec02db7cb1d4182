"""Who may take which step of an access request."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext

from registry import tenancy
from registry.approvals import VIEWING, takes_two, viewed_kinds
from registry.models import AccessRequest, Application, Grant, RequestedOperation, RequestStep, User, names
from registry.requests.terms import Terms, specific_columns
from registry.requests.trail import Item, items_of

#: The rights to ask, and to decide.
ASKING, DECIDING = "registry.add_accessrequest", "registry.decide_accessrequest"


def may_ask(user: tenancy.AnyUser, application: Application) -> bool:
    """Return True if ``user`` may request access for an application, and take the applicant's steps."""
    return isinstance(user, User) and user.has_perm(ASKING) and tenancy.may_change(user, application)


def may_decide(user: tenancy.AnyUser, request: AccessRequest) -> bool:
    """Return True if ``user`` may decide on an operation of the request now."""
    return request.state in AccessRequest.DECIDABLE and bool(decidable(request, user))


def decidable(request: AccessRequest, user: tenancy.AnyUser) -> list[RequestedOperation]:
    """Return the pending operations of a request on which ``user`` may decide."""
    if not isinstance(user, User) or not is_decider(request, user):
        return []
    own_kinds = viewed_kinds(user)
    pending = [item for item in items_of(request) if item.is_pending and item.operation.kind in own_kinds]
    return [item for item in pending if item.state == Item.WAITING or _may_confirm(item, user)]


def is_decider(request: AccessRequest, user: tenancy.AnyUser) -> bool:
    """Return True for a person of the offering agency with the right to decide who took no step of the applicant."""
    return (
        isinstance(user, User)
        and user.is_active
        and user.agency_id == request.service.agency_id
        and not tenancy.is_supervisor(user)
        and user.has_perm(DECIDING)
        and not request.trail.filter(user=user, kind__in=RequestStep.OF_APPLICANT).exists()
    )


def _may_confirm(item: RequestedOperation, user: User) -> bool:
    """Return True for a second person. The first decides again only if no second one is left."""
    return item.decided_by_id != user.pk or not second_persons(item, user).exists()


def deciders(request: AccessRequest) -> QuerySet[User]:
    """Return the users who may decide on a pending operation of the request."""
    pending = {item.operation.kind for item in items_of(request) if item.is_pending}
    agency = request.service.agency_id
    found = User.objects.none()
    for kind in sorted(pending):
        found = found | tenancy.holders(agency, (DECIDING, VIEWING[kind]))
    return found.exclude(pk__in=_applicants(request)).distinct()


def second_persons(item: RequestedOperation, first: User) -> QuerySet[User]:
    """Return the users who may confirm what ``first`` approves."""
    agency = item.request.service.agency_id
    found = tenancy.holders(agency, (DECIDING, VIEWING[item.operation.kind]))
    return found.exclude(pk=first.pk).exclude(pk__in=_applicants(item.request))


def _applicants(request: AccessRequest) -> QuerySet[Any]:
    return request.trail.filter(kind__in=RequestStep.OF_APPLICANT).values("user")


def second_person_required(item: RequestedOperation, terms: Terms, first: User) -> bool:
    """Return True if a second person must confirm these terms: they include specific personal data."""
    if not specific_columns(item.operation, terms.fields):
        return False
    return takes_two(settings.SECOND_PERSON_GRANTS, second_persons(item, first))


def check_direct(grant: Grant, before: Grant | None, user: tenancy.AnyUser) -> None:
    """Check that a grant made without a request is complete, and gives no specific personal data that takes two people.

    ``before``: the grant as it was. What it gave already needs no second person; nor does an administrator. Raises
    ValidationError.
    """
    if grant.state != Grant.State.APPROVED:
        return
    grant.check_complete()
    if tenancy.is_administrator(user):
        return
    added = _specific(grant)
    if before is not None and before.state == Grant.State.APPROVED:
        added -= _specific(before)
    agency, kind = grant.operation.service.agency_id, grant.operation.kind
    others = tenancy.holders(agency, (DECIDING, VIEWING[kind])).exclude(username=user.get_username())
    if not added or not takes_two(settings.SECOND_PERSON_GRANTS, others):
        return
    text = gettext(
        "Specific personal data takes two people of your agency: %(names)s. Let the applicant request access; then one "
        "of you approves and another one confirms."
    )
    raise ValidationError({"fields": text % {"names": ", ".join(sorted(added))}})


def _specific(grant: Grant) -> set[str]:
    """Return the columns of specific personal data that a grant gives: no columns stand for all of them."""
    chosen = names(grant.fields) or [column.name for column in grant.operation.fields.all()]
    return set(specific_columns(grant.operation, chosen))
