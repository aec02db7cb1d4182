"""The pages: a clerk makes a reconciliation, runs it and gets its rows; others see what they may."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mantra.reconciliation.models import Reconciliation, ReconciliationRun, Side
from registry.exports import worker as exports_worker
from registry.models import Agency, ExportJob, User
from tests.cast import Cast
from tests.reconciliation.conftest import COLUMNS, RIGHT, make_person, ran, work


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client(rina: User) -> Client:
    return signed_in(rina)


def csv_of(rows: list[tuple[Any, ...]]) -> bytes:
    lines = [";".join(COLUMNS), *(";".join(value or "" for value in row) for row in rows)]
    return "\r\n".join(lines).encode()


def exported(run: ReconciliationRun, client: Client, **data: str) -> bytes:
    """Return the file of an export that the worker makes."""
    response = client.post(reverse("reconciliation_export", args=[run.reconciliation_id]), {"run": run.pk, **data})
    assert response.status_code == 302, response.content[:500]
    exports_worker.Worker().round()
    job = ExportJob.objects.latest("pk")
    assert job.state == "done", job.problem
    return b"".join(client.get(reverse("export_download", args=[job.pk])).streaming_content)  # type: ignore[attr-defined]


def test_a_clerk_compares_an_operation_with_a_file(cast: Cast, lists: None, rina: User, client: Client) -> None:
    page = client.get(reverse("reconciliation_new"))
    granted = f"app:{cast.application.pk}:{cast.operations['daftar'].pk}"
    assert granted in page.content.decode()
    made = client.post(
        reverse("reconciliation_new"),
        {
            "title": "Bansos 2026",
            "left": granted,
            "right": "file",
            "right_file": SimpleUploadedFile("penerima.csv", csv_of(RIGHT)),
        },
    )
    row = Reconciliation.objects.get()
    assert made["Location"] == reverse("reconciliation_columns", args=[row.pk])
    page = client.get(made["Location"])
    shown = page.context["lines"]
    proposed = {form.initial["left"]: form.initial for form in shown.initial_forms}
    assert proposed["nik"]["key"]
    assert [proposed[name]["rule"] for name in ("nama", "tgl_lahir", "alamat")] == ["name", "date", "address"]
    data = {"schedule": "weekly", "hour": "6", "notify": "on", "pairs-TOTAL_FORMS": "2", "pairs-INITIAL_FORMS": "0"}
    for number, (name, rule) in enumerate((("nik", "exact"), ("nama", "text"))):
        data |= {f"pairs-{number}-left": name, f"pairs-{number}-right": name, f"pairs-{number}-rule": rule}
    without_key = client.post(page.request["PATH_INFO"], data)
    assert without_key.status_code == 400
    saved = client.post(page.request["PATH_INFO"], {**data, "pairs-0-key": "on"})
    assert saved["Location"] == reverse("reconciliation", args=[row.pk])
    row.refresh_from_db()
    assert row.next_at is not None
    client.post(reverse("reconciliation_run", args=[row.pk]))
    waiting = client.get(saved["Location"])
    assert 'id="progress"' in waiting.content.decode()
    work()
    run = row.runs.get()
    assert (run.state, run.problem, run.only_left, run.only_right, run.different) == ("done", "", 2, 1, 1)
    text = client.get(saved["Location"]).content.decode()
    assert "Budi Santosa" in text
    book = openpyxl.load_workbook(BytesIO(exported(run, client, format="xlsx")), read_only=True)
    sheets = {sheet.title: [[cell.value for cell in line] for line in sheet.rows] for sheet in book.worksheets}
    assert len(sheets) == 5
    assert ["Budi Santoso", "Budi Santosa"] in [line[-2:] for line in sheets["Berbeda"]]
    assert (
        exported(run, client, format="csv", kind="only_right")
        .decode("utf-8-sig")
        .splitlines()[1]
        .startswith("5,3201234567890008")
    )


def test_no_plain_copy_of_an_uploaded_list_stays(
    cast: Cast, lists: None, client: Client, folder: Any, settings: Any, tmp_path: Any
) -> None:
    settings.UPLOAD_DIR = tmp_path / "uploads"
    files = {f"{place}_file": SimpleUploadedFile("a.csv", csv_of(RIGHT)) for place in ("left", "right")}
    client.post(reverse("reconciliation_new"), {"title": "Dua berkas", "left": "file", "right": "file", **files})
    assert Side.objects.count() == 2
    everything = [path.read_bytes() for place in (folder, tmp_path) for path in place.rglob("*") if path.is_file()]
    assert len(everything) >= 2
    assert not [content for content in everything if b"Santosa" in content]
    row = Reconciliation.objects.get()
    client.post(reverse("reconciliation_delete", args=[row.pk]))
    assert not [path for path in (folder / "uploads").rglob("*") if path.is_file()]


@pytest.mark.parametrize("role", ["Head", "Provider", "Publisher", "Requester"])
def test_people_of_another_agency_find_nothing(reconciliation: Reconciliation, cast: Cast, role: str) -> None:
    run = ran(reconciliation)
    stranger = signed_in(make_person(role, cast.stranger, f"asing-{role}"))
    assert reconciliation.title not in stranger.get(reverse("reconciliations")).content.decode()
    for page in ("", "_lists", "_columns", "_delete"):
        assert stranger.get(reverse(f"reconciliation{page}", args=[reconciliation.pk])).status_code in (403, 404)
    for page in ("_run", "_cancel", "_delete", "_export", "_lists", "_columns"):
        response = stranger.post(
            reverse(f"reconciliation{page}", args=[reconciliation.pk]), {"run": run.pk, "format": "xlsx"}
        )
        assert response.status_code in (403, 404), page
    assert reconciliation.runs.count() == 1
    assert not ExportJob.objects.exists()


@pytest.mark.parametrize(
    ("role", "own_agency"),
    [("Head", True), ("Requester", True), ("Provider", True), ("Supervisor", False), ("Administrator", False)],
)
def test_who_may_not_read_both_lists_sees_numbers_only(
    reconciliation: Reconciliation, cast: Cast, role: str, own_agency: bool
) -> None:
    """A requester may read what an application was granted, a provider what the agency owns: here both are needed."""
    run = ran(reconciliation)
    agency: Agency | None = cast.consumer if own_agency else None
    reader = signed_in(make_person(role, agency, f"pembaca-{role}"))
    text = reader.get(reverse("reconciliation", args=[reconciliation.pk])).content.decode()
    assert reconciliation.title in text
    assert "Budi Santosa" not in text
    for page, data in (("_run", {}), ("_export", {"run": run.pk, "format": "xlsx"}), ("_columns", {})):
        assert reader.post(reverse(f"reconciliation{page}", args=[reconciliation.pk]), data).status_code == 403


def test_an_operation_that_was_not_granted_cannot_be_chosen(cast: Cast, lists: None, rina: User) -> None:
    user = make_person("Requester", cast.stranger, "asing")
    forged = f"app:{cast.application.pk}:{cast.operations['daftar'].pk}"
    response = signed_in(user).post(reverse("reconciliation_new"), {"title": "x", "left": forged, "right": forged})
    assert response.status_code == 400
    assert not Reconciliation.objects.exists()
