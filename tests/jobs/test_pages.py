"""The pages of jobs: a clerk sends a list, follows it and gets the result; others see what is theirs to see."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from mantra.jobs import files, service, worker
from mantra.jobs.models import ENDED, Job, State
from mantra.jobs.problems import JobError
from mantra.jobs.running import Run
from registry.models import Agency, Application, Grant, Notification, User
from registry.snapshot import holder
from tests.admin.conftest import SignIn, make_user, sign_in
from tests.cast import Cast, ends_of, recorded
from tests.uploads.files import xlsx

__all__ = ["sign_in"]

LIST, CHOICE = "/admin/jobs/", "/admin/jobs/new/"
ROWS = b"ID\n1\n2\n99999\n2\nsiti\n"


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.JOB_DIR = tmp_path / "jobs"
    return tmp_path / "jobs"


@pytest.fixture
def siti(cast: Cast) -> User:
    return make_user("Requester", cast.consumer, "siti")


@pytest.fixture
def client(siti: User) -> Client:
    signed_in = Client()
    signed_in.force_login(siti)
    return signed_in


def form_of(cast: Cast, code: str = "satu") -> str:
    return reverse("job_new", args=[cast.operations[code].pk])


def send(client: Client, cast: Cast, content: bytes = ROWS, name: str = "daftar.csv", **more: Any) -> Any:
    data = {"application": "kons/app", "on_invalid": "skip", "file": SimpleUploadedFile(name, content), **more}
    return client.post(form_of(cast), data)


def sent(client: Client, cast: Cast, content: bytes = ROWS, **more: Any) -> Job:
    response = send(client, cast, content, **more)
    assert response.status_code == 302, refusal(response)
    job = Job.objects.get()
    assert response.url == page_of(job)
    return job


def refusal(response: Any) -> list[str]:
    """Return what a page says is wrong."""
    return re.findall(r'<p class="mantra-fault[^>]*>([^<]+)<', response.content.decode())


def page_of(job: Job, action: str = "") -> str:
    return f"{LIST}{job.request_id}/{action}"


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def work() -> None:
    """Let a worker work on all jobs until none waits."""
    while (job := worker.take()) is not None:
        Run(job).go()
    for job in Job.objects.filter(state__in=ENDED, concluded=False):
        worker.conclude(job)


def downloaded(client: Client, job: Job, format: str = "csv") -> bytes:
    response = client.get(page_of(job, f"result.{format}"))
    assert response.status_code == 200
    return b"".join(response.streaming_content)


# ------------------------------------------------------------------------------------ the clerk's way


def test_it_works(client: Client, cast: Cast, siti: User) -> None:
    """From the operation's page in the catalogue to the file with the results."""
    catalogue = client.get("/catalog/prov/data/satu").content.decode()
    assert f'href="{form_of(cast)}' in catalogue and "Kirim daftar" in catalogue
    form = text(client, form_of(cast))
    assert "1.000.000 baris" in form and "Aplikasi uji (kons/app)" in form and "72 jam" in form
    job = sent(client, cast)
    assert (job.user, job.application, job.state, job.on_invalid) == (siti, cast.application, State.WAITING, "skip")
    assert (job.file_name, job.input_format, job.input_bytes) == ("daftar.csv", "csv", len(ROWS))
    waiting = client.get(page_of(job)).content.decode()
    assert 'hx-trigger="every 2s"' in waiting and "<progress" in waiting
    work()
    done = text(client, page_of(job))
    assert "5 dari 5 baris selesai" in done and "Pemeriksaan berkas" in done
    assert "Baris 6 Kolom id" not in done and "Baris 6" in done  # "siti" is no number
    rows = list(csv.DictReader(io.StringIO(downloaded(client, job).decode("utf-8-sig"))))
    assert [(row["baris"], row["status"], row["nama"]) for row in rows] == [
        ("2", "ok", "Orang 1"), ("3", "ok", "Orang 2"), ("4", "not-found", ""), ("5", "ok", "Orang 2"),
        ("6", "invalid", ""),
    ]  # fmt: skip
    assert Notification.objects.filter(user=siti, url=page_of(job)).count() == 1
    client.post(page_of(job, "delete/"))
    assert not Job.objects.exists() and client.get(page_of(job)).status_code == 404


