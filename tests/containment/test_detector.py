"""Alarm rules: a harvest is found, and what is usual is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mantra.containment import detector
from mantra.containment.detector import Task
from registry import faults
from registry.harvest import hours, nearness, past
from registry.journal import shipping
from registry.models import (
    AccessKey,
    CallerHour,
    CallRecord,
    HarvestAlarm,
    HarvestRule,
    Incident,
    Notification,
    Stop,
    User,
)
from registry.snapshot import holder
from registry.statistics import rollups
from tests.cast import Cast
from tests.containment.callers import NOW, Caller, every_day, rule
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.verification.people import SITI, verifying

MORNING = NOW + timedelta(minutes=20)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    nearness.forget()


def look(now: datetime = MORNING) -> list[HarvestAlarm]:
    return Task(now=lambda: now).look(now)


# ------------------------------------------------------------------------- each rule: found, and usual


def usual(caller: Caller) -> None:
    """A program that people use in office hours: some hundred calls an hour, a tenth of which find nothing."""
    for day in every_day():
        for hour in range(8, 17):
            caller.fetch(day.replace(hour=hour), 120, misses=12, near=4, persons=100, rows=2)


def in_sequence(caller: Caller) -> None:
    caller.fetch(NOW, 300, near=290, persons=300)


def guessing(caller: Caller) -> None:
    caller.fetch(NOW, 400, misses=380)


def one_wide(caller: Caller) -> None:
    caller.fetch(NOW, 1, rows=60_000)


def many_rows(caller: Caller) -> None:
    caller.fetch(NOW, 120, rows=500)


def many_persons(caller: Caller) -> None:
    caller.fetch(NOW, 1_500, persons=1_500)


def many_calls(caller: Caller) -> None:
    caller.fetch(NOW, 6_000)


def at_night(caller: Caller) -> None:
    caller.fetch(NOW.replace(hour=5), 250)


def from_abroad(caller: Caller) -> None:
    caller.address = "203.0.113.9"
    caller.fetch(NOW, 110)


HARVESTS: dict[str, Callable[[Caller], None]] = {
    "sequence": in_sequence, "misses": guessing, "wide": one_wide, "rows": many_rows, "persons": many_persons,
    "calls": many_calls, "hour": at_night, "network": from_abroad,
}  # fmt: skip


@pytest.mark.parametrize("kind", HarvestRule.Kind)
@pytest.mark.django_db
def test_a_harvest_is_found(kind: str) -> None:
    caller = Caller()
    rule(kind)
    usual(caller)
    assert look() == []
    HARVESTS[kind](caller)
    found = look()
    assert [(each.rule.kind, each.address, each.key) for each in found] == [(kind, "kons/app", "mtr_uji")]
    assert found[0].number >= found[0].rule.least
    assert look(MORNING + timedelta(minutes=30)) == []  # once a day


@pytest.mark.django_db
def test_office_hours_are_usual() -> None:
    HarvestRule.objects.update(mode="on")
    caller = Caller()
    usual(caller)
    for hour in (8, 9, 10):
        caller.fetch(NOW.replace(hour=hour), 160, misses=20, near=6, persons=150, rows=2)
    assert look() == []


@pytest.mark.django_db
def test_a_batch_each_night_is_usual() -> None:
    """Thousands of calls at 02:00, in sequence, a third of them without a result, and one response with all rows."""
    HarvestRule.objects.update(mode="on")
    caller = Caller()
    for day in [*every_day(), NOW]:
        caller.fetch(day.replace(hour=2), 6_500, misses=2_100, near=6_000, persons=2_000, rows=3)
        caller.fetch(day.replace(hour=2), 1, rows=80_000)
    assert look(NOW.replace(hour=3)) == []


@pytest.mark.django_db
def test_a_reconciliation_each_month_is_usual() -> None:
    HarvestRule.objects.update(mode="on")
    caller = Caller()
    usual(caller)
    for day in (NOW - timedelta(days=31), NOW):
        caller.fetch(day.replace(hour=9), 6_000, misses=300, near=5_000, persons=1_800, rows=10)
    assert look() == []


@pytest.mark.django_db
def test_what_grows_slowly_is_usual() -> None:
    HarvestRule.objects.update(mode="on")
    caller = Caller()
    for number, day in enumerate([*every_day(), NOW]):
        caller.fetch(day.replace(hour=9), 400 + 40 * number, misses=20, near=10, rows=30)
    assert look() == []


@pytest.mark.django_db
def test_a_small_caller_is_left_in_peace() -> None:
    HarvestRule.objects.update(mode="on")
    caller = Caller()
    for day in every_day():
        caller.fetch(day.replace(hour=9), 2)
    caller.fetch(NOW.replace(hour=4), 90, misses=90, near=90, persons=90, rows=10)
    assert look() == []


@pytest.mark.django_db
def test_a_new_caller_is_found_by_what_no_past_excuses() -> None:
    HarvestRule.objects.update(mode="on")
    caller = Caller()
    caller.fetch(NOW, 6_000, near=5_900, persons=2_000, rows=20)
    assert {each.rule.kind for each in look()} == {"sequence"}


@pytest.mark.django_db
def test_the_agency_s_own_rule_counts_its_own_operations_only(cast: Cast) -> None:
    HarvestRule.objects.update(mode="off")
    HarvestRule.objects.create(agency=cast.provider, kind="sequence", mode="on", least=200)
    elsewhere = Caller(agency="asing")
    elsewhere.fetch(NOW, 300, near=300)
    Caller().fetch(NOW, 150, near=150)
    assert look() == []
    Caller().fetch(NOW, 60, near=60)
    assert [(each.agency, each.figures) for each in look()] == [("prov", {"agencies": ["prov"]})]


# ------------------------------------------------------------------------------ what is done about it


def harvested(cast: Cast, calls: int = 60, **headers: str) -> list[int]:
    """Fetch one person after the other with the cast's key, and ship the journal. Return the statuses."""
    statuses = [cast.get("satu", f"id={each}", **headers).status for each in range(1, calls + 1)]
    from registry.journal import segments

    segments.close()
    shipping.ship()
    return statuses


