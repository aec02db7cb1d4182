"""What all pages have: their frame, and who may open them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy

from mantra.legacy_import.models import LegacyImport
from mantra.legacy_import.pages import inputs
from registry import tenancy
from registry.exports import ExportError
from registry.exports import problems as export_problems
from registry.models import User

TITLE = gettext_lazy("Moving in from MANTRA 1.99x")
#: Seconds between two looks of a page at what is in progress.
SECONDS = 2


def page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    """Return a page, which no cache keeps."""
    context = {**admin.site.each_context(request), **context}
    response = TemplateResponse(request, f"legacy_import/{template}.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def may_open(user: Any) -> bool:
    """Return True if a user may import: whoever imports makes agencies, users and keys of all agencies."""
    return tenancy.is_administrator(user)


def user_of(request: HttpRequest) -> User:
    """Return the user, who may import. Raises PermissionDenied."""
    if not isinstance(request.user, User) or not may_open(request.user):
        raise PermissionDenied
    return request.user


def run_of(request: HttpRequest, pk: int) -> LegacyImport:
    """Return a run. Raises Http404 and PermissionDenied."""
    user_of(request)
    return get_object_or_404(LegacyImport.objects.select_related("input", "user"), pk=pk)


def store_file(form: forms.Form, field: str, too_large: Callable[[], str]) -> tuple[str, str, str] | None:
    """Return the name of a form's file for people, where it is stored, and its key. None, with an error of the form, if
    it cannot be stored."""
    try:
        return _stored(form.cleaned_data[field])
    except ExportError as error:
        form.add_error(field, too_large() if error.problem == "too-large" else export_problems.sentence("disk"))
    except OSError:
        form.add_error(field, export_problems.sentence("disk"))
    return None


def _stored(file: Any) -> tuple[str, str, str]:
    """Store an uploaded file, piece by piece. Raises ExportError and OSError."""
    if file.problem:
        raise ExportError(file.problem)
    name = "".join(letter for letter in file.name if letter.isprintable())[:200]
    return name or "file", *inputs.store(file.chunks())
