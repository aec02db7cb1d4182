"""The catalogue: which operations a person finds, signed in or not."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from registry import tenancy
from registry.models import Grant, Operation, User


def listed(user: tenancy.AnyUser) -> QuerySet[Operation]:
    """Return the operations that ``user`` finds in the catalogue: never drafts, retired ones too.

    Those that are hidden are found by their own agency, by those who read the rows of all agencies, and by the agency
    of an application that may call them: it reads how, and asks for more or for longer.
    """
    rows: QuerySet[Operation] = Operation.objects.listed().exclude(state=Operation.State.DRAFT)
    if tenancy.sees_all_agencies(user):
        return rows
    if not isinstance(user, User) or not user.is_active:
        return rows.filter(listing=Operation.Listing.PUBLIC)
    found = ~Q(listing=Operation.Listing.HIDDEN)
    if user.agency_id is not None:
        found |= Q(service__agency=user.agency_id) | Q(pk__in=_granted_to(user.agency_id))
    return rows.filter(found)


def _granted_to(agency: int) -> QuerySet[Any]:
    """Return the ids of operations for which an application in use of an agency has a grant that has not ended."""
    not_ended = Q(valid_until=None) | Q(valid_until__gte=timezone.localdate())
    rows: QuerySet[Any] = Grant.objects.filter(
        not_ended, state=Grant.State.APPROVED, application__agency=agency, application__active=True
    )
    return rows.values("operation")


def in_force(grants: QuerySet[Grant], day: date) -> QuerySet[Grant]:
    """Return the grants that are valid on a day."""
    begun = Q(valid_from=None) | Q(valid_from__lte=day)
    not_ended = Q(valid_until=None) | Q(valid_until__gte=day)
    return grants.filter(begun, not_ended, state=Grant.State.APPROVED)
