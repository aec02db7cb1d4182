"""What the wizard's four pages share: their frame, and the focus on what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dataservices.models import WizardDraft

#: The steps in their order, as headings.
STEPS: tuple[Any, ...] = (
    _("Where from?"),
    _("Which data?"),
    _("Columns and protection"),
    _("Name and publish"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A step as the progress shows it. ``address`` is "" for one that cannot be opened yet."""

    number: int
    title: str
    current: bool
    address: str


def address(draft: WizardDraft, step: int) -> str:
    """Return the address of a step of a draft."""
    return reverse("wizard_step", args=(draft.key, step))


def progress(draft: WizardDraft, step: int) -> list[Mark]:
    """Return all steps, with the addresses of those that were reached."""
    return [
        Mark(number, str(title), number == step, address(draft, number) if number <= draft.step else "")
        for number, title in enumerate(STEPS, start=1)
    ]


def is_part(request: HttpRequest) -> bool:
    """Return True for a request of the page's script, which shows the part within the frame."""
    return request.headers.get("HX-Request") == "true"


def go_to(request: HttpRequest, draft: WizardDraft, step: int) -> HttpResponse:
    """Return a redirect to a step, which htmx follows as the browser does."""
    target = address(draft, step)
    if not is_part(request):
        return redirect(target)
    response = HttpResponse()
    response["HX-Redirect"] = target
    return response


def render(request: HttpRequest, template: str, draft: WizardDraft, step: int, **context: Any) -> TemplateResponse:
    """Return a page of the wizard, which no cache may store; for htmx only the part within the frame."""
    heading = gettext("Step %(step)d of %(steps)d: %(title)s") % {
        "step": step, "steps": len(STEPS), "title": STEPS[step - 1],
    }  # fmt: skip
    context |= {
        "draft": draft, "step": step, "steps": progress(draft, step), "heading": heading,
        "title": gettext("Publish data"), "subtitle": heading, "here": address(draft, step),
        "back": address(draft, step - 1) if step > 1 else "",
        "part": f"mantra/wizard/{template}_part.html",
    }  # fmt: skip
    part = is_part(request)
    if not part:
        context = {**admin.site.each_context(request), **context}
    response = TemplateResponse(request, context["part"] if part else f"mantra/wizard/{template}.html", context)
    response["Cache-Control"] = "no-store"
    if part:
        response["HX-Trigger"] = "wizard-changed"
    return response


def focus_first_error(*lists: forms.BaseForm) -> bool:
    """Make the browser put the focus on the first field with an error. Return True if there is one."""
    for form in lists:
        for bound in form:
            if bound.errors:
                bound.field.widget.attrs["autofocus"] = True
                bound.field.widget.attrs["aria-invalid"] = "true"
                return True
    return False


def finished(request: HttpRequest, draft: WizardDraft) -> HttpResponse:
    """Return a redirect to what a finished draft has made, or to a new one if that was deleted."""
    if draft.operation_id is None:
        return redirect("wizard")
    return redirect("admin:dataservices_dataoperation_change", draft.operation_id)
