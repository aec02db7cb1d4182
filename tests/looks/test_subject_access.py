"""Who looked at this citizen: found however the number was written, with what held then, and told to nobody else."""

from __future__ import annotations

import io
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone

from mantra.subject_access import answers, views
from registry.exports import files, worker
from registry.journal import chain, segments, shipping, subjects
from registry.models import CallRecord, CallSubject, ExportJob, GrantTerms, SubjectsOfJob
from tests.admin.conftest import SignIn
from tests.api.conftest import person
from tests.cast import Cast, recorded
from tests.looks.conftest import NIK, OTHER, called

PAGE = "/admin/subject-access/"


def entries(client: Client, identifier: str = NIK) -> list[Any]:
    response = client.post(PAGE, {"identifier": identifier})
    assert response.status_code == 200
    return list(response.context["answer"].entries)


def uses(client: Client, identifier: str = NIK) -> list[Any]:
    """The entries without the look-ups of the test itself."""
    return [each for each in entries(client, identifier) if "data" in each.what.lower() and each.caller]


def test_it_works(citizen: Cast, sign_in: SignIn) -> None:
    grant = citizen.grants["warga"]
    grant.purpose, grant.legal_basis, grant.agreement = "Bantuan sosial", "Perpres 63/2017", "PKS-7"
    grant.save()
    called(citizen)
    (entry,) = uses(sign_in("Head", citizen.provider))
    assert (entry.caller_agency, entry.caller) == ("Konsumen", "Aplikasi uji")
    assert (entry.agency, entry.address) == ("Penyedia", "prov/data/warga")
    assert (entry.terms.purpose, entry.terms.legal_basis) == ("Bantuan sosial", "Perpres 63/2017")
    assert (entry.terms.agreement, entry.fields, entry.outcome) == ("PKS-7", ("id", "nama"), 200)


@pytest.mark.parametrize(
    "sent, asked",
    [
        ("3201%200101%200101%200001", NIK),
        ("3201.0101-01010001", NIK),
        (NIK, "3201 0101 0101 0001"),
        (NIK, " 3201‑0101‑0101‑0001\u200b"),
        (NIK, "３２０１０１０１０１０１０００１"),
        ("a%201234567", "A1234567"),
        ("01.234.567.8-901.000", "012345678901000"),
    ],
)
def test_a_number_is_found_however_it_was_written(citizen: Cast, sign_in: SignIn, sent: str, asked: str) -> None:
    called(citizen, sent)
    called(citizen, OTHER)
    assert len(uses(sign_in("Supervisor"), asked)) == 1


def test_a_parameter_that_is_a_number_has_lost_its_zeros(citizen: Cast, sign_in: SignIn) -> None:
    citizen.operations["satu"].parameters.update(subject=True)
    citizen.get("satu", "id=0007")
    from registry.snapshot import holder

    holder.refresh()
    citizen.get("satu", "id=0007")
    shipping.ship()
    assert len(uses(sign_in("Supervisor"), "0007")) == 1


def test_records_from_before_are_found_as_they_were_written(citizen: Cast, sign_in: SignIn) -> None:
    """Their hash is that of the text that was sent."""
    old = chain._subject_hash("ab-12")
    called(citizen)
    CallSubject.objects.update(hash=old)
    assert len(uses(sign_in("Supervisor"), "ab-12")) == 1


def test_each_agency_tells_of_its_own_operations_only(citizen: Cast, sign_in: SignIn) -> None:
    called(citizen)
    shipping.ship()
    assert len(uses(sign_in("Provider", citizen.provider))) == 1
    assert len(uses(sign_in("Publisher", citizen.provider))) == 1
    for role in ("Head", "Provider"):
        assert uses(sign_in(role, citizen.stranger)) == []
        assert uses(sign_in(role, citizen.consumer)) == []
    assert len(uses(sign_in("Administrator"))) == 1


def test_nobody_else_may_look(citizen: Cast, sign_in: SignIn) -> None:
    requester = sign_in("Requester", citizen.provider)
    assert requester.get(PAGE).status_code == 403
    assert requester.post(PAGE, {"identifier": NIK}).status_code == 403
    assert requester.post(PAGE + "letter/", {"person": "x"}).status_code == 403
    assert Client().post(PAGE, {"identifier": NIK}).status_code == 302
    assert person("Requester", citizen.provider).post("subject-access/", {"identifier": NIK}).status_code == 403


def test_what_the_grant_says_now_is_not_what_it_said(citizen: Cast, sign_in: SignIn) -> None:
    grant = citizen.grants["warga"]
    called(citizen)
    grant.purpose = "Penagihan pajak"
    grant.save()
    called(citizen)
    # The history has the times; the two calls are on either side of the change.
    client = sign_in("Head", citizen.provider)
    assert [entry.terms.purpose for entry in uses(client)] == ["Penagihan pajak", "uji"]
    grant.delete()
    assert [entry.terms.purpose for entry in uses(client)] == ["Penagihan pajak", "uji"]


