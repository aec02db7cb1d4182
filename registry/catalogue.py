"""The catalogue: which operations a person finds, signed in or not."""

from __future__ import annotations

from datetime import date

from django.db.models import Q, QuerySet

from registry import tenancy
from registry.models import Grant, Operation, User


def listed(user: tenancy.AnyUser) -> QuerySet[Operation]:
    """Return the operations that ``user`` finds in the catalogue: never drafts, retired ones too.

    Those that are hidden are found by their own agency, and by those who read the rows of all agencies.
    """
    rows: QuerySet[Operation] = Operation.objects.listed().exclude(state=Operation.State.DRAFT)
    if tenancy.sees_all_agencies(user):
        return rows
    if not isinstance(user, User) or not user.is_active:
        return rows.filter(listing=Operation.Listing.PUBLIC)
    found = ~Q(listing=Operation.Listing.HIDDEN)
    if user.agency_id is not None:
        found |= Q(service__agency=user.agency_id)
    return rows.filter(found)


def in_force(grants: QuerySet[Grant], day: date) -> QuerySet[Grant]:
    """Return the grants that are valid on a day."""
    begun = Q(valid_from=None) | Q(valid_from__lte=day)
    not_ended = Q(valid_until=None) | Q(valid_until__gte=day)
    return grants.filter(begun, not_ended, state=Grant.State.APPROVED)
