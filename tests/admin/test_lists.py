"""Lists cost the same however long they are, and the history is found by what one knows of a call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from registry.models import Agency, CallRecord
from tests.admin.conftest import MarkedAgency, SignIn, make_agency

HISTORY = "/admin/registry/callrecord/"
#: Session, user, groups, the list and what it needs.
MOST = 12


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_a_longer_list_asks_no_more_of_the_database(model: type[Model], marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Administrator")
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    client.get(address)  # content types are kept from then on

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    before = queries()
    for number in range(4):
        make_agency(f"akik{number}")
    assert queries() == before
    assert before <= MOST


def record(number: int, **more: Any) -> CallRecord:
    known = {
        "request_id": f"{number:032x}",
        "started_at": timezone.now(),
        "protocol": "rest",
        "method": "GET",
        "agency": "prov",
        "service": "data",
        "operation": "satu",
        "consumer_agency": "kons",
        "application": "app",
        "outcome": 200,
        "status": 200,
    }
    return CallRecord.objects.create(**{**known, **more})


@pytest.fixture
def reader(sign_in: SignIn) -> Client:
    record(1)
    record(2, agency="lain", operation="dua", consumer_agency="lagi", application="siak")
    record(3, outcome=11101, status=400, started_at=timezone.now() - timedelta(days=3))
    record(4, outcome=11201, status=502)
    record(5, outcome=0, status=None)
    record(6, broken=True)
    return sign_in("Supervisor")


def found(client: Client, **query: str) -> set[int]:
    response = client.get(HISTORY, query)
    assert response.status_code == 200
    return {int(row.request_id, 16) for row in response.context["cl"].result_list}


def test_history_by_agency_operation_and_application(reader: Client) -> None:
    assert found(reader) == {1, 2, 3, 4, 5, 6}
    assert found(reader, of_agency="lain") == {2}
    assert found(reader, of_agency="kons") == {1, 3, 4, 5, 6}
    assert found(reader, of_application="siak") == {2}
    for name in ("dua", "data/dua", "lain/data/dua"):
        assert found(reader, of_operation=name) == {2}
    assert found(reader, of_operation="prov/data/dua") == set()
    assert found(reader, of_operation="x/lain/data/dua") == set()


def test_history_by_names_as_its_columns_show_them_and_in_any_case(reader: Client) -> None:
    Agency.objects.create(code="lagi", name="Lagi")
    assert found(reader, of_agency="LAIN") == {2}
    assert found(reader, of_agency="LAGI") == {2}
    assert found(reader, of_application="Siak") == {2}
    assert found(reader, of_application="LAGI/siak") == {2}
    assert found(reader, of_application="kons/siak") == set()
    assert found(reader, of_operation="Lain/DATA/dua") == {2}
    assert 'placeholder="instansi/aplikasi"' in reader.get(HISTORY).content.decode()


def test_an_empty_history_asks_nobody_to_add_a_row(reader: Client) -> None:
    text = reader.get(HISTORY, {"of_agency": "tidak-ada"}).content.decode()
    assert "Tidak ada baris yang cocok" in text
    assert "Tambahkan baris baru" not in text


def test_a_meaning_has_no_marks_to_be_filled(reader: Client) -> None:
    page = reverse("admin:registry_callrecord_change", args=(CallRecord.objects.get(outcome=11201).pk,))
    text = reader.get(page).content.decode()
    assert "Laporkan nomor permintaan … kepada" in text
    assert "{request_id}" not in text


def test_history_by_outcome(reader: Client) -> None:
    for outcome, numbers in {
        "ok": {1, 2}, "refused": {3}, "failed": {4}, "open": {5}, "broken": {6}, "11201": {4},
    }.items():  # fmt: skip
        assert found(reader, outcome_is=outcome) == numbers


def test_history_by_time(reader: Client) -> None:
    day = timezone.localtime() - timedelta(days=3)
    assert found(reader, started_at_from_0=f"{day:%d-%m-%Y}", started_at_to_0=f"{day:%d-%m-%Y}") == {3}
    assert found(reader, started_at_from_0=f"{day + timedelta(days=1):%d-%m-%Y}") == {1, 2, 4, 5, 6}
    late = day + timedelta(minutes=1)
    hour = {"started_at_from_0": f"{late:%d-%m-%Y}", "started_at_from_1": f"{late:%H.%M.%S}"}
    assert found(reader, **hour) == {1, 2, 4, 5, 6}
    assert found(reader, started_at_from_0="bukan tanggal") == {1, 2, 3, 4, 5, 6}


def test_history_by_request_id(reader: Client) -> None:
    assert found(reader, q=f"{4:032x}") == {4}
    assert found(reader, q=f"{4:032x}"[1:]) == set()


def test_a_record_says_what_its_outcome_means(reader: Client) -> None:
    page = reverse("admin:registry_callrecord_change", args=(CallRecord.objects.get(outcome=11101).pk,))
    text = reader.get(page).content.decode()
    assert "wajib diisi" in text
    reader.cookies["django_language"] = "en"
    assert "is required" in reader.get(page).content.decode()


def test_history_is_shown_to_provider_and_consumer(marked: MarkedAgency, sign_in: SignIn) -> None:
    record(1, agency=marked.agency.code, consumer_agency="kons")
    record(2, agency="lain", consumer_agency=marked.agency.code)
    record(3, agency="lain", consumer_agency="kons")
    client = sign_in("Requester", marked.agency)
    shown = {row.request_id for row in client.get(HISTORY).context["cl"].result_list}
    assert shown == {f"{1:032x}", f"{2:032x}", marked.record.request_id}