def test_the_page_loads_again_when_there_is_more_to_show(client: Client, cast: Cast) -> None:
    job = sent(client, cast)
    page = client.get(page_of(job)).content.decode()
    (poll,) = re.findall(r'hx-get="(/admin/jobs/[^"]+)"', page)
    same = client.get(poll.replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert "HX-Refresh" not in same and "<html" not in same.content.decode()
    work()
    other = client.get(poll.replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert other["HX-Refresh"] == "true" and "hx-trigger" not in other.content.decode()
    job.delete()
    gone = client.get(poll.replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert gone["HX-Redirect"] == LIST and client.get(page_of(job)).status_code == 404


def test_the_templates_can_be_sent_as_they_are(client: Client, cast: Cast) -> None:
    for format in ("csv", "xlsx"):
        template = client.get(reverse("job_template", args=[cast.operations["satu"].pk, format]))
        assert f'filename="daftar-satu.{format}"' in template["Content-Disposition"]
        job = sent(client, cast, template.content, name=f"daftar-satu.{format}")
        work()
        job.refresh_from_db()
        assert (job.state, job.found, job.invalid) == (State.DONE, 1, 0), job.problem
        job.delete()
    assert client.get(reverse("job_template", args=[cast.operations["satu"].pk, "pdf"])).status_code == 404


def test_a_workbook_is_read_and_columns_that_are_not_needed_are_named(client: Client, cast: Cast) -> None:
    job = sent(client, cast, xlsx([["Id", "Nama Lengkap"], ["7", "Rahasia"], ["8", "Rahasia"]]), name="Daftar.xlsx")
    work()
    page = text(client, page_of(job))
    assert "tidak diperlukan dan diabaikan: Nama Lengkap" in page and "Rahasia" not in page
    assert b"Orang 7" in downloaded(client, job, "ndjson")


def test_columns_with_other_names_are_chosen_in_a_second_step(client: Client, cast: Cast) -> None:
    job = sent(client, cast, b"Nama;No. ID;Alamat\nSiti;3;x\nAni;4;y\n")
    work()
    page = client.get(page_of(job)).content.decode()
    assert "Kolom mana untuk parameter mana?" in page and "Lanjutkan" not in page
    assert '<option value="No. ID" selected>' in page  # proposed
    assert "Kolom berkas bernama lain" in text(client, LIST)
    wrong = client.post(page_of(job, "columns/"), {"c_0": "Bukan kolom"})
    assert wrong.status_code == 400 and "Kolom mana" in wrong.content.decode()
    assert client.post(page_of(job, "columns/"), {"c_0": ""}).status_code == 400
    assert client.post(page_of(job, "columns/"), {"c_0": "No. ID"}).status_code == 302
    work()
    job.refresh_from_db()
    assert (job.state, job.found, job.mapping) == (State.DONE, 2, {"id": "No. ID"})
    again = client.post(page_of(job, "columns/"), {"c_0": "No. ID"}, follow=True)
    with override("id"):
        assert [str(message) for message in again.context["messages"]][-1] == JobError("state").sentence


def test_rows_with_errors_are_decided_on(client: Client, cast: Cast) -> None:
    job = sent(client, cast, on_invalid="ask")
    work()
    page = text(client, page_of(job))
    assert "Jalankan baris lainnya" in page and "Batal" in page
    client.post(page_of(job, "resume/"))
    work()
    job.refresh_from_db()
    assert (job.state, job.done, job.invalid, job.not_found) == (State.DONE, 5, 1, 1)


def test_pause_resume_cancel(client: Client, cast: Cast) -> None:
    job = sent(client, cast)
    client.post(page_of(job, "pause/"))
    work()
    job.refresh_from_db()
    assert (job.state, job.done) == (State.PAUSED, 0)
    assert client.get(page_of(job, "pause/")).status_code == 405
    assert "Lanjutkan" in text(client, page_of(job))
    client.post(page_of(job, "resume/"))
    client.post(page_of(job, "cancel/"))
    work()
    job.refresh_from_db()
    assert (job.state, job.done) == (State.CANCELLED, 0)
    refused = client.post(page_of(job, "resume/"), follow=True)
    assert [message.level_tag for message in refused.context["messages"]][-1] == "error"
    assert client.post(page_of(job, "lain/")).status_code == 404


# ---------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "content"),
    [("daftar.csv", b""), ("daftar.pdf", b"%PDF-1.4"), ("daftar.xls", b"\xd0\xcf\x11\xe0")],
)
def test_a_refused_file_says_what_to_do(client: Client, cast: Cast, name: str, content: bytes) -> None:
    response = send(client, cast, content, name=name)
    assert response.status_code == 400 and not Job.objects.exists()
    assert len(refusal(response)) == 1


def test_a_file_that_is_too_large_is_refused_before_it_is_read(client: Client, cast: Cast, settings: Any) -> None:
    settings.MAX_JOB_BYTES, settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000, 10_000
    assert send(client, cast, b"id\n" + b"1\n" * 40_000).status_code == 302
    assert send(client, cast, b"id\n" + b"1\n" * 60_000).status_code == 413
    # A little more than the file has room in the request, but not in the job.
    between = send(client, cast, b"id\n" + b"1\n" * 51_000)
    assert between.status_code == 400 and len(refusal(between)) == 1
    assert Job.objects.count() == 1
    assert Client().post(form_of(cast), {"file": SimpleUploadedFile("a.csv", b"1" * 60_000)}).status_code == 413


def test_nothing_of_an_upload_stays_readable_on_the_disk(
    client: Client, cast: Cast, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while it is received nor afterwards, nor in a folder for temporary files."""
    seen: list[str] = []
    create = service.create

    def watched(**values: Any) -> Job:
        seen.extend(path.name for path in folder.iterdir())
        return create(**values)

    monkeypatch.setattr(service, "create", watched)
    job = sent(client, cast, b"id\n" + b"77123\n" * 100_000)
    stored = [path for path in folder.rglob("*") if path.is_file()]
    assert [path.parent.name for path in stored] == [job.stored]
    assert not any(b"77123" in path.read_bytes() for path in stored)
    assert seen == []


def test_a_full_disk_is_said(client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LEFT_FREE", 1 << 62)
    response = send(client, cast)
    assert response.status_code == 400 and not Job.objects.exists()
    assert len(refusal(response)) == 1


def test_without_its_token_a_form_is_refused(cast: Cast, siti: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(siti)
    assert send(strict, cast).status_code == 403
    token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', strict.get(form_of(cast)).content.decode())[0]
    assert send(strict, cast, csrfmiddlewaretoken=token).status_code == 302


def test_an_application_that_is_not_offered_is_refused(client: Client, cast: Cast) -> None:
    Application.objects.create(agency=cast.consumer, code="lain", title="Lain")
    foreign = Application.objects.create(agency=cast.stranger, code="app", title="Asing")
    Grant.objects.create(application=foreign, operation=cast.operations["satu"], purpose="uji")
    for application in ("kons/lain", "asing/app", "", "x"):
        assert send(client, cast, application=application).status_code == 400
    assert not Job.objects.exists()


# --------------------------------------------------------------------------------------- the choice


def test_the_choice_has_what_the_agency_may_run(client: Client, cast: Cast) -> None:
    cast.define("menulis", "DELETE FROM orang WHERE id = :id", parameters=({"name": "id"},), writes=True)
    other = cast.define("lain", "SELECT nama FROM orang WHERE id = :id", parameters=({"name": "id"},), title="Pegawai")
    Grant.objects.filter(operation=cast.operations["cari"]).update(state="revoked")
    holder.refresh()
    page = client.get(CHOICE).content.decode()
    assert form_of(cast) in page and reverse("job_new", args=[other.pk]) in page
    assert form_of(cast, "cari") not in page and form_of(cast, "menulis") not in page
    found = client.get(CHOICE, {"q": "pegawai PENYEDIA"}).content.decode()
    assert reverse("job_new", args=[other.pk]) in found and form_of(cast) not in found
    assert "Tidak ada operasi" in text(client, CHOICE + "?q=kendaraan")
    for code in ("cari", "menulis"):
        assert client.get(form_of(cast, code)).status_code == 404


def test_several_applications_are_chosen_from(client: Client, cast: Cast) -> None:
    second = Application.objects.create(agency=cast.consumer, code="kedua", title="Kedua")
    Grant.objects.create(application=second, operation=cast.operations["satu"], purpose="uji")
    holder.refresh()
    page = client.get(form_of(cast) + "?application=kons/kedua").content.decode()
    assert '<option value="kons/kedua" selected>' in page and "kons/app" in page
    assert sent(client, cast, application="kons/kedua").application == second


# ------------------------------------------------------------------------------------- whose it is


@pytest.mark.parametrize("role", ["Provider", "Publisher", "Head", "Requester"])
def test_another_agency_finds_nothing(cast: Cast, client: Client, sign_in: SignIn, role: str) -> None:
    job = sent(client, cast)
    work()
    stranger = sign_in(role, cast.stranger)
    assert "Data uji" not in text(stranger, LIST) and job.request_id not in text(stranger, LIST)
    for action in ("", "result.csv"):
        assert stranger.get(page_of(job, action)).status_code == 404
    for action in ("pause/", "resume/", "cancel/", "delete/", "columns/"):
        assert stranger.post(page_of(job, action)).status_code == 404
    for address in (form_of(cast), reverse("job_template", args=[cast.operations["satu"].pk, "csv"])):
        assert stranger.get(address).status_code in (403, 404)
    assert Job.objects.get().state == State.DONE


@pytest.mark.parametrize("role", ["Provider", "Head"])
def test_a_provider_sees_the_numbers_only(cast: Cast, client: Client, sign_in: SignIn, role: str) -> None:
    job = sent(client, cast, name="daftar-rahasia.csv")
    work()
    provider = sign_in(role, cast.provider)
    page = text(provider, LIST)
    assert "Pekerjaan massal instansi lain pada operasi Anda" in page and "kons/app" in page and "5 / 5" in page
    assert "rahasia" not in page and "siti" not in page and job.request_id not in page and "Orang" not in page
    for action in ("", "result.csv"):
        assert provider.get(page_of(job, action)).status_code == 404
    assert provider.post(page_of(job, "cancel/")).status_code == 404


def test_colleagues_see_the_job_but_not_its_rows(cast: Cast, client: Client, sign_in: SignIn) -> None:
    job = sent(client, cast)
    work()
    for role, changes in (("Head", False), ("Requester", True)):
        colleague = sign_in(role, cast.consumer)
        page = text(colleague, page_of(job))
        assert "5 dari 5 baris selesai" in page and "Orang 1" not in page and "Hasil hanya untuk orang" in page
        assert ("Hapus" in page) is changes
        assert colleague.get(page_of(job, "result.csv")).status_code == 403
    assert sign_in("Head", cast.consumer).post(page_of(job, "delete/")).status_code == 403
    assert sign_in("Head", cast.consumer).get(CHOICE).status_code == 403


@pytest.mark.parametrize("role", ["Administrator", "Supervisor"])
def test_who_sees_all_agencies_gets_no_rows(cast: Cast, client: Client, sign_in: SignIn, role: str) -> None:
    job = sent(client, cast)
    work()
    reader = sign_in(role)
    assert job.request_id in reader.get(LIST).content.decode()
    assert "Orang 1" not in text(reader, page_of(job))
    assert reader.get(page_of(job, "result.csv")).status_code == 403
    assert reader.get(CHOICE).status_code == 403


def test_who_has_lost_the_role_gets_no_results(cast: Cast, client: Client, siti: User) -> None:
    job = sent(client, cast)
    work()
    siti.groups.clear()
    assert client.get(LIST).status_code == 403
    assert client.get(page_of(job, "result.csv")).status_code == 403
    assert Client().get(LIST).status_code == 302


def test_a_download_is_recorded(cast: Cast, client: Client) -> None:
    job = sent(client, cast)
    work()
    assert not [line for line in recorded() if line.get("method") == "GET"]
    downloaded(client, job, "xlsx")
    (begin,) = [line for line in recorded() if line.get("method") == "GET"]
    (end,) = ends_of(begin["id"])
    assert (begin["protocol"], begin["user"], end["rows"], end["by"][:2]) == ("job", "siti", 5, ["kons", "app"])


# ---------------------------------------------------------------------------------------- elsewhere


def test_the_first_page_has_the_own_jobs(cast: Cast, client: Client, sign_in: SignIn) -> None:
    sent(client, cast)
    (card,) = [card for card in client.get("/admin/").context["cards"] if card.name == "jobs"]
    assert [(line.text, str(line.state)) for line in card.lines] == [("prov/data/satu", "menunggu")]
    colleague = sign_in("Requester", cast.consumer).get("/admin/").context["cards"]
    (card,) = [card for card in colleague if card.name == "jobs"]
    assert not card.lines and card.advice is not None and card.advice.url == CHOICE


def test_the_catalogue_offers_it_to_those_who_may(cast: Cast, client: Client, sign_in: SignIn) -> None:
    address = "/catalog/prov/data/satu"
    assert form_of(cast) in client.get(address).content.decode()
    for other in (Client(), sign_in("Requester", cast.stranger), sign_in("Head", cast.consumer)):
        page = other.get(address)
        assert page.status_code != 200 or form_of(cast) not in page.content.decode()


def test_the_menu_has_it_for_every_role(cast: Cast, sign_in: SignIn) -> None:
    agency = Agency.objects.get(code="kons")
    for role in ("Requester", "Provider", "Publisher", "Head"):
        assert f'href="{LIST}"' in sign_in(role, agency).get("/admin/").content.decode(), role