def test_what_is_known_from_an_upgrade_only_is_marked(citizen: Cast, sign_in: SignIn) -> None:
    GrantTerms.objects.update(adopted=True)
    called(citizen)
    client = sign_in("Head", citizen.provider)
    assert uses(client)[0].terms.adopted
    assert "sebagaimana diketahui" in client.post(PAGE, {"identifier": NIK}).content.decode()


def test_jobs_are_found(citizen: Cast, sign_in: SignIn) -> None:
    """Of a list of many only that this person was in it."""
    called(citizen)
    record = CallRecord.objects.get(operation="warga")
    CallSubject.objects.all().delete()
    CallRecord.objects.filter(pk=record.pk).update(protocol="job", subjects="", rows=987654)
    hashes = " ".join(chain.subject_hash(str(number)) for number in (NIK, OTHER))
    subjects.store([SubjectsOfJob(
        request_id=record.request_id, started_at=record.started_at, hashes=hashes, segment="s", line=1)])  # fmt: skip
    assert list(subjects.records_about("3201 0101 0101 0001")) == [CallRecord.objects.get(pk=record.pk)]
    page = sign_in("Head", citizen.provider).post(PAGE, {"identifier": NIK}).content.decode()
    assert "baris demi baris" in page
    assert OTHER not in page and "987" not in page


