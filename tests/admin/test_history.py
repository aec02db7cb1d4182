"""The call history: filters with suggestions, outcomes in words, request ids as people send them, saved filters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import override

from registry import faults, outcome_words
from registry.admin.history import story
from registry.admin.history.filters import SUMMARY
from registry.admin.history.related import Related
from registry.models import Agency, Application, CallGroup, CallRecord, Grant, Operation, SavedFilter, User
from tests.admin.conftest import MarkedAgency, SignIn, make_agency, make_user
from tests.admin.test_lists import HISTORY, found, record

pytestmark = pytest.mark.django_db


def suggested(client: Client, kind: str, text: str) -> list[str]:
    response = client.get(reverse("admin:registry_callrecord_suggest", args=(kind,)), {"q": text})
    assert response.status_code == 200
    return [each["value"] for each in response.json()["suggestions"]]


# ---------------------------------------------------------------------------------------- suggestions


def test_codes_and_names_are_suggested(marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Provider", marked.agency)
    mark = marked.agency.code
    assert suggested(client, "agency", f"badan {mark}") == suggested(client, "agency", mark.upper()) == [mark]
    service = f"{mark}/{mark}-layanan/"
    assert suggested(client, "operation", f"Data {mark}") == [service + f"{mark}-data"]
    assert suggested(client, "operation", "layanan")[:2] == [service, service + f"{mark}-cek"]
    assert suggested(client, "application", "aplikasi") == [f"{mark}/{mark}-aplikasi"]
    assert suggested(client, "operation", "tidak ada") == []


def test_nothing_is_suggested_that_the_user_cannot_know(marked: MarkedAgency, sign_in: SignIn) -> None:
    other = make_agency("akik")
    Operation.objects.filter(pk=other.operation.pk).update(state="published", listing="hidden")
    Operation.objects.filter(pk=other.proxy.pk).update(state="published", listing="members")
    client = sign_in("Requester", marked.agency)
    assert suggested(client, "operation", "akik") == ["akik/akik-layanan/", "akik/akik-layanan/akik-proksi"]
    assert suggested(client, "application", "akik") == []
    other.grant.operation = marked.operation
    other.grant.save()
    assert suggested(client, "application", "akik") == ["akik/akik-aplikasi"]
    assert len(suggested(sign_in("Supervisor"), "operation", "akik")) == 5
    address = reverse("admin:registry_callrecord_suggest", args=("user",))
    assert client.get(address).status_code == 404
    bare = User.objects.create(username="tanpa-peran", is_staff=True, agency=marked.agency)
    client.force_login(bare)
    assert client.get(reverse("admin:registry_callrecord_suggest", args=("agency",))).status_code == 403


def test_no_filter_in_an_address_tells_what_a_record_does_not_show(marked: MarkedAgency, sign_in: SignIn) -> None:
    """Letter by letter, a caller could read the name of the provider's source, and who tried its operation."""
    record(1, consumer_agency=marked.agency.code, origin_kind="source", origin="siak", origin_ref=7, user="rini")
    client = sign_in("Provider", marked.agency)
    for column in ("origin", "origin_kind", "origin_ref", "server_ref", "user", "segment"):
        for lookup in (column, f"{column}__gte", f"{column}__startswith"):
            assert client.get(HISTORY, {lookup: "s"}).status_code == 400, lookup


def test_no_filter_in_an_address_reads_the_whole_history(sign_in: SignIn) -> None:
    client = sign_in("Supervisor")
    for lookup in ("client_ip__contains", "fields__icontains", "started_at__year", "pk__gte", "method__regex"):
        assert client.get(HISTORY, {lookup: "1"}).status_code == 400, lookup
    assert client.get(reverse("admin:registry_agency_changelist"), {"name__iregex": "(a+)+$"}).status_code == 400


def test_what_no_database_takes_ends_in_no_error(marked: MarkedAgency, sign_in: SignIn) -> None:
    CallRecord.objects.all().delete()
    record(1, agency=marked.agency.code)
    client = sign_in("Supervisor")
    for moment in ("0001-01-01", "9999-12-31T23:59:59Z"):
        assert found(client, started_at__gte=moment) == {1}  # as a text that is no date
    assert found(client, started_at_from_0="01-01-0001") == {1}
    far = "e677d21fdb00" + "0" * 20  # a request id of the last hour of 9999
    assert found(client, q=far) == set()
    assert client.get(reverse("why_refused"), {"id": far}).status_code == 200
    # PostgreSQL refuses a NUL.
    assert suggested(client, "agency", f"badan\0 {marked.agency.code}") == [marked.agency.code]
    assert found(client, of_agency=f"{marked.agency.code}\0") == {1}