def test_a_harvester_s_key_is_stopped(cast: Cast) -> None:
    rule("sequence", least=50, action="suspend")
    assert set(harvested(cast)) == {200}
    (alarm,) = Task().look(detector.timezone.now())
    assert (alarm.key, alarm.key_ref, alarm.number) == (cast.key_row.public, cast.key_row.pk, 59)
    holder.refresh()
    reply = cast.get("satu", "id=1")
    assert (reply.status, reply.json()["code"]) == (403, faults.STOPPED.code)
    stop = Stop.objects.get()
    assert (stop.kind, stop.ref, stop.origin) == ("key", cast.key_row.pk, "rule")
    assert "59" in stop.reason


def test_a_harvester_s_key_is_slowed_down(cast: Cast) -> None:
    rule("sequence", least=50, action="slow", slow_seconds=30, slow_minutes=5)
    harvested(cast)
    assert len(Task().look(detector.timezone.now())) == 1
    holder.refresh()
    replies = [cast.get("satu", "id=1") for _ in range(3)]
    assert [each.status for each in replies] == [200, 429, 429]
    assert replies[1].json()["code"] == faults.KEY_SLOWED.code
    assert 0 < int(replies[1].headers["retry-after"]) <= 31
    # It ends by itself, in every process, without anybody.
    AccessKey.objects.filter(pk=cast.key_row.pk).update(slowed_until=detector.timezone.now() - timedelta(seconds=1))
    holder.refresh()
    assert [cast.get("satu", "id=1").status for _ in range(3)] == [200] * 3
    detector.prune(detector.timezone.now())
    assert AccessKey.objects.get(pk=cast.key_row.pk).slow_seconds == 0


def test_a_dry_run_does_nothing(cast: Cast, admin_user: User) -> None:
    rule("sequence", least=50, action="suspend", mode="dry_run")
    harvested(cast)
    (alarm,) = Task().look(detector.timezone.now())
    assert alarm.action == ""
    assert not Stop.objects.exists()
    assert not Notification.objects.exists()


def test_people_are_notified(cast: Cast, admin_user: User, django_user_model: type[User]) -> None:
    from django.contrib.auth.models import Group

    def person(name: str, agency: Any, role: str) -> User:
        user = django_user_model.objects.create_user(name, agency=agency)
        user.groups.add(Group.objects.get(name=role))
        return user

    penyedia = person("penyedia", cast.provider, "Provider")
    pemanfaat = person("pemanfaat", cast.consumer, "Requester")
    person("orang", cast.stranger, "Provider")
    rule("sequence", least=50)
    harvested(cast)
    (alarm,) = Task().look(detector.timezone.now())
    found = {each.user.username: each for each in Notification.objects.select_related("user")}
    assert set(found) == {admin_user.username, penyedia.username, pemanfaat.username}
    assert found["penyedia"].context["application"] == "kons/app"
    assert found[admin_user.username].url == reverse("admin:registry_harvestalarm_change", args=[alarm.pk])
    assert "of_application=kons/app" in found["pemanfaat"].url


