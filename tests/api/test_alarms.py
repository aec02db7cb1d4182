"""Alarm rules over the management API: changes, what a rule would have found, and what it found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from registry import incidents
from registry.harvest import past
from registry.models import HarvestAlarm, HarvestRule
from tests.api.conftest import Person
from tests.cast import Cast
from tests.containment.callers import Caller, rule

NEW = {"agency": "prov", "kind": "rows", "least": 5000, "mode": "on"}


def test_an_administrator_changes_what_a_rule_does(administrator: Person) -> None:
    row = HarvestRule.objects.get(kind="sequence", agency=None)
    changed = administrator.patch(f"alarm-rules/{row.pk}/", {"action": "suspend", "least": 300, "mode": "on"})
    assert changed.status_code == 200, changed.content
    row.refresh_from_db()
    assert (row.action, row.least, row.mode) == ("suspend", 300, "on")
    (entry,) = LogEntry.objects.filter(user=administrator.user)
    assert "300" not in entry.change_message


def test_an_agency_has_its_own_rules_and_they_only_notify(cast: Cast, provider: Person) -> None:
    made = provider.post("alarm-rules/", NEW)
    assert (made.status_code, made.json()["agency"]) == (201, "prov")
    place = f"alarm-rules/{made.json()['id']}/"
    for action in ("slow", "suspend"):
        assert list(provider.patch(place, {"action": action}).json()) == ["action"]
    assert list(provider.post("alarm-rules/", NEW).json()) == ["kind"]  # there is one
    for body in ({"agency": None}, {"agency": "asing"}):
        assert provider.post("alarm-rules/", NEW | {"kind": "calls"} | body).status_code == 403
    assert [row["id"] for row in provider.get("alarm-rules/").json()["results"]] == [made.json()["id"]]
    assert provider.delete(place).status_code == 204
    assert not HarvestRule.objects.filter(agency=cast.provider).exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("least", 9), ("least", 10**9 + 1), ("percent", 101), ("factor", 99), ("days", 31), ("slow_seconds", 0),
        ("slow_minutes", 10_081), ("mode", "kadang"), ("kind", "lain"), ("agency", "kons"),
    ],
)  # fmt: skip
def test_the_rules_of_the_page_hold(cast: Cast, administrator: Person, name: str, value: Any) -> None:
    """A rule's kind and agency stay: what it has found is about them."""
    row = HarvestRule.objects.create(agency=cast.provider, kind="rows", least=1000)
    refused = administrator.patch(f"alarm-rules/{row.pk}/", {name: value})
    assert (refused.status_code, list(refused.json())) == (400, [name])


def test_a_rule_for_all_is_not_an_agencys_business(cast: Cast, provider: Person, supervisor: Person) -> None:
    row = HarvestRule.objects.get(kind="sequence", agency=None)
    assert provider.get(f"alarm-rules/{row.pk}/").status_code == 404
    assert provider.patch(f"alarm-rules/{row.pk}/", {"mode": "off"}).status_code == 404
    assert provider.get(f"alarm-rules/{row.pk}/past/").status_code == 404
    assert supervisor.get(f"alarm-rules/{row.pk}/past/").status_code == 200
    assert supervisor.patch(f"alarm-rules/{row.pk}/", {"mode": "off"}).status_code == 403


def test_the_past_is_shown_step_by_step(cast: Cast, administrator: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    at = timezone.now() - timedelta(days=2)
    for number in (1, 2):
        Caller(application=f"app{number}", key_ref=number).fetch(at, 300, near=290)
    row = rule("sequence")
    place = f"alarm-rules/{row.pk}/past/"
    whole = administrator.get(place).json()
    assert [each["application"] for each in whole["alarms"]] == ["app1", "app2"]
    assert (whole["looked"], whole["after"]) == (2, None)
    (first, _second) = whole["alarms"]
    assert (first["consumer_agency"], first["key"], first["number"], first["usual"]) == ("kons", "mtr_uji", 290, 0)
    assert not HarvestAlarm.objects.exists()
    # A step that takes too long ends behind a caller, from whom the next one goes on.
    monkeypatch.setattr(past, "STEP_SECONDS", -1.0)
    step = administrator.get(place).json()
    assert ([each["application"] for each in step["alarms"]], step["looked"]) == (["app1"], 1)
    assert step["after"] == {"consumer_agency": "kons", "application": "app1", "key": 1}
    query = "&".join(f"{name}={value}" for name, value in step["after"].items())
    rest = administrator.get(f"{place}?{query}").json()
    assert ([each["application"] for each in rest["alarms"]], rest["after"]) == (["app2"], None)


@pytest.mark.parametrize("query", ["application=app", "consumer_agency=k&application=a&key=x", "application=%00"])
def test_a_wrong_place_in_the_past_is_refused(administrator: Person, query: str) -> None:
    assert administrator.get(f"alarm-rules/{rule('sequence').pk}/past/?{query}").status_code == 400


def test_alarms_are_read_by_those_whose_rule_it_is(cast: Cast, provider: Person, stranger: Person) -> None:
    now = timezone.now()
    own = HarvestRule.objects.create(agency=cast.provider, kind="rows", least=1000)
    theirs = incidents.open_incident("Panen", now)  # the administrators'
    common = {
        "consumer_agency": "kons", "application": "app", "day": timezone.localdate(), "found_at": now, "hour": now,
        "number": 5000, "usual": 10, "figures": {"agencies": ["prov"]}, "incident": theirs,
    }  # fmt: skip
    row = HarvestAlarm.objects.create(rule=own, agency="prov", **common)
    HarvestAlarm.objects.create(rule=HarvestRule.objects.get(kind="rows", agency=None), **common)
    (shown,) = provider.get("alarms/").json()["results"]
    assert (shown["id"], shown["rule"], shown["kind"], shown["agencies"]) == (row.pk, own.pk, "rows", ["prov"])
    assert (shown["number"], shown["usual"], shown["action"], shown["incident"]) == (5000, 10, "", None)
    assert stranger.get("alarms/").json()["results"] == []
    assert provider.get("alarms/?kind=calls").json()["results"] == []
    assert provider.get(f"alarms/?rule={own.pk}&application=app").json()["results"] == [shown]
    assert provider.delete(f"alarms/{row.pk}/").status_code in (403, 405)
