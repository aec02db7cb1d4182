"""The tables of what goes on between agencies."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mantra.statistics import links
from mantra.statistics.page import Page
from mantra.statistics.rankings import CALLS, measured, measures
from mantra.statistics.scopes import sees
from mantra.statistics.table import MOST, Column, Links, Rows, Table
from registry.models import Field

#: The classifications of personal data, the most sensitive first.
_PERSONAL = (Field.Classification.SPECIFIC.value, Field.Classification.PERSONAL.value)


def personal_data(page: Page) -> Table:
    """The personal data that left, by classification and agency: the most sensitive first, then the most rows."""
    found = [each for each in page.reading.personal_data if each.classification in _PERSONAL]
    found.sort(key=lambda each: (_PERSONAL.index(each.classification), -each.rows))
    rows: Rows = []
    linked: Links = {}
    for each in found[:MOST]:
        pair = {"of_operation": f"{each.provider}/", "of_application": f"{each.consumer}/"}
        if each.consumer:
            linked[len(rows), 0] = links.history(pair, page.period, classification_is=each.classification)
        linked[len(rows), 3] = _pair_page(page, each.provider, each.consumer)
        rows.append((each.classification, each.provider, each.consumer, each.calls, each.rows))
    columns = (
        Column(_("Classification"), "classification"), Column(_("From"), "agency"), Column(_("To"), "agency"),
        Column(_("Calls"), "number"), Column(_("Rows"), "number", bar=True),
    )  # fmt: skip
    hint = _("Each response counts once, as its most sensitive column.")
    return Table("personal_data", _("Personal data that left"), columns, rows, linked, hint=hint)


def matrix(page: Page) -> Table:
    rows: Rows = []
    linked: Links = {}
    for each in page.reading.matrix(MOST):
        linked[len(rows), 0] = _pair_page(page, each.provider, each.consumer)
        rows.append((each.provider, each.consumer, *measures(each.totals)[:3], each.totals.rows))
    rows_sent = Column(_("Rows"), "number", minor=True)
    columns = (Column(_("Provider"), "agency"), Column(_("Caller"), "agency"), *measured(CALLS)[:3], rows_sent)
    return Table("matrix", _("Who calls whom"), columns, rows, linked)


def _pair_page(page: Page, provider: str, consumer: str) -> str:
    if not (provider and consumer and sees(page.user, provider, consumer)):
        return ""
    return reverse("statistics_pair", args=(provider, consumer))
