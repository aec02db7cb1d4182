"""The card of statistics: how much was called, how well, and what fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mantra.home.cards import Card, Line, Link
from mantra.statistics import attention, words
from mantra.statistics.figures import Figure
from mantra.statistics.page import Page
from mantra.statistics.periods import CHOICES, DEFAULT
from mantra.statistics.rankings import failing
from mantra.statistics.scopes import Scope, may_open, of_reader
from registry.models import User
from registry.statistics.reading import Period, Totals

#: The availability in percent from which on it is good, and from which on it is not bad.
GOOD, FAIR = 99.0, 95.0
#: The most operations that are named.
_MOST = 3


def usage(user: User) -> Card:
    """Return the numbers of the bus, or of the user's agency, and the operations that fail most."""
    scope = of_reader(user) if may_open(user) else None
    return Card(
        "usage", _("Statistics"), list(_lines(scope, user)) if scope is not None else [],
        _("No call has been counted in the last 30 days."),
        (Link(_("All statistics"), scope.address),) if scope is not None else (),
    )  # fmt: skip


def _lines(scope: Scope, user: User) -> Iterator[Line]:
    page = Page(scope, Period.of(DEFAULT), user)
    if not page.reading.totals.calls:
        return
    yield _line(scope, 1, Page(scope, Period.of(1), user).reading.totals, "")
    yield _line(scope, DEFAULT, page.reading.totals, _change(page))
    for each in list(attention.of_operations(failing(page)))[:_MOST]:
        yield Line(each.name, each.url, "", each.text, each.colour)


def _change(page: Page) -> str:
    """Return how the number of calls has changed; "" if it has not."""
    calls = Figure("calls", "", "number", page.reading.totals.calls, page.reading.before.calls)
    return gettext("%(change)s than the 30 days before") % {"change": calls.change} if calls.arrow else ""


def _line(scope: Scope, days: int, totals: Totals, note: Any) -> Line:
    text = ngettext("%(calls)s call", "%(calls)s calls", totals.calls) % {"calls": words.number(totals.calls)}
    share = totals.availability
    state = gettext("%(share)s available") % {"share": words.percent(share)} if share is not None else ""
    colour = "mute" if share is None else "yes" if share >= GOOD else "warn" if share >= FAIR else "no"
    return Line(f"{str(CHOICES[days][0]).capitalize()}: {text}", f"{scope.address}?days={days}", note, state, colour)
