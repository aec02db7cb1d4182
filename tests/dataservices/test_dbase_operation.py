"""A FoxPro table as a web service: through the pool, the gateway and the formats."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.conf import settings

from dataservices.connection_test import diagnose
from dataservices.models import DataSource
from tests import dbf_writer
from tests.cast import Cast

FIELDS = [dbf_writer.F("NIP", "C", 18), dbf_writer.F("NAMA", "C", 20), dbf_writer.F("GAJI", "N", 12, 2)]


def cells(n: int, pay: str) -> list[bytes]:
    return [f"1980{n:014d}".encode(), f"Pegawai {n}".encode(), pay.rjust(12).encode()]


def test_a_foxpro_table_is_a_web_service(cast: Cast) -> None:
    folder = Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / "kepegawaian"
    folder.mkdir(exist_ok=True)
    dbf_writer.write(folder / "PEGAWAI.DBF", FIELDS, [cells(n, f"{n}.50") for n in range(1, 21)], version=0x03)
    source = DataSource(agency=cast.provider, code="foxpro", engine="dbase", database="kepegawaian")
    source.full_clean()
    source.save()
    assert diagnose(source).succeeded
    cast.operation(
        "pegawai",
        "SELECT nip, nama, gaji FROM pegawai WHERE nip = :nip",
        source=source,
        parameters=({"name": "nip"},),
    )
    reply = cast.get("pegawai.json", "nip=198000000000000007")
    assert reply.body == (
        b'{"data":[{"NIP":"198000000000000007","NAMA":"Pegawai 7","GAJI":7.50}],"count":1,"truncated":false}'
    )
    assert reply.headers["x-data-as-of"].endswith("+00:00")
    assert "<GAJI>7.50</GAJI>" in cast.get("pegawai.xml", "nip=198000000000000007").text
    dbf_writer.write(folder / "RUSAK.DBF", FIELDS, [])
    (folder / "RUSAK.DBF").write_bytes(b"bukan tabel")
    cast.operation("rusak", "SELECT * FROM rusak", source=source)
    assert cast.get("rusak.json").json()["code"] == 11202


def test_a_folder_for_reading_only(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(settings.SOURCE_FILE_DIRS[0])
    folder = root / "prov" / "hanya-baca"
    folder.mkdir()
    dbf_writer.write(folder / "PEGAWAI.DBF", FIELDS, [cells(1, "1.50")], version=0x03)
    access = os.access
    # The tests may run as root, whom no folder keeps out.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and access(path, mode))
    source = DataSource.objects.create(agency=cast.provider, code="baca", engine="dbase", database="hanya-baca")
    cast.operation("baca", "SELECT nama FROM pegawai", source=source)
    assert cast.get("baca.json").json()["count"] == 1
    assert os.listdir(folder) == ["PEGAWAI.DBF"]
    assert [path.suffix for path in (root / ".copies" / "prov").glob("*.sqlite3")] == [".sqlite3"]
