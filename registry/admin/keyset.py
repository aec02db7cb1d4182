"""Pages of a list by key: the next page begins at the last row of this one. No page costs more than the first.

With OFFSET the database reads and skips all rows before a page, and a list of many rows is counted for its last page.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from registry.admin.numbers import number_of
from registry.admin.theme import ChangeList, InfinitePaginator

OLDER, NEWER = "o", "n"


class KeysetPaginator(InfinitePaginator):
    """Counts nothing, and names the template with the links."""

    template_name = "mantra/keyset_pagination.html"


class KeysetChangeList(ChangeList):
    """A list in the order of a time column, the latest first. In another order it has one page.

    The page is a letter and the id of a row: what is older, or newer, than that row.
    """

    column = "started_at"
    older: str = ""
    newer: str = ""

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return what a column sorts by, None for one that is not offered: an address can name any column."""
        return super().get_ordering_field(field_name) if field_name in self.sortable_by else None

    def get_results(self, request: HttpRequest) -> None:
        by_time = ORDER_VAR not in self.params
        rows, older, newer = self._page(request.GET.get(PAGE_VAR, "") if by_time else "")
        self.older = self._link(OLDER, rows[-1]) if by_time and older else ""
        self.newer = self._link(NEWER, rows[0]) if by_time and newer else ""
        self.one_page_of_more = older and not by_time
        self.result_list = rows
        self.result_count = len(rows)
        self.full_result_count = len(rows)
        self.show_full_result_count = False
        self.show_admin_actions = False
        self.can_show_all = self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    def _page(self, place: str) -> tuple[list[Any], bool, bool]:
        """Return the rows of a page, and whether there are older and newer ones."""
        row = self._row(place[1:]) if place[:1] in (OLDER, NEWER) else None
        if row is None:
            rows, more = self._first(self.queryset)
            return rows, more, False
        if place[0] == OLDER:
            rows, more = self._first(self.queryset.filter(self._beyond(row, "lt")))
            return rows, more, bool(rows)
        rows, more = self._first(self.queryset.filter(self._beyond(row, "gt")).reverse())
        if len(rows) < self.list_per_page:
            return self._page("")  # nothing is missed: these and the rows after them are the first page
        return rows[::-1], True, more

    def _row(self, key: str) -> Any:
        return self.root_queryset.filter(pk=number_of(key)).first()

    def _beyond(self, row: Any, side: str) -> Q:
        """Return the condition for the rows on one side of a row. Its first part is what an index finds."""
        time = getattr(row, self.column)
        beyond = Q(**{f"{self.column}__{side}": time}) | Q(**{f"pk__{side}": row.pk})
        return Q(**{f"{self.column}__{side}e": time}) & beyond

    def _first(self, rows: QuerySet[Any]) -> tuple[list[Any], bool]:
        """Return the first rows, and whether there are more."""
        found = list(rows[: self.list_per_page + 1])
        return found[: self.list_per_page], len(found) > self.list_per_page

    def _link(self, side: str, row: Any) -> str:
        return str(self.get_query_string({PAGE_VAR: f"{side}{row.pk}"}))
