"""The pages of the statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from mantra.statistics import files, live
from mantra.statistics.attention import matters
from mantra.statistics.grid import Grid, grid
from mantra.statistics.page import Page
from mantra.statistics.periods import CHOICES, period_of
from mantra.statistics.scopes import Scope, may_open, of_reader, scope_of
from mantra.statistics.shown import shown
from mantra.statistics.table import Table
from mantra.statistics.tables import first, further, tables
from registry import tenancy
from registry.models import User
from registry.statistics.reading import rolled_up_to

TITLE = _("Statistics")
#: The ending of a download → its type, and the function that writes tables so.
_FILES: dict[str, tuple[str, Callable[[list[Table]], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", lambda tables: files.csv_of(tables[0])),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", files.xlsx_of),
}
#: The tables that take the whole width of a page; the summary is shown as figures.
_WIDE = ("time", "matrix", "personal_data")
#: The pages across agencies: they have no figures.
_ACROSS = ("matrix", "personal_data")
#: The name of a download with all tables.
_ALL = "all"


def _reader(request: HttpRequest) -> User:
    """Return the reader. Raises PermissionDenied if they may see no statistics."""
    if not may_open(request.user):
        raise PermissionDenied
    assert isinstance(request.user, User)
    return request.user


@require_safe
def statistics(request: HttpRequest) -> HttpResponse:
    """Show the statistics of the bus, or lead to those of the reader's agency."""
    scope = of_reader(_reader(request))
    if scope.kind == "bus":
        return _page(request, scope)
    query = request.GET.urlencode()
    return redirect(scope.address + (f"?{query}" if query else ""))


@require_safe
def dashboard(request: HttpRequest, kind: str, **names: Any) -> HttpResponse:
    """Show the statistics of what the address names."""
    return _page(request, scope_of(kind, "/".join(map(str, names.values())), _reader(request)))


def _page(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Return a page, the part of it that follows (?part=further), or a file (?download=)."""
    page = Page(scope, period_of(request), _reader(request))
    if "download" in request.GET:
        return _download(page, request.GET["download"])
    if request.GET.get("part") == "further":
        return _uncached(TemplateResponse(request, "statistics/further.html", _further(page)))
    is_dashboard = scope.kind not in _ACROSS
    is_empty = is_dashboard and not page.reading.totals.calls
    found = [] if is_empty else first(page)
    # Without scripts nothing follows by itself: a link leads to the whole page.
    follows = is_dashboard and not is_empty and "all" not in request.GET
    return _response(request, "statistics/dashboard.html", scope, {
        "page": page,
        "is_empty": is_empty,
        "periods": _periods(page),
        "before": CHOICES[page.period.days][1],
        "figures": page.figures if is_dashboard else [],
        "grid": None if is_dashboard else _grid(found),
        "wide": [shown(table) for table in found if table.name in _WIDE],
        "cards": [shown(table) for table in found if table.name not in (*_WIDE, "summary")],
        "counted_to": rolled_up_to(),
        "downloads": f"?days={page.period.days}&download=",
        "follows": follows,
        "more": _further(page) if is_dashboard and not follows else None,
    })  # fmt: skip


def _further(page: Page) -> dict[str, Any]:
    """Return the context of what follows: what needs attention, and the further tables."""
    is_empty = not page.reading.totals.calls
    found = {table.name: table for table in further(page)} if not is_empty else {}
    return {
        "matters": matters(page.scope, found.get("failing"), page.user),
        "cards": [shown(table) for name, table in found.items() if name not in _WIDE],
        "wide": [shown(table) for name, table in found.items() if name in _WIDE],
        "downloads": f"?days={page.period.days}&download=",
    }


def _grid(found: list[Table]) -> Grid | None:
    return next((grid(table) for table in found if table.name == "matrix"), None)


def _periods(page: Page) -> list[dict[str, Any]]:
    return [
        {"title": title, "url": f"{page.scope.address}?days={days}", "is_chosen": days == page.period.days}
        for days, (title, _before) in CHOICES.items()
    ]


def _response(request: HttpRequest, template: str, scope: Scope, context: dict[str, Any]) -> HttpResponse:
    assert isinstance(request.user, User)
    context = {
        **admin.site.each_context(request),
        "title": scope.title,
        "scope": scope,
        "pages": _pages(scope, request.user),
        "path": request.path,
        **context,
    }
    return _uncached(TemplateResponse(request, template, context))


def _uncached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


def _pages(scope: Scope, user: User) -> list[tuple[Any, str]]:
    """Return the titles and addresses of the pages to which each page leads: the reader's own, or of all agencies."""
    found: list[tuple[Any, str]] = []
    if tenancy.sees_all_agencies(user):
        found.append((_("All agencies"), reverse("statistics")))
    agency = scope.agency if tenancy.sees_all_agencies(user) else user.agency.code if user.agency else ""
    if agency:
        found.append((_("Calls to %(agency)s") % {"agency": agency}, reverse("statistics_agency", args=(agency,))))
        found.append((_("Calls by %(agency)s") % {"agency": agency}, reverse("statistics_caller", args=(agency,))))
    found.append((_("Who calls whom"), reverse("statistics_matrix")))
    found.append((_("Personal data that left"), reverse("statistics_personal_data")))
    return found


# ------------------------------------------------------------------------------------------ downloads


def _download(page: Page, name: str) -> HttpResponse:
    """Return a table, or all of the page, as a file: "time.csv", "time.xlsx", "all.xlsx"."""
    wanted, _dot, ending = name.partition(".")
    found = [table for table in tables(page) if wanted in (table.name, _ALL)]
    if not found or ending not in _FILES or (wanted == _ALL and ending == "csv"):
        raise Http404
    content_type, write = _FILES[ending]
    response = HttpResponse(write(found), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{_file_name(page, wanted)}.{ending}"'
    return _uncached(response)


def _file_name(page: Page, table: str) -> str:
    key = page.scope.key.replace("/", "-").replace(" ", "-")
    parts = ("statistics", page.scope.kind, key, table, page.period.first.isoformat(), page.period.last.isoformat())
    return "_".join(part for part in parts if part)


# ---------------------------------------------------------------------------------------------- live


@require_safe
def latest(request: HttpRequest) -> HttpResponse:
    """Show the latest calls: of ?kind= and ?key=, or all that the reader may see. Its page polls it."""
    user = _reader(request)
    kind, key = request.GET.get("kind", ""), request.GET.get("key", "")
    scope = scope_of(kind or "matrix", key, user)
    only_ill, paused = "ill" in request.GET, "paused" in request.GET
    return _response(request, "statistics/live.html", scope, {
        "title": _("Latest calls"),
        "of": scope if kind else None,
        "lines": live.lines(scope, user, only_ill),
        "only_ill": only_ill,
        "paused": paused,
        "here": request.get_full_path(),
        "seconds": live.SECONDS,
        "choices": {name: _toggled(request, name) for name in ("ill", "paused")},
    })  # fmt: skip


def _toggled(request: HttpRequest, name: str) -> str:
    """Return the query of this page with a switch turned over."""
    query = request.GET.copy()
    if query.pop(name, None) is None:
        query[name] = "1"
    return f"?{query.urlencode()}"
