"""The tables of each dashboard. Charts draw them, people read, print and download them, reports export them."""

from __future__ import annotations

from collections.abc import Callable

from mantra.statistics.between import matrix, personal_data
from mantra.statistics.overall import ended, hours, outcomes, over_time, summary
from mantra.statistics.page import Page
from mantra.statistics.rankings import callers, consumers, failing, operations, providers, slowest
from mantra.statistics.scopes import scope_of
from mantra.statistics.table import Table
from registry.models import User
from registry.statistics.reading import Period

Maker = Callable[[Page], Table]

#: What a page shows at once, and what follows: rankings of a long period take a moment.
_FIRST: tuple[Maker, ...] = (summary, over_time, ended, outcomes)
_RANKED: tuple[Maker, ...] = (operations, slowest, failing)
#: Kind of scope → the tables that follow.
_FURTHER: dict[str, tuple[Maker, ...]] = {
    "bus": (*_RANKED, callers, providers, consumers, hours, personal_data),
    "agency": (*_RANKED, callers, consumers, hours, personal_data),
    "caller": (*_RANKED, callers, providers, hours, personal_data),
    "pair": (*_RANKED, callers, hours, personal_data),
    "service": (*_RANKED, callers, hours, personal_data),
    "operation": (callers, hours, personal_data),
    "application": (*_RANKED, hours, personal_data),
    "backend": (*_RANKED, callers, hours),
    "source": (*_RANKED, callers, hours),
}
#: The pages across agencies have one table.
_ACROSS: dict[str, Maker] = {"matrix": matrix, "personal_data": personal_data}


def tables_of(kind: str, key: str, period: Period, user: User) -> list[Table]:
    """Return the tables of a dashboard. Raises Http404 if the user may not see it.

    ``kind`` and ``key``: bus "", agency or caller (the calls to and by an agency) "code", pair "provider/consumer",
    service "agency/service", operation, application, backend or source "id".
    """
    return tables(Page(scope_of(kind, key, user), period, user))


def tables(page: Page) -> list[Table]:
    """Return the tables of a page."""
    return [*first(page), *further(page)]


def first(page: Page) -> list[Table]:
    """Return the tables that a page shows at once."""
    alone = _ACROSS.get(page.scope.kind)
    return [maker(page) for maker in ((alone,) if alone is not None else _FIRST)]


def further(page: Page) -> list[Table]:
    """Return the tables that follow."""
    return [maker(page) for maker in _FURTHER.get(page.scope.kind, ())]