def test_a_name_as_text_filters_without_a_suggestion(marked: MarkedAgency, sign_in: SignIn) -> None:
    client = sign_in("Supervisor")
    record(1, agency=marked.agency.code, operation_ref=marked.operation.pk, consumer_agency="x")
    record(2, consumer_agency=marked.agency.code, application=marked.application.code)
    mine = marked.record.pk
    CallRecord.objects.filter(pk=mine).delete()
    assert found(client, of_agency=f"badan {marked.agency.code}") == {1, 2}
    assert found(client, of_operation=f"data {marked.agency.code}") == {1}
    assert found(client, of_application=f"aplikasi {marked.agency.code}") == {2}


def test_an_operation_is_found_by_what_it_is_however_it_was_called(marked: MarkedAgency, sign_in: SignIn) -> None:
    record(1, operation_ref=marked.operation.pk)  # its agency, service and code were others then
    client = sign_in("Supervisor")
    with CaptureQueriesContext(connection) as captured:
        assert found(client, of_operation=marked.operation.address) == {1}
    assert any(f'"operation_ref" IN ({marked.operation.pk})' in query["sql"] for query in captured)


def test_what_the_registry_has_no_more_is_found_by_the_roll_ups(sign_in: SignIn) -> None:
    CallGroup.objects.create(kind="call", agency="prov", service="data", operation="lama", operation_ref=99)
    record(1, operation="lama", operation_ref=99)
    record(2, operation_ref=98)
    client = sign_in("Supervisor")
    assert found(client, of_operation="LAMA") == found(client, of_operation="data/lama") == {1}
    assert found(client, of_operation="prov/data/lama") == {1}
    with CaptureQueriesContext(connection) as captured:
        assert found(client, of_operation="belum-pernah") == set()
    assert not [query for query in captured if "callrecord" in query["sql"]]  # all records would be read


def test_calls_of_a_source_are_those_of_its_operations_in_the_roll_ups(marked: MarkedAgency, sign_in: SignIn) -> None:
    source = {"origin_kind": "source", "origin_ref": marked.source.pk}
    CallGroup.objects.create(kind="call", agency=marked.agency.code, operation_ref=7, **source)
    record(1, operation_ref=7, **source)
    record(2, operation_ref=7, origin_kind="backend", origin_ref=marked.source.pk)
    client = sign_in("Provider", marked.agency)
    record(3, operation_ref=7, agency=marked.agency.code, **source)
    for text in (marked.source.code, f"source:{marked.agency.code}/{marked.source.code}"):
        assert found(client, of_origin=text) == {3}
        assert found(sign_in("Supervisor"), of_origin=text) == {1, 3}
    assert found(client, of_origin=f"backend:{marked.source.code}") == set()
    CallRecord.objects.filter(request_id=f"{1:032x}").update(classification="specific")
    assert found(sign_in("Supervisor"), classification_is="specific") == {1}


# ------------------------------------------------------------------------------------------- outcomes


def test_every_outcome_has_a_sentence_in_both_languages() -> None:
    assert list(outcome_words.SENTENCES) == list(faults.TABLE)
    assert {kind.party for kind in faults.TABLE.values()} == set(outcome_words.PARTIES)
    for language in ("id", "en"):
        with override(language):
            sentences = [outcome_words.title(code) for code in faults.TABLE]
        assert len(set(sentences)) == len(sentences)
        assert max(map(len, sentences)) <= 70
        assert sentences[0][0].isupper()


def test_outcomes_are_chosen_by_their_sentence_in_groups_of_parties(sign_in: SignIn) -> None:
    text = sign_in("Supervisor").get(HISTORY).content.decode()
    groups = [text.index(f'<optgroup label="{label}"') for label in (
        "Ringkasan", "Pemanggil harus bertindak", "Instansi penyedia harus bertindak",
        "Administrator server harus bertindak",
    )]  # fmt: skip
    assert groups == sorted(groups)
    assert groups[1] < text.index("Aplikasi belum diberi izin (11005)") < groups[2]
    assert text.count("(11206)</option>") == 1


