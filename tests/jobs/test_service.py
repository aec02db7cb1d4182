"""What people may do with jobs: those of their own agency, results only for who started them."""

from __future__ import annotations

import io
from typing import Any

import pytest

from mantra.jobs import service
from mantra.jobs.models import Job
from mantra.jobs.problems import JobError, sentence
from registry.models import User
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import Cast
from tests.jobs.conftest import begin, lines, work


@pytest.fixture
def dewi(cast: Cast) -> User:
    return make_user("Requester", cast.consumer, "dewi")


def start(cast: Cast, user: User, body: str, **more: Any) -> Job:
    return service.create(
        application=cast.application, operation=cast.operations["satu"], user=user, stream=io.BytesIO(body.encode()),
        input_format="csv", language="id", file_name="C:\\Daftar\\penerima.csv", **more,
    )  # fmt: skip


def test_who_may_start_jobs(cast: Cast, dewi: User) -> None:
    operation = cast.operations["satu"]
    assert service.may_create(dewi, cast.application, operation)
    for role, agency in (("Supervisor", None), ("Requester", cast.stranger), ("Provider", cast.provider)):
        assert not service.may_create(make_user(role, agency, f"lain-{role}"), cast.application, operation), role
    cast.grants["satu"].set_state("revoked")
    holder.refresh()
    assert service.runnable(operation)
    assert not service.may_create(dewi, cast.application, operation)


def test_a_job_is_seen_by_the_agency_and_its_results_by_its_user(cast: Cast, dewi: User) -> None:
    job = start(cast, dewi, "id\n7\n")
    assert job.file_name == "penerima.csv"
    colleague = make_user("Requester", cast.consumer, "rudi")
    head = make_user("Head", cast.consumer, "kepala")
    stranger = make_user("Requester", cast.stranger, "asing")
    provider = make_user("Provider", cast.provider, "penyedia")
    supervisor = make_user("Supervisor", None, "pengawas")
    may = {
        user.username: (service.may_see(user, job), service.may_control(user, job), service.may_download(user, job))
        for user in (dewi, colleague, head, stranger, provider, supervisor)
    }
    assert may == {
        "dewi": (True, True, True), "rudi": (True, True, False), "kepala": (True, False, False),
        "asing": (False, False, False), "penyedia": (False, False, False), "pengawas": (True, False, False),
    }  # fmt: skip
    by_key = begin(cast, "id\n7\n")
    assert not service.may_download(dewi, by_key)
    assert service.may_control(dewi, by_key)


def test_columns_that_differ_are_chosen_on_a_page(cast: Cast, dewi: User) -> None:
    job = start(cast, dewi, "Nomor,Nama\n7,x\n")
    work()
    job.refresh_from_db()
    assert (job.state, job.problem, job.retry_at) == ("paused", "columns-missing", None)
    assert job.report["header"] == ["Nomor", "Nama"]
    assert "id" in sentence(job)
    with pytest.raises(JobError, match="state"):
        service.resume(job)
    with pytest.raises(JobError, match="mapping"):
        service.set_columns(job, {"lain": "Nomor"})
    service.set_columns(job, {"id": "Nomor"})
    work()
    assert [row["nama"] for row in lines(job)] == ["Orang 7"]
    with pytest.raises(JobError, match="state"):
        service.set_columns(job, {"id": "Nama"})


def test_progress_needs_no_query(cast: Cast, dewi: User, django_assert_num_queries: Any) -> None:
    job = start(cast, dewi, "id\n" + "7\n" * 40)
    with django_assert_num_queries(0):
        before = service.progress(job)
    assert (before.percent, before.moves, before.rows) == (0, True, None)
    work()
    job.refresh_from_db()
    assert (service.progress(job).percent, service.progress(job).moves) == (100, False)


def test_a_user_who_is_no_longer_active_has_no_job(cast: Cast, dewi: User) -> None:
    job = start(cast, dewi, "id\n7\n")
    User.objects.filter(pk=dewi.pk).update(is_active=False)
    work()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("failed", "denied")


def test_a_deleted_user_takes_the_jobs_along_and_their_files_go(cast: Cast, dewi: User, settings: Any) -> None:
    import os

    from django.utils import timezone

    from mantra.jobs import worker

    start(cast, dewi, "id\n7\n")
    dewi.delete()
    assert not Job.objects.exists()
    (folder,) = settings.JOB_DIR.iterdir()
    worker.prune(timezone.now())
    assert folder.exists()  # it could be that of an upload that has not ended
    os.utime(folder, (0, 0))
    worker.prune(timezone.now())
    assert not folder.exists()


def test_sentences_have_no_values_and_every_problem_has_one(cast: Cast, dewi: User) -> None:
    from mantra.jobs.problems import PROBLEMS

    for problem in PROBLEMS:
        text = JobError(problem, "7").sentence
        assert text
        assert "{" not in text
    assert "(bukan JSON yang berisi baris, baris 3)" in JobError("unreadable", "json:3").sentence
