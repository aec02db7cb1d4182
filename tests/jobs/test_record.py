"""The record of a job: one in the history, with all persons by keyed hash, whatever process began or ended it."""

from __future__ import annotations

from typing import Any

import pytest

from mantra.jobs import worker
from mantra.jobs.models import Job
from registry.journal import chain, reader, shipping, subjects, verifying
from registry.models import CallRecord, JournalSegment, SubjectsOfJob
from tests.cast import Cast, recorded
from tests.jobs.conftest import begin, jobs_of, work


@pytest.fixture
def persons(cast: Cast) -> Cast:
    cast.operation(
        "orang",
        "SELECT nama FROM orang WHERE id = :id",
        parameters=({"name": "id", "type": "integer", "subject": True},),
    )
    return cast


def test_a_job_has_one_record_and_its_persons_are_found(persons: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "BATCH_BYTES", 2_000)
    ids = list(range(1, 2401))
    job = begin(persons, "id\n" + "".join(f"{id}\n" for id in ids), "orang")
    work()
    shipping.ship()
    (record,) = CallRecord.objects.filter(request_id=job.request_id)
    job.refresh_from_db()
    assert (record.protocol, record.method, record.outcome, record.rows) == ("job", "RUN", 200, 2400)
    assert (record.application, record.consumer_agency, record.key) == ("app", "kons", persons.key_row.public)
    assert record.origin_kind == "source"
    assert record.bytes == job.result_bytes > 2400
    hashes = " ".join(SubjectsOfJob.objects.values_list("hashes", flat=True)).split()
    assert sorted(hashes) == sorted(chain.subject_hash(str(id)) for id in ids)
    assert all(len(row.hashes.split()) <= 1000 for row in SubjectsOfJob.objects.all())
    assert list(subjects.records_about("77")) == [record]
    assert list(subjects.records_about("7777")) == []
    rows = verifying.in_order(JournalSegment.objects.all())
    assert not verifying.verify(reader.segments(), rows, None, record.started_at).broken


def test_lines_that_are_shipped_again_count_once(persons: Cast) -> None:
    job = begin(persons, "id\n1\n2\n", "orang")
    work()
    shipping.ship()
    JournalSegment.objects.all().delete()
    shipping.ship()
    assert CallRecord.objects.filter(request_id=job.request_id).count() == 1
    assert SubjectsOfJob.objects.count() == 1


def test_a_job_that_goes_on_is_not_interrupted_by_the_end_of_its_process(persons: Cast) -> None:
    job = begin(persons, "id\n1\n", "orang")
    work()
    begun = [line for line in recorded() if line.get("id") == job.request_id and line["t"] == "begin"]
    assert len(begun) == 1
    # Its begin line alone, in a segment whose writer has ended.
    from registry.journal import segments

    segments.write({**begun[0], "id": "f" * 32})
    segments.write({**begun[0], "id": "e" * 32, "method": "GET"})
    segments.close()
    shipping.ship()
    assert CallRecord.objects.get(request_id="f" * 32).outcome == 0
    assert CallRecord.objects.get(request_id="e" * 32).outcome == 11903
    # No job has it: its row was deleted with its application.
    CallRecord.objects.filter(request_id="f" * 32).update(started_at="2026-01-01T00:00:00Z")
    worker.end_abandoned()
    shipping.ship()
    assert CallRecord.objects.get(request_id="f" * 32).outcome == 11903


def test_requests_about_jobs_are_recorded_too(cast: Cast) -> None:
    job = begin(cast, "id\n7\n")
    work()
    jobs_of(cast, below=f"/{job.request_id}")
    reply = jobs_of(cast, below=f"/{job.request_id}/file.csv")
    shipping.ship()
    record = CallRecord.objects.get(request_id=reply.headers["x-request-id"])
    assert (record.protocol, record.method, record.outcome, record.rows) == ("job", "GET", 200, 1)
    assert CallRecord.objects.filter(protocol="job").count() == 4


def test_no_row_is_run_that_cannot_be_recorded(cast: Cast, settings: Any) -> None:
    from registry.journal import segments

    job = begin(cast, "id\n7\n")
    segments.close()
    folder, settings.JOURNAL_DIR = settings.JOURNAL_DIR, settings.JOURNAL_DIR / "fehlt"
    work()
    job.refresh_from_db()
    assert (job.state, job.problem, job.done) == ("paused", "journal", 0)
    settings.JOURNAL_DIR = folder
    Job.objects.update(retry_at="2026-01-01T00:00:00Z")
    worker.wake(job.created_at)
    work()
    job.refresh_from_db()
    assert (job.state, job.done) == ("done", 1)


def test_the_end_is_announced_with_numbers_only(cast: Cast) -> None:
    from registry.models import Notification
    from tests.admin.conftest import make_user

    user = make_user("Requester", cast.consumer, "dewi")
    begin(cast, "id\n7\n9999\nx\n")
    work()
    (message,) = Notification.objects.filter(user=user)
    assert (message.event, message.context["rows"], message.context["done"]) == ("job_ended", 3, 3)
    assert (message.context["found"], message.context["failed"]) == (1, 1)
