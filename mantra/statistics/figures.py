"""The headline numbers of a page, each against the period before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext as _

from mantra.statistics import links, words
from mantra.statistics.reading import Reading
from registry.statistics.reading import Totals

#: Unit → the change that is none: of durations the classes are known only, of a share in points.
_SAME, _SAME_OF = 0.5, {"percent": 0.1, "ms": 10.0}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and what it was. ``better``: whether "more" or "less" of it is good, "" if neither.

    ``comparable``: False if the period before is longer than what has passed of this one, which is then not judged.
    """

    name: str
    title: Any
    unit: str
    value: float | None
    before: float | None
    better: str = ""
    url: str = ""
    comparable: bool = True

    @property
    def full_title(self) -> Any:
        """The title with the unit, for values without one."""
        unit = words.UNIT_NAMES.get(self.unit)
        return format_lazy("{} ({})", self.title, unit) if unit else self.title

    @property
    def text(self) -> str:
        return words.text_of(self.value, self.unit)

    @property
    def text_before(self) -> str:
        return words.text_of(self.before, self.unit)

    @property
    def _difference(self) -> float | None:
        """The change: in points of a share, else in percent; None if it cannot be told."""
        if self.value is None or self.before is None or not self.comparable:
            return None
        if self.unit == "percent":
            return self.value - self.before
        return 100 * (self.value - self.before) / self.before if self.before else None

    @property
    def _is_same(self) -> bool:
        return abs(self._difference or 0) < _SAME_OF.get(self.unit, _SAME)

    @property
    def change(self) -> str:
        """The change in words; "" if it cannot be told."""
        found = self._difference
        if found is None:
            return ""
        if self._is_same:
            return _("as before")
        size = words.number_of(abs(found), 1 if abs(found) < 10 else 0)
        if self.unit == "percent":
            text = _("%(size)s points more") if found > 0 else _("%(size)s points less")
        else:
            text = _("%(size)s %% more") if found > 0 else _("%(size)s %% less")
        return text % {"size": size}

    @property
    def trend(self) -> str:
        """Whether the change is good or bad; "" if neither."""
        found = self._difference
        if found is None or not self.better or self._is_same:
            return ""
        return "good" if (found > 0) == (self.better == "more") else "bad"

    @property
    def arrow(self) -> str:
        found = self._difference
        return "" if found is None or self._is_same else "▲" if found > 0 else "▼"


def figures(found: Reading) -> list[Figure]:
    """Return the numbers of a page."""
    return [*_of_calls(found), *_of_durations(found), *_of_data(found)]


def _of_calls(found: Reading) -> Iterator[Figure]:
    now, before = found.totals, found.before

    def calls(name: str, title: Any, better: str = "", **query: str) -> Figure:
        one, other = getattr(now, name), getattr(before, name)
        return _figure(found, name, title, "number", one, other, better, _history(found, **query) if one else "")

    yield calls("calls", _("Calls"))
    yield _figure(found, "availability", _("Availability"), "percent", now.availability, before.availability, "more")
    yield calls("failed", _("Failed at the provider"), "less", outcome_is="failed")
    yield calls("refused", _("Refused: the caller must act"), "less", outcome_is="refused")
    if now.bus or before.bus:
        yield calls("bus", _("Failed at the bus"), "less", outcome_is="bus")
    yield calls("broken", _("Aborted"), "less", outcome_is="broken")


def _of_durations(found: Reading) -> Iterator[Figure]:
    titles = {"p50_ms": _("Half of the calls within"), "p95_ms": _("95 of 100 calls within"),
              "p99_ms": _("99 of 100 calls within")}  # fmt: skip
    for name, title in titles.items():
        yield _figure(found, name, title, "ms", *_both(found, name), "less")


def _of_data(found: Reading) -> Iterator[Figure]:
    yield _figure(found, "rows", _("Rows"), "number", *_both(found, "rows"))
    yield _figure(found, "bytes", _("Data sent"), "bytes", *_both(found, "bytes"))
    persons = found.persons(found.period)
    if persons is not None:
        before = found.persons(found.period.before)
        yield _figure(found, "persons", _("Distinct persons looked up, about"), "number", persons, before)


def _both(found: Reading, name: str) -> tuple[float | None, float | None]:
    now: Totals = found.totals
    return getattr(now, name), getattr(found.before, name)


def _figure(found: Reading, name: str, title: Any, unit: str, value: Any, before: Any, better: str = "",
            url: str = "") -> Figure:  # fmt: skip
    # Today is not over yet: its numbers are no less than those of a whole day.
    comparable = found.period.days > 1 or unit in ("percent", "ms")
    return Figure(name, title, unit, value, before, better, url, comparable)


def _history(found: Reading, **query: str) -> str:
    return links.history(found.scope.filters, found.period, **query)
