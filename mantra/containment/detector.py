"""The task of the worker that looks at what callers fetch, and does what the alarm rules say.

One process of an installation at a time does it: the one that holds leadership. Calls are counted within seconds of
their end; each round looks at the hours that still grow, and reads the past of those callers only of whom a rule may
find something.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext, override

from registry import containment, incidents, stop_targets
from registry.harvest import hours, rules
from registry.harvest.past import Caller, rows_of
from registry.harvest.rules import Found, Past
from registry.leader import Leadership
from registry.models import (
    AccessKey,
    Agency,
    Application,
    CallerHour,
    Event,
    HarvestAlarm,
    HarvestRule,
    Incident,
    StopKind,
    StopOrigin,
    User,
)
from registry.notifications import notify
from registry.notifications.recipients import administrators, members
from registry.rounds import survive

log = logging.getLogger("mantra.harvest")

Action, Mode = HarvestRule.Action, HarvestRule.Mode
#: Seconds between two rounds, after an error of the database, and between two deletions of what is old.
ROUND, RETRY_DELAY, PRUNE = 3.0, 10.0, 600.0
#: How far a round looks back: further than an outage of the worker, which ships what was called meanwhile.
LOOKS_BACK = timedelta(hours=6)
#: The most hours of callers of a round, pasts that are remembered, and days for which alarms are kept.
MAX_HOURS, MAX_PASTS, KEPT_DAYS = 50_000, 500, 400
#: Hours of the history that are counted in one round after an upgrade.
FILLED = 2


@dataclass
class Task:
    """Looks at callers while it holds leadership."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = timezone.now
    leadership: Leadership = field(default_factory=lambda: Leadership("harvest"))
    _pruned: float = float("-inf")
    _filled: bool = False
    _pasts: OrderedDict[tuple[Caller, str, date], Past] = field(default_factory=OrderedDict)

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        failing = False
        while not stop.is_set():
            failing = survive(self.round, failing, log, "alarm rules find nothing for the moment")
            stop.wait(RETRY_DELAY if failing else ROUND)
        survive(self.leadership.release, False, log, "the lock of the alarm rules was not released")
        connection.close()

    def round(self) -> None:
        """Look at the hours that still grow. Raises errors of the database."""
        if not self.leadership.hold():
            return
        now = self.now()
        if self.clock() - self._pruned >= PRUNE:
            self._pruned = self.clock()
            prune(now)
        self.look(now)
        for _number in range(FILLED):
            if not self._filled:
                self._filled = not hours.fill(now)

    def look(self, now: datetime) -> list[HarvestAlarm]:
        """Store, and act on, what the rules find in the hours that still grow. Return the new alarms."""
        active = list(HarvestRule.objects.exclude(mode=Mode.OFF).select_related("agency"))
        if not active:
            return []
        since = hours.hour_of(now - LOOKS_BACK)
        grown = CallerHour.objects.filter(hour__gte=since).defer("sketch").order_by("-hour")[:MAX_HOURS]
        callers = hours.of_callers(list(grown))
        known = _known(now - LOOKS_BACK)
        return [alarm for rule in active for alarm in self._look(rule, callers, known, now)]

    def _look(
        self,
        rule: HarvestRule,
        callers: dict[Caller, list[CallerHour]],
        known: set[tuple[int, Caller, date]],
        now: datetime,
    ) -> list[HarvestAlarm]:
        alarms = []
        zone = timezone.get_default_timezone()
        for caller, rows in callers.items():
            of_rule = [row for row in rows if rule.agency is None or row.agency == rule.agency.code]
            for hour in rules.hours_of(of_rule):
                day = hour.at.astimezone(zone).date()
                if (rule.pk, caller, day) in known or not rules.may_find(rule, hour):
                    continue
                found = rules.find(rule, hour, self._past(rule, caller, day))
                if found is None:
                    continue
                known.add((rule.pk, caller, day))
                alarm = raise_alarm(rule, caller, day, found, of_rule, now)
                if alarm is not None:
                    alarms.append(alarm)
        return alarms

    def _past(self, rule: HarvestRule, caller: Caller, day: date) -> Past:
        """Return what is usual for a caller on a day. It does not change any more, and is read once."""
        place = (caller, rule.agency.code if rule.agency is not None else "", day)
        past = self._pasts.get(place)
        if past is None:
            zone = timezone.get_default_timezone()
            since = datetime.combine(day - timedelta(days=rules.PAST_DAYS), datetime.min.time(), zone)
            until = datetime.combine(day, datetime.min.time(), zone)
            agency, application, key = caller
            rows = rows_of(rule, since).filter(
                hour__lt=until, consumer_agency=agency, application=application, key_ref=key
            )
            past = self._pasts[place] = Past(rules.hours_of(rows.defer("sketch")), day, zone)
            if len(self._pasts) > MAX_PASTS:
                self._pasts.popitem(last=False)
        return past


def _known(since: datetime) -> set[tuple[int, Caller, date]]:
    """Return the alarms of a while ago, which are not raised again: rule, caller and day."""
    rows = HarvestAlarm.objects.filter(day__gte=timezone.localdate(since) - timedelta(days=1))
    columns = rows.values_list("rule", "consumer_agency", "application", "key_ref", "day")
    return {(rule, (agency, application, key), day) for rule, agency, application, key, day in columns}


