"""The pages: an identifier is typed, and who looked at its person is shown, for the screen, for paper and as PDF.

The identifier comes by POST only, and is in no address, no log and no page that is sent back: from then on a sealed
text with its keyed hashes stands for it.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from mantra import attempts
from mantra.subject_access import answers
from mantra.subject_access.answers import LENGTH, LOOK_UP, Answer
from registry import exports, secrets
from registry.admin.theme import text_input
from registry.journal import viewing
from registry.models import User
from registry.results import Fault

TITLE = _("Who looked at this person?")
#: The most look-ups of a user.
RATE = "20/minute"
#: Seconds for which the sealed text of a look-up is good.
GOOD_FOR = 3600
_PURPOSE = "subject access"
TOO_MANY = _("You have looked up too many persons in this minute. Wait a minute, then try again.")


class IdentifierForm(forms.Form):
    """Whose records: the number by which the operations find a person."""

    identifier = forms.CharField(
        label=_("NIK, or another identifier"),
        max_length=LENGTH,
        widget=text_input(autocomplete="off", spellcheck="false"),
        help_text=_(
            "As the person gives it, such as the NIK, the number of the family card (KK) or the NIP. Blanks, dots and "
            "dashes do not matter. It is not stored."
        ),
    )


def reader(request: HttpRequest) -> User:
    """Return the user, who may look for a person's records. Raises PermissionDenied."""
    if not answers.may_look(request.user):
        raise PermissionDenied
    assert isinstance(request.user, User)
    return request.user


def record(request: HttpRequest, user: User, answer: Answer) -> None:
    """Record the look-up itself: who looked, in the name of which agency, for whom. Raises Fault."""
    agency = user.agency.code if user.agency is not None else ""
    subjects = answer.hashes[:1]
    viewing.record(request, viewing.View(LOOK_UP, agency, "", rows=len(answer.entries), subjects=subjects))


def sealed(user: User, answer: Answer) -> str:
    """Return a text that stands for the person on the pages that follow, for this user and an hour."""
    content = [user.pk, int(time.time()) + GOOD_FOR, answer.subject, *answer.hashes]
    return secrets.seal(json.dumps(content), _PURPOSE)


def opened(user: User, text: str) -> tuple[str, list[str]] | None:
    """Return the masked identifier and the hashes of a sealed text; None if it is none of this user's, or too old."""
    content = secrets.unseal(text[:4_000], _PURPOSE)
    owner, until, subject, *hashes = json.loads(content) if content else (0, 0, "")
    return (subject, hashes) if owner == user.pk and until > time.time() else None


def _page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    shown = {**admin.site.each_context(request), "title": TITLE, **context}
    response = TemplateResponse(request, f"subject_access/{template}.html", shown, status=status)
    response["Cache-Control"] = "no-store"
    return response


@viewing.shows("subject")
@sensitive_post_parameters("identifier")
def look_up(request: HttpRequest) -> HttpResponse:
    """GET: the form. POST: who looked at the person, once the journal has recorded the look-up."""
    user = reader(request)
    form = IdentifierForm()
    if request.method != "POST":
        return _page(request, "page", form=form)
    if "person" in request.POST:
        return _further(request, user, form)
    sent = IdentifierForm(request.POST)
    if not sent.is_valid():
        # Not the form that was sent: it has what was typed.
        return _page(
            request, "page", status=400, form=form, problem=" ".join(map(str, sent.errors.get("identifier", ())))
        )
    if not attempts.allowed(LOOK_UP, RATE, user.pk):
        return _page(request, "page", status=429, form=form, problem=TOO_MANY)
    answer = answers.about(user, sent.cleaned_data["identifier"])
    return _shown(request, user, answer, form)


def _further(request: HttpRequest, user: User, form: IdentifierForm) -> HttpResponse:
    """Show the entries before those of the page before."""
    person = opened(user, request.POST["person"])
    try:
        before = datetime.fromisoformat(request.POST.get("before", ""))
    except ValueError:
        person = None
    if person is None:
        return _page(request, "page", status=400, form=form, problem=_("Look the person up again."))
    subject, hashes = person
    return _shown(request, user, answers.by_hashes(user, hashes, subject, before), form)


def _shown(request: HttpRequest, user: User, answer: Answer, form: IdentifierForm) -> HttpResponse:
    try:
        record(request, user, answer)
    except Fault as fault:
        return _page(request, "page", status=503, form=form, problem=fault.message(get_language() or "id"))
    return _page(request, "page", form=form, answer=answer, person=sealed(user, answer))


@viewing.shows("subject")
@require_POST
def letter(request: HttpRequest) -> HttpResponse:
    """Show the answer as a letter to the person, for paper; or let it be made as PDF."""
    user = reader(request)
    person = opened(user, request.POST.get("person", ""))
    if person is None:
        return _page(request, "page", status=400, form=IdentifierForm(), problem=_("Look the person up again."))
    subject, hashes = person
    if "pdf" in request.POST:
        return _start_pdf(request, user, subject, hashes)
    answer = answers.by_hashes(user, hashes, subject)
    try:
        record(request, user, answer)
    except Fault as fault:
        message = fault.message(get_language() or "id")
        return _page(request, "page", status=503, form=IdentifierForm(), problem=message)
    return _page(request, "letter", answer=answer)


def _start_pdf(request: HttpRequest, user: User, subject: str, hashes: list[str]) -> HttpResponse:
    parameters = {"subject": subject, "hashes": hashes}
    try:
        exports.start(user, "subject", parameters, format="pdf", language="id")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("exports")
    messages.success(request, _("The file is being made. You can go on with other work meanwhile."))
    return redirect("exports")
