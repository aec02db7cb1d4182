"""The page that makes a verification of a published operation, and the list of the operations it can be made of."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from mantra.verification import proposals
from mantra.verification.models import (
    VerificationOperation,
    VerifiedField,
    declare,
    inconsistencies,
    key_of,
)
from mantra.verification.proposal_form import ProposalForm, lines_of
from registry import approvals, publishing, tenancy, versions
from registry.admin.base import ScopedAdmin
from registry.admin.numbers import number_of
from registry.admin.to_verification import RIGHT, can_be_verified
from registry.lookups import with_lookups
from registry.models import Operation, OperationVersion, SnapshotVersion, User

#: What the two buttons do.
DRAFT, PUBLISH = "draft", "publish"
#: Operations that the list shows; the others are found by its search.
MOST = 50
TITLE = _("Make a verification")


def author(request: HttpRequest) -> User:
    """Return the request's user, who may make verifications. Raises PermissionDenied."""
    user = request.user
    if not isinstance(user, User) or not user.has_perm(RIGHT):
        raise PermissionDenied
    return user


def bases(user: User) -> Any:
    """Return the published operations of which a user may make verifications."""
    rows = tenancy.referable(VerificationOperation, "base", user).exclude(kind=Operation.Kind.VERIFICATION)
    callable_states = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)
    return rows.filter(state__in=callable_states).select_related(
        "service__agency", "dataoperation", "proxyoperation"
    )  # fmt: skip


@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """Return the list of operations of which a verification can be made."""
    user = author(request)
    term = request.GET.get("q", "").strip()[:100]
    rows = bases(user)
    for word in term.replace("/", " ").split()[:5]:
        rows = rows.filter(title__icontains=word) | rows.filter(code__icontains=word)
    found = list(rows.distinct()[: MOST + 1])
    operations = [row for row in found[:MOST] if can_be_verified(row.of_its_kind)]
    context = {"operations": operations, "term": term, "more": len(found) > MOST, "title": TITLE}
    return _page(request, "verification/choose.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def propose(request: HttpRequest, operation_id: int) -> HttpResponse:
    """Return the proposal for an operation, or make the verification. Raises Http404."""
    user = author(request)
    row = bases(user).filter(pk=number_of(str(operation_id))).first()
    if row is None:
        raise Http404
    base = row.of_its_kind
    if not can_be_verified(base) or not key_of(base):
        messages.error(request, gettext("It has no required parameter that could be the key of a record."))
        return redirect("verification_choose")
    made = proposals.of_operation(base)
    if request.method != "POST":
        return _proposal(request, user, base, ProposalForm(instance=made), lines_of(base))
    form, lines = ProposalForm(request.POST, instance=made), lines_of(base, request.POST)
    valid = form.is_valid() and lines.is_valid()
    finish = request.POST.get("finish", "")
    if valid and finish in (DRAFT, PUBLISH) and _finished(request, user, form, lines, finish == PUBLISH):
        return redirect("admin:verification_verificationoperation_change", form.instance.pk)
    return _proposal(request, user, base, form, lines)


def _finished(request: HttpRequest, user: User, form: ProposalForm, lines: Any, publish: bool) -> bool:
    """Make the verification, and publish it or request that. Return False with errors in the form."""

    def change() -> None:
        with transaction.atomic():
            row = save(user, form.instance, lines.fields())
            page = admin.site.get_model_admin(VerificationOperation)
            assert isinstance(page, ScopedAdmin)
            page.log_addition(request, row, [{"added": {}}])
            outcome = approvals.submit(row, user, form.cleaned_data["reason"]) if publish else None
            messages.success(request, _message(outcome, row))

    try:
        with_lookups(change)
    except approvals.ReasonNeeded as error:
        form.add_error("reason", error.messages)
        form.instance.pk = None
        return False
    except ValidationError as error:
        form.add_problems(error)
        form.instance.pk = None
        return False
    return True


def save(user: User, row: VerificationOperation, fields: list[VerifiedField]) -> VerificationOperation:
    """Save a new verification that callers do not get yet. Raises PermissionDenied, and ValidationError."""
    SnapshotVersion.lock()
    row.pk, row.id, row.operation_ptr_id = None, None, None  # type: ignore[assignment]
    row._state.adding = True
    row.kind, row.state = Operation.Kind.VERIFICATION, Operation.State.DRAFT
    if not tenancy.may_change(user, row):
        raise PermissionDenied
    row.full_clean()
    VerifiedField.check_list(row, fields)
    row.save()
    for each in fields:
        each.operation = row
        try:
            each.full_clean()
        except ValidationError as error:
            raise ValidationError([f"{each}: {message}" for message in error.messages]) from None
        each.save()
    declare(row)
    if problems := inconsistencies(row):
        raise ValidationError(problems)
    return row


def _message(outcome: Any, row: VerificationOperation) -> str:
    if isinstance(outcome, OperationVersion):
        return gettext("%(name)s is published. Grant access to the applications that may call it.") % {"name": row}
    if outcome is not None:
        return gettext("%(name)s waits for the approval of a second person.") % {"name": row}
    return gettext("%(name)s is saved as a draft. Try it here, and publish it when it is right.") % {"name": row}


# ---------------------------------------------------------------------------------------- the page


def _proposal(request: HttpRequest, user: User, base: Any, form: ProposalForm, lines: Any) -> HttpResponse:
    context = {
        "base": base, "form": form, "lines": lines, "keys": key_of(base), "title": TITLE,
        "typed": not proposals.propose(base), "second_person": _needs_second_person(user, base),
        "failed": form.is_bound,
    }  # fmt: skip
    return _page(request, "verification/propose.html", context)


def _needs_second_person(user: User, base: Any) -> bool:
    """Return True if a second person will have to approve what is proposed. It is made for that, and undone."""
    fields = [
        VerifiedField(
            position=at, name=each.name, column="" if each.column == each.name else each.column, rule=each.rule
        )
        for at, each in enumerate(proposals.propose(base))
        if each.chosen
    ]
    if not fields:
        return False
    try:
        with transaction.atomic():
            row = save(user, proposals.of_operation(base), fields)
            new, operation = publishing.publication(row.kind, versions.definition(row)), row
            transaction.set_rollback(True)
    except ValidationError:
        return False  # said when it is made
    return publishing.needs_second_person(None, new) and approvals.second_person_required(operation, user)


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    response = TemplateResponse(request, template, {**admin.site.each_context(request), **context})
    response["Cache-Control"] = "no-store"
    return response
