"""The page of an operation: what a caller must know, and nothing of where the data comes from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dataservices.models import DataOperation
from proxyservices.models import ParameterMapping
from registry import sample_responses, versions
from registry.models import Application, Field, Grant, Operation, Parameter, SampleResponse
from registry.statistics import rollups
from tests.admin.conftest import MARKER, make_agency, make_user
from tests.admin.visible import texts
from tests.cast import Cast
from tests.ended_calls import ended_call
from tests.test_words import banned, english

ADDRESS = "/catalog/prov/data/warga"


@pytest.fixture
def people(cast: Cast) -> DataOperation:
    """An operation for everybody, with all that a page can show."""
    cast.provider.email = "halo@penyedia.go.id"
    cast.provider.save()
    cast.service.contact, cast.service.tags = "Bu Ani 0812-0000-1111", "warga, sosial"
    cast.service.save()
    made = cast.define(
        "warga",
        "SELECT nama, unit FROM orang WHERE id = :id",
        title="Data warga",
        description="Untuk pelayanan <b>warga</b>",
        listing="public",
        max_rows=500,
        cache_seconds=60,
        parameters=({"name": "id", "type": "integer", "min": "7", "description": "Nomor orang"},),
    )
    Field.objects.create(operation=made, name="nama", classification="personal", description="Nama orang")
    Field.objects.create(operation=made, name="unit", classification="public", description="Unit kerja")
    return made


def page(client: Client, **terms: str) -> str:
    response = client.get(ADDRESS, terms)
    assert response.status_code == 200
    return str(response.content.decode())


def test_everybody_reads_what_a_caller_must_know(cast: Cast, people: DataOperation) -> None:
    text = page(Client())
    for words in (
        "<h1>Data warga</h1>", "&lt;b&gt;warga&lt;/b&gt;", "prov/data/warga", "Nomor orang", "<code>7</code>",
        "Nama orang", "data pribadi", "Unit kerja", "500 baris", "60 detik", "10 detik", "halo@penyedia.go.id",
        "?tag=sosial", "Excel (XLSX)", "/rest/prov/data/warga.json", "/soap/prov/data?wsdl", "belum dipanggil",
    ):  # fmt: skip
        assert words in text, words
    words = [(*english(each), *banned(each, indonesian=True)) for each in texts(text)]
    assert not any(words), words
    assert "0812" not in text  # a person's number is for those who are signed in
    assert "SELECT" not in text and "orang WHERE" not in text and "uji.sqlite3" not in text


def test_nothing_tells_where_the_data_comes_from(db: None) -> None:
    marked = make_agency(MARKER)
    Operation.objects.filter(service=marked.service).update(state="published", listing="public")
    Field.objects.filter(operation__service=marked.service).delete()
    ParameterMapping.objects.update(value="nilai-tetap", secret=False)
    for operation in (marked.operation, marked.proxy):
        text = Client().get(f"/catalog/{operation.address}").content.decode()
        for secret in (".internal", "sandi-", "kunci-", "SELECT", "nilai-tetap", f"X-{MARKER}", f"{MARKER}-sumber"):
            assert secret not in text, secret
        assert f"https://{MARKER}" not in text  # its upstream


def test_a_pass_through_operation_shows_what_is_known(cast: Cast) -> None:
    from tests.proxy.publishing import publish_proxy

    proxy = publish_proxy(cast, "http://dalam.contoh/", style="pass-through")
    Operation.objects.filter(pk=proxy.pk).update(listing="public")
    text = Client().get(f"/catalog/{proxy.address}").content.decode()
    assert "dalam.contoh" not in text and "(<code>.csv</code>)" not in text and "Respons sistem instansi" in text


def test_who_has_a_grant_is_led_to_the_code_and_others_to_the_request(cast: Cast, people: DataOperation) -> None:
    client = Client()
    client.force_login(make_user("Requester", cast.consumer))
    text = page(client)
    code = f'href="{ADDRESS}/code?application=kons/app">Kode program</a>'
    assert code in text
    assert "Perpanjang atau ubah izin" in text
    Grant.objects.filter(operation=people.pk).delete()
    text = page(client)
    assert code not in text
    assert "Ajukan permohonan akses</a>" in text


def test_ones_own_grants_are_shown(cast: Cast, people: DataOperation) -> None:
    client, grant = Client(), cast.grants["warga"]
    client.force_login(make_user("Requester", cast.consumer, "pemohon"))
    other = Application.objects.create(agency=cast.consumer, code="lain", title="Aplikasi lain")
    Grant.objects.create(application=other, operation=people, purpose="uji", state="revoked")
    stranger = Application.objects.create(agency=cast.stranger, code="asing", title="Aplikasi asing")
    Grant.objects.create(application=stranger, operation=people, purpose="uji")
    Grant.objects.filter(pk=grant.pk).update(fields="nama", quota="1000/day")
    text = page(client, application="kons/app")
    assert "1.000 per hari" in text and "dicabut" in text and "0812-0000-1111" in text
    assert "Aplikasi asing" not in text
    assert [text.count(f'data-label="Dalam izin Anda">{word}<') for word in ("ya", "tidak")] == [1, 1]
    yesterday = timezone.localdate() - timedelta(days=1)
    Grant.objects.filter(pk=grant.pk).update(valid_until=yesterday)
    assert "berakhir" in page(client, application="kons/app")


def test_states_notes_and_usage_are_shown(cast: Cast, people: DataOperation) -> None:
    owner = make_user("Provider", cast.provider, "pemilik")
    draft = versions.open_draft(people, owner)
    draft.title = "Warga"
    draft.save()
    versions.publish(draft, owner, "rapat tertutup", change_note="Judulnya baru")
    rollups.count(ended_call(operation_ref=people.pk, status=status) for status in (200, 503))
    day = timezone.localdate() + timedelta(days=90)
    Operation.objects.filter(pk=people.pk).update(state="deprecated", sunset=day)
    text = page(Client())
    assert "Judulnya baru" in text and "50,0 %" in text and "Jangan membangun" in text
    assert "rapat tertutup" not in text and "pemilik" not in text
    Operation.objects.filter(pk=people.pk).update(state="retired")
    assert "panggilan ditolak" in page(Client())


# ------------------------------------------------------------------------------------------- samples


def try_out(client: Client, operation: Operation, **values: str) -> Any:
    return client.post(f"/admin/try/{operation.pk}/", values)


def test_a_sample_is_saved_by_one_click_masked_and_removed(cast: Cast, people: DataOperation) -> None:
    owner = Client()
    owner.force_login(make_user("Provider", cast.provider, "pemilik"))
    assert 'name="sample"' in try_out(owner, people, p_id="7").content.decode()
    assert not SampleResponse.objects.exists()
    assert "•••" in try_out(owner, people, p_id="7", sample="1").content.decode()
    stored = SampleResponse.objects.get().content
    assert "Orang 7" not in stored and "Unit 0" in stored
    text = page(Client())
    assert "•••" in text and "Unit 0" in text and "Hapus contoh" not in text

    # A column that is classified more strictly afterwards.
    people.fields.filter(name="unit").update(classification="specific")
    assert "Unit 0" not in page(Client())
    versions.record(people, None)
    assert "Unit 0" not in SampleResponse.objects.get().content

    other = Client()
    other.force_login(make_user("Provider", cast.stranger, "orang-asing"))
    assert other.post(f"{ADDRESS}/sample/remove").status_code == 403
    assert Client().post(f"{ADDRESS}/sample/remove").status_code == 403
    assert "Hapus contoh" in page(owner)
    assert "dihapus" in owner.post(f"{ADDRESS}/sample/remove", follow=True).content.decode()
    assert not SampleResponse.objects.exists()


def test_what_cannot_be_a_sample_is_said(cast: Cast, people: DataOperation) -> None:
    owner = Client()
    owner.force_login(make_user("Provider", cast.provider, "pemilik"))
    for values in ({"p_id": "bukan-angka"}, {}):
        assert 'role="alert"' in try_out(owner, people, sample="1", **values).content.decode()
    versions.open_draft(people, None)
    assert "tidak ada respons" in try_out(owner, people, sample="1", p_id="7").content.decode().lower()
    assert not SampleResponse.objects.exists()


def test_what_is_not_known_to_be_harmless_is_masked() -> None:
    document = {
        "data": [
            {
                "nik": "3171234567890001",
                "nama_ibu": "Siti Aminah",
                "ket": "Pak Budi sakit",
                "kode": "A1",
                "tmt": "2010-03-01",
                "jumlah": 5,
                "hp": "nomor 0812 3456 7890",
                "lain": "teks bebas",
                "terbuka": "Kota Contoh",
            }
        ] * 9,
        "count": 9,
        "orang": {"3171234567890001": {"nilai": 1}},
    }  # fmt: skip
    classes = dict.fromkeys(("nik", "nama_ibu", "ket", "kode", "tmt", "jumlah", "hp"), "internal") | {
        "terbuka": "public"
    }
    masked = sample_responses.masked(document, classes)
    assert len(masked["data"]) == 3 and masked["count"] == 9
    row = masked["data"][0]
    assert row["nik"].startswith("31•") and row["nama_ibu"] == "S••• A•••"
    assert (row["kode"], row["tmt"], row["jumlah"], row["terbuka"]) == ("A1", "2010-03-01", 5, "Kota Contoh")
    assert {row["ket"], row["lain"]} == {"•••"} and "0812" not in row["hp"]
    assert "3171234567890001" not in str(masked)
    assert sample_responses.masked(masked, classes) == masked


# -------------------------------------------------------------------------------------------- speed


def test_pages_ask_the_database_as_often_however_much_there_is(cast: Cast, people: DataOperation) -> None:
    client = Client()
    client.force_login(make_user("Requester", cast.consumer, "pemohon"))
    addresses = ("/catalog/", "/catalog/?q=data", "/catalog/prov/", "/catalog/prov/data/", ADDRESS)
    before = [_queries(client, address) for address in addresses]
    for number in range(12):
        made = cast.define(f"lagi{number}", "SELECT 1 AS n", title="Data lagi")
        Field.objects.create(operation=made, name="n")
        Parameter.objects.create(operation=people, name=f"p{number}", position=number + 1)
        Field.objects.create(operation=people, name=f"k{number}", position=number + 1)
        other = Application.objects.create(agency=cast.consumer, code=f"a{number}", title="Lain")
        Grant.objects.create(application=other, operation=people, purpose="uji")
    assert [_queries(client, address) for address in addresses] == before
    assert max(before) <= 18, before


def _queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)
