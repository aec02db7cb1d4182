"""Lists cost the same however long they are, and the history is found by what one knows of a call."""

from __future__ import annotations

import re
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

from registry.admin.history import CallRecordAdmin
from registry.models import Agency, Application, CallRecord
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


def test_labels_without_a_colour_have_words(marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Provider", marked.agency)
    shown = client.get(reverse("admin:dataservices_dataoperation_changelist"))
    assert re.search(r"rounded-default[^>]*>\s*terbatas\s*<", shown.content.decode())


def test_a_list_offers_to_show_all_only_if_it_does_not(marked: MarkedAgency, sign_in: SignIn) -> None:
    client, address = sign_in("Administrator"), reverse("admin:registry_application_changelist")
    assert "Tampilkan semua" not in client.get(address).content.decode()
    assert "Tampilkan semua" in client.get(address, {"q": "zamrud"}).content.decode()
    nothing = client.get(address, {"q": "tidak ada"}).content.decode()
    assert "Hapus saringan" in nothing
    Application.objects.all().delete()
    empty = client.get(address).content.decode()
    assert "Belum ada isinya." in empty
    assert "Hapus saringan" not in empty


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
    assert found(reader, of_operation="prov/data/") == {1, 3, 4, 5, 6}
    assert found(reader, of_operation="prov/") == {1, 3, 4, 5, 6}
    assert found(reader, of_application="Lagi/") == {2}
    assert found(reader, of_application="lagi/", of_operation="prov/") == set()
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


# ------------------------------------------------------------------------------------ pages by key


def pages(client: Client, word: str, address: str) -> list[list[int]]:
    """The numbers of the records on each page, from an address on, by its links to older or newer ones."""
    result = []
    while address:
        cl = client.get(address).context["cl"]
        result.append([int(row.request_id, 16) for row in cl.result_list])
        address = f"{HISTORY}{getattr(cl, word)}" if getattr(cl, word) else ""
    return result


def test_pages_by_key_miss_and_repeat_nothing(sign_in: SignIn) -> None:
    now = timezone.now()
    for number in range(120):
        record(number, started_at=now - timedelta(seconds=number // 7))  # many at one time
    client = sign_in("Supervisor")
    older = pages(client, "older", HISTORY)
    assert [len(page) for page in older] == [50, 50, 20]
    assert sorted(number for page in older for number in page) == list(range(120))
    last = client.get(HISTORY + client.get(HISTORY).context["cl"].older).context["cl"]
    newer = pages(client, "newer", HISTORY + last.older)
    assert newer == older[::-1]
    # What came meanwhile is on the first page.
    place = HISTORY + client.get(HISTORY).context["cl"].older
    record(1000, started_at=now + timedelta(seconds=1))
    back = client.get(HISTORY + client.get(place).context["cl"].newer).context["cl"]
    assert [int(row.request_id, 16) for row in back.result_list] == older[0]
    assert pages(client, "newer", HISTORY + back.newer)[-1][0] == 1000


def test_pages_by_key_keep_filters_and_count_nothing(sign_in: SignIn) -> None:
    for number in range(60):
        record(number, agency=("prov", "lain")[number % 2])
        record(100 + number)
    client = sign_in("Supervisor")
    with CaptureQueriesContext(connection) as captured:
        cl = client.get(HISTORY, {"of_operation": "prov/data/"}).context["cl"]
    assert "of_operation=prov" in cl.older
    assert len(client.get(HISTORY + cl.older).context["cl"].result_list) == 40
    assert not [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert not [query["sql"] for query in captured if "OFFSET" in query["sql"]]


def column(name: str) -> int:
    """The number by which an address names a column of the history."""
    return CallRecordAdmin.list_display.index(name)


@pytest.mark.parametrize("name", CallRecordAdmin.list_display)
def test_the_history_is_sorted_by_an_index_or_not_at_all(name: str, reader: Client) -> None:
    for order in (f"{column(name)}", f"-{column(name)}"):
        with CaptureQueriesContext(connection) as captured:
            assert reader.get(HISTORY, {"o": order}).status_code == 200
        (query,) = (query["sql"] for query in captured if "LIMIT 51" in query["sql"])
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query.replace('%', '%%')}")
            plan = [line[-1] for line in cursor.fetchall()]
        assert "USING INDEX call_" in plan[0], plan
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan


def test_another_order_has_one_page(sign_in: SignIn) -> None:
    for number in range(60):
        record(number, duration_us=number * 7 % 60)  # not in the order of time
    client = sign_in("Supervisor")
    response = client.get(HISTORY, {"o": f"-{column('duration')}"})
    cl = response.context["cl"]
    assert [row.duration_us for row in cl.result_list] == list(range(59, 9, -1))
    assert (cl.older, cl.newer) == ("", "")
    assert "menampilkan baris pertama" in response.content.decode()


@pytest.mark.parametrize("place", ["o", "n", "ox", "o999999", "7", "o-1", "o" + "9" * 40])
def test_a_place_that_there_is_not_is_the_first_page(place: str, reader: Client) -> None:
    assert found(reader, p=place) == {1, 2, 3, 4, 5, 6}


def test_a_request_id_is_found_by_the_index(reader: Client) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert found(reader, q=f" {4:032x} ") == {4}
    (sql,) = [query["sql"] for query in captured if "request_id" in query["sql"] and "WHERE" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        plan = str(cursor.fetchall())
    assert "SEARCH registry_callrecord USING INDEX" in plan
    assert "request_id=?" in plan