def test_outcomes_in_summary_are_those_of_the_parties(sign_in: SignIn) -> None:
    for number, (outcome, status) in enumerate(
        [(200, 200), (200, 503), (200, 404), (11005, 403), (11214, 403), (11999, 500)]
    ):
        record(number, outcome=outcome, status=status)
    record(6, outcome=200, status=200, broken=True)
    record(7, outcome=11903, status=503, broken=True)  # its worker process died
    expected: dict[str, set[int]] = {
        "ok": {0, 2}, "failed": {1, 4}, "refused": {3}, "bus": {5, 7}, "broken": {6}, "open": set(),
    }  # fmt: skip
    calls = {value: CallRecord.objects.filter(condition) for value, (_title, condition) in SUMMARY.items()}
    assert {value: {int(row.request_id, 16) for row in rows} for value, rows in calls.items()} == expected
    client = sign_in("Supervisor")
    assert found(client, outcome_is="failed") == {1, 4}
    assert found(client, outcome_is="11214") == {4}
    assert found(client, outcome_is="12345") == set()


def test_the_list_says_what_happened(sign_in: SignIn) -> None:
    record(1, outcome=11206, status=504)
    record(2, outcome=200, status=503)
    text = sign_in("Supervisor").get(HISTORY).content.decode()
    table = text[text.index('id="result_list"') : text.index('id="changelist-filter"')]
    assert "layanan tujuan tidak merespons dalam batas waktu" in table
    assert "status layanan tujuan 503" in table
    assert "11206" not in table


# --------------------------------------------------------------------------------------------- periods


def test_an_address_gives_the_period_and_the_page_shows_it(sign_in: SignIn) -> None:
    for number, at in enumerate(
        ("2026-03-01T00:00:00+07:00", "2026-03-31T23:59:59.5+07:00", "2026-04-01T00:00:00+07:00")
    ):
        record(number, started_at=datetime.fromisoformat(at))
    client = sign_in("Supervisor")
    period = {"started_at__gte": "2026-03-01T00:00:00+07:00", "started_at__lte": "2026-03-31T23:59:59.999999+07:00"}
    for query in (period, {"started_at__gte": "2026-03-01", "started_at__lte": "2026-03-31"}):
        assert found(client, **query) == {0, 1}
        page = client.get(HISTORY, query).content.decode()
        text = page[page.index('id="filter-form"') :]
        for value in ("01-03-2026", "00.00.00", "31-03-2026", "23.59.59"):
            assert f'value="{value}"' in text
        assert 'name="started_at__gte"' not in text  # the fields have it
    # What is then sent from the fields: to the second, of which the period has the whole.
    entered = {"started_at_to_0": "31-03-2026", "started_at_to_1": "23.59.59"}
    assert found(client, **entered) == {0, 1}
    assert found(client, started_at__gte="2026-02-32") == {0, 1, 2}


# ----------------------------------------------------------------------------------------- request ids

AT = datetime(2026, 3, 5, 10, 30, tzinfo=UTC)
ID = f"{int(AT.timestamp() * 1000):012x}" + "ab" * 10


@pytest.mark.parametrize("typed", [ID, ID.upper(), f"  {ID[:8]} {ID[8:]}\n", "-".join((ID[:8], ID[8:12], ID[12:]))])
def test_a_request_id_is_found_as_people_send_it(typed: str, sign_in: SignIn) -> None:
    record(1, request_id=ID, started_at=AT + timedelta(milliseconds=3))
    client = sign_in("Supervisor")
    with CaptureQueriesContext(connection) as captured:
        (row,) = client.get(HISTORY, {"q": typed}).context["cl"].result_list
    assert row.request_id == ID
    # Each look-up has the period in which the id was made, so that one partition is read.
    assert all(
        "BETWEEN" in query["sql"] for query in captured if "request_id" in query["sql"] and "WHERE" in query["sql"]
    )
    assert ID in client.get(reverse("why_refused"), {"id": typed}).content.decode()


def test_a_request_id_of_another_time_is_found_all_the_same(sign_in: SignIn) -> None:
    record(1, request_id=ID, started_at=AT + timedelta(days=40))
    record(2, request_id="f" * 32)
    client = sign_in("Supervisor")
    assert [row.request_id for row in client.get(HISTORY, {"q": ID}).context["cl"].result_list] == [ID]
    assert len(client.get(HISTORY, {"q": "F" * 32}).context["cl"].result_list) == 1


# --------------------------------------------------------------------------------------- saved filters

SAVE = "/admin/registry/callrecord/filters/save/"


