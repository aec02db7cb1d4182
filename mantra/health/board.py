"""The health board: what the user may know of the bus's health, the worst first."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from mantra.health.checks import LABELS, findings_for
from mantra.health.findings import Finding, State
from registry import tenancy

TITLE = _("Health board")
#: Seconds between two looks of an open page, and the most lines of it.
SECONDS, MOST = 5, 200
#: The state of a finding → its name, and the colour of its label.
STATES: dict[State, tuple[Any, str]] = {
    "ill": (_("has a problem"), "no"),
    "warn": (_("needs attention"), "warn"),
    "unknown": (_("not known"), "mute"),
    "well": (_("healthy"), "yes"),
}
#: Who may see a line of the board at least: the rights of agencies' people.
RIGHTS = ("proxyservices.view_backend", "dataservices.view_datasource")


def may_open(user: Any) -> bool:
    """Return True if a user may see backends or sources."""
    return any(user.has_perm(right) for right in RIGHTS)


def line(finding: Finding) -> dict[str, Any]:
    """Return a finding with the words of its area and state, as a template shows it."""
    label, colour = STATES[finding.state]
    return {"finding": finding, "area": LABELS[finding.area], "label": label, "colour": colour}


@require_safe
def board(request: HttpRequest) -> HttpResponse:
    """Show the board. Its page polls it."""
    if not may_open(request.user):
        raise PermissionDenied
    found = findings_for(request.user)
    context = {
        **admin.site.each_context(request),
        "title": TITLE,
        "lines": [line(each) for each in found[:MOST]],
        "more": len(found) - MOST,
        "bad": sum(each.needs_attention for each in found),
        "of_server": tenancy.sees_all_agencies(request.user),
        "address": request.path,
        "seconds": SECONDS,
    }
    alone = request.headers.get("HX-Request")
    template = "mantra/health_board_lines.html" if alone else "mantra/health_board.html"
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response
