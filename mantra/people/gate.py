"""What stands between signing in and everything else: a password to change, a second factor to set up."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _

from registry.people import second_factor, sessions

#: What may be opened meanwhile, beside the step itself.
_ALWAYS = frozenset(("admin:logout", "set_language", "admin:jsi18n", "account_reauthenticate"))
_PASSWORD, _FACTOR = "account_change_password", "mfa_index"


def step(request: HttpRequest) -> str:
    """Return the name of the page that the user must go through first, "" if there is none."""
    if SESSION_KEY not in request.session or not request.user.is_authenticated:
        return ""
    if request.user.must_change_password:
        return _PASSWORD
    if second_factor.MISSING in request.session:
        second_factor.note(request.session, request.user)  # the rule may have been lifted meanwhile
    return _FACTOR if second_factor.MISSING in request.session else ""


def _open(request: HttpRequest, step_name: str) -> bool:
    """Return True if a page may be opened before the step."""
    try:
        name = resolve(request.path_info).view_name
    except Resolver404:
        return False
    return name in _ALWAYS or name == step_name or (step_name == _FACTOR and name.startswith("mfa_"))


class SignInGate:
    """Leads people who have to do something first to its page. They reach nothing else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        first = step(request)
        if first and not _open(request, first):
            return self._lead(request, first)
        if SESSION_KEY in request.session and request.user.is_authenticated:
            sessions.note_use(request.session)
        return self.get_response(request)

    def _lead(self, request: HttpRequest, first: str) -> HttpResponse:
        if request.path.startswith("/manage/api/"):
            detail = _("Open the admin first: it asks for a new password or a second factor.")
            return JsonResponse({"detail": detail}, status=403)
        return redirect(first)