def save(client: Client, name: str, query: str) -> Any:
    return client.post(SAVE, {"name": name, "query": query}, follow=True)


def test_a_filter_is_saved_used_replaced_and_deleted(sign_in: SignIn) -> None:
    client = sign_in("Supervisor")
    response = save(client, "Gagal", "outcome_is=failed&of_agency=&p=o5&of_operation=a/b/")
    assert response.redirect_chain[-1][0] == f"{HISTORY}?of_operation=a%2Fb%2F&outcome_is=failed"
    text = response.content.decode()
    assert "Saringan “Gagal” tersimpan" in text
    assert '<a href="?of_operation=a%2Fb%2F&amp;outcome_is=failed" aria-current="page">Gagal</a>' in text
    save(client, "Gagal", "outcome_is=bus")
    row = SavedFilter.objects.get()
    assert row.query == "outcome_is=bus"
    delete = reverse("admin:registry_callrecord_delete_filter", args=(row.pk,))
    assert delete in client.get(HISTORY, {"outcome_is": "bus"}).content.decode()
    assert "dihapus" in client.post(delete, follow=True).content.decode()
    assert not SavedFilter.objects.exists()


def test_saved_filters_are_a_persons_own(marked: MarkedAgency, sign_in: SignIn) -> None:
    save(sign_in("Provider", marked.agency), "Milik saya", "outcome_is=failed")
    delete = reverse("admin:registry_callrecord_delete_filter", args=(SavedFilter.objects.get().pk,))
    for other in (sign_in("Administrator"), sign_in("Head", marked.agency)):
        assert "Milik saya" not in other.get(HISTORY).content.decode()
        assert other.post(delete).status_code == 404
    assert SavedFilter.objects.count() == 1
    assert sign_in("Provider", marked.agency).get(delete).status_code == 405


