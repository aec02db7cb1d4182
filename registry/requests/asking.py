"""The steps of the applicant: submit, change, answer, withdraw."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext, ngettext

from registry import catalogue
from registry.models import (
    AccessRequest,
    AgreementFile,
    Application,
    Event,
    Operation,
    RequestedOperation,
    SnapshotVersion,
    User,
    bounds,
)
from registry.requests.rights import may_ask
from registry.requests.telling import tell_deciders
from registry.requests.trail import (
    Item,
    Kind,
    Outdated,
    State,
    add_step,
    check_open,
    close,
    forget_items,
    locked,
)

#: Open requests of an agency, and operations of a request.
MAX_OPEN, MAX_OPERATIONS = 200, 50

#: The columns of a request that Wanted has too, beside the agreement's file.
CONTENT = (
    "purpose", "legal_basis", "agreement", "valid_from", "valid_until", "volume", "volume_period", "networks",
)  # fmt: skip


class AlreadyRequested(ValidationError):
    """An operation was requested before, and its request is still open."""

    def __init__(self, earlier: AccessRequest, operations: list[Operation]) -> None:
        self.request = earlier
        addresses = ", ".join(operation.address for operation in operations)
        text = gettext("Already requested, and not decided yet: %(names)s. Open that request.")
        super().__init__({NON_FIELD_ERRORS: [text % {"names": addresses}]})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is requested. ``application`` may be new; ``operations``: each with the columns of it."""

    application: Application
    operations: Mapping[Operation, Collection[str]]
    purpose: str
    legal_basis: str = ""
    agreement: str = ""
    agreement_file: AgreementFile | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    volume: int | None = None
    volume_period: str = AccessRequest.Period.DAY
    networks: str = ""
    token: uuid.UUID = field(default_factory=uuid.uuid4)


@transaction.atomic
def submit(user: User, wanted: Wanted) -> AccessRequest:
    """Store a request and return it; for a token that was used before, the request that was made then.

    Raises PermissionDenied, and ValidationError; AlreadyRequested leads to the request that is still open.
    """
    SnapshotVersion.lock()
    earlier = AccessRequest.objects.filter(token=wanted.token).first()
    if earlier is not None:
        if earlier.requested_by_id != user.pk:
            raise PermissionDenied
        return earlier
    _check_applicant(user, wanted.application)
    if wanted.application.pk is None:
        _add_application(user, wanted.application)
    made = AccessRequest(token=wanted.token, requested_by=user, application=wanted.application)
    made.set_expiry()
    _check_number(wanted.application)
    _store(user, made, wanted)
    add_step(made, Kind.SUBMITTED, user)
    tell_deciders(Event.REQUEST_SUBMITTED, made)
    return made


def _check_applicant(user: User, application: Application) -> None:
    if not may_ask(user, application):
        raise PermissionDenied
    if not application.active:
        raise ValidationError({"application": gettext("This application is not active.")})


def _add_application(user: User, application: Application) -> None:
    """Store a new application. Raises PermissionDenied, and ValidationError with its fields."""
    if not user.has_perm("registry.add_application"):
        raise PermissionDenied
    application.full_clean()
    application.save()
    LogEntry.objects.log_actions(user.pk, [application], ADDITION, change_message=[{"added": {}}], single_object=True)


def _check_number(application: Application) -> None:
    """Check that the agency may have a further request. Raises ValidationError."""
    rows = AccessRequest.objects.filter(application__agency=application.agency_id)
    if rows.filter(state__in=AccessRequest.OPEN).count() >= MAX_OPEN:
        text = ngettext(
            "Your agency has %d open request. Wait for decisions, or withdraw some.",
            "Your agency has %d open requests. Wait for decisions, or withdraw some.",
            MAX_OPEN,
        )
        raise ValidationError(text % MAX_OPEN)
    bounds.check_number(rows, "access_requests")


def _store(user: User, request: AccessRequest, wanted: Wanted) -> None:
    """Write what is wanted into a request, new or open. Raises ValidationError by the names of fields."""
    operations = _check_operations(user, wanted)
    request.service = operations[0].service
    for name in (*CONTENT, "agreement_file"):
        setattr(request, name, getattr(wanted, name))
    _check_file(user, request)
    request.full_clean()
    request.save()
    _store_items(request, {operation: wanted.operations[operation] for operation in operations})


