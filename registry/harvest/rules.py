"""What the rules find: an hour of a caller beside the days before it. No database here.

The usual is the highest hour of the days before, so that what comes each night or each month is usual. The day itself
does not count: what grows within a day is compared with other days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from registry.harvest.hours import OTHER, add_network
from registry.models import CallerHour, HarvestRule

Kind = HarvestRule.Kind
#: Days before a day that say what is usual: more than from one month to the next, whatever weekday that begins with.
PAST_DAYS = 36
#: A caller with more networks is one that calls from anywhere.
MANY_NETWORKS = 20


@dataclass(slots=True)
class Hour:
    """What a caller fetched in an hour, of all agencies together or of one. ``at``: its beginning."""

    at: datetime
    calls: int = 0
    misses: int = 0
    near: int = 0
    rows: int = 0
    most_rows: int = 0
    persons: int = 0
    networks: dict[str, int] = field(default_factory=dict)

    def add(self, row: CallerHour) -> None:
        self.calls += row.calls
        self.misses += row.misses
        self.near += row.near
        self.rows += row.rows
        self.most_rows = max(self.most_rows, row.most_rows)
        self.persons += row.persons
        for network, calls in row.networks.items():
            add_network(self.networks, network, calls)


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found in an hour: a number, and what is usual."""

    hour: datetime
    number: int
    usual: int


def hours_of(rows: Iterable[CallerHour]) -> list[Hour]:
    """Return the hours of one caller, in order."""
    found: dict[datetime, Hour] = {}
    for row in rows:
        found.setdefault(row.hour, Hour(row.hour)).add(row)
    return [found[at] for at in sorted(found)]


class Past:
    """The days before one: what is usual on them. ``zone``: the bus's time zone, by which days and hours are told."""

    __slots__ = ("_hours", "_zone", "days")

    def __init__(self, hours: Iterable[Hour], day: date, zone: tzinfo) -> None:
        first = day - timedelta(days=PAST_DAYS)
        self._zone = zone
        self._hours = [each for each in hours if first <= each.at.astimezone(zone).date() < day and each.calls]
        #: On how many days the caller called.
        self.days = len({each.at.astimezone(zone).date() for each in self._hours})

    def most(self, number: Callable[[Hour], int]) -> int:
        return max(map(number, self._hours), default=0)

    def is_usual_hour(self, at: datetime) -> bool:
        """Return True if the caller ever called at this hour of the day, or within an hour of it."""
        hour = at.astimezone(self._zone).hour
        return any((each.at.astimezone(self._zone).hour - hour) % 24 in (0, 1, 23) for each in self._hours)

    def networks(self) -> set[str]:
        return {network for each in self._hours for network in each.networks}


_NUMBERS: dict[str, Callable[[Hour], int]] = {
    Kind.SEQUENCE: lambda hour: hour.near,
    Kind.MISSES: lambda hour: hour.misses,
    Kind.WIDE: lambda hour: hour.most_rows,
    Kind.ROWS: lambda hour: hour.rows,
    Kind.PERSONS: lambda hour: hour.persons,
    Kind.CALLS: lambda hour: hour.calls,
    Kind.HOUR: lambda hour: hour.calls,
    Kind.NETWORK: lambda hour: sum(hour.networks.values()),
}


def may_find(rule: HarvestRule, hour: Hour) -> bool:
    """Return True if the rule may find something in an hour, whatever the past is: most hours are too small."""
    number = _NUMBERS[rule.kind](hour)
    if number < rule.least:
        return False
    return rule.kind not in HarvestRule.WITH_SHARE or 100 * number >= rule.percent * hour.calls


def find(rule: HarvestRule, hour: Hour, past: Past) -> Found | None:
    """Return what a rule finds in an hour, None for nothing."""
    if not may_find(rule, hour) or (past.days < rule.days and rule.kind not in HarvestRule.WITHOUT_PAST):
        return None
    if rule.kind == Kind.HOUR:
        return None if past.is_usual_hour(hour.at) else Found(hour.at, hour.calls, 0)
    if rule.kind == Kind.NETWORK:
        return _new_networks(rule, hour, past)
    measure = _NUMBERS[rule.kind]
    number, usual = measure(hour), past.most(measure)
    return Found(hour.at, number, usual) if 100 * number > rule.factor * usual else None


def _new_networks(rule: HarvestRule, hour: Hour, past: Past) -> Found | None:
    known = past.networks()
    if OTHER in known or len(known) > MANY_NETWORKS:
        return None
    number = sum(calls for network, calls in hour.networks.items() if network not in known)
    return Found(hour.at, number, 0) if number >= rule.least else None
