"""The tables of what is called most, what is slow, what fails, and who calls most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mantra.statistics import links
from mantra.statistics.overall import share
from mantra.statistics.page import Page
from mantra.statistics.scopes import sees
from mantra.statistics.table import Column, Links, Rows, Table
from registry.models import Application, Operation
from registry.statistics.reading import Ranked, Totals


def _ranked(page: Page, name: str, title: Any, by: str, order: str, first: Column, with_bar: Any) -> Table:
    """Return a ranking. ``with_bar``: the title of the column by which it is ranked."""
    found = page.reading.ranking(by, order)
    pages = _PAGES[by](page, found)
    rows: Rows = []
    linked: Links = {}
    for number, each in enumerate(found):
        linked[number, 0] = pages[number]
        filters = _filters_of(page, by, each)
        if each.totals.failed:
            linked[number, 2] = links.history(filters, page.period, outcome_is="failed")
        linked[number, 1] = links.history(filters, page.period)
        rows.append((_name(each, _known(page, by)), *measures(each.totals)))
    return Table(name, title, (first, *measured(with_bar)), rows, linked)


CALLS, _FAILED, _WITHIN = _("Calls"), _("Failed"), _("95 of 100 within")


def measured(with_bar: Any) -> tuple[Column, ...]:
    """Return the columns of what is told of each line. ``with_bar``: the title of the one with a bar."""
    return (
        Column(CALLS, "number", bar=with_bar == CALLS), Column(_FAILED, "number", bar=with_bar == _FAILED),
        Column(_("Failed, share"), "percent", minor=True), Column(_WITHIN, "ms", bar=with_bar == _WITHIN),
    )  # fmt: skip


def measures(totals: Totals) -> tuple[Any, ...]:
    return totals.calls, totals.failed, share(totals.failed, totals.calls), totals.p95_ms


def _name(each: Ranked, known: int = 0) -> str:
    """Return the name of a line, without the first parts if they are known."""
    return "/".join(each.key[known:])


def _known(page: Page, by: str) -> int:
    """Return how many parts of the names of operations are those of the page."""
    selection = page.scope.selection
    return bool(selection.provider) + bool(selection.service) if by == "operation" else 0


def _filters_of(page: Page, by: str, each: Ranked) -> dict[str, str] | None:
    """Return the history's query for the calls of a line within the page's scope."""
    name = "of_operation" if by in ("operation", "provider") else "of_application"
    if page.scope.filters is None and name == "of_application":
        return None  # the calls of an application to one source cannot be told from its others
    slash = "/" if by in ("provider", "consumer") else ""
    return {**(page.scope.filters or {}), name: _name(each) + slash}


def _operation_pages(page: Page, found: list[Ranked]) -> list[str]:
    """Return the dashboards of operations that are there still, and the reader's to see."""
    refs = {each.ref for each in found if each.ref and sees(page.user, each.key[0])}
    there = set(Operation.objects.filter(pk__in=refs).values_list("pk", flat=True)) if refs else set()
    return [reverse("statistics_operation", args=(each.ref,)) if each.ref in there else "" for each in found]


def _application_pages(page: Page, found: list[Ranked]) -> list[str]:
    rows = Application.objects.filter(agency__code__in={each.key[0] for each in found})
    rows = rows.filter(code__in={each.key[1] for each in found})
    ids = {(agency, code): pk for agency, code, pk in rows.values_list("agency__code", "code", "pk")}
    return [
        reverse("statistics_application", args=(ids[each.key],))
        if sees(page.user, each.key[0]) and each.key in ids
        else ""
        for each in found
    ]


def _provider_pages(page: Page, found: list[Ranked]) -> list[str]:
    return [_agency_page(page, "statistics_agency", *each.key) for each in found]


def _consumer_pages(page: Page, found: list[Ranked]) -> list[str]:
    return [_agency_page(page, "statistics_caller", *each.key) for each in found]


def _agency_page(page: Page, whole: str, code: str) -> str:
    """Return what a line about an agency leads to: what goes on between it and the page's agency, or all of it.

    ``whole``: the name of the page with all calls to the agency, or by it.
    """
    selection = page.scope.selection
    if selection.provider:
        return reverse("statistics_pair", args=(selection.provider, code))
    if selection.consumer:
        return reverse("statistics_pair", args=(code, selection.consumer))
    return reverse(whole, args=(code,))


_PAGES: dict[str, Callable[[Page, list[Ranked]], list[str]]] = {
    "operation": _operation_pages, "application": _application_pages, "provider": _provider_pages,
    "consumer": _consumer_pages,
}  # fmt: skip

_OPERATION, _APPLICATION = Column(_("Operation")), Column(_("Application"))


def operations(page: Page) -> Table:
    return _ranked(page, "operations", _("Most called operations"), "operation", "calls", _OPERATION, CALLS)


def slowest(page: Page) -> Table:
    return _ranked(page, "slowest", _("Slowest operations"), "operation", "slowest", _OPERATION, _WITHIN)


def failing(page: Page) -> Table:
    return _ranked(page, "failing", _("Operations that fail most"), "operation", "failing", _OPERATION, _FAILED)


def callers(page: Page) -> Table:
    return _ranked(page, "callers", _("Applications that call most"), "application", "calls", _APPLICATION, CALLS)


def providers(page: Page) -> Table:
    title = _("Agencies that are called most")
    return _ranked(page, "providers", title, "provider", "calls", Column(_("Agency")), CALLS)


def consumers(page: Page) -> Table:
    title = _("Agencies that call most")
    return _ranked(page, "consumers", title, "consumer", "calls", Column(_("Agency")), CALLS)
