"""The addresses of the wizard: its first page, a step of a draft, and deleting a draft."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from dataservices.models import DataOperation, UploadedTable, WizardDraft
from dataservices.unsaved import AuthoringError
from mantra.tryout.views import operation_or_404
from mantra.wizard import columns_step, drafts, opening, pages, preview, publish_step, query_step, source_step
from registry import tenancy
from registry.journal import viewing
from registry.models import User

Step = Callable[[HttpRequest, User, WizardDraft], HttpResponse]

STEPS: dict[int, Step] = {1: source_step.show, 2: query_step.show, 3: columns_step.show, 4: publish_step.show}


@require_http_methods(["GET", "HEAD"])
def start(request: HttpRequest) -> HttpResponse:
    """Return the first step of a new draft, which is saved when something is chosen, and the unfinished ones."""
    user = drafts.author(request)
    return source_step.show(request, user, WizardDraft(key=uuid.uuid4(), owner=user, agency=user.agency))


@viewing.shows("browse")
@require_http_methods(["GET", "HEAD", "POST"])
def step(request: HttpRequest, key: uuid.UUID, number: int) -> HttpResponse:
    """Return a step of a draft, or do what its form says."""
    user = drafts.author(request)
    if number not in STEPS:
        raise Http404
    draft = drafts.get_or_new(user, key) if number == 1 else drafts.get_or_404(user, key)
    if draft.finished_at:
        return pages.finished(request, draft)
    if number > draft.step:
        return pages.go_to(request, draft, draft.step)
    try:
        return STEPS[number](request, user, draft)
    except ValidationError as error:  # too many drafts, or more than one may hold
        messages.error(request, " ".join(error.messages))
        return redirect("wizard")


@viewing.shows("browse")
@require_http_methods(["GET", "HEAD"])
def show_preview(request: HttpRequest, key: uuid.UUID, sample: bool = False) -> HttpResponse:
    """Return the preview of step 2 or the sample of step 4 alone, for the page's script."""
    draft = drafts.get_or_404(drafts.author(request), key)
    if draft.source is None:
        raise Http404
    context = preview.sample_context(request, draft) if sample else preview.context(request, draft)
    response = TemplateResponse(request, "mantra/wizard/preview.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def open_operation(request: HttpRequest, operation_id: int) -> HttpResponse:
    """Go on with an operation in the wizard, if it can read its SQL. Raises Http404 for another agency's."""
    user = drafts.author(request)
    operation = operation_or_404(request, operation_id)
    page = admin.site.get_model_admin(DataOperation)
    if not isinstance(operation, DataOperation) or not page.has_change_permission(request, operation):
        raise Http404
    back = redirect("admin:dataservices_dataoperation_change", operation.pk)
    if operation.draft_of_id is not None:  # its draft was opened
        operation = DataOperation.objects.get(pk=operation.draft_of_id)
    return _begin(request, lambda: opening.of_operation(user, operation), back)


@require_POST
def open_table(request: HttpRequest, table_id: int) -> HttpResponse:
    """Begin with an uploaded table. Raises Http404 for another agency's."""
    user = drafts.author(request)
    rows = tenancy.visible(UploadedTable.objects.select_related("source__agency"), user)
    table = rows.filter(pk=table_id).first()
    if table is None or not tenancy.may_change(user, table.source):
        raise Http404
    back = redirect("admin:dataservices_uploadedtable_change", table.pk)
    return _begin(request, lambda: opening.of_table(user, table.source, table.name), back)


def _begin(request: HttpRequest, make: Callable[[], WizardDraft], back: HttpResponse) -> HttpResponse:
    """Save a draft and open its second step, or go back with the reason why not."""
    try:
        draft = make()
        with drafts.saving(draft):
            pass
        return pages.go_to(request, draft, 2)
    except opening.Unreadable:
        messages.error(request, gettext("The wizard cannot read this SQL. Go on with it here."))
    except AuthoringError as error:
        messages.error(request, preview.message_of(error))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return back


@require_POST
def delete(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Delete an unfinished draft. What it has published stays."""
    user = drafts.author(request)
    drafts.get_or_404(user, key).delete()
    messages.success(request, gettext("The unfinished publication was deleted."))
    return redirect("wizard")
