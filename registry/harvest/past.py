"""What a rule would have found in the last days: the same rule over the hours that were counted, caller by caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from registry.harvest import rules
from registry.harvest.hours import KEPT_DAYS
from registry.harvest.rules import Found, Hour, Past
from registry.models import CallerHour, HarvestRule

#: The days of a dry run over the past, the seconds of one step of it, and the most alarms of a step.
DAYS, STEP_SECONDS, MOST_FOUND = 30, 4.0, 200

#: Agency, application and key of a caller.
Caller = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class PastAlarm:
    """What the rule would have found on a day."""

    consumer_agency: str
    application: str
    key: str
    found: Found


@dataclass(frozen=True, slots=True)
class Step:
    """What a rule finds in the past of some callers. ``looked``: how many; ``after``: the last one if more follow."""

    alarms: list[PastAlarm]
    looked: int
    after: Caller | None


def look_back(
    rule: HarvestRule, now: datetime, after: Caller | None = None, clock: Callable[[], float] = time.monotonic
) -> Step:
    """Return what a rule would have found in the last DAYS days of the next callers, as far as one step gets."""
    began, since = clock(), now - timedelta(days=KEPT_DAYS)
    first = timezone.localdate(now) - timedelta(days=DAYS)
    alarms: list[PastAlarm] = []
    looked, last = 0, after
    for caller in _callers(rule, since, after):
        if looked and (clock() - began > STEP_SECONDS or len(alarms) >= MOST_FOUND):
            return Step(alarms, looked, last)
        rows = list(rows_of(rule, since).filter(consumer_agency=caller[0], application=caller[1], key_ref=caller[2]))
        hours = rules.hours_of(rows)
        key = next((row.key for row in reversed(rows) if row.key), "")
        alarms += [PastAlarm(caller[0], caller[1], key, found) for found in _found(rule, hours, first)]
        looked, last = looked + 1, caller
    return Step(alarms, looked, None)


def _found(rule: HarvestRule, hours: Sequence[Hour], first: date) -> Iterator[Found]:
    """Yield what the rule finds, once a day, from the first day on."""
    zone = timezone.get_default_timezone()
    past: tuple[date, Past] | None = None
    done: date | None = None
    for hour in hours:
        day = hour.at.astimezone(zone).date()
        if day < first or day == done or not rules.may_find(rule, hour):
            continue
        if past is None or past[0] != day:
            past = day, Past(hours, day, zone)
        found = rules.find(rule, hour, past[1])
        if found is not None:
            done = day
            yield found


def _callers(rule: HarvestRule, since: datetime, after: Caller | None) -> Iterator[Caller]:
    """Yield the callers of whom there are hours, in their order, those behind ``after``."""
    columns = ("consumer_agency", "application", "key_ref")
    rows = rows_of(rule, since).order_by(*columns).values_list(*columns).distinct()
    if after is not None:
        agency, application, key = after
        rows = rows.filter(
            Q(consumer_agency__gt=agency)
            | Q(consumer_agency=agency, application__gt=application)
            | Q(consumer_agency=agency, application=application, key_ref__gt=key)
        )
    yield from rows.iterator(500)


def rows_of(rule: HarvestRule, since: datetime) -> QuerySet[CallerHour]:
    """Return the hours that a rule looks at."""
    rows = CallerHour.objects.filter(hour__gte=since).exclude(application="")
    return rows.filter(agency=rule.agency.code) if rule.agency is not None else rows
