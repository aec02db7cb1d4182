"""Masks as callers meet them: on every protocol, in every format, in pages of changes, jobs, and over proxies."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from dataservices.models import DataOperation, DataSource
from registry import faults
from registry.models import AccessKey, Application, Field, Grant
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, ends_of, recorded
from tests.jobs.conftest import begin, lines, work
from tests.soap import wire

NIK = "3201012309850001"
SHOWN = "3201••••••••0001"
COLUMNS = (("id", "integer"), ("nik", "text"), ("nama", "text"), ("lahir", "date"), ("kode", "integer"))


@pytest.fixture
def source(cast: Cast, tmp_path: Path) -> DataSource:
    path = Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / f"{tmp_path.name}.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute(
            "CREATE TABLE warga "
            "(id INTEGER PRIMARY KEY, nik TEXT, nama TEXT, lahir DATE, kode BIGINT, diubah TIMESTAMP)"
        )
        made.executemany(
            "INSERT INTO warga VALUES (?, ?, ?, ?, ?, ?)",
            [
                (1, NIK, "Budi Santoso", "1985-09-23", 9000001, "2020-01-01 00:00:00"),
                (2, "3201012309850002", "Ani", None, 9000002, "2020-01-02 00:00:00"),
                (3, None, None, "kosong", None, "2020-01-03 00:00:00"),
            ],
        )
    made.close()
    return DataSource.objects.create(agency=cast.provider, code="warga", engine="sqlite", database=str(path))


@pytest.fixture
def warga(cast: Cast, source: DataSource) -> DataOperation:
    return publish(cast, source)


def publish(cast: Cast, source: DataSource, masks: str = "", **more: Any) -> DataOperation:
    """The operation with fields, the grant's masks as ``name=kind`` in lines."""
    operation = cast.define(
        "warga", "SELECT id, nik, nama, lahir, kode, diubah FROM warga ORDER BY id", source=source, **more
    )
    for position, (name, kind) in enumerate((*COLUMNS, ("diubah", "text"))):
        Field.objects.create(operation=operation, position=position, name=name, type=kind)
    grant(cast, masks=masks)
    return operation


def grant(cast: Cast, code: str = "warga", **values: Any) -> Grant:
    row = cast.grants[code]
    row.refresh_from_db()
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()
    holder.refresh()
    return row