def raise_alarm(
    rule: HarvestRule, caller: Caller, day: date, found: Found, rows: Sequence[CallerHour], now: datetime
) -> HarvestAlarm | None:
    """Store an alarm and do what its rule says. Return it; None if another process was the first."""
    agency, application, key_ref = caller
    acts = rule.mode == Mode.ON
    offering = sorted({row.agency for row in rows if row.hour == found.hour})
    alarm = HarvestAlarm(
        rule=rule, agency=rule.agency.code if rule.agency is not None else "", consumer_agency=agency,
        application=application, key_ref=key_ref, key=next((row.key for row in rows if row.key), ""), day=day,
        found_at=now, hour=found.hour, number=found.number, usual=found.usual, figures={"agencies": offering[:20]},
        action=rule.action if acts else "",
    )  # fmt: skip
    try:
        with transaction.atomic():
            alarm.save()
            if acts:
                _act(rule, alarm, offering, now)
    except IntegrityError:
        return None
    log.warning("alarm rule %s found %d (usual: %d) of %s", rule.kind, found.number, found.usual, alarm.address)
    return alarm


def _act(rule: HarvestRule, alarm: HarvestAlarm, offering: Sequence[str], now: datetime) -> None:
    # Without a key, as of a job that a user started, it is about the application.
    row: AccessKey | Application | None = AccessKey.objects.filter(pk=alarm.key_ref).first() if alarm.key_ref else None
    if row is None:
        row = Application.objects.filter(agency__code=alarm.consumer_agency, code=alarm.application).first()
    if row is not None:
        try:
            incident = _incident(rule, alarm, row, now)
            if rule.action == Action.SUSPEND:
                kind = StopKind.KEY if isinstance(row, AccessKey) else StopKind.APPLICATION
                containment.stop(kind, row.pk, _reason(alarm), incident=incident)
        except ValidationError:  # so many objects or notes that there is room for no more
            log.error("no incident has alarm %d", alarm.pk)
        if rule.action == Action.SLOW and isinstance(row, AccessKey):
            row.slow(rule.slow_seconds, now + timedelta(minutes=rule.slow_minutes))
    _notify(rule, alarm, offering)


def _reason(alarm: HarvestAlarm) -> str:
    with override(settings.LANGUAGE_CODE):
        return gettext("Alarm rule: %(kind)s. %(number)d in an hour, usually at most %(usual)d.") % {
            "kind": alarm.rule.get_kind_display(),
            "number": alarm.number,
            "usual": alarm.usual,
        }


def _incident(rule: HarvestRule, alarm: HarvestAlarm, row: AccessKey | Application, now: datetime) -> Incident:
    """Return the incident of an alarm: the one that a rule has opened for the same key and that is open, or a new one.

    Raises ValidationError.
    """
    target = stop_targets.target_of_row(row)
    incident = (
        Incident.objects.exclude(state=Incident.State.CLOSED)
        .filter(origin=StopOrigin.RULE, agency=rule.agency, objects_of__kind=target.kind, objects_of__ref=target.ref)
        .first()
    )
    if incident is None:
        with override(settings.LANGUAGE_CODE):
            title = gettext("Unusual calls of %(application)s") % {"application": alarm.address}
        incident = incidents.open_incident(
            title, alarm.hour, agency=rule.agency, targets=[target], noticed_at=now
        )  # fmt: skip
    incidents.note(incident, None, _reason(alarm))
    alarm.incident = incident
    alarm.save(update_fields=["incident"])
    return incident


def _notify(rule: HarvestRule, alarm: HarvestAlarm, offering: Sequence[str]) -> None:
    """Notify the administrators, those who grant in the offering agencies, and those who manage the application."""
    words: dict[str, Any] = {
        "application": alarm.address, "key": alarm.key or "–", "rule": str(rule.kind), "rows": alarm.number
    }  # fmt: skip
    if rule.agency is None:
        notify(Event.HARVEST_ALARM, administrators(), about=alarm, **words)
    people: list[User] = []
    for agency in Agency.objects.filter(code__in=offering):
        people += members(agency, "registry.change_grant")
    for agency in Agency.objects.filter(code=alarm.consumer_agency):
        people += members(agency, "registry.change_application")
    notify(Event.HARVEST_ALARM, people, url=page_of(alarm), **words)


def page_of(alarm: HarvestAlarm) -> str:
    """Return the page with the calls of an alarm's application: those who may see them are more than see the alarm."""
    try:
        page = reverse("admin:registry_callrecord_changelist")
    except NoReverseMatch:
        return ""
    return f"{page}?of_application={alarm.address}"


def prune(now: datetime) -> None:
    """Delete what is old, and end what slowed keys down until now."""
    hours.prune(now)
    HarvestAlarm.objects.filter(found_at__lt=now - timedelta(days=KEPT_DAYS)).delete()
    for key in AccessKey.objects.filter(slowed_until__lt=now):
        key.hasten()
