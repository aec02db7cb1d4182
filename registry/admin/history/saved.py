"""Saved filters: a person's own names for filters of the call history."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from registry.admin.history.suggesting import RIGHT
from registry.models import SavedFilter, User
from registry.pages import address

LIST = "admin:registry_callrecord_changelist"


def of_list(request: HttpRequest) -> dict[str, Any]:
    """Return what the list shows of the user's saved filters, and of the filter that is set."""
    query = as_saved(request.GET)
    rows = list(SavedFilter.objects.filter(user=_reader(request)))
    export = address("export_history")
    return {
        "export_address": f"{export}?{query}" if export else "",
        "saved_filters": rows,
        "present_query": query,
        "present_filter": next((row for row in rows if row.query == query), None),
    }


def as_saved(parameters: QueryDict) -> str:
    """Return a query string without empty parts and without a page, in one order."""
    kept = sorted(
        (name, value)
        for name, values in parameters.lists()
        for value in values
        if value and name not in (PAGE_VAR, ERROR_FLAG)
    )
    return urlencode(kept)


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Save the filter that is set under a name. One that the user has by this name is replaced."""
    user, name = _reader(request), request.POST.get("name", "").strip()
    query = as_saved(QueryDict(request.POST.get("query", "")))
    row = SavedFilter.objects.filter(user=user, name=name).first() or SavedFilter(user=user, name=name)
    row.query = query
    try:
        row.full_clean()
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return _back(query)
    row.save()
    messages.success(request, _("The filter “%(name)s” is saved. Only you see it.") % {"name": name})
    return _back(query)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a filter of the user's own."""
    row = get_object_or_404(SavedFilter, pk=pk, user=_reader(request))
    row.delete()
    messages.success(request, _("The saved filter “%(name)s” is deleted.") % {"name": row.name})
    return _back(as_saved(QueryDict(request.POST.get("query", ""))))


def _reader(request: HttpRequest) -> User:
    """Return the user, who may read the history. Raises PermissionDenied."""
    if not isinstance(request.user, User) or not request.user.has_perm(RIGHT):
        raise PermissionDenied
    return request.user


def _back(query: str) -> HttpResponse:
    response = redirect(LIST)
    if query:
        response["Location"] += f"?{query}"
    return response
