"""What all steps of an access request share: its lock, its trail, and its state by those of its operations."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from registry.models import AccessRequest, Grant, RequestedOperation, RequestStep, SnapshotVersion, User

State, Item, Kind = AccessRequest.State, RequestedOperation.State, RequestStep.Kind


class Outdated(ValidationError):
    """What a step is about has changed since its author has seen it. Nothing was changed."""


def items_of(request: AccessRequest) -> list[RequestedOperation]:
    """Return the operations of a request, read once, each with the request itself."""
    found = request.__dict__.get("_items")
    if found is None:
        rows = request.items.select_related(
            "operation__service__agency", "operation__dataoperation", "operation__proxyoperation",
            "operation__verificationoperation", "decided_by", "confirmed_by", "grant",
        )  # fmt: skip
        found = list(rows.prefetch_related("operation__fields"))
        _add_grants(request, found)
        request.__dict__["_items"] = found
    return list(found)


def _add_grants(request: AccessRequest, items: list[RequestedOperation]) -> None:
    """Set the request and the present grant of each item, with one query."""
    rows = Grant.objects.filter(application=request.application_id, operation__in=[item.operation_id for item in items])
    grants = {grant.operation_id: grant for grant in rows}
    for item in items:
        item.request = request
        item.__dict__["present_grant"] = grants.get(item.operation_id)


def forget_items(request: AccessRequest) -> None:
    """Let the operations of a request be read again."""
    request.__dict__.pop("_items", None)


def locked(request: AccessRequest) -> AccessRequest:
    """Return a request as it is now, which nobody else changes until the transaction ends."""
    SnapshotVersion.lock()
    return fresh(request)


def fresh(request: AccessRequest) -> AccessRequest:
    return _rows().get(pk=request.pk)


def _rows() -> QuerySet[AccessRequest]:
    return AccessRequest.objects.select_related("application__agency", "service__agency", "requested_by")


def check_open(request: AccessRequest) -> None:
    if request.is_open and request.expires_at > timezone.now():
        return
    state = request.get_state_display() if not request.is_open else State.EXPIRED.label
    raise Outdated(gettext("The request is no longer open (%(state)s). Nothing was changed.") % {"state": state})


def add_step(request: AccessRequest, kind: str, user: User | None, text: str = "", operation: str = "") -> None:
    """Add a step to the trail. Raises ValidationError for too long a text, or too many steps."""
    if request.trail.count() >= AccessRequest.MAX_STEPS:
        raise ValidationError(gettext("This request has too many steps. Withdraw it, and make another one."))
    step = RequestStep(request=request, kind=kind, user=user, text=text.strip(), operation=operation)
    step.full_clean()
    step.save()


def close(request: AccessRequest, state: str) -> None:
    """End what is pending, without a decision."""
    request.items.filter(state__in=RequestedOperation.PENDING).update(state=state, decided_at=timezone.now())
    forget_items(request)
    settle(request)


def settle(request: AccessRequest) -> None:
    """Set the state of a request by those of its items, once none of them is pending."""
    states = set(request.items.values_list("state", flat=True))
    if states & set(RequestedOperation.PENDING):
        request.state = State.IN_REVIEW
    else:
        request.state, request.decided_at = _outcome(states), timezone.now()
    request.save()


def _outcome(states: set[str]) -> str:
    """Return the state of a request with items of these states."""
    if states == {Item.APPROVED}:
        return State.APPROVED
    if states & {Item.APPROVED, Item.PARTLY}:
        return State.PARTLY
    for item, state in ((Item.REJECTED, State.REJECTED), (Item.EXPIRED, State.EXPIRED)):
        if item in states:
            return state
    return State.WITHDRAWN


def expire() -> int:
    """Close the requests that nobody decided on in time, and those without operations. Return their number."""
    pending = RequestedOperation.objects.filter(request=OuterRef("pk"), state__in=RequestedOperation.PENDING)
    over = AccessRequest.objects.filter(state__in=AccessRequest.OPEN)
    ids = list(over.filter(Q(expires_at__lte=timezone.now()) | ~Exists(pending)).values_list("pk", flat=True)[:1000])
    return sum(_expire(pk) for pk in ids)


@transaction.atomic
def _expire(pk: int) -> bool:
    SnapshotVersion.lock()
    request = _rows().filter(pk=pk).first()
    if request is None or not request.is_open:
        return False
    close(request, Item.EXPIRED)
    add_step(request, Kind.EXPIRED, None)
    return True
