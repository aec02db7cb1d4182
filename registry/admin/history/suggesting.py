"""What a filter's field suggests while its text is typed."""

from __future__ import annotations

from dataclasses import asdict

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from registry.admin.history import names

#: The right to read the history.
RIGHT = "registry.view_callrecord"
#: The most characters of a text that are searched for.
LONGEST = 100


@require_safe
def suggest(request: HttpRequest, kind: str) -> JsonResponse:
    """Return the suggestions of a kind for the text ``q``, of what the user may know."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    if kind not in names.KINDS:
        raise Http404
    found = names.suggestions(request.user, kind, request.GET.get("q", "").replace("\0", "")[:LONGEST])
    response = JsonResponse({"suggestions": [asdict(each) for each in found]})
    response["Cache-Control"] = "no-store"
    return response