def test_saved_filters_have_bounds(sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ROW_LIMITS", {**settings.ROW_LIMITS, "saved_filters": 1})
    client = sign_in("Supervisor")
    for name, query, problem in (
        ("Kosong", "", "Saring dahulu"),
        ("", "outcome_is=ok", "Isikan nama dengan paling banyak 80 karakter"),
        ("n" * 81, "outcome_is=ok", "paling banyak 80 karakter"),
        ("Panjang", "of_agency=" + "a" * 2000, "2000"),
    ):
        assert problem in save(client, name, query).content.decode(), name
    save(client, "Satu", "outcome_is=ok")
    assert "MANTRA_MAX_SAVED_FILTERS" in save(client, "Dua", "outcome_is=bus").content.decode()
    save(client, "Satu", "outcome_is=bus")
    assert [row.query for row in SavedFilter.objects.all()] == ["outcome_is=bus"]


# ------------------------------------------------------------------------------------------ a call's page


def call_page(client: Client, row: CallRecord) -> str:
    response = client.get(reverse("admin:registry_callrecord_change", args=(row.pk,)))
    assert response.status_code == 200
    return response.content.decode()


def told(client: Client, row: CallRecord) -> str:
    """The sentence of a call's page."""
    return str(client.get(reverse("admin:registry_callrecord_change", args=(row.pk,))).context["story"])


@pytest.fixture
def failed(marked: MarkedAgency) -> CallRecord:
    """A call of the marked agency's proxy operation by another agency's application, that the upstream let fail."""
    caller = Agency.objects.create(code="kons", name="Dinas Sosial")
    application = Application.objects.create(agency=caller, code="app", title="Bantuan Sosial")
    grant = Grant.objects.create(application=application, operation=marked.proxy, purpose="uji")
    backend = marked.proxy.backend
    assert backend is not None
    backend.code = "rahasia-penyedia"
    backend.save()
    return record(
        1, agency=marked.agency.code, service=marked.service.code, operation=marked.proxy.code,
        operation_ref=marked.proxy.pk, consumer_agency="kons", application="app", outcome=11206, status=504,
        duration_us=5_000_400, grant_ref=grant.pk, origin_kind="backend", origin_ref=backend.pk, origin=backend.code,
        server_ref=backend.servers.get().pk, started_at=AT,
    )  # fmt: skip


def test_a_call_is_told_in_a_sentence(marked: MarkedAgency, failed: CallRecord, sign_in: SignIn) -> None:
    client, mark = sign_in("Publisher", marked.agency), marked.agency.code
    assert told(client, failed) == (
        f"Aplikasi Bantuan Sosial (Dinas Sosial) memanggil Proksi {mark} (Badan {mark}, {mark}-layanan/{mark}-proksi) "
        f"pada 05-03-2026 17.30.00; layanan tujuan tidak merespons dalam batas waktu (layanan tujuan {failed.origin}, "
        f"https://{mark}.go.id/api), karena itu MANTRA merespons dengan status 504 setelah 5,0 detik."
    )
    text = call_page(client, failed)
    assert "Instansi Anda harus bertindak" in text
    for model, pk in (
        ("proxyservices_proxyoperation", marked.proxy.pk), ("registry_grant", failed.grant_ref),
        ("proxyservices_backend", failed.origin_ref),
    ):  # fmt: skip
        assert f'href="{reverse(f"admin:{model}_change", args=(pk,))}"' in text
    assert f"{reverse('why_refused')}?id={failed.request_id}" in text
    client.cookies["django_language"] = "en"
    assert told(client, failed).endswith("so MANTRA responded with status 504 after 5.0 seconds.")


def test_the_caller_does_not_learn_the_providers_upstream(
    marked: MarkedAgency, failed: CallRecord, sign_in: SignIn
) -> None:
    Operation.objects.filter(pk=marked.proxy.pk).update(state="published")
    client = sign_in("Requester", Agency.objects.get(code="kons"))
    text = call_page(client, failed)
    assert "(layanan tujuan penyedia), karena itu MANTRA merespons" in told(client, failed)
    assert failed.origin not in text
    assert f"https://{marked.agency.code}.go.id" not in text
    assert f"Laporkan nomor permintaan {failed.request_id} kepada Badan {marked.agency.code}" in text
    assert reverse("admin:registry_application_change", args=(Application.objects.get(code="app").pk,)) in text
    assert found(client, of_origin=failed.origin) == set()
    assert found(sign_in("Publisher", marked.agency), of_origin=f"backend:{marked.agency.code}/{failed.origin}") == {1}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"rows": 12, "bytes": 2048, "duration_us": 38_200},
         "Aplikasi app (kons) memanggil operasi prov/data/satu pada 05-03-2026 17.30.00; berhasil: MANTRA merespons "
         "dengan 12 baris, 2,0\xa0KB dalam 38,2 ms."),
        ({"outcome": 0, "status": None}, "panggilan sedang berjalan, atau akhirnya belum ada dalam riwayat."),
        ({"broken": True, "bytes": 0, "duration_us": 1_500_000},
         "responsnya terputus setelah 1,5 detik dan 0\xa0byte."),
        ({"status": 404, "origin_kind": "backend", "origin": "bkn", "duration_us": 900},
         "layanan tujuan bkn merespons dengan status 404 setelah 0,9 ms, dan respons itu diteruskan."),
        ({"outcome": 10002, "status": 404, "agency": "", "service": "", "operation": "", "application": "",
          "consumer_agency": ""},
         "Pemanggil tanpa kunci akses yang dikenal memanggil alamat yang bukan operasi pada 05-03-2026 17.30.00; "
         "operasi tidak ada, karena itu MANTRA merespons dengan status 404."),
        ({"protocol": "browse", "operation": "", "application": "", "consumer_agency": "", "user": "budi", "bytes": 0},
         "Pengguna budi melihat tabel sumber data prov/data pada 05-03-2026 17.30.00; berhasil"),
    ],
)  # fmt: skip
def test_each_end_has_its_words(more: dict[str, Any], words: str) -> None:
    reader = make_user("Supervisor")
    assert words in story.sentence(Related(reader, record(1, started_at=AT, **more)))


def test_a_call_leads_to_its_neighbours_in_time(marked: MarkedAgency, sign_in: SignIn) -> None:
    rows = [
        record(
            number,
            started_at=AT + timedelta(seconds=number // 2),
            operation_ref=7,
            application=("app", "lain")[number % 2],
        )
        for number in range(6)
    ]
    client = sign_in("Supervisor")
    nearby = client.get(reverse("admin:registry_callrecord_change", args=(rows[2].pk,))).context["nearby"]
    pages = [reverse("admin:registry_callrecord_change", args=(row.pk,)) for row in rows]
    assert [(each.older, each.newer) for each in nearby] == [(pages[0], pages[4]), (pages[1], pages[3])]
    text = call_page(client, rows[0])
    assert f'href="{pages[2]}" rel="next"' in text
    assert "tidak ada sebelumnya" in text
