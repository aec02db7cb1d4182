"""Uploaded tables by the management API: a nightly job sends its extract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from dataservices.models import UploadedTable
from tests.api.conftest import ROOT, Person
from tests.cast import Cast
from tests.uploads import files
from tests.uploads.test_tables import HEADER, people, rows_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.UPLOAD_DIR = tmp_path / "uploads"
    return tmp_path / "uploads"


def send(person: Person, path: str, content: bytes, **values: str) -> Any:
    file = SimpleUploadedFile("pegawai.xlsx", content)
    return person.client.post(
        ROOT + path, {"file": file, **values}, headers={"Authorization": f"Token {person.token}"}
    )  # fmt: skip


def make(person: Person, content: bytes | None = None, **values: str) -> Any:
    return send(person, "uploaded-tables/", content or people(3), **{"agency": "prov", "title": "Pegawai", **values})


def test_it_works(provider: Person) -> None:
    made = make(provider, note="awal")
    assert made.status_code == 201, made.content
    found = made.json()
    assert (found["source"], found["name"], found["rows"], found["version"]) == ("prov/unggahan", "pegawai", 3, 1)
    assert [column["type"] for column in found["columns"]] == ["text", "text", "decimal", "date"]
    path = f"uploaded-tables/{found['id']}/"
    replaced = send(provider, f"{path}replace/", people(5))
    assert replaced.status_code == 200, replaced.content
    assert [version["number"] for version in replaced.json()["versions"]] == [2, 1]
    table = UploadedTable.objects.get()
    assert rows_of(table.source, "SELECT count(*) FROM pegawai") == [(5,)]
    assert provider.post(f"{path}bring-back/", {"version": 1}).json()["rows"] == 3
    assert rows_of(table.source, "SELECT count(*) FROM pegawai") == [(3,)]
    assert provider.post(f"{path}bring-back/", {"version": 9}).status_code == 404
    assert provider.patch(path, {"title": "Pegawai 2024", "name": "lain"}).json()["title"] == "Pegawai 2024"
    assert UploadedTable.objects.get().name == "pegawai"
    assert provider.get("uploaded-tables/?agency=prov").json()["count"] == 1
    assert provider.delete(path).status_code == 204


def test_a_sheet_is_chosen_by_its_name(provider: Person) -> None:
    content = files.xlsx(
        [HEADER, ["1", "a", 1, "x"]],
        lambda workbook, _sheet: workbook.add_worksheet("Kedua").write_column(0, 0, ["kode", "7"]),
    )
    assert [column["name"] for column in make(provider, content, sheet="Kedua").json()["columns"]] == ["kode"]
    refused = make(provider, content, sheet="Ketiga", title="b")
    assert (refused.status_code, list(refused.json())) == (400, ["file"])


def test_what_is_refused_names_its_field(provider: Person) -> None:
    assert list(make(provider, b"%PDF-1.7").json()) == ["file"]
    assert list(make(provider, name="2 x").json()) == ["name"]
    assert list(make(provider, agency="tiada").json()) == ["agency"]
    assert sorted(provider.post("uploaded-tables/", {"agency": "prov"}).json()) == ["file", "title"]
    made = make(provider).json()
    other = files.xlsx([[*HEADER[:3], "Unit"], ["1", "a", 1, "A"]])
    refused = send(provider, f"uploaded-tables/{made['id']}/replace/", other)
    assert refused.status_code == 400
    assert "tgl_lahir" in refused.json()["file"][0]


def test_a_table_in_use_is_not_deleted(provider: Person, cast: Cast) -> None:
    made = make(provider).json()
    table = UploadedTable.objects.get()
    cast.define("pakai", "SELECT nama FROM pegawai", source=table.source)
    refused = provider.delete(f"uploaded-tables/{made['id']}/")
    assert refused.status_code == 409
    assert "prov/data/pakai" in refused.json()["detail"]


def test_others_may_not(provider: Person, stranger: Person, publisher: Person, supervisor: Person) -> None:
    path = f"uploaded-tables/{make(provider).json()['id']}/"
    for who, status in ((stranger, 404), (publisher, 403), (supervisor, 403)):
        assert send(who, f"{path}replace/", people(1)).status_code == status
        assert who.post(f"{path}bring-back/", {"version": 1}).status_code == status
        assert who.patch(path, {"title": "x"}).status_code == status
        assert who.delete(path).status_code == status
        assert make(who, title="b").status_code == 403
    assert supervisor.get(path).status_code == 200
    assert stranger.get(path).status_code == 404
    assert stranger.get("uploaded-tables/").json()["count"] == 0
    assert UploadedTable.objects.get().current.number == 1  # type: ignore[union-attr]
