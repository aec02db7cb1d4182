"""The files about an incident, as the worker makes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from django.urls import reverse

from registry import incidents
from registry.exports import files
from registry.exports.worker import Worker
from registry.models import CallRecord, ExportJob, Incident
from tests.cast import Cast
from tests.containment.test_pages import an_incident, client_of, record

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.EXPORT_DIR = tmp_path / "exports"


def made(cast: Cast, word: str) -> bytes:
    """The file that a button of the incident's page starts, once the worker has made it."""
    row = Incident.objects.get()
    client = client_of("Provider", cast.provider)
    started = client.post(reverse("incident_file", args=[row.pk]), {"file": word})
    assert started.status_code == 302
    worker = Worker()
    worker.round()
    job = ExportJob.objects.get()
    assert (job.state, job.problem) == ("done", "")
    return b"".join(files.read(job.stored, job.key))


def test_the_notification_follows_the_law(cast: Cast) -> None:
    CallRecord.objects.bulk_create(record(cast, number) for number in range(30))
    row = an_incident(cast)
    row.disclosed, row.how, row.handling = "Nama pegawai", "Kunci dipakai pihak lain", "Kunci diblokir"
    row.effects, row.contact = "Penipuan atas nama instansi", "dpo@prov.go.id"
    row.save()
    incidents.follow(row, "contained", row.opened_by)  # type: ignore[arg-type]
    pdf = made(cast, "report")
    assert pdf.startswith(b"%PDF")
    document = pypdfium2.PdfDocument(pdf)
    text = re.sub(r"\s+", " ", " ".join(page.get_textpage().get_text_range() for page in document))
    document.close()
    for words in (
        row.number, "Pasal 46 Undang-Undang Nomor 27 Tahun 2022", "a. Data Pribadi yang terungkap", "Nama pegawai",
        "b. Kapan dan bagaimana Data Pribadi terungkap", "Kunci dipakai pihak lain",
        "c. Upaya penanganan dan pemulihan",
        "Kunci diblokir", "dpo@prov.go.id", "prov/data/satu", "kons/app", cast.key_row.public,
    ):  # fmt: skip
        assert words in text, words


def test_the_persons_are_keyed_hashes(cast: Cast) -> None:
    CallRecord.objects.bulk_create(record(cast, number) for number in range(60))
    CallRecord.objects.bulk_create([record(cast, 100, outcome=11401, subjects="ditolak")])
    an_incident(cast)
    lines = made(cast, "subjects").decode("utf-8-sig").split("\r\n")
    assert lines[1:-1] == sorted(f"hash{number}" for number in range(40))
