"""The steps of the offering agency: begin the review, ask, decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext

from registry.models import AccessRequest, Event, Grant, RequestedOperation, User, networks
from registry.models.requests import choosable
from registry.requests.rights import decidable, is_decider, second_person_required
from registry.requests.telling import tell_applicant, tell_second_persons
from registry.requests.terms import Terms, granted, proposed, requested, terms_of
from registry.requests.trail import Item, Kind, Outdated, State, add_step, check_open, fresh, items_of, locked, settle


@transaction.atomic
def begin_review(request: AccessRequest, user: User) -> None:
    """Show the applicant that the request is in review. Raises PermissionDenied and Outdated."""
    request = _of_decider(request, user)
    if request.state == State.SUBMITTED:
        request.state = State.IN_REVIEW
        request.save()
        add_step(request, Kind.REVIEW, user)


@transaction.atomic
def ask_back(request: AccessRequest, user: User, question: str) -> None:
    """Return a request to the applicant with a question. Raises PermissionDenied, Outdated and ValidationError."""
    request = _of_decider(request, user)
    if not question.strip():
        raise ValidationError(gettext("Write the question."))
    request.state = State.RETURNED
    request.set_expiry()
    request.save()
    add_step(request, Kind.QUESTION, user, question)
    tell_applicant(Event.REQUEST_QUESTION, request)


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision on one operation: the terms of its grant, None to reject it; and the mark of what was seen."""

    seen: str
    terms: Terms | None


@transaction.atomic
def decide(request: AccessRequest, user: User, decisions: Mapping[int, Decision], reason: str = "") -> AccessRequest:
    """Decide on operations of a request, by the ids of its items, all or none. Return the request as it is then.

    Raises PermissionDenied, Outdated, and ValidationError if a grant cannot be made so.
    """
    request = _of_decider(request, user)
    mine = {item.pk: item for item in decidable(request, user)}
    if not decisions:
        raise ValidationError(gettext("Choose at least one operation."))
    if any(pk not in mine or mark(mine[pk]) != decision.seen for pk, decision in decisions.items()):
        raise Outdated(
            gettext("The request, the operation or its grant has changed since you opened the page. Look at it again.")
        )
    if not reason.strip() and any(decision.terms is None for decision in decisions.values()):
        raise ValidationError(gettext("Write why, so that the applicant knows what to change."))
    for pk, decision in decisions.items():
        _decide_one(mine[pk], user, decision.terms, reason)
    settle(request)
    _tell_outcome(request)
    return request


def _tell_outcome(request: AccessRequest) -> None:
    """Notify the applicant, once all of the request is decided."""
    if request.state == State.REJECTED:
        tell_applicant(Event.REQUEST_REJECTED, request)
    elif request.state in (State.APPROVED, State.PARTLY):
        days = [item.granted_until for item in request.items.all() if item.is_approved and item.granted_until]
        tell_applicant(Event.REQUEST_APPROVED, request, min(days, default=None))


def approve(request: AccessRequest, user: User, seen: Mapping[int, str], reason: str = "") -> AccessRequest:
    """Approve operations as requested, or confirm as a first person has approved them. See decide()."""
    items = {item.pk: item for item in items_of(fresh(request))}
    decisions = {pk: Decision(token, proposed(items[pk]) if pk in items else None) for pk, token in seen.items()}
    return decide(request, user, decisions, reason)


def reject(request: AccessRequest, user: User, seen: Mapping[int, str], reason: str) -> AccessRequest:
    """Reject operations. See decide()."""
    return decide(request, user, {pk: Decision(token, None) for pk, token in seen.items()}, reason)


def mark(item: RequestedOperation) -> str:
    """Return a mark of all that a decision on the item is about. Another mark: something has changed."""
    request, operation, grant = item.request, item.operation, item.present_grant
    about = [
        item.pk, item.state, item.decided_by_id, request.revision, request.application.active,
        proposed(item).as_list(), operation.revision, operation.state, operation.access, str(operation.sunset),
        [(column.name, column.classification, column.mask) for column in operation.fields.all()],
        [grant.state, *terms_of(grant).as_list()] if grant is not None else None,
    ]  # fmt: skip
    return salted_hmac("mantra.access_request", json.dumps(about), algorithm="sha256").hexdigest()[:32]


