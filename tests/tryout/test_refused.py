"""Why was this call refused? The same for the helpdesk, each agency with what it may know."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from registry.journal import segments, shipping
from registry.models import AccessKey, CallRecord, Grant
from registry.snapshot import holder
from tests.admin.conftest import SignIn
from tests.cast import Cast
from tests.tryout.conftest import attempt


def told(client: Client, request_id: str) -> str:
    response = client.get(reverse("why_refused"), {"id": request_id})
    assert response.status_code == 200
    return str(response.content.decode().partition('<form method="get"')[2])


def shipped(cast: Cast, **call: str) -> str:
    """Call as a program does, and return the request id as the history has it."""
    id = cast.get("satu", "id=5", **call).headers["x-request-id"]
    segments.close()
    shipping.ship()
    return id


@pytest.fixture
def expired(cast: Cast) -> str:
    AccessKey.objects.filter(pk=cast.key_row.pk).update(expires_at=timezone.now() - timedelta(days=2))
    holder.refresh()
    return shipped(cast)


def test_each_agency_is_told_what_it_may_know(cast: Cast, sign_in: SignIn, expired: str) -> None:
    consumer = told(sign_in("Requester", cast.consumer), expired)
    assert f"Kunci akses {cast.key_row.public} kedaluwarsa pada" in consumer
    assert f"/admin/registry/accesskey/{cast.key_row.pk}/change/" in consumer
    assert f"/admin/registry/accesskey/add/?application={cast.application.pk}" in consumer
    provider = told(sign_in("Provider", cast.provider), expired.upper() + " ")
    assert "Kunci akses kons/app sudah kedaluwarsa saat itu." in provider
    assert "Izin berlaku." in provider
    assert cast.key_row.public not in provider
    assert "/accesskey/" not in provider.partition('id="why"')[2]
    for role in ("Supervisor", "Administrator"):
        assert cast.key_row.public in told(sign_in(role), expired)
    nothing = told(sign_in("Requester", cast.stranger), expired)
    assert "Tidak ada panggilan dengan nomor permintaan ini" in nothing
    assert "kons" not in nothing.partition('id="why"')[2]
    assert nothing.replace(expired, "") == told(sign_in("Requester", cast.stranger), "0" * 32).replace("0" * 32, "")


def test_the_legacy_wire_says_less_than_the_page(cast: Cast, sign_in: SignIn) -> None:
    Grant.objects.filter(operation=cast.operations["satu"]).update(state="revoked")
    holder.refresh()
    shown = attempt(sign_in("Requester", cast.consumer), "satu", {"id": "5"}, way="legacy-json-get")
    assert '"code": 10002' in shown.body
    assert "membaca kode 10002" in shown.text
    segments.close()
    shipping.ship()
    text = told(sign_in("Provider", cast.provider), shown.request_id)
    assert "11005 grant-missing" in text
    assert "Izin kons/app untuk memanggil prov/data/satu sudah dicabut." in text


def test_rows_that_changed_since_explain_nothing(cast: Cast, sign_in: SignIn, expired: str) -> None:
    AccessKey.objects.filter(pk=cast.key_row.pk).update(expires_at=timezone.now() + timedelta(days=9))
    consumer = told(sign_in("Requester", cast.consumer), expired)
    assert "Kunci akses kons/app sudah kedaluwarsa saat itu." in consumer
    assert f"Kunci akses {cast.key_row.public} berlaku." in consumer
    cast.key_row.delete()
    assert "belum punya kunci akses" in told(sign_in("Requester", cast.consumer), expired)


def test_what_was_not_refused_and_what_cannot_be_read(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    assert "Panggilan ini tidak ditolak" in told(client, shipped(cast))
    assert "32 angka dan huruf" in told(client, "abc")
    assert "&lt;script&gt;" in told(client, "<script>")
    assert "\0" not in told(client, "\0" * 32)
    record = CallRecord.objects.get()
    CallRecord.objects.update(outcome=11202, status=502)
    assert "Laporkan nomor permintaan" in told(client, record.request_id)
    assert reverse("health_board") in told(sign_in("Provider", cast.provider), record.request_id)
    CallRecord.objects.update(outcome=0)
    assert "masih berjalan" in told(client, record.request_id)
    CallRecord.objects.update(outcome=200, broken=True)
    assert "sebelum byte terakhir" in told(client, record.request_id)
    assert Client().get(reverse("why_refused")).status_code == 302


def test_the_history_leads_here_and_names_users_to_their_own_agency(cast: Cast, sign_in: SignIn) -> None:
    shown = attempt(sign_in("Requester", cast.consumer), "satu", {"id": "lima"})
    segments.close()
    shipping.ship()
    record = CallRecord.objects.get(request_id=shown.request_id)
    address = reverse("admin:registry_callrecord_change", args=(record.pk,))
    own = sign_in("Requester", cast.consumer).get(address).content.decode()
    assert f"{reverse('why_refused')}?id={record.request_id}" in own
    assert "requester-kons" in own.partition("<main")[2] or "requester-kons" in own.partition('id="content"')[2]
    for place in (address, reverse("admin:registry_callrecord_changelist"), "/manage/api/v1/calls/"):
        other = sign_in("Provider", cast.provider).get(place)
        assert other.status_code == 200
        assert "requester-kons" not in other.content.decode(), place
        assert "app" in other.content.decode()
