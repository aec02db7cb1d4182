"""The page of one's own sessions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from mantra.people import frames
from registry.models import User
from registry.people import sessions

TITLE = gettext_lazy("My sessions")


@never_cache
@login_required
def own_sessions(request: HttpRequest) -> HttpResponse:
    """List the user's sessions, and end one or all others."""
    assert isinstance(request.user, User)
    if request.method == "POST":
        return _end(request, request.user)
    lines = [sessions.line(row, request.session.session_key) for row in sessions.of(request.user)]
    context: dict[str, Any] = {**frames.context(request, TITLE), "lines": lines}
    return TemplateResponse(request, "people/sessions.html", context)


def _end(request: HttpRequest, user: User) -> HttpResponse:
    chosen = request.POST.get("session", "")
    if chosen.isdecimal():
        sessions.end_one(user, int(chosen[:18]))
    else:
        sessions.end_all(user, but=request.session.session_key)
    messages.success(request, _("The session has ended."))
    return redirect("own_sessions")