def rows(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["data"]
    return found


ALL = "nik=partial\nnama=initials\nlahir=year\nkode=hash\ndiubah=dropped"


def test_it_works(cast: Cast, warga: DataOperation) -> None:
    """Each mask on a column of its type; NULL stays NULL, and what is no date is none."""
    grant(cast, masks=ALL)
    first, second, third = rows(cast.get("warga"))
    assert len(first.pop("kode")) == 32
    assert first == {"id": 1, "nik": SHOWN, "nama": "B. S.", "lahir": "1985"}
    assert (second["nama"], second["lahir"]) == ("A.", None)
    assert third == {"id": 3, "nik": None, "nama": None, "lahir": None, "kode": None}


def secrets_in(body: bytes) -> list[bytes]:
    return [each for each in (NIK.encode(), b"Budi", b"Santoso", b"09-23", b"9000001", b"2020-01-01") if each in body]


@pytest.mark.parametrize("format", ["json", "xml", "csv", "ndjson", "php", "phpa"])
def test_no_format_has_the_values(cast: Cast, warga: DataOperation, format: str) -> None:
    assert secrets_in(call(f"/rest/prov/data/warga.{format}", accesskey=cast.key).body)
    grant(cast, masks=ALL)
    reply = call(f"/rest/prov/data/warga.{format}", accesskey=cast.key)
    assert reply.status == 200 and not secrets_in(reply.body) and b"1985" in reply.body


def test_no_workbook_has_the_values(cast: Cast, warga: DataOperation) -> None:
    grant(cast, masks=ALL)
    sheet = openpyxl.load_workbook(io.BytesIO(call("/rest/prov/data/warga.xlsx", accesskey=cast.key).body)).active
    cells = [str(cell) for line in sheet.iter_rows(values_only=True) for cell in line]
    assert SHOWN in cells and not secrets_in(" ".join(cells).encode())


@pytest.mark.parametrize("format", ["json", "xml", "api"])
def test_the_legacy_wire_is_masked_too(cast: Cast, warga: DataOperation, format: str) -> None:
    """It writes values as the source does, but never those that are masked."""
    grant(cast, masks=ALL)
    reply = call(f"/{format}/prov/data/warga", accesskey=cast.key)
    assert reply.status == 200 and not secrets_in(reply.body), reply.text


def test_soap_writes_what_its_schema_says(cast: Cast, warga: DataOperation) -> None:
    """Texts are masked. The WSDL is the same for all callers: a masked number or date is empty there."""
    grant(cast, masks=ALL)
    answer = wire.request(cast.key, "warga")
    assert not secrets_in(wire.etree.tostring(answer, encoding="utf-8"))
    first = wire.rows(answer)[0]
    assert (first["nik"], first["nama"], first["lahir"], first["kode"]) == (SHOWN, "B. S.", None, None)
    assert "lahir" in " ".join(cast.grants["warga"].warnings)


def test_the_schema_has_what_the_operation_masks_as_text(cast: Cast, warga: DataOperation) -> None:
    """The mask of an operation holds for all callers, so the WSDL can say it."""
    Field.objects.filter(operation=warga, name="lahir").update(mask="year")
    Field.objects.filter(operation=warga, name="kode").update(mask="dropped")
    holder.refresh()
    answer = wire.request(cast.key, "warga")
    assert wire.rows(answer)[0]["lahir"] == "1985" and "kode" not in wire.rows(answer)[0]
    assert rows(cast.get("warga"))[0]["lahir"] == "1985"


def test_the_operations_mask_holds_for_everybody(cast: Cast, source: DataSource) -> None:
    """Open operations too, and a grant cannot undo it."""
    operation = publish(cast, source, masks="nik=partial")
    Field.objects.filter(operation=operation, name="nik").update(mask="hash")
    holder.refresh()
    assert len(rows(cast.get("warga"))[0]["nik"]) == 32
    operation.access = "open"
    operation.save()
    holder.refresh()
    anonymous = rows(call("/rest/prov/data/warga"))[0]["nik"]
    assert len(anonymous) == 32 and anonymous != rows(cast.get("warga"))[0]["nik"]


def test_two_agencies_cannot_join_their_hashes(cast: Cast, warga: DataOperation) -> None:
    """The same person has another hash for each agency, and the same one for two applications of one."""
    grant(cast, masks="nik=hash")
    found = [rows(cast.get("warga"))[0]["nik"]]
    for agency in (cast.consumer, cast.stranger):
        application = Application.objects.create(agency=agency, code="lain", title="Lain")
        Grant.objects.create(application=application, operation=warga, purpose="uji", masks="nik=hash")
        _row, key = AccessKey.issue(application)
        holder.refresh()
        found.append(rows(call("/rest/prov/data/warga", accesskey=key))[0]["nik"])
    assert found[0] == found[1] != found[2]


def test_a_grant_is_masked_for_itself_only(cast: Cast, warga: DataOperation) -> None:
    """What was learned for one grant is no other's; a changed mask is in force with the next snapshot."""
    application = Application.objects.create(agency=cast.stranger, code="utuh", title="Utuh")
    Grant.objects.create(application=application, operation=warga, purpose="uji")
    _row, key = AccessKey.issue(application)
    for masks, shown in (("nik=partial", SHOWN), ("", NIK), ("nik=dropped", None)):
        grant(cast, masks=masks)
        assert rows(cast.get("warga"))[0].get("nik") == shown
        assert rows(call("/rest/prov/data/warga", accesskey=key))[0]["nik"] == NIK


def test_pages_of_changes_are_masked_and_go_on(cast: Cast, source: DataSource) -> None:
    """The marker and the key are masked: the cursor goes on all the same, and shows neither."""
    operation = publish(cast, source)
    DataOperation.objects.filter(pk=operation.pk).update(change_marker="diubah", change_key="id")
    grant(cast, masks="diubah=year\nnik=partial\nid=partial")
    seen, cursor = [], ""
    for _page in range(3):
        reply = cast.get("warga", f"since={cursor}&per_page=1")
        cursor = reply.headers["x-cursor"]
        assert NIK not in cursor and "2020" not in cursor
        seen += [(row["id"], row["diubah"], row["nik"]) for row in rows(reply)]
    assert seen == [("•", "2020", SHOWN), ("•", "2020", "3201••••••••0002"), ("•", "2020", None)]
    assert rows(cast.get("warga", f"since={cursor}")) == []


def test_jobs_have_masked_results(cast: Cast, source: DataSource, tmp_path: Path, settings: Any) -> None:
    settings.JOB_DIR = tmp_path / "jobs"
    operation = cast.define(
        "cek", "SELECT id, nik, nama, lahir, kode FROM warga WHERE id = :id", source=source,
        parameters=({"name": "id", "type": "integer"},),
    )  # fmt: skip
    for position, (name, kind) in enumerate(COLUMNS):
        Field.objects.create(operation=operation, position=position, name=name, type=kind)
    grant(cast, "cek", masks="nik=partial\nnama=dropped\nlahir=year\nkode=hash")
    job = begin(cast, "id\n1\n2\n3\n", "cek")
    work()
    found = lines(job)
    assert [row["nik"] for row in found] == [SHOWN, "3201••••••••0002", None]
    assert found[0]["lahir"] == "1985" and len(found[0]["kode"]) == 32 and "nama" not in found[0]
    everything = b"".join(path.read_bytes() for path in (tmp_path / "jobs").rglob("*") if path.is_file())
    assert not [each for each in (NIK.encode(), b"Budi") if each in everything]


def test_the_journal_has_the_classification_of_what_was_sent(cast: Cast, warga: DataOperation) -> None:
    Field.objects.filter(operation=warga, name="nik").update(classification="specific")
    for masks, class_ in (("", "specific"), ("nik=partial", "specific"), ("nik=dropped", "internal")):
        grant(cast, masks=masks, legal_basis="UU 24/2013")
        reply = cast.get("warga")
        assert ends_of(reply.headers["x-request-id"])[0]["class"] == class_
    assert not any(NIK in str(line) for line in recorded())


# ------------------------------------------------------------------------------- classification


def test_a_field_that_is_classified_later_does_not_go_out_without_a_legal_basis(
    cast: Cast, warga: DataOperation
) -> None:
    """The grant is older. It is told on its page; nothing else of it ends."""
    assert rows(cast.get("warga"))[0]["nik"] == NIK
    Field.objects.filter(operation=warga, name="nik").update(classification="specific")
    holder.refresh()
    assert "nik" not in rows(cast.get("warga"))[0] and rows(cast.get("warga"))[0]["nama"] == "Budi Santoso"
    row = cast.grants["warga"]
    assert row.unlawful_fields == ["nik"] and "nik" in " ".join(row.warnings)
    with pytest.raises(ValidationError) as refused:
        row.full_clean()
    assert list(refused.value.message_dict) == ["legal_basis"]
    grant(cast, legal_basis="UU 24/2013 pasal 58")
    assert rows(cast.get("warga"))[0]["nik"] == NIK


@pytest.mark.parametrize(("masks", "lawful"), [("nik=hash", True), ("nik=dropped", True), ("nik=partial", False)])
def test_a_mask_that_hides_all_of_it_needs_no_legal_basis(
    cast: Cast, warga: DataOperation, masks: str, lawful: bool
) -> None:
    Field.objects.filter(operation=warga, name="nik").update(classification="specific")
    if lawful:
        grant(cast, masks=masks)
        return
    with pytest.raises(ValidationError):
        grant(cast, masks=masks)


def test_a_response_of_which_nothing_is_left_is_refused(cast: Cast, warga: DataOperation) -> None:
    Grant.objects.filter(operation=warga).update(fields="nik")
    Field.objects.filter(operation=warga, name="nik").update(classification="specific")
    holder.refresh()
    reply = cast.get("warga", accept_language="en")
    assert (reply.status, reply.json()["code"]) == (403, faults.GRANT_INCOMPLETE.code)
    assert "no legal basis" in reply.json()["detail"] and NIK not in reply.text


# ------------------------------------------------------------------------------------ the model


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"masks": "tiada=partial"}, "masks"),
        ({"masks": "nik=rahasia"}, "masks"),
        ({"masks": "nik"}, "masks"),
        ({"masks": "nik=partial\nnik=hash"}, "masks"),
        ({"masks": "id=initials"}, "masks"),
        ({"masks": "kode=year"}, "masks"),
        ({"fields": "id", "masks": "nik=partial"}, "masks"),
        ({"fields": "nik", "masks": "nik=dropped"}, "masks"),
        ({"masks": "nik=partial\n" * 5000}, "masks"),
    ],
)
def test_masks_that_are_refused(cast: Cast, warga: DataOperation, values: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        grant(cast, **values)
    assert list(refused.value.message_dict) == [field]


def test_a_field_has_a_mask_of_its_type_and_something_is_left(warga: DataOperation) -> None:
    for name, mask in (("id", "initials"), ("kode", "year")):
        row = Field.objects.get(operation=warga, name=name)
        row.mask = mask
        with pytest.raises(ValidationError):
            row.full_clean()
    found = list(Field.objects.filter(operation=warga))
    for row in found:
        row.mask = "dropped"
    with pytest.raises(ValidationError):
        Field.check_list(warga, found)


@pytest.mark.parametrize(
    ("sql", "mask", "found"),
    [
        ("SELECT id, nik AS nomor FROM warga WHERE nik = :nik", "nomor=partial", ["nomor"]),
        ("SELECT id, nik AS nomor FROM warga WHERE nik = :nik", "nomor=dropped", ["nomor"]),
        (
            "SELECT id, upper(w.nik) AS nomor FROM (SELECT * FROM warga) w WHERE w.nik LIKE :nik",
            "nomor=hash",
            ["nomor"],
        ),
        ("SELECT id, nama AS nomor FROM warga WHERE nik = :nik", "nomor=partial", []),
    ],
)
def test_a_masked_field_that_can_be_searched_by_is_told(
    cast: Cast, source: DataSource, sql: str, mask: str, found: list[str]
) -> None:
    """Behind another name too: who asks by the value learns that it is right."""
    operation = cast.define("cari-nik", sql, source=source, parameters=({"name": "nik"},))
    for name in ("id", "nomor"):
        Field.objects.create(operation=operation, name=name)
    row = grant(cast, "cari-nik", masks=mask)
    assert row.searchable_masks() + row.searchable_fields() == found
    assert bool(row.warnings) == bool(found)
