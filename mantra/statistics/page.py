"""A page: whose calls, of which period, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mantra.statistics.figures import Figure, figures
from mantra.statistics.reading import Reading
from mantra.statistics.scopes import Scope
from registry.models import User
from registry.statistics.reading import Period


@dataclass
class Page:
    """What the tables of a page are made from."""

    scope: Scope
    period: Period
    user: User

    @cached_property
    def reading(self) -> Reading:
        return Reading(self.scope, self.period)

    @cached_property
    def figures(self) -> list[Figure]:
        return figures(self.reading)
