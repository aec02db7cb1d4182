"""The numbers of one page: each is read once, when a table or a figure first needs it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mantra.statistics.periods import step_of
from mantra.statistics.scopes import Scope
from mantra.statistics.table import TOP
from registry.statistics import reading
from registry.statistics.reading import Cell, Left, Outcome, Period, Point, Ranked, Totals

#: The kinds of scope whose distinct persons are counted.
_OF_PERSONS = frozenset(("bus", "agency", "caller", "pair", "operation", "application"))


@dataclass
class Reading:
    """What is counted of a scope in a period."""

    scope: Scope
    period: Period

    @property
    def step(self) -> str:
        return step_of(self.period)

    @cached_property
    def totals(self) -> Totals:
        return reading.totals(self.scope.selection, self.period)

    @cached_property
    def before(self) -> Totals:
        return reading.totals(self.scope.selection, self.period.before)

    @cached_property
    def points(self) -> list[Point]:
        return reading.series(self.scope.selection, self.period, self.step)

    @cached_property
    def outcomes(self) -> list[Outcome]:
        return reading.outcomes(self.scope.selection, self.period)

    @cached_property
    def hours(self) -> dict[tuple[int, int], int]:
        return reading.heat_map(self.scope.selection, self.period)

    @cached_property
    def personal_data(self) -> list[Left]:
        return reading.personal_data(self.scope.selection, self.period)

    def matrix(self, limit: int) -> list[Cell]:
        return reading.matrix(self.scope.selection, self.period, limit)

    @cached_property
    def operations(self) -> dict[str, list[Ranked]]:
        """The operations by calls, the slowest, and those that fail most."""
        return reading.rankings(self.scope.selection, self.period, "operation", ("calls", "slowest", "failing"), TOP)

    def ranking(self, by: str, order: str) -> list[Ranked]:
        if by == "operation":
            return self.operations[order]
        return reading.ranking(self.scope.selection, self.period, by, order, TOP)

    def persons(self, period: Period) -> int | None:
        """Return about how many distinct persons were asked for; None if they are not counted of such a scope."""
        return reading.subjects(self.scope.selection, period) if self.scope.kind in _OF_PERSONS else None