def test_a_record_is_told_once(citizen: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a segment that was read again are there twice, in whatever part of the reading."""
    called(citizen, times=3)
    for row in list(CallSubject.objects.all()):
        CallSubject.objects.create(hash=row.hash, started_at=row.started_at, request_id=row.request_id)
    for chunk in (1, 2, 3, 500):
        monkeypatch.setattr(answers, "_CHUNK", chunk)
        assert len(uses(sign_in("Supervisor"))) == 3


def test_refused_calls_claim_no_data(citizen: Cast, sign_in: SignIn) -> None:
    called(citizen)
    CallRecord.objects.update(outcome=11203, status=504, rows=None, fields="")
    page = sign_in("Head", citizen.provider).post(PAGE, {"identifier": NIK}).content.decode()
    assert "Tidak ada data: panggilan ditolak atau gagal" in page
    CallRecord.objects.update(outcome=200, status=200, rows=0)
    assert "Tidak ada data: tidak ditemukan" in sign_in("Head", citizen.provider).post(
        PAGE, {"identifier": NIK}).content.decode()  # fmt: skip


# ------------------------------------------------------------------------------------------- the record


def test_a_look_up_is_recorded_and_found_itself(citizen: Cast, sign_in: SignIn) -> None:
    client = sign_in("Head", citizen.provider)
    entries(client)
    begin, end = (line for line in recorded() if line["t"] in ("begin", "end"))
    assert (begin["protocol"], begin["user"], begin["op"][0]) == ("subject", "head-prov", "prov")
    assert (end["subjects"], end["rows"]) == ([chain.subject_hash(NIK)], 0)
    shipping.ship()
    (first,) = entries(client)
    assert first.what == "Dicari untuk mengetahui siapa yang melihat data orang ini"


def test_the_number_is_nowhere(citizen: Cast, sign_in: SignIn, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the page that comes back, an address, the journal, a log, an export's row, or the session."""
    called(citizen)
    with caplog.at_level(logging.DEBUG):
        client = sign_in("Head", citizen.provider)
        page = client.post(PAGE, {"identifier": NIK})
        letter = client.post(PAGE + "letter/", {"person": page.context["person"]})
        client.post(PAGE + "letter/", {"person": page.context["person"], "pdf": "1"})
    segments.close()
    journal = b"".join(path.read_bytes() for path in Path(django_settings.JOURNAL_DIR).iterdir())
    stored = " ".join(str(row) for row in ExportJob.objects.values_list())
    for text in (page.content.decode(), letter.content.decode(), caplog.text, stored, journal.decode()):
        assert NIK not in text
    assert "3201••••••••0001" in letter.content.decode()
    assert "no-store" in page["Cache-Control"] and "no-store" in letter["Cache-Control"]
    assert client.get(PAGE, {"identifier": NIK}).context.get("answer") is None


def test_nothing_is_shown_that_is_not_recorded(citizen: Cast, sign_in: SignIn, settings: Any, tmp_path: Path) -> None:
    called(citizen)
    client, api = sign_in("Head", citizen.provider), person("Head", citizen.provider, "kepala")
    segments.close()
    settings.JOURNAL_DIR = tmp_path / "tidak-ada"
    response = client.post(PAGE, {"identifier": NIK})
    assert (response.status_code, "Konsumen" in response.content.decode()) == (503, False)
    answer = api.post("subject-access/", {"identifier": NIK})
    assert (answer.status_code, b"Konsumen" in answer.content) == (503, False)


def test_what_is_too_long_is_not_sent_back(citizen: Cast, sign_in: SignIn) -> None:
    response = sign_in("Head", citizen.provider).post(PAGE, {"identifier": NIK * 20})
    assert (response.status_code, NIK in response.content.decode()) == (400, False)


def test_looking_for_many_is_stopped(citizen: Cast, sign_in: SignIn) -> None:
    client = sign_in("Head", citizen.provider)
    statuses = [client.post(PAGE, {"identifier": f"{number:016}"}).status_code for number in range(21)]
    assert statuses == [200] * 20 + [429]


def test_the_sealed_person_is_for_one_user_and_an_hour(
    citizen: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    called(citizen)
    client = sign_in("Head", citizen.provider)
    sealed = client.post(PAGE, {"identifier": NIK}).context["person"]
    stranger = sign_in("Supervisor")
    assert stranger.post(PAGE + "letter/", {"person": sealed}).status_code == 400
    assert client.post(PAGE + "letter/", {"person": sealed[:-2]}).status_code == 400
    assert client.post(PAGE + "letter/", {"person": sealed}).status_code == 200
    now = views.time.time()
    monkeypatch.setattr(views.time, "time", lambda: now + 3601)
    assert client.post(PAGE + "letter/", {"person": sealed}).status_code == 400


def test_older_entries(citizen: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    called(citizen, times=5)
    monkeypatch.setattr(answers, "MOST", 2)
    client = sign_in("Head", citizen.provider)
    seen: list[str] = []
    page = client.post(PAGE, {"identifier": NIK})
    while page.context["answer"].more:
        seen += [entry.request_id for entry in page.context["answer"].entries]
        more = {"person": page.context["person"], "before": page.context["answer"].kept_since.isoformat()}
        page = client.post(PAGE, more)
    seen += [entry.request_id for entry in page.context["answer"].entries]
    ids = CallRecord.objects.filter(operation="warga").order_by("-started_at").values_list("request_id", flat=True)
    assert seen == list(ids)


# --------------------------------------------------------------------------------------- other doors


def test_the_letter_as_pdf(citizen: Cast, sign_in: SignIn, settings: Any, tmp_path: Path) -> None:
    settings.EXPORT_DIR = tmp_path
    called(citizen)
    client = sign_in("Head", citizen.provider)
    sealed = client.post(PAGE, {"identifier": NIK}).context["person"]
    assert client.post(PAGE + "letter/", {"person": sealed, "pdf": "1"}).status_code == 302
    worker.Worker().round()
    job = ExportJob.objects.get()
    assert (job.state, job.kind) == ("done", "subject")
    document = pypdfium2.PdfDocument(b"".join(files.read(job.stored, str(job.key))))
    text = " ".join(" ".join(page.get_textpage().get_text_range() for page in document).split())
    document.close()
    for expected in ("Siapa yang melihat data Anda", "Konsumen, Aplikasi uji", "uji", "Penyedia", "nama"):
        assert expected in text
    assert NIK not in text


def test_by_the_api(citizen: Cast) -> None:
    called(citizen)
    head = person("Head", citizen.provider)
    answer = head.post("subject-access/", {"identifier": "3201 0101 0101 0001"}).json()
    assert answer["subject"] == "3201••••••••0001"
    (entry,) = answer["entries"]
    assert (entry["caller_agency"], entry["terms"]["purpose"], entry["fields_given"]) == (
        "Konsumen", "uji", ["id", "nama"],
    )  # fmt: skip
    assert head.get("subject-access/?identifier=" + NIK).status_code == 405
    assert person("Head", citizen.stranger, "lain").post("subject-access/", {"identifier": NIK}).json()["entries"] == []


def test_by_the_command(citizen: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    called(citizen)
    out = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NIK}\n"))
    call_command("subject_access", agency="prov", stdout=out)
    assert "Konsumen, Aplikasi uji" in out.getvalue() and NIK not in out.getvalue()
    assert any(line.get("protocol") == "subject" for line in recorded())
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NIK}\n"))
    out = io.StringIO()
    call_command("subject_access", agency="asing", stdout=out)
    assert "Aplikasi uji" not in out.getvalue()
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(CommandError):
        call_command("subject_access", stdout=out)


def test_old_records_are_forgotten_with_the_history(citizen: Cast, settings: Any) -> None:
    called(citizen)
    CallSubject.objects.update(started_at=timezone.now() - timedelta(days=settings.HISTORY_DAYS + 1))
    shipping.prune()
    assert CallSubject.objects.count() == 0
