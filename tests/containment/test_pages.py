"""The pages of stops and incidents, as a clerk of each agency meets them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from registry import containment, incidents
from registry.models import Agency, CallRecord, Incident, Notification, Stop
from registry.snapshot import holder
from tests.cast import Cast
from tests.containment.test_stops import STOPPED, objects, user_of

pytestmark = pytest.mark.django_db


def client_of(role: str, agency: Agency | None, name: str = "") -> Client:
    client = Client(headers={"accept-language": "id"})
    user = user_of(role, agency, name)
    user.is_staff = True
    user.save()
    client.force_login(user)
    return client


def new(kind: str, pk: int) -> str:
    return reverse("containment_stop_new", args=[kind, pk])


ROLES = {
    "key": ("Requester", "consumer"),
    "application": ("Requester", "consumer"),
    "grant": ("Provider", "provider"),
    "operation": ("Provider", "provider"),
    "source": ("Provider", "provider"),
    "agency": ("Administrator", ""),
    "all": ("Administrator", ""),
}


@pytest.mark.parametrize("kind", ROLES)
def test_a_clerk_stops_and_releases(cast: Cast, kind: str) -> None:
    role, agency = ROLES[kind]
    client = client_of(role, getattr(cast, agency) if agency else None)
    page = client.get(new(kind, objects(cast)[kind]))
    assert page.status_code == 200
    refused = client.post(page.request["PATH_INFO"], {"reason": " "})
    assert refused.status_code == 400
    assert not Stop.objects.exists()
    stopped = client.post(page.request["PATH_INFO"], {"reason": "Kunci bocor"})
    row = Stop.objects.get()
    assert stopped["Location"] == reverse("containment_stop", args=[row.pk])
    holder.refresh()
    assert cast.get("satu", "id=1").json()["code"] == STOPPED
    assert "Kunci bocor" in client.get(stopped["Location"]).text
    client.post(stopped["Location"], {"reason": "Kunci baru", "checks": ["key"]})
    row.refresh_from_db()
    assert (row.is_in_force, row.checks) == (False, "key")
    holder.refresh()
    assert cast.get("satu", "id=1").status == 200


def test_the_page_says_whom_it_shuts_out(cast: Cast) -> None:
    CallRecord.objects.bulk_create(
        CallRecord(
            request_id=f"{number:032x}", started_at=timezone.now(), protocol="rest", method="GET",
            operation_ref=cast.operations["satu"].pk, outcome=200,
        )
        for number in range(7)
    )  # fmt: skip
    page = client_of("Provider", cast.provider).get(new("operation", cast.operations["satu"].pk)).text
    assert "7 panggilan" in page
    assert "1 aplikasi" in page


@pytest.mark.parametrize(
    ("role", "agency", "kind", "status"),
    [
        ("Provider", "stranger", "operation", 404),
        ("Provider", "stranger", "grant", 404),
        ("Requester", "stranger", "key", 404),
        ("Provider", "consumer", "source", 404),
        ("Requester", "consumer", "grant", 403),
        ("Head", "provider", "operation", 403),
        ("Supervisor", "", "operation", 403),
        ("Provider", "provider", "all", 403),
        ("Provider", "provider", "agency", 403),
    ],
)
def test_others_cannot_stop(cast: Cast, role: str, agency: str, kind: str, status: int) -> None:
    client = client_of(role, getattr(cast, agency) if agency else None)
    for method in (client.get, client.post):
        assert method(new(kind, objects(cast)[kind]), {"reason": "x"}).status_code == status
    assert not Stop.objects.exists()


def test_a_stop_is_seen_by_those_whom_it_concerns(cast: Cast) -> None:
    provider = user_of("Provider", cast.provider)
    row = containment.stop("grant", cast.grants["satu"].pk, "Rahasia penyelidikan", by=provider)
    url = reverse("containment_stop", args=[row.pk])
    caller = client_of("Requester", cast.consumer)
    page = caller.get(url)
    assert page.status_code == 200
    assert "Rahasia penyelidikan" not in page.text
    assert caller.post(url, {"reason": "x"}).status_code == 403
    assert client_of("Provider", cast.stranger).get(url).status_code == 404
    assert "Rahasia penyelidikan" in client_of("Provider", cast.provider, "kedua").get(url).text
    assert client_of("Supervisor", None).post(url, {"reason": "x"}).status_code == 403


def test_a_banner_stands_on_the_page_and_on_the_first_one(cast: Cast) -> None:
    client = client_of("Provider", cast.provider)
    change = reverse("admin:dataservices_dataoperation_change", args=[cast.operations["satu"].pk])
    assert new("operation", cast.operations["satu"].pk) in client.get(change).text
    row = containment.stop("operation", cast.operations["satu"].pk, "Kebocoran")
    holder.refresh()
    url = reverse("containment_stop", args=[row.pk])
    for page in (change, reverse("admin:index"), reverse("containment")):
        assert url in client.get(page).text
    assert url not in client_of("Provider", cast.stranger).get(reverse("admin:index")).text


@pytest.mark.parametrize("kind", ["key", "grant", "application", "operation", "source"])
def test_the_people_concerned_are_notified(cast: Cast, kind: str) -> None:
    administrator, provider = user_of("Administrator", None), user_of("Provider", cast.provider)
    caller, stranger = user_of("Requester", cast.consumer), user_of("Requester", cast.stranger)
    row = containment.stop(kind, objects(cast)[kind], "Kebocoran", by=administrator)
    told = set(Notification.objects.filter(event="calls_stopped").values_list("user__username", flat=True))
    assert caller.username in told
    assert stranger.username not in told
    assert administrator.username not in told
    assert (provider.username in told) == (kind in ("grant", "operation", "source"))
    containment.release(row, "Sudah", by=administrator)
    assert Notification.objects.filter(event="calls_released", user=caller).count() == 1
    assert "Kebocoran" not in str(list(Notification.objects.values()))


# ------------------------------------------------------------------------------ incidents


def record(cast: Cast, number: int, **more: Any) -> CallRecord:
    values = {
        "request_id": f"{number:032x}", "started_at": timezone.now() - timedelta(minutes=number % 600),
        "protocol": "rest", "method": "GET", "agency": "prov", "service": "data", "operation": "satu",
        "consumer_agency": "kons",
        "operation_ref": cast.operations["satu"].pk, "application": "app", "key": cast.key_row.public,
        "key_ref": cast.key_row.pk, "grant_ref": cast.grants["satu"].pk, "client_ip": f"10.0.0.{number % 3}",
        "fields": "id, nama", "classification": "personal", "outcome": 200, "status": 200, "rows": 2, "bytes": 100,
        "subjects": f"hash{number % 40}",
    }  # fmt: skip
    return CallRecord(**values | more)


def an_incident(cast: Cast, kind: str = "key") -> Incident:
    return incidents.open_incident(
        "Kunci bocor", timezone.now() - timedelta(days=2), by=user_of("Provider", cast.provider, "pembuka"),
        targets=[containment.target_of(kind, objects(cast)[kind])],
    )  # fmt: skip


def test_an_incident_gathers_who_what_whom_when_and_how_much(cast: Cast) -> None:
    CallRecord.objects.bulk_create(record(cast, number) for number in range(100))
    CallRecord.objects.bulk_create(
        [
            record(cast, 200, outcome=STOPPED, status=403, rows=None, subjects="hash99"),
            record(cast, 201, key_ref=10**9, subjects="lain"),  # another key
            record(cast, 202, started_at=timezone.now() - timedelta(days=3), subjects="lama"),
            record(cast, 203, agency="asing", consumer_agency="asing", subjects="asing"),  # another agency's
        ]
    )
    from mantra.containment.gathering import gather

    row = an_incident(cast)
    found = gather(row)
    assert (found.total.calls, found.total.served, found.refused) == (101, 100, 1)
    assert (found.total.rows, found.total.bytes) == (200, 10_000)
    assert len(found.subjects) == 40
    assert found.complete
    assert found.callers[0].words[:3] == ("kons", "app", cast.key_row.public)
    assert {line.words[0] for line in found.networks} == {"10.0.0.0", "10.0.0.1", "10.0.0.2"}
    assert found.operations[0].field_names == "id, nama"
    assert sum(line.calls for line in found.times) == 101
    assert found.total.classification == "personal"


def test_what_is_read_for_a_page_is_bounded(cast: Cast) -> None:
    CallRecord.objects.bulk_create(record(cast, number) for number in range(50))
    from mantra.containment.gathering import gather

    found = gather(an_incident(cast), most=20)
    assert (found.total.calls, found.complete) == (20, False)


def test_a_clerk_handles_an_incident_from_stop_to_notification(cast: Cast) -> None:
    CallRecord.objects.bulk_create(record(cast, number) for number in range(30))
    client = client_of("Provider", cast.provider)
    client.post(new("grant", cast.grants["satu"].pk), {"reason": "Panen data"})
    stop = Stop.objects.get()
    assert f"{reverse('incident_new')}?stop={stop.pk}" in client.get(reverse("containment_stop", args=[stop.pk])).text
    moment = timezone.localtime().strftime("%Y-%m-%dT%H:%M")
    before = timezone.localtime(timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    opened = client.post(
        f"{reverse('incident_new')}?stop={stop.pk}",
        {"title": "Panen data oleh kons/app", "noticed_at": moment, "period_from": before},
    )
    row = Incident.objects.get()
    assert opened["Location"] == reverse("incident", args=[row.pk])
    assert row.number == f"prov/{timezone.localdate().year}/0001"
    page = client.get(opened["Location"]).text
    assert "kons/app" in page
    assert cast.key_row.public in page
    # From what the page shows, more is stopped for the incident.
    more = f"{new('operation', cast.operations['satu'].pk)}?incident={row.pk}"
    assert more in page
    client.post(more, {"reason": "Masih berjalan"})
    assert row.stops.count() == 2
    client.post(
        reverse("incident_edit", args=[row.pk]),
        {
            "period-title": row.title, "period-noticed_at": moment, "period-period_from": before,
            "report-disclosed": "Nama dan nomor", "report-how": "Kunci akses dipakai pihak lain",
            "report-handling": "Kunci dihentikan", "report-effects": "Penipuan", "report-contact": "dpo@prov.go.id",
        },
    )  # fmt: skip
    text = client.get(reverse("incident_report", args=[row.pk])).text
    for words in ("Nama dan nomor", "Kunci akses dipakai pihak lain", "Kunci dihentikan", "dpo@prov.go.id", row.number):
        assert words in text
    closing = client.post(reverse("incident_state", args=[row.pk]), {"state": "closed"}, follow=True)
    row.refresh_from_db()
    assert row.state == "open"  # its stops are in force
    assert closing.status_code == 200
    for state in ("contained", "reported"):
        client.post(reverse("incident_state", args=[row.pk]), {"state": state})
    client.post(reverse("incident_note", args=[row.pk]), {"text": "Menelepon kons"})
    for each in incidents.in_order(row.stops.all()):
        client.post(reverse("containment_stop", args=[each.pk]), {"reason": "Aman", "checks": ["grants"]})
    client.post(reverse("incident_state", args=[row.pk]), {"state": "closed"})
    row.refresh_from_db()
    assert row.state == "closed"
    assert row.reported_at is not None
    assert list(row.notes.values_list("step", flat=True)) == [
        "opened", "stopped", "stopped", "contained", "reported", "note", "released", "released", "closed",
    ]  # fmt: skip


def test_narrow_stops_are_released_first(cast: Cast) -> None:
    made = [containment.stop(kind, objects(cast)[kind], "x") for kind in ("all", "agency", "application", "operation")]
    assert [each.kind for each in incidents.in_order(made)] == ["operation", "application", "agency", "all"]


def test_an_incident_is_its_agencys_own(cast: Cast) -> None:
    row = an_incident(cast)
    pages = [reverse(name, args=[row.pk]) for name in ("incident", "incident_edit", "incident_report")]
    for role, agency in (("Provider", cast.consumer), ("Requester", cast.stranger), ("Head", cast.stranger)):
        client = client_of(role, agency)
        assert {client.get(page).status_code for page in pages} == {404}
        assert client.post(reverse("incident_file", args=[row.pk]), {"file": "subjects"}).status_code == 404
        assert row.number not in client.get(reverse("containment")).text
    head = client_of("Head", cast.provider)
    assert head.get(pages[0]).status_code == 200
    assert head.get(pages[2]).status_code == 403
    assert head.post(reverse("incident_file", args=[row.pk]), {"file": "subjects"}).status_code == 403


def test_the_deadline_is_three_days_after_it_was_noticed(cast: Cast) -> None:
    row = an_incident(cast)
    assert row.due_at - row.noticed_at == timedelta(hours=72)
    Incident.objects.filter(pk=row.pk).update(noticed_at=timezone.now() - timedelta(hours=73))
    assert 'role="alert"' in client_of("Provider", cast.provider).get(reverse("incident", args=[row.pk])).text
