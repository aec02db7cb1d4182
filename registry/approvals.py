"""The check of what is put into force by the rules of publishing, and the requests for a second person's approval."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext, gettext_noop

from registry import publishing, tenancy, versions
from registry.models import Operation, OperationVersion, PublishRequest, SnapshotVersion, User
from registry.notifications import Event, notify, operation_name
from registry.publishing import Publication
from registry.versions import Change
from registry.versions.definition import plain

Origin = OperationVersion.Origin
#: The right to decide on publish requests.
DECIDING = "registry.decide_publishrequest"
#: Names that the author of a request is told.
MAX_DECIDERS = 5
#: Kind of operation → the right to view operations of that kind.
VIEWING = {
    "data": "dataservices.view_dataoperation",
    "proxy": "proxyservices.view_proxyoperation",
    "verification": "verification.view_verificationoperation",
}


class NotPublishable(ValidationError):
    """The rules of publishing refuse a change."""


class ReasonNeeded(NotPublishable):
    """The change may be put into force with a reason. Its messages say what to explain."""


class ApprovalNeeded(NotPublishable):
    """A second person must approve the change."""

    def __init__(self) -> None:
        super().__init__(
            gettext(
                "A second person of the agency must approve this, because callers get (more) personal data, or a "
                "backend gets their access keys. Write what it is for."
            )
        )


def check(change: Change) -> None:
    """Refuse a change by the rules of publishing. Raises NotPublishable and what PublishedKind.result raises.

    The move of a server's address has its rehearsal, and must not wait while the old server is down.
    """
    if change.origin == Origin.ADDRESS:
        return
    kind = change.operation.kind
    old = publishing.publication(kind, change.old) if change.old is not None else None
    new = publishing.publication(kind, change.new, publishing.KINDS[kind].result(change))
    if new.open:
        new = publishing.with_seen(new, publishing.KINDS[kind].seen(change))
    if found := publishing.problems(new):
        raise NotPublishable(found)
    if not change.reason.strip() and (found := publishing.questions(old, new)):
        raise ReasonNeeded(found)
    # Without a user it is the command of an operator, who has decided.
    if change.user is not None and must_be_approved(change, old, new):
        raise ApprovalNeeded


def must_be_approved(change: Change, old: Publication | None, new: Publication) -> bool:
    """Return True if a second person must approve a change and has not."""
    if not publishing.needs_second_person(old, new) or not second_person_required(change.operation, change.user):
        return False
    last = PublishRequest.objects.filter(operation=change.operation.pk).first()
    if last is None or last.state != PublishRequest.State.APPROVED or last.digest != digest(change.new):
        return True
    return _is_superseded(last)


def _is_superseded(approved: PublishRequest) -> bool:
    """Return True if something else was put into force since an approval: it does not hold for going back."""
    newest = OperationVersion.objects.filter(operation=approved.operation_id).order_by("-number").first()
    since = newest is not None and approved.decided_at is not None and newest.published_at > approved.decided_at
    return since and newest is not None and digest(newest.definition) != approved.digest


def second_person_required(operation: Operation, user: User | None) -> bool:
    """Return True if the setting requires a second person for what ``user`` publishes of personal data."""
    return takes_two(settings.SECOND_PERSON, second_persons(operation, user))


def takes_two(setting: str, others: QuerySet[User]) -> bool:
    """Return True if a setting ("required", "available" or "off") requires one of these other users as a second one."""
    return setting == "required" or (setting == "available" and others.exists())


def second_persons(operation: Operation, user: User | None) -> QuerySet[User]:
    """Return the users who may decide on a publish request of ``user``: others of the agency with the right."""
    found = tenancy.holders(operation.service.agency_id, _rights(operation))
    return found.exclude(pk=user.pk) if user is not None else found


def deciders(request: PublishRequest) -> list[str]:
    """Return the names of users who may decide on a request, at most MAX_DECIDERS."""
    found = second_persons(request.operation, request.requested_by).order_by("username")
    return list(found.values_list("username", flat=True).distinct()[:MAX_DECIDERS])


def _rights(operation: Operation) -> tuple[str, str]:
    """Return the rights that deciding takes: a provider decides on data operations, a head on all."""
    return DECIDING, VIEWING[operation.kind]


def viewed_kinds(user: tenancy.AnyUser) -> list[str]:
    """Return the kinds of operations that ``user`` may view."""
    return [kind for kind, right in VIEWING.items() if user.has_perm(right)]


def digest(definition: versions.Definition) -> str:
    """Return a keyed hash of what a definition means: each encryption of a secret is another text."""
    lists = {
        label: [{name: plain(value) for name, value in row.items()} for row in rows]
        for label, rows in definition["lists"].items()
    }
    columns = {name: plain(value) for name, value in definition["columns"].items()}
    text = json.dumps([columns, lists], sort_keys=True, default=str)
    return salted_hmac("mantra.publish_request", text, algorithm="sha256").hexdigest()


# ------------------------------------------------------------------------------------------------- requests


def submit(
    row: Operation, user: User, reason: str, origin: str = Origin.ADMIN, change_note: str = ""
) -> OperationVersion | PublishRequest:
    """Publish a draft, or request it if a second person must approve. Return the version or the request.

    ``row`` is a draft beside an operation, or one without callers. Raises ValidationError.
    """
    try:
        return versions.publish(row, user, reason, origin, change_note)
    except ApprovalNeeded as needed:
        if not reason.strip():
            raise ReasonNeeded(needed.messages) from None
        return _request(row, user, reason, change_note)


def revert(version: OperationVersion, user: User, reason: str) -> OperationVersion | PublishRequest:
    """Publish an earlier version again, or request it if a second person must approve: it is the draft then.

    Return the new version or the request. Raises what versions.revert() does.
    """
    try:
        return versions.revert(version, user, reason)
    except ApprovalNeeded as needed:
        if version.operation.state == Operation.State.DRAFT:
            raise  # it is its own draft, and what it consists of now would be lost
        if not reason.strip():
            raise ReasonNeeded(needed.messages) from None
        with transaction.atomic():
            return _request(versions.open_draft(version.operation, user, version), user, reason)


@transaction.atomic
def _request(row: Operation, user: User, reason: str, change_note: str = "") -> PublishRequest:
    SnapshotVersion.lock()
    operation = Operation.objects.get(pk=row.draft_of_id or row.pk)
    for earlier in PublishRequest.waiting().filter(operation=operation):
        earlier.decide(PublishRequest.State.WITHDRAWN, None)
    made = PublishRequest(
        operation=operation, digest=digest(versions.definition(row)), requested_by=user, reason=reason,
        change_note=change_note,
    )  # fmt: skip
    made.full_clean()
    made.save()
    _log(user, made, gettext_noop("Requested approval to publish"), reason)
    named = operation_name(operation)
    notify(Event.PUBLISH_REQUESTED, second_persons(operation, user).distinct(), about=made, operation=named)
    return made


def waiting_request(operation: Operation) -> PublishRequest | None:
    """Return the request of an operation that waits for a decision, if its draft is still the one that it is about."""
    found = PublishRequest.waiting().filter(operation=operation.pk).select_related("operation", "requested_by").first()
    return found if found is not None and is_current(found) else None


def inbox(user: tenancy.AnyUser) -> QuerySet[PublishRequest]:
    """Return the requests that wait for a decision of ``user``, the oldest first."""
    if not isinstance(user, User) or user.agency_id is None or tenancy.is_supervisor(user):
        return PublishRequest.objects.none()
    if not user.has_perm(DECIDING):
        return PublishRequest.objects.none()
    waiting = PublishRequest.waiting().filter(
        operation__service__agency=user.agency_id, operation__kind__in=viewed_kinds(user)
    )
    others = waiting.exclude(requested_by=user).select_related("operation__service__agency", "requested_by")
    return others.order_by("requested_at", "pk")


def row_of(request: PublishRequest) -> Any:
    """Return the row that a request is about, of its kind: the draft beside the operation, or the operation."""
    return versions.draft_of(request.operation) or request.operation.of_its_kind


def is_current(request: PublishRequest) -> bool:
    """Return True if a request waits for a decision, and the draft is still the one that it is about."""
    return request.is_waiting and request.digest == digest(versions.definition(row_of(request)))


def may_decide(user: tenancy.AnyUser, request: PublishRequest) -> bool:
    """Return True if ``user`` is a second person for a request: of the same agency, with the right, not the author."""
    return (
        isinstance(user, User)
        and user.is_active
        and not tenancy.is_supervisor(user)
        and user.agency_id == request.operation.service.agency_id
        and user.pk != request.requested_by_id
        and user.has_perms(_rights(request.operation))
    )


@transaction.atomic
def approve(request: PublishRequest, user: User, reason: str = "") -> OperationVersion | None:
    """Publish what was requested, and return its version. None: the draft has changed, and the request falls away.

    Raises PermissionDenied, and ValidationError if it can no longer be published.
    """
    request = _locked(request, user)
    if not is_current(request):
        fall_away(request)
        return None
    request.decide(PublishRequest.State.APPROVED, user, reason)
    version = versions.publish(row_of(request), request.requested_by, request.reason, change_note=request.change_note)
    _log(user, request, gettext_noop("Approved"), reason)
    _notify_author(request)
    return version


@transaction.atomic
def reject(request: PublishRequest, user: User, reason: str) -> None:
    """Reject a request. The draft stays as it is. Raises PermissionDenied, and ValidationError without a reason."""
    request = _locked(request, user)
    if not reason.strip():
        raise ValidationError(gettext("Write why, so that the author knows what to change."))
    request.decide(PublishRequest.State.REJECTED, user, reason)
    _log(user, request, gettext_noop("Rejected"), reason)
    _notify_author(request)


def _notify_author(request: PublishRequest) -> None:
    named = operation_name(request.operation)
    notify(Event.PUBLISH_DECIDED, [request.requested_by], about=request, operation=named, outcome=request.state)


@transaction.atomic
def withdraw(request: PublishRequest, user: User) -> None:
    """Withdraw the user's own request. Raises PermissionDenied."""
    SnapshotVersion.lock()
    request.refresh_from_db()
    if not may_withdraw(user, request):
        raise PermissionDenied
    request.decide(PublishRequest.State.WITHDRAWN, user)
    _log(user, request, gettext_noop("Withdrawn"), "")


def may_withdraw(user: tenancy.AnyUser, request: PublishRequest) -> bool:
    return request.is_waiting and user.pk == request.requested_by_id


def fall_away(request: PublishRequest) -> None:
    """Withdraw a request whose draft has changed, without a user."""
    request.decide(PublishRequest.State.WITHDRAWN, None)


def _locked(request: PublishRequest, user: User) -> PublishRequest:
    """Return a waiting request as it is now, which nobody else changes meanwhile. Raises PermissionDenied."""
    SnapshotVersion.lock()
    stored: PublishRequest = PublishRequest.objects.select_related("operation__service").get(pk=request.pk)
    if not stored.is_waiting or not may_decide(user, stored):
        raise PermissionDenied
    return stored


def _log(user: User, request: PublishRequest, what: str, reason: str) -> None:
    """Log a step of a request at its operation and at the request."""
    text = f"{gettext(what)}: {reason}" if reason else gettext(what)
    rows = [request.operation.of_its_kind, request]
    for row in rows:
        LogEntry.objects.log_actions(user.pk, [row], CHANGE, change_message=text, single_object=True)