def test_only_rules_of_all_agencies_stop_keys(cast: Cast) -> None:
    with pytest.raises(ValidationError):
        HarvestRule(agency=cast.provider, kind="rows", least=1000, action="suspend").full_clean()
    with pytest.raises(ValidationError):
        HarvestRule(kind="rows", least=1000).full_clean()  # there is one


# ------------------------------------------------------------------------------ what calls are counted


def hour_of_cast() -> CallerHour:
    return CallerHour.objects.get(application="app")


def test_calls_are_counted_once(cast: Cast) -> None:
    harvested(cast, 12)
    shipping.ship()
    found = hour_of_cast()
    assert (found.calls, found.rows, found.most_rows, found.near, found.misses) == (12, 12, 1, 11, 0)
    assert (found.agency, found.consumer_agency, found.key) == ("prov", "kons", cast.key_row.public)
    assert found.networks == {"127.0.0.0/24": 12}


def test_values_far_apart_are_not_near(cast: Cast) -> None:
    for each in (1, 100, 200, 300, 2000, 1000, 1):
        cast.get("satu", f"id={each}")
    harvested(cast, 0)
    assert hour_of_cast().near == 0


def test_no_value_is_in_the_journal(cast: Cast) -> None:
    from tests.cast import recorded

    cast.operation("nik", "SELECT nama FROM orang WHERE id = :nik", parameters=({"name": "nik", "subject": True},))
    for each in range(3):
        cast.get("nik", f"nik=320101010190000{each}")
    lines = recorded()
    assert sum(line.get("near", 0) for line in lines) == 2
    assert "32010101019" not in str(lines)


def test_what_finds_nothing_is_a_miss(cast: Cast) -> None:
    verifying(cast)
    cast.get("cek", "nik=9999999999999999&nama=Siti")
    cast.get("cek", f"nik={SITI}&nama=Siti")
    cast.get("satu", "id=99999999")
    with serve_upstream(Answer(b"{}", "application/json", status=404)) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert cast.get("alias.json").status == 502
    harvested(cast, 1)
    assert (hour_of_cast().calls, hour_of_cast().misses) == (5, 3)


@pytest.mark.django_db
def test_networks_of_an_hour_are_bounded() -> None:
    caller = Caller()
    for number in range(60):
        caller.address = f"10.{number}.1.1"
        caller.fetch(NOW, 1)
    found = hour_of_cast()
    found.full_clean()
    assert (len(found.networks), found.networks["*"], found.calls) == (21, 40, 60)


@pytest.mark.django_db
def test_hours_before_the_upgrade_are_read_from_the_history(cast: Cast) -> None:
    harvested(cast, 5)
    for number, record in enumerate(CallRecord.objects.order_by("pk")):
        record.pk, record.request_id = None, f"{number:032}"
        record.started_at -= timedelta(days=3 + number % 2)
        record.save()
    steps = 0
    while hours.fill(detector.timezone.now()):
        steps += 1
    assert steps == 2
    counted = list(CallerHour.objects.order_by("hour").values_list("calls", "rows"))
    assert [calls for calls, _rows in counted] == [2, 3, 5]


@pytest.mark.django_db
def test_old_hours_and_sketches_go() -> None:
    caller = Caller()
    caller.fetch(NOW - timedelta(days=hours.KEPT_DAYS + 1), 1)
    caller.fetch(NOW - timedelta(hours=5), 3, persons=3)
    caller.fetch(NOW, 3, persons=3)
    hours.prune(NOW)
    found = list(CallerHour.objects.order_by("hour"))
    assert [(bool(each.sketch), each.persons) for each in found] == [(False, 3), (True, 3)]


@pytest.mark.django_db
def test_a_name_in_capital_letters_is_the_same_caller() -> None:
    Caller().fetch(NOW, 1)
    Caller(application="app", consumer="Kons").fetch(NOW, 1)
    assert hour_of_cast().calls == 2


def test_a_ring_forgets_what_is_long_ago() -> None:
    ring = nearness._Ring()
    assert [ring.add(each) for each in (1000, 1003, 1003, 5000)] == [False, True, False, False]
    for each in range(nearness.VALUES):
        ring.add(10_000 + 1000 * each)
    assert not ring.add(1001)


