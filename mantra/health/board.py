"""The health board: all backends and data sources that the user may see, the worst first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from dataservices import connection_test
from dataservices import health as source_health
from dataservices.models import DataSource
from proxyservices.health import advice, summary
from proxyservices.health.summary import BackendSummary
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
#: What the board shows → its model, and the right to see it.
_KINDS: dict[str, tuple[type[Backend | DataSource], str]] = {
    "backend": (Backend, "proxyservices.view_backend"),
    "source": (DataSource, "dataservices.view_datasource"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """The state of a backend or a source. ``found``: what is known of it, None if nobody called it lately."""

    kind: str
    pk: int
    state: str = "unknown"
    since: datetime | None = None
    found: BackendSummary | source_health.Summary | None = None

    @property
    def order(self) -> tuple[int, float]:
        """The worst first; among equals, what began last."""
        return STATES[self.state][0], -self.since.timestamp() if self.since else 0.0

    @property
    def is_ill(self) -> bool:
        return STATES[self.state][0] < STATES["healthy"][0]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the board. ``error``: the last failure in plain words; ``detail``: where and what."""

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


def may_open(user: Any) -> bool:
    """Return True if a user may see backends or sources."""
    return any(user.has_perm(right) for _model, right in _KINDS.values())


def entries(user: Any) -> list[Entry]:
    """Return the board of a user, the worst first. Of those that nobody called lately there are MOST of each kind."""
    found: list[Entry] = []
    for kind, rows in _seen_by(user).items():
        known = _called(kind, rows)
        found += [*known, *_uncalled(kind, rows, [entry.pk for entry in known])]
    return sorted(found, key=lambda entry: entry.order)


def ill(user: Any) -> list[Entry]:
    """Return what of the board is not healthy, the worst first."""
    found = [entry for kind, rows in _seen_by(user).items() for entry in _called(kind, rows) if entry.is_ill]
    return sorted(found, key=lambda entry: entry.order)


def _seen_by(user: Any) -> dict[str, QuerySet[Any]]:
    """Return the rows of each kind that a user may see."""
    return {
        kind: tenancy.visible(model._default_manager.all(), user)
        for kind, (model, right) in _KINDS.items()
        if user.has_perm(right)
    }


def _called(kind: str, rows: QuerySet[Any]) -> list[Entry]:
    """Return the entries of those rows that were called lately."""
    if kind == "backend":
        backends = summary.backends(rows)
        return [Entry(kind, pk, each.state, each.summary.since, each) for pk, each in backends.items()]
    sources = source_health.live(rows.order_by().values("pk"))
    return [Entry(kind, pk, each.state, each.since, each) for pk, each in sources.items()]


def _uncalled(kind: str, rows: QuerySet[Any], known: Collection[int]) -> list[Entry]:
    return [Entry(kind, pk) for pk in rows.exclude(pk__in=known).values_list("pk", flat=True)[:MOST]]


def lines(shown: Sequence[Entry]) -> list[Line]:
    """Return the lines of entries. Only what is shown is read with its columns, and put into words."""
    rows = {
        kind: model._default_manager.select_related("agency").in_bulk([each.pk for each in shown if each.kind == kind])
        for kind, (model, _right) in _KINDS.items()
    }
    return [_line(each, rows[each.kind][each.pk]) for each in shown if each.pk in rows[each.kind]]


def _line(entry: Entry, row: Any) -> Line:
    page = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,))
    begin = (entry.kind, str(row), page, entry.state, entry.since)
    if isinstance(entry.found, BackendSummary):
        return Line(*begin, *_words_of_backend(entry.found))
    if entry.found is not None:
        words = connection_test.advise(entry.found.reason, row) if entry.found.reason else ""
        return Line(*begin, words, entry.found.failed_at)
    return Line(*begin)


def _words_of_backend(found: BackendSummary) -> tuple[str, datetime | None, str]:
    """Return what is said of a backend's worst server: the error, its time, and where."""
    worst = found.summary
    failure = advice.failure_name(worst.phase, worst.reason)
    words = advice.advise(worst.phase, worst.reason) if worst.phase else failure
    return words, worst.failed_at, f"{found.server.url} · {failure}" if failure else ""


@require_safe
def board(request: HttpRequest) -> HttpResponse:
    """Show the board. Its page polls it."""
    if not may_open(request.user):
        raise PermissionDenied
    found = entries(request.user)
    context = {
        **admin.site.each_context(request),
        "title": TITLE,
        "lines": lines(found[:MOST]),
        "more": len(found) - MOST,
        "bad": sum(entry.is_ill for entry in found),
        "address": request.path,
        "seconds": SECONDS,
    }
    alone = request.headers.get("HX-Request")
    template = "mantra/health_board_lines.html" if alone else "mantra/health_board.html"
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response
