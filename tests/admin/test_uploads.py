"""The pages of uploaded tables: a clerk makes a table of her Excel file, replaces it, and goes back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from dataservices import uploads
from dataservices.models import UploadedTable
from registry.models import Agency
from tests.admin.conftest import SignIn
from tests.uploads import files
from tests.uploads.test_tables import HEADER, people, rows_of

ADD = "/admin/dataservices/uploadedtable/add/"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.UPLOAD_DIR = tmp_path / "uploads"
    return tmp_path / "uploads"


@pytest.fixture
def agency(db: None) -> Agency:
    return Agency.objects.create(code="prov", name="Penyedia")


@pytest.fixture
def client(sign_in: SignIn, agency: Agency) -> Client:
    return sign_in("Provider", agency)


def send(client: Client, agency: Agency, content: bytes, name: str = "Data Pegawai.xlsx") -> Any:
    return client.post(ADD, {"agency": agency.pk, "file": SimpleUploadedFile(name, content)})


def choices(page: str) -> dict[str, str]:
    """What the form of the preview would send, unchanged."""
    found = dict.fromkeys(re.findall(r'name="(include-\d+)"', page), "on")
    found |= dict(re.findall(r'name="(name-\d+)" value="([^"]*)"', page))
    for name, options in re.findall(r'<select name="(kind-\d+)".*?>(.*?)</select>', page, re.S):
        found[name] = re.findall(r'value="([^"]*)" selected', options)[0]
    return found


def make(client: Client, agency: Agency, content: bytes, **more: str) -> UploadedTable:
    preview = send(client, agency, content).url
    data = choices(client.get(preview).content.decode()) | {"title": "Data Pegawai", "make": "1", **more}
    response = client.post(preview, data)
    assert response.status_code == 302, response.content.decode()
    return UploadedTable.objects.get()


def page_of(table: UploadedTable, page: str = "change") -> str:
    return reverse(f"admin:dataservices_uploadedtable_{page}", args=(table.pk,))


def test_it_works(client: Client, agency: Agency) -> None:
    preview = send(client, agency, people(25))
    assert preview.status_code == 302
    page = client.get(preview.url).content.decode()
    assert 'value="Data Pegawai"' in page
    assert "31••••••••••••••" in page  # a NIK is personal
    assert "3173000000000001" not in page
    assert page.count("<tr>") == 1 + 4 + 1 + 20
    data = choices(page) | {"title": "Pegawai", "make": "1", "name-0": "nomor"}
    del data["include-2"]
    made = client.post(preview.url, data, follow=True)
    table = UploadedTable.objects.get()
    assert made.redirect_chain[-1][0] == page_of(table)
    assert rows_of(table.source, "SELECT * FROM pegawai LIMIT 1") == [("3173000000000001", "Orang 1", "1990-01-02")]
    assert "25" in made.content.decode()
    assert client.get(preview.url).status_code == 302  # the file is gone


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (files.protected(files.xlsx([HEADER, ["1"]])), "kata sandi"),
        (b"%PDF-1.4 ...", "PDF"),
        (b"Nama,Alamat\nSiti,Jl. Merdeka, Jakarta\n", "tanda kutip"),
        (b"", "kosong"),
    ],
)
def test_a_refused_file_says_what_to_do(client: Client, agency: Agency, content: bytes, words: str) -> None:
    response = send(client, agency, content)
    assert response.status_code == 200
    assert words in response.content.decode()


def test_another_sheet_and_header_are_read_again(client: Client, agency: Agency) -> None:
    def more(workbook: Any, _sheet: Any) -> None:
        workbook.add_worksheet("Kedua").write_column(0, 0, ["judul", "kode", "7", "8"])

    preview = send(client, agency, files.xlsx([HEADER, ["1", "a", 5]], more)).url
    assert "name-1" in client.get(preview).content.decode()
    again = {"look": "1", "header_row": "1", "header_lines": "1", "skip_last": "0"}
    page = client.post(preview, again | {"sheet": "Kedua"}).content.decode()
    assert 'value="judul"' in page
    assert "name-1" not in page
    page = client.post(preview, again | {"sheet": "Kedua", "header_row": "2", "skip_last": "1"}).content.decode()
    assert 'value="kode"' in page
    assert '<dd id="found_rows">1</dd>' in page
    page = client.post(preview, again | {"sheet": "Kedua", "header_row": "99"}).content.decode()
    assert 'role="alert"' in page
    assert 'value="kode"' in page


@pytest.mark.parametrize(
    "wrong", [{"name-0": "select"}, {"name-0": "gaji"}, {"kind-0": "uang"}, {"title": ""}, {"name": "2 x"}]
)
def test_wrong_choices_stay_on_the_page(client: Client, agency: Agency, wrong: dict[str, str]) -> None:
    preview = send(client, agency, people(2)).url
    data = choices(client.get(preview).content.decode()) | {"title": "Data", "name-1": "siapa", "make": "1", **wrong}
    page = client.post(preview, data)
    assert page.status_code == 200
    assert 'value="siapa"' in page.content.decode()
    assert not UploadedTable.objects.exists()


def test_a_newer_file_replaces_it_after_a_look(client: Client, agency: Agency) -> None:
    table = make(client, agency, people(3))
    response = client.post(page_of(table, "replace"), {"file": SimpleUploadedFile("baru.xlsx", people(5))})
    page = client.get(response.url).content.decode()
    assert re.search(r'id="row_change">[^<]*3[^<]*5', page)
    token = re.findall(r'name="token" value="([^"]+)"', page)[0]
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(3,)]
    done = client.post(page_of(table, "replace"), {"token": token, "note": "Desember"}, follow=True)
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(5,)]
    page = done.content.decode()
    assert "Desember" in page
    client.post(page_of(table, "bring-back"), {"version": "1"})
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(3,)]
    assert client.post(page_of(table, "bring-back"), {"version": "7"}).status_code == 404


def test_a_file_with_other_columns_is_refused_by_name(client: Client, agency: Agency) -> None:
    table = make(client, agency, people(3))
    content = files.xlsx([[*HEADER[:3], "Unit"], ["1", "a", 1, "A"]])
    response = client.post(page_of(table, "replace"), {"file": SimpleUploadedFile("lain.xlsx", content)})
    page = client.get(response.url).content.decode()
    assert "tgl_lahir" in page
    assert "Unit" in page
    token = response.url.partition("file=")[2]
    assert 'name="token"' not in page
    client.post(page_of(table, "replace"), {"token": token})
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(3,)]


def test_it_is_deleted_with_its_files(client: Client, agency: Agency, django_capture_on_commit_callbacks: Any) -> None:
    table = make(client, agency, people(3))
    assert client.get(page_of(table, "delete")).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        client.post(page_of(table, "delete"), {"post": "yes"})
    assert not UploadedTable.objects.exists()
    assert list((table.source.upload_folder / "versions").iterdir()) == []


def test_others_see_nothing_of_it(client: Client, agency: Agency, sign_in: SignIn) -> None:
    preview = send(client, agency, people(2)).url
    table = make(client, agency, people(3))
    other = Agency.objects.create(code="asing", name="Asing")
    stranger, publisher = sign_in("Provider", other), sign_in("Publisher", agency)
    for who in (stranger, publisher):
        for address in (preview, *(page_of(table, name) for name in ("change", "replace", "bring-back"))):
            assert who.get(address).status_code in (403, 404, 405)
            assert who.post(address, {"version": "1"}).status_code in (403, 404)
    assert stranger.get(preview).status_code == 404
    assert send(stranger, agency, people(1)).status_code == 200  # its form has its own agency only
    assert UploadedTable.objects.count() == 1
    assert uploads.source_of(other) is None
    supervisor = sign_in("Supervisor")
    page = supervisor.get(page_of(table)).content.decode()
    assert "data_pegawai" in page
    assert 'type="file"' not in page
    assert supervisor.get(ADD).status_code == 403
    assert supervisor.get(preview).status_code == 403


def test_an_administrator_chooses_the_agency(agency: Agency, sign_in: SignIn) -> None:
    table = make(sign_in("Administrator"), agency, people(3))
    assert table.source.agency == agency


def test_uploads_may_be_larger_than_other_requests(client: Client, agency: Agency, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2000
    assert send(client, agency, people(3)).status_code == 302
    assert send(Client(), agency, people(3)).status_code == 413
    settings.MAX_UPLOAD_BYTES = 1000
    assert send(client, agency, people(3)).status_code == 413


def test_its_source_is_marked(client: Client, agency: Agency) -> None:
    make(client, agency, people(3))
    listed = client.get(reverse("admin:dataservices_datasource_changelist")).content.decode()
    assert ":uploads:" not in listed
    assert re.search(r"field-engine_label[^>]*>\s*Tabel unggahan", listed)
    wizard = client.get(reverse("wizard"), follow=True).content.decode()
    assert re.search(r"prov/unggahan</strong> <span[^>]*>Tabel unggahan", wizard)
