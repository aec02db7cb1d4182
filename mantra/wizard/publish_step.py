"""Step 4: name and publish. What the rules of publishing say is shown before; the operation is made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext

from dataservices.builder import SpecError
from dataservices.models import DataOperation, WizardDraft
from mantra.client_code.example import base_url, example_of
from mantra.client_code.languages import CURL, code
from mantra.wizard import columns_step, drafts, making, pages, preview, proposals
from mantra.wizard.making import Target
from mantra.wizard.publish_form import PublishForm, first_values
from mantra.wizard.query import Query
from registry import approvals, publishing, tenancy, versions
from registry.admin.base import ScopedAdmin
from registry.lookups import with_lookups
from registry.models import Operation, OperationVersion, User

#: What the two buttons do.
DRAFT, PUBLISH = "draft", "publish"


@dataclass(slots=True)
class Review:
    """What the rules of publishing say: why it cannot be, what to answer, and whether a second person decides."""

    problems: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    second_person: bool = False


def show(request: HttpRequest, user: User, draft: WizardDraft) -> HttpResponse:
    """Return the page, keep what its form holds, or make the operation."""
    query = Query.load(draft.data.get("query", {}))
    if draft.source is None or columns_step.problems(draft) or not columns_step.is_proposed(draft, query):
        return pages.go_to(request, draft, 3)
    if request.method != "POST":
        return _page(request, user, draft, _form(draft))
    form = PublishForm(draft, request.POST)
    with drafts.saving(draft) as stored:
        stored.data = {**stored.data, "operation": form.entered()}
    finish = request.POST.get("finish", "")
    if finish not in (DRAFT, PUBLISH):
        return _page(request, user, draft, _form(draft)) if pages.is_part(request) else pages.go_to(request, draft, 4)
    if form.is_valid():
        made = _finish(request, user, draft, form, finish == PUBLISH)
        if made:
            return pages.finished(request, draft)
    return _page(request, user, draft, form)


def _form(draft: WizardDraft) -> PublishForm:
    """Return the form with what was entered, or with what is proposed. Nothing is reported as wrong yet."""
    query = Query.load(draft.data.get("query", {}))
    values = {**first_values(draft, proposals.title(query)), **draft.data.get("operation", {})}
    return PublishForm(draft, initial=values)


# ---------------------------------------------------------------------------------------- making it


def _finish(request: HttpRequest, user: User, draft: WizardDraft, form: PublishForm, publish: bool) -> bool:
    """Make the operation, once for a form that is sent twice. Return False with errors in the form."""

    def change() -> None:
        with drafts.saving(draft) as stored:
            if stored.finished_at is None:
                _make(request, user, stored, form, publish)

    try:
        with_lookups(change)
    except approvals.ReasonNeeded as error:
        form.add_error("reason", error.messages)
        return False
    except ValidationError as error:
        form.add_problems(error)
        return False
    except SpecError as error:
        form.add_error(None, error.message)
        return False
    return True


def _make(request: HttpRequest, user: User, draft: WizardDraft, form: PublishForm, publish: bool) -> None:
    """Save the operation and, if wanted, publish it or request that. Raises SpecError and ValidationError."""
    row, is_new = making.save(draft, form.target(), user)
    if not tenancy.may_change(user, row):
        raise PermissionDenied
    page = admin.site.get_model_admin(DataOperation)
    assert isinstance(page, ScopedAdmin)
    if is_new:
        page.log_addition(request, row, [{"added": {}}])
    else:
        page.log_change(request, row, [{"changed": {"fields": ["SQL"]}}])
    draft.operation = _callers_row(row)
    reason, note = form.cleaned_data["reason"], form.cleaned_data.get("change_note", "")
    outcome = approvals.submit(row, user, reason, change_note=note) if publish else None
    draft.finished_at = timezone.now()
    messages.success(request, _message(outcome, row, draft.operation))


def _callers_row(row: DataOperation) -> DataOperation:
    """Return the operation that callers use: ``row``, or that beside which it is the draft."""
    return row if row.draft_of_id is None else DataOperation.objects.get(pk=row.draft_of_id)


def _message(outcome: Any, row: DataOperation, operation: DataOperation) -> str:
    if isinstance(outcome, OperationVersion):
        return gettext("%(name)s is published. Grant access to the applications that may call it.") % {
            "name": operation
        }
    if outcome is not None:
        return gettext("%(name)s waits for the approval of a second person.") % {"name": operation}
    return gettext("%(name)s is saved as a draft. Try it here, and publish it when it is right.") % {"name": operation}


# ---------------------------------------------------------------------------------------- the page


def review(draft: WizardDraft, target: Target, user: User) -> Review:
    """Return what the rules of publishing say. The operation is made for it, and that is undone.

    Raises SpecError, and ValidationError by the models' own rules.
    """
    existing = draft.operation
    old = None
    if existing is not None and existing.state != Operation.State.DRAFT:
        old = publishing.stored(existing)
    try:
        with transaction.atomic():
            row, _is_new = making.save(draft, target, user)
            definition, operation = versions.definition(row), row
            transaction.set_rollback(True)
    finally:
        draft.operation = existing
    new = publishing.publication("data", definition)
    second = publishing.needs_second_person(old, new) and approvals.second_person_required(operation, user)
    return Review(publishing.problems(new), publishing.questions(old, new), second)


def _page(request: HttpRequest, user: User, draft: WizardDraft, form: PublishForm) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "existing": draft.operation}
    context |= _outlook(request, user, draft)
    for name in ("code", "service_code"):
        if name in form.fields:
            form.fields[name].widget.attrs["placeholder"] = context.get(f"proposed_{name}", "")
    context["failed"] = pages.focus_first_error(form)
    if "sample" in request.GET:
        context |= preview.sample_context(request, draft)
    return pages.render(request, "publish", draft, 4, **context)


def _outlook(request: HttpRequest, user: User, draft: WizardDraft) -> dict[str, Any]:
    """Return what the present values would make: the address and what the rules say."""
    initial = _form(draft).initial
    form = PublishForm(draft, {name: value or "" for name, value in initial.items()})
    if not form.is_valid():
        return {}
    target, query = form.target(), Query.load(draft.data.get("query", {}))
    found: dict[str, Any] = {"proposed_code": target.code, "proposed_service_code": target.service.code}
    try:
        operation = making.operation(draft, target, query)
        example = example_of(operation, making.parameters(draft, query), [], base_url(request))
        found["calling"] = {"url": example.url, "curl": code(example, CURL)}
        found["sql"] = operation.sql
        found["review"] = with_lookups(lambda: review(draft, form.target(), user))
    except (SpecError, ValidationError):
        pass  # said when the operation is made
    return found
