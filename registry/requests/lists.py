"""Lists of access requests: those that wait for a user's decision, and those of the user's agency."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from registry import tenancy
from registry.approvals import viewed_kinds
from registry.models import AccessRequest, Application, Operation, RequestedOperation, RequestStep, User
from registry.requests.rights import DECIDING
from registry.requests.trail import Item


def inbox(user: tenancy.AnyUser) -> QuerySet[AccessRequest]:
    """Return the requests that wait for a decision of ``user``, the oldest first."""
    if not isinstance(user, User) or user.agency_id is None or tenancy.is_supervisor(user):
        return AccessRequest.objects.none()
    if not user.is_active or not user.has_perm(DECIDING):
        return AccessRequest.objects.none()
    pending = RequestedOperation.objects.filter(
        request=OuterRef("pk"), state__in=RequestedOperation.PENDING, operation__kind__in=viewed_kinds(user)
    ).exclude(state=Item.CONFIRMING, decided_by=user)
    own_steps = RequestStep.objects.filter(request=OuterRef("pk"), user=user, kind__in=RequestStep.OF_APPLICANT)
    waiting = AccessRequest.objects.filter(
        Exists(pending), ~Exists(own_steps), state__in=AccessRequest.DECIDABLE, service__agency=user.agency_id,
        expires_at__gt=timezone.now(),
    )  # fmt: skip
    return _with_names(waiting).order_by("requested_at", "pk")


def own(user: tenancy.AnyUser) -> QuerySet[AccessRequest]:
    """Return the requests of the user's agency, the newest first."""
    if not isinstance(user, User) or user.agency_id is None or not user.has_perm("registry.view_accessrequest"):
        return AccessRequest.objects.none()
    rows = AccessRequest.objects.filter(application__agency=user.agency_id)
    return _with_names(rows).order_by("-requested_at", "-pk")


def _with_names(rows: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
    found = rows.select_related("application__agency", "service__agency", "requested_by")
    return found.prefetch_related("items__operation", "items__grant", "trail__user")


def waiting_for(application: Application, operations: Collection[Operation]) -> AccessRequest | None:
    """Return an application's open request for one of the operations, None if there is none."""
    if application.pk is None:
        return None
    item = RequestedOperation.objects.filter(
        application=application, operation__in=operations, state__in=RequestedOperation.PENDING
    )
    found = item.select_related("request").first()
    return found.request if found is not None else None
