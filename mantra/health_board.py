"""The health board: all backends and data sources that the user may see, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from dataservices import connection_test
from dataservices import health as source_health
from dataservices.models import DataSource
from proxyservices.health import advice, summary
from proxyservices.models import Backend
from registry import tenancy

TITLE = _("Health board")
#: Seconds between two looks of an open page, and the most lines of it.
SECONDS, MOST = 5, 200
#: State → its rank on the board (the worst is 0), its name and the colour of its label.
STATES: dict[str, tuple[int, Any, str]] = {
    "open": (0, _("circuit open: calls are paused"), "no"),
    "half-open": (1, _("circuit half-open: the next call is a trial"), "warn"),
    "failing": (2, _("not reached by the last call"), "warn"),
    "ejected": (2, _("ejected: other addresses are tried first"), "warn"),
    "healthy": (3, _("healthy"), "yes"),
    "unknown": (4, _("not called recently"), "mute"),
}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """A backend or a source on the board. ``error``: its last failure in plain words; ``detail``: where and what."""

    kind: str
    name: str
    url: str
    state: str
    since: datetime | None = None
    error: str = ""
    failed_at: datetime | None = None
    detail: str = ""

    @property
    def label(self) -> Any:
        return STATES[self.state][1]

    @property
    def colour(self) -> str:
        return STATES[self.state][2]

    @property
    def order(self) -> tuple[Any, ...]:
        """The worst first; among equals, what began last."""
        return STATES[self.state][0], -(self.since or _LONG_AGO).timestamp() if self.since else 0.0, self.name


def may_open(user: Any) -> bool:
    """Return True if a user may see backends or sources."""
    return bool(user.has_perm("proxyservices.view_backend") or user.has_perm("dataservices.view_datasource"))


def lines(user: Any) -> list[Line]:
    """Return the board of a user, the worst first. Of those that nobody called lately there are MOST of each kind."""
    found: list[Line] = []
    if user.has_perm("proxyservices.view_backend"):
        found += _backends(user)
    if user.has_perm("dataservices.view_datasource"):
        found += _sources(user)
    return sorted(found, key=lambda line: line.order)


def _backends(user: Any) -> Iterator[Line]:
    rows = tenancy.visible(Backend.objects.select_related("agency"), user)
    states = summary.backends(rows)
    known = rows.in_bulk(list(states))
    for pk, of_backend in states.items():
        server, worst = of_backend.server, of_backend.summary
        failure = advice.failure_name(worst.phase, worst.reason)
        yield Line(
            "backend",
            str(known[pk]),
            reverse("admin:proxyservices_backend_change", args=(pk,)),
            of_backend.state,
            worst.since,
            advice.advise(worst.phase, worst.reason) if worst.phase else failure,
            worst.failed_at,
            f"{server.url} · {failure}" if failure else "",
        )
    for row in rows.exclude(pk__in=known)[:MOST]:
        yield Line("backend", str(row), reverse("admin:proxyservices_backend_change", args=(row.pk,)), "unknown")


def _sources(user: Any) -> Iterator[Line]:
    rows = tenancy.visible(DataSource.objects.select_related("agency"), user)
    states = source_health.live(rows.order_by().values("pk"))
    known = rows.in_bulk(list(states))
    for pk, state in states.items():
        words = connection_test.advise(state.reason, known[pk]) if state.reason else ""
        url = reverse("admin:dataservices_datasource_change", args=(pk,))
        yield Line("source", str(known[pk]), url, state.state, state.since, words, state.failed_at)
    for row in rows.exclude(pk__in=known)[:MOST]:
        yield Line("source", str(row), reverse("admin:dataservices_datasource_change", args=(row.pk,)), "unknown")


@require_safe
def board(request: HttpRequest) -> HttpResponse:
    """Show the board. Its page polls it."""
    if not may_open(request.user):
        raise PermissionDenied
    found = lines(request.user)
    context = {
        **admin.site.each_context(request),
        "title": TITLE,
        "lines": found[:MOST],
        "more": len(found) - MOST,
        "bad": sum(STATES[line.state][0] < STATES["healthy"][0] for line in found),
        "address": request.path,
        "seconds": SECONDS,
    }
    alone = request.headers.get("HX-Request")
    template = "mantra/health_board_lines.html" if alone else "mantra/health_board.html"
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response