def _decide_one(item: RequestedOperation, user: User, terms: Terms | None, reason: str) -> None:
    item.reason = reason.strip()
    if terms is None:
        _keep(item, Item.REJECTED, user)
        add_step(item.request, Kind.REJECTED, user, reason, item.operation.code)
        return
    item.full_clean()  # it may have been retired since
    _check_terms(item, terms)
    _unsaved(item, terms).check_complete()  # before a second person is asked
    confirmed = item.state == Item.CONFIRMING and item.decided_by_id != user.pk and terms == granted(item)
    if not confirmed and second_person_required(item, terms, user):
        _set_granted(item, terms)
        _keep(item, Item.CONFIRMING, user)
        add_step(item.request, Kind.FIRST_APPROVAL, user, reason, item.operation.code)
        tell_second_persons(item, user)
        return
    _set_granted(item, terms)
    item.grant = _grant(item, terms, user)
    if confirmed:
        item.confirmed_by = user
    state = Item.APPROVED if terms == requested(item) else Item.PARTLY
    _keep(item, state, None if confirmed else user)
    add_step(item.request, Kind(state), user, reason, item.operation.code)


def _keep(item: RequestedOperation, state: str, user: User | None) -> None:
    """Store the state of an item; ``user`` has decided, None: the second person has confirmed."""
    item.state, item.decided_at = state, timezone.now()
    item.decided_by = user or item.decided_by
    item.clean_fields()
    item.save()


def _set_granted(item: RequestedOperation, terms: Terms) -> None:
    order = [column.name for column in item.operation.fields.all()]
    item.granted_fields = "\n".join(name for name in order if name in terms.fields)
    item.granted_quota, item.granted_networks = terms.quota, terms.networks
    item.granted_masks, item.granted_values = terms.masks, terms.values
    item.granted_from, item.granted_until = terms.valid_from, terms.valid_until


def _check_terms(item: RequestedOperation, terms: Terms) -> None:
    """Check that no more is granted than was requested. Raises ValidationError."""
    wanted = requested(item)
    if more := sorted(terms.fields - wanted.fields):
        raise ValidationError(gettext("These columns were not requested: %(names)s.") % {"names": ", ".join(more)})
    if choosable(item.operation) and not terms.fields:
        raise ValidationError(gettext("Choose columns of %(name)s.") % {"name": item.operation.address})
    if wanted.valid_until is not None and (terms.valid_until is None or terms.valid_until > wanted.valid_until):
        raise ValidationError(gettext("The last day is later than requested."))
    if wanted.valid_from is not None and (terms.valid_from is None or terms.valid_from < wanted.valid_from):
        raise ValidationError(gettext("The first day is earlier than requested."))
    if wanted.networks and not _is_within(terms.networks, wanted.networks):
        raise ValidationError(gettext("These networks are larger than requested."))


def _is_within(smaller: str, larger: str) -> bool:
    """Return True if all of the networks are within others. No networks means any address. Raises ValidationError."""
    try:
        inner, outer = networks(smaller), networks(larger)
    except ValueError:
        raise ValidationError(gettext("Enter networks like 10.1.0.0/16 or addresses like 10.1.2.3.")) from None
    return bool(inner) and all(
        any(each.version == other.version and each.subnet_of(other) for other in outer)  # type: ignore[arg-type]
        for each in inner
    )


def _unsaved(item: RequestedOperation, terms: Terms) -> Grant:
    """Return the grant of these terms, not saved."""
    request = item.request
    return Grant(
        application=request.application, operation=item.operation, purpose=request.purpose, masks=terms.masks,
        legal_basis=request.legal_basis, fields="\n".join(sorted(terms.fields)), values=terms.values,
    )  # fmt: skip


def _grant(item: RequestedOperation, terms: Terms, user: User) -> Grant:
    """Make the grant, or change the present one. Raises ValidationError."""
    request = item.request
    grant = item.present_grant
    flag, message = (ADDITION, "added") if grant is None else (CHANGE, "changed")
    grant = grant or Grant(application=request.application, operation=item.operation)
    grant.state, grant.revoked_at = Grant.State.APPROVED, None
    grant.purpose, grant.legal_basis, grant.agreement = request.purpose, request.legal_basis, request.agreement
    grant.fields, grant.quota, grant.networks = item.granted_fields, terms.quota, terms.networks
    grant.masks, grant.values = terms.masks, terms.values
    grant.valid_from, grant.valid_until = terms.valid_from, terms.valid_until
    grant.full_clean()
    grant.save()
    LogEntry.objects.log_actions(user.pk, [grant], flag, change_message=[{message: {}}], single_object=True)
    return grant


def _of_decider(request: AccessRequest, user: User) -> AccessRequest:
    """Return a request on which ``user`` may decide, locked. Raises PermissionDenied and Outdated."""
    request = locked(request)
    if not is_decider(request, user):
        raise PermissionDenied
    check_open(request)
    if request.state not in AccessRequest.DECIDABLE:
        raise Outdated(gettext("The request waits for the applicant's answer."))
    if not decidable(request, user):
        raise Outdated(gettext("Nothing of this request waits for your decision."))
    return request