def _check_operations(user: User, wanted: Wanted) -> list[Operation]:
    operations = list(wanted.operations)
    if not operations:
        raise ValidationError({"operations": gettext("Choose at least one operation.")})
    if len(operations) > MAX_OPERATIONS:
        text = gettext("Choose at most %(most)d operations in one request.") % {"most": MAX_OPERATIONS}
        raise ValidationError({"operations": text})
    found = catalogue.listed(user).filter(pk__in=[operation.pk for operation in operations]).count()
    if found < len(operations):
        raise ValidationError({"operations": gettext("There is no such operation.")})
    if len({operation.service_id for operation in operations}) > 1:
        raise ValidationError({"operations": gettext("Choose operations of one service.")})
    return operations


def _check_file(user: User, request: AccessRequest) -> None:
    """Check that the file is the user's own upload, or belongs to the request already. Raises ValidationError."""
    file = request.agreement_file
    if file is None or file.uploaded_by_id == user.pk:
        return
    if not AccessRequest.objects.filter(pk=request.pk, agreement_file=file).exists():
        raise ValidationError({"agreement_file": gettext("Upload the file again.")})


def _store_items(request: AccessRequest, operations: Mapping[Operation, Collection[str]]) -> None:
    """Replace the pending operations of a request. Decided ones stay."""
    _refuse_doubles(request, operations)
    request.items.filter(state__in=RequestedOperation.PENDING).delete()
    problems = []
    for operation, columns in operations.items():
        if request.items.filter(operation=operation).exists():
            continue  # it is decided
        item = RequestedOperation(
            request=request, application=request.application, operation=operation, fields="\n".join(columns)
        )
        if errors := _problems(item):
            problems += errors
        else:
            item.save()
    if problems:
        raise ValidationError({"operations": problems})
    forget_items(request)


def _problems(item: RequestedOperation) -> list[str]:
    try:
        item.full_clean()
    except ValidationError as error:
        return list(error.messages)
    return []


def _refuse_doubles(request: AccessRequest, operations: Collection[Operation]) -> None:
    """Raise AlreadyRequested if another open request of the application has one of the operations."""
    doubles = RequestedOperation.objects.filter(
        application=request.application, operation__in=list(operations), state__in=RequestedOperation.PENDING
    ).exclude(request=request.pk)
    found = list(doubles.select_related("request", "operation__service__agency"))
    if found:
        raise AlreadyRequested(found[0].request, [item.operation for item in found])


@transaction.atomic
def revise(request: AccessRequest, user: User, wanted: Wanted, answer: str = "") -> None:
    """Change what is requested while it is open. After a question, that is an answer, with or without words.

    Raises PermissionDenied, Outdated and ValidationError.
    """
    request = _of_applicant(request, user)
    if wanted.application != request.application:
        raise ValidationError({"application": gettext("Withdraw the request, and make one for the other application.")})
    if any(operation.service_id != request.service_id for operation in wanted.operations):
        # Those who have decided on a part keep seeing it, and nobody else does.
        raise ValidationError({"operations": gettext("Withdraw the request, and make one for the other service.")})
    returned = request.state == State.RETURNED
    _reopen(request)
    _store(user, request, wanted)
    add_step(request, Kind.ANSWER if returned else Kind.CHANGED, user, answer)
    tell_deciders(Event.REQUEST_ANSWERED if returned else Event.REQUEST_SUBMITTED, request)


@transaction.atomic
def answer(request: AccessRequest, user: User, text: str) -> None:
    """Answer the question of the offering agency. Raises PermissionDenied, Outdated and ValidationError."""
    request = _of_applicant(request, user)
    if request.state != State.RETURNED:
        raise Outdated(gettext("There is no question to answer now."))
    if not text.strip():
        raise ValidationError(gettext("Write an answer."))
    _reopen(request)
    request.save()
    add_step(request, Kind.ANSWER, user, text)
    tell_deciders(Event.REQUEST_ANSWERED, request)


def _reopen(request: AccessRequest) -> None:
    """Let the offering agency decide about a further revision: what was seen before no longer counts."""
    request.revision += 1
    if request.state == State.RETURNED:
        request.state = State.IN_REVIEW
    request.set_expiry()
    request.items.filter(state=Item.CONFIRMING).update(state=Item.WAITING, decided_by=None, decided_at=None)
    forget_items(request)


@transaction.atomic
def withdraw(request: AccessRequest, user: User) -> None:
    """Withdraw what is not decided yet. Raises PermissionDenied and Outdated."""
    request = _of_applicant(request, user)
    tell_deciders(Event.REQUEST_WITHDRAWN, request)  # while it is known who they are
    close(request, Item.WITHDRAWN)
    add_step(request, Kind.WITHDRAWN, user)


def _of_applicant(request: AccessRequest, user: User) -> AccessRequest:
    """Return an open request of the user's, locked. Raises PermissionDenied and Outdated."""
    request = locked(request)
    if not may_ask(user, request.application):
        raise PermissionDenied
    check_open(request)
    return request
