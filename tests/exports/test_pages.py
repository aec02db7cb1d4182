"""The pages of exports: one's own only, with the right that is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from registry.exports import start
from registry.models import Agency, ExportJob, User
from tests.admin.conftest import SignIn, make_user
from tests.exports.conftest import Record, content, work

LIST = "/admin/exports/"


@pytest.fixture
def client(rini: User) -> Client:
    signed_in = Client()
    signed_in.force_login(rini)
    return signed_in


@pytest.fixture
def job(rini: User, record: Record) -> ExportJob:
    record()
    return start(rini, "history", {"query": ""}, format="csv")


def body(response: object) -> bytes:
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


def test_it_works(client: Client, rini: User, record: Record) -> None:
    """From the filtered history to the file."""
    record(operation="dua")
    record()
    asked = client.get(f"{LIST}history/?of_operation=dua&p=o7&o=1")
    assert "Kembali ke riwayat" in asked.content.decode()
    started = client.post(f"{LIST}history/?of_operation=dua&p=o7&o=1", {"format": "csv"}, follow=True)
    [job] = ExportJob.objects.all()
    assert job.parameters == {"query": "of_operation=dua"}
    page = started.content.decode()
    assert (
        'hx-trigger="every 2s"' in page and "<progress" in page and "Batal: Riwayat panggilan, dengan saringan" in page
    )
    work()
    done = client.get(LIST, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in done and "hx-trigger" not in done and f"{LIST}{job.pk}/download/" in done
    response = client.get(f"{LIST}{job.pk}/download/")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="riwayat-panggilan.csv"'
    assert "no-store" in response["Cache-Control"]
    received = body(response)
    assert received == content(job) and len(received) == int(response["Content-Length"])
    assert received.count(b"\n") == 2 and b",dua," in received


def test_a_filter_that_is_none_is_refused_at_once(client: Client) -> None:
    response = client.post(f"{LIST}history/?no_such=1", {"format": "csv"})
    assert response.status_code == 400 and "saringan" in response.content.decode()
    response = client.post(f"{LIST}history/", {"format": "exe"})
    assert response.status_code == 400 and "Pilih format" in response.content.decode()
    assert not ExportJob.objects.exists()


def test_an_export_is_its_users(job: ExportJob, agency: Agency, sign_in: SignIn) -> None:
    work()
    others = [sign_in("Head", agency), sign_in("Supervisor"), sign_in("Administrator")]
    for other in others:
        for page in ("", "download/"):
            assert other.get(f"{LIST}{job.pk}/{page}").status_code == 404
        assert other.post(f"{LIST}{job.pk}/again/").status_code == 404
        assert "Riwayat panggilan, semua" not in other.get(LIST).content.decode()
    for other in others[:2]:
        assert other.post(f"{LIST}{job.pk}/delete/").status_code == 404
    assert ExportJob.objects.exists()


def test_an_administrator_sees_and_cancels_what_is_being_made(job: ExportJob, sign_in: SignIn) -> None:
    administrator = sign_in("Administrator")
    assert "rini" in administrator.get(LIST).content.decode()
    administrator.post(f"{LIST}{job.pk}/delete/")
    assert not ExportJob.objects.exists()


def test_the_file_is_for_whoever_still_may_see_what_is_in_it(client: Client, job: ExportJob, rini: User) -> None:
    work()
    rini.agency = Agency.objects.create(code="baru", name="Instansi Baru")
    rini.save()
    assert client.get(f"{LIST}{job.pk}/download/").status_code == 403
    page = client.get(LIST).content.decode()
    assert f"{job.pk}/download/" not in page and "Instansi atau peran Anda telah berubah" in page
    rini.groups.clear()
    for address in (LIST, f"{LIST}{job.pk}/download/", f"{LIST}history/"):
        assert client.get(address).status_code == 403


def test_one_that_failed_is_explained_and_made_again(client: Client, job: ExportJob, settings: Any) -> None:
    ExportJob.objects.update(state="failed", problem="too-large")
    page = client.get(f"{LIST}{job.pk}/").content.decode()
    assert "Pilih rentang waktu yang lebih pendek" in page
    settings.ROW_LIMITS = {**settings.ROW_LIMITS, "exports": 0}
    refused = client.post(f"{LIST}{job.pk}/again/", follow=True).content.decode()
    assert "MANTRA_MAX_EXPORTS" in refused and ExportJob.objects.filter(pk=job.pk).exists()
    settings.ROW_LIMITS = {**settings.ROW_LIMITS, "exports": 1}
    client.post(f"{LIST}{job.pk}/again/")
    work()
    [new] = ExportJob.objects.all()
    assert new.state == "done" and new.pk != job.pk


def test_one_is_not_lost_where_it_cannot_be_made_again(
    client: Client, job: ExportJob, rini: User, settings: Any
) -> None:
    """What the bus made by itself takes room too."""
    start(rini, "history", {"query": ""}, format="csv", scheduled=True)
    ExportJob.objects.filter(pk=job.pk).update(state="failed", problem="too-large")
    settings.ROW_LIMITS = settings.ROW_LIMITS | {"exports": 1}
    page = client.post(f"{LIST}{job.pk}/again/", follow=True)
    assert page.status_code == 200 and [str(each) for each in page.context["messages"]]
    assert ExportJob.objects.filter(pk=job.pk, state="failed").exists()


def test_one_that_is_not_there_yet_or_no_more_leads_to_its_page(client: Client, job: ExportJob, folder: Path) -> None:
    assert client.get(f"{LIST}{job.pk}/download/")["Location"] == f"{LIST}{job.pk}/"
    work()
    job.refresh_from_db()
    (folder / job.stored).unlink()
    assert client.get(f"{LIST}{job.pk}/download/").status_code == 404


def test_nobody_gets_in_without_signing_in(job: ExportJob) -> None:
    for address in (LIST, f"{LIST}{job.pk}/download/"):
        assert Client().get(address).status_code == 302


def test_who_may_not_read_the_history_has_no_exports(agency: Agency) -> None:
    user = make_user("Requester", agency, "tanpa")
    user.groups.clear()
    client = Client()
    client.force_login(user)
    assert client.get(LIST).status_code == 403
