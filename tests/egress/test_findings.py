"""What people see of undeclared personal data: which column, how much, and what to do; never a value."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from mantra.egress import guard
from mantra.home.undeclared import undeclared
from registry.journal import findings, segments, shipping
from registry.models import Agency, Event, Grant, GuardFinding, Notification, Operation, User
from registry.notifications import guard_alarms
from registry.snapshot import holder
from tests.cast import Cast, ends_of
from tests.jobs.conftest import begin, lines, take_turn
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

NIK, EMAIL = "3201075001900001", "budi@contoh.id"
ROWS = f"SELECT id, 'NIK {NIK}' AS ket, '{EMAIL}' AS surat FROM orang WHERE id = :id"
PARAMETERS = ({"name": "id", "type": "integer"},)


@pytest.fixture(autouse=True)
def _nothing_is_known() -> None:
    guard._known.clear()


@pytest.fixture
def provider(cast: Cast) -> User:
    user = User.objects.create(username="penyedia", agency=cast.provider, is_staff=True)
    user.groups.set([Group.objects.get(name="Provider")])
    return user


def ship() -> None:
    segments.close()
    shipping.ship()


def test_calls_are_summed_up_by_column_and_kind(cast: Cast) -> None:
    operation = cast.operation("catatan", ROWS, parameters=PARAMETERS)
    for number in range(3):
        assert cast.get("catatan", f"id={number + 1}").status == 200
    ship()
    rows = GuardFinding.objects.order_by("kind").values_list("operation", "place", "kind", "calls", "found", "guard")
    assert list(rows) == [
        (operation.pk, "surat", "EMAIL", 3, 3, "alarm"),
        (operation.pk, "ket", "NIK", 3, 3, "alarm"),
    ]
    cast.get("catatan", "id=9")
    ship()
    assert set(GuardFinding.objects.values_list("calls", "found")) == {(4, 4)}
    assert GuardFinding.objects.count() == 2


def test_an_operation_that_is_gone_stops_nothing(cast: Cast) -> None:
    operation = cast.operation("catatan", ROWS, parameters=PARAMETERS)
    cast.get("catatan", "id=1")
    Grant.objects.filter(operation=operation).delete()
    Operation.objects.filter(pk=operation.pk).delete()
    ship()
    assert not GuardFinding.objects.exists()


def test_names_without_end_are_one_place(cast: Cast) -> None:
    operation = Operation.objects.get(code="satu")
    guarded = {"found": [(f"kolom{number}x", "NIK", 1) for number in range(50)], "guard": "alarm"}
    record = {"operation_ref": operation.pk, "started_at": timezone.now(), "protocol": "rest", "guarded": guarded}
    for part in range(6):
        found = [(f"k{'abcdef'[part]}{place}", *rest) for place, *rest in guarded["found"]]
        findings.store([{**record, "guarded": {**guarded, "found": found}}])
    places = GuardFinding.objects.filter(operation=operation)
    assert places.count() == findings.MOST_PLACES + 1
    assert places.get(place="").found == 200


@pytest.mark.parametrize("protocol", ["tryout", "browse", "editor"])
def test_what_an_author_tries_is_not_counted(cast: Cast, protocol: str) -> None:
    guarded = {"found": [("ket", "NIK", 1)], "guard": "alarm"}
    operation = Operation.objects.get(code="satu")
    record = {"operation_ref": operation.pk, "started_at": timezone.now(), "protocol": protocol, "guarded": guarded}
    findings.store([record])
    assert not GuardFinding.objects.exists()


def test_old_findings_are_deleted(cast: Cast) -> None:
    now = timezone.now()
    for days in (1, 400):
        at = now - timedelta(days=days)
        GuardFinding.objects.create(
            operation=Operation.objects.get(code="satu"), day=at.date(), place="ket", kind="NIK", last_at=at
        )
    findings.prune(now - timedelta(days=365))
    assert GuardFinding.objects.count() == 1


def test_the_provider_is_notified_once_a_day(cast: Cast, provider: User) -> None:
    cast.operation("catatan", ROWS, parameters=PARAMETERS)
    cast.get("catatan", "id=1")
    ship()
    now = timezone.now()
    assert guard_alarms.report(now) == 1
    assert guard_alarms.report(now) == 0
    assert guard_alarms.report(now + timedelta(hours=26)) == 0  # nothing new was found
    (row,) = Notification.objects.filter(event=Event.UNDECLARED_DATA)
    assert row.user == provider
    assert row.context == {"operation": "prov/data/catatan", "calls": 1, "data": "EMAIL, NIK"}
    assert row.url.startswith(reverse("admin:registry_guardfinding_changelist"))
    assert NIK not in json.dumps(row.context)


def test_what_is_covered_is_no_alarm(cast: Cast, provider: User) -> None:
    cast.operation("catatan", ROWS, parameters=PARAMETERS, guard="mask")
    cast.get("catatan", "id=1")
    ship()
    assert guard_alarms.report(timezone.now()) == 0
    assert not undeclared(provider).lines


def test_the_first_page_and_the_list_say_what_to_do(cast: Cast, provider: User) -> None:
    cast.operation("catatan", ROWS, parameters=PARAMETERS)
    cast.get("catatan", "id=1")
    ship()
    with override("id"):
        texts = [(line.text, str(line.note)) for line in undeclared(provider).lines]
    assert [text for text, _note in texts] == [
        "prov/data/catatan, kolom ket", "prov/data/catatan, kolom surat",
    ]  # fmt: skip
    assert texts[0][1].startswith("1 × NIK dalam 1 panggilan")
    client = Client()
    client.force_login(provider)
    page = client.get(reverse("admin:registry_guardfinding_changelist")).content.decode()
    operation = Operation.objects.get(code="catatan")
    assert f"{reverse('admin:registry_operation_change', args=(operation.pk,))}#part-columns" in page
    assert NIK not in page and EMAIL not in page
    row = GuardFinding.objects.first()
    assert row is not None
    assert client.get(reverse("admin:registry_guardfinding_change", args=(row.pk,))).status_code == 200
    assert client.get("/admin/").status_code == 200


def test_a_strange_agency_sees_nothing(cast: Cast) -> None:
    cast.operation("catatan", ROWS, parameters=PARAMETERS)
    cast.get("catatan", "id=1")
    ship()
    stranger = User.objects.create(username="asing", agency=Agency.objects.get(code="asing"), is_staff=True)
    stranger.groups.set([Group.objects.get(name="Provider")])
    client = Client()
    client.force_login(stranger)
    assert "prov/data/catatan" not in client.get(reverse("admin:registry_guardfinding_changelist")).content.decode()
    assert not undeclared(stranger).lines
    row = GuardFinding.objects.first()
    assert row is not None
    assert client.get(reverse("admin:registry_guardfinding_change", args=(row.pk,))).status_code in (302, 404)


# --------------------------------------------------------------------------------------------- jobs


@pytest.fixture
def _jobs(settings: Any, tmp_path: Any) -> None:
    settings.JOB_DIR = tmp_path / "jobs"


@pytest.mark.usefixtures("_jobs")
@pytest.mark.parametrize("rule", ["allow", "alarm", "mask", "block"])
def test_jobs_obey_the_rule(cast: Cast, rule: str) -> None:
    cast.operation("catatan", ROWS, parameters=PARAMETERS, guard=rule)
    job = take_turn(begin(cast, "id\n1\n2\n99999\n", "catatan"))
    text = json.dumps(lines(job), ensure_ascii=False)
    assert (NIK in text) == (EMAIL in text) == (rule in ("allow", "alarm"))
    assert ("11406" in text) == (rule == "block")
    ship()
    found = set(GuardFinding.objects.values_list("place", "kind", "found", "guard"))
    assert found == (set() if rule == "allow" else {("ket", "NIK", 2, rule), ("surat", "EMAIL", 2, rule)})


@pytest.mark.usefixtures("_jobs")
def test_jobs_of_upstreams_obey_the_rule(cast: Cast) -> None:
    with serve_upstream(Answer(json.dumps([{"nama": "Budi", "ket": NIK}]).encode())) as upstream:
        publish_proxy(cast, upstream.url, style="rest", parameters=("id",), guard="mask")
        job = take_turn(begin(cast, "id\n1\n", "alias"))
    assert NIK not in json.dumps(lines(job))
    assert job.done == 1


# ----------------------------------------------------------------------------------- enough is known


def test_a_column_of_which_enough_is_known_is_looked_at_now_and_then(cast: Cast) -> None:
    sql = f"SELECT id, '{EMAIL}' AS surat, CASE WHEN id > 2400 THEN '{NIK}' END AS ket FROM orang"
    operation = cast.operation("catatan", sql, max_rows=10_000)
    (end,) = ends_of(cast.get("catatan").headers["x-request-id"])
    first = {(place, kind): number for place, kind, number in end["guard"]}
    assert guard.ENOUGH <= first["surat", "EMAIL"] < 2_500  # a batch, and no more
    assert first["ket", "NIK"] == 100
    for _call in range(guard.KNOWN_IN - 1):
        (end,) = ends_of(cast.get("catatan").headers["x-request-id"])
        assert "guard" not in end
    (end,) = ends_of(cast.get("catatan").headers["x-request-id"])
    assert {kind for _place, kind, _number in end["guard"]} == {"EMAIL", "NIK"}
    Operation.objects.filter(pk=operation.pk).update(guard="mask")
    holder.refresh()
    text = cast.get("catatan").text
    assert EMAIL not in text and NIK not in text  # what is covered is looked at in whole
