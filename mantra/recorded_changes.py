"""Says who acts in a request to the admin or the management API, and refuses changes that the journal cannot record."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import get_language

from registry import faults
from registry.actors import Actor, acting
from registry.client_ip import client_ip
from registry.results import Fault

#: The first segment of the management API's addresses.
_API = "/manage/"


class ActorMiddleware:
    """Lets the request's user be the one who acts, for the change journal (registry/change_journal.py)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with acting(lambda: _actor_of(request)):
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return 503 for what was refused because the journal cannot be written; it was undone."""
        if not isinstance(error, Fault) or error.kind is not faults.JOURNAL_DOWN:
            return None
        if request.path.startswith(_API):
            return JsonResponse({"detail": error.message(get_language() or "id")}, status=503)
        return render(request, "503.html", status=503)


def _actor_of(request: HttpRequest) -> Actor:
    # The API finds out the user of a token later, and sets it.
    user = getattr(request, "user", None)
    door = "api" if request.path.startswith(_API) else "admin"
    return Actor(user.get_username() if user is not None else "", door, client_ip(request.META))