# ---------------------------------------------------------------------------------- a look at the past


@pytest.mark.django_db
def test_the_past_shows_what_a_rule_would_have_found() -> None:
    caller, other = Caller(), Caller(application="lain", key_ref=2)
    usual(caller)
    usual(other)
    on = NOW - timedelta(days=3)
    caller.fetch(on, 900, near=800)
    step = past.look_back(rule("sequence"), NOW)
    assert step.looked == 2
    assert [(each.application, each.found.number, each.found.hour) for each in step.alarms] == [("app", 804, on)]
    assert past.look_back(rule("sequence", percent=99), NOW).alarms == []


@pytest.mark.django_db
def test_a_long_past_is_looked_at_in_steps() -> None:
    for number in range(1, 6):
        Caller(application=f"app{number}", key_ref=number).fetch(NOW - timedelta(days=1), 300, near=300)
    ticks = iter(range(0, 1000, 3))
    found, after, steps = [], None, 0
    while steps == 0 or after is not None:
        step = past.look_back(rule("sequence"), NOW, after, clock=lambda: float(next(ticks)))
        assert step.looked <= 2
        found += [each.application for each in step.alarms]
        after, steps = step.after, steps + 1
    assert found == [f"app{number}" for number in range(1, 6)]
    assert steps > 1


def test_the_page_of_the_past(cast: Cast, admin_client: Client) -> None:
    now = detector.timezone.now()
    Caller().fetch(now - timedelta(days=2), 300, near=300)
    row = rule("sequence")
    page = admin_client.get(reverse("admin:registry_harvestrule_past", args=[row.pk]))
    assert page.status_code == 200
    assert "kons/app" in page.content.decode()
    assert not HarvestAlarm.objects.exists()
    page = admin_client.get(
        reverse("admin:registry_harvestrule_past", args=[row.pk]) + "?agency=kons&application=z&key=x"
    )
    assert "kons/app" not in page.content.decode()


def test_a_round_reads_the_past_of_nobody_without_need(db: None) -> None:
    HarvestRule.objects.update(mode="on")
    for number in range(1, 30):
        Caller(application=f"app{number}", key_ref=number).fetch(NOW, 5)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        look()
    assert len(queries) <= 4


def test_the_task_works_until_it_is_stopped(cast: Cast) -> None:
    import threading

    rule("sequence")
    Caller().fetch(NOW, 300, near=300)
    task = Task(now=lambda: MORNING)
    task.round()
    task.leadership.release()
    assert HarvestAlarm.objects.count() == 1
    stop = threading.Event()
    stop.set()
    task.run(stop)


def test_counting_costs_the_shipping_little(db: None) -> None:
    """A batch of 20,000 calls of 20 callers takes a few statements."""
    callers = [Caller(application=f"app{number}", key_ref=number) for number in range(1, 21)]
    records = [caller.record(NOW) for caller in callers for _call in range(1000)]
    with CaptureQueriesContext(connection) as queries, rollups.transaction.atomic():
        hours.count(records)
    assert len(queries) < 12
    began = time.perf_counter()
    hours.count(records)
    print(f"{(time.perf_counter() - began) / len(records) * 1e6:.1f} µs a call")


def test_alarms_of_a_key_are_one_incident(cast: Cast, admin_client: Client) -> None:
    rule("sequence", least=50)
    HarvestRule.objects.filter(kind="misses").update(mode="on", least=50)
    for number in range(60):
        cast.get("satu", f"id={900_000 + number}")
    harvested(cast, 0)
    alarms = Task().look(detector.timezone.now())
    assert {each.rule.kind for each in alarms} == {"sequence", "misses"}
    (incident,) = Incident.objects.all()
    assert {each.incident for each in alarms} == {incident}
    assert (incident.origin, incident.agency, incident.state) == ("rule", None, "open")
    assert [(each.kind, each.ref) for each in incident.objects_of.all()] == [("key", cast.key_row.pk)]
    assert admin_client.get(reverse("admin:registry_harvestalarm_change", args=[alarms[0].pk])).status_code == 200


def test_the_health_board_shows_alarms(cast: Cast, admin_client: Client) -> None:
    rule("sequence", least=50)
    harvested(cast)
    Task().look(detector.timezone.now())
    assert "kons/app" in admin_client.get(reverse("health_board")).content.decode()
