"""A stop holds for whatever calls: verifications, jobs and their results, reconciliations, synchronisations, trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mantra.jobs import service, worker
from mantra.jobs.problems import JobError
from mantra.jobs.running import Run
from mantra.reconciliation.models import Reconciliation
from registry import containment
from registry.snapshot import holder
from tests.cast import Cast
from tests.jobs.conftest import begin, jobs_of, lines, work
from tests.jobs.test_running import Ticking, at_question
from tests.reconciliation.conftest import lists, ran, reconciliation, rina  # noqa: F401
from tests.synchronization.conftest import Stage, database, files, with_rows  # noqa: F401
from tests.verification.people import SITI, verifying

STOPPED = 11401


@pytest.fixture(autouse=True)
def _folders(settings: Any, tmp_path: Path) -> None:
    settings.JOB_DIR, settings.EXPORT_DIR = tmp_path / "jobs", tmp_path / "exports"


def stop(kind: str, pk: int) -> Any:
    made = containment.stop(kind, pk, "Kebocoran")
    holder.refresh()
    return made


@pytest.mark.parametrize("kind", ["operation", "source"])
def test_a_verification_stops_with_the_operation_that_has_its_data(cast: Cast, kind: str) -> None:
    verifying(cast)
    assert cast.get("cek", f"nik={SITI}&nama=Siti").status == 200
    base = cast.operations["orang"]
    stop(kind, base.pk if kind == "operation" else base.source_id)
    refused = cast.get("cek", f"nik={SITI}&nama=Siti")
    assert (refused.status, refused.json()["code"]) == (403, STOPPED)


# ------------------------------------------------------------------------------ jobs


def test_a_job_pauses_while_it_is_stopped_and_goes_on_afterwards(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    job = begin(cast, "id\n" + "".join(f"{number}\n" for number in range(1, 2401)))
    made: list[Any] = []
    at_question(monkeypatch, 3, lambda: made.append(stop("source", cast.source.pk)))
    worker.take_up()
    taken = worker.take()
    assert taken is not None
    Run(taken, clock=Ticking()).go()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("paused", "stopped")
    assert job.retry_at is not None
    assert 0 < job.done < 2400
    containment.release(made[0], "Sudah")
    holder.refresh()
    service.resume(job)
    monkeypatch.undo()
    work()
    job.refresh_from_db()
    assert (job.state, job.done) == ("done", 2400)
    assert len(lines(job)) == 2400


def test_nobody_fetches_the_results_of_a_job_that_is_stopped(cast: Cast) -> None:
    job = begin(cast, "id\n1\n2\n")
    work()
    assert b"Orang 1" in jobs_of(cast, below=f"/{job.request_id}/results").body
    job.refresh_from_db()
    made = stop("application", cast.application.pk)
    refused = jobs_of(cast, below=f"/{job.request_id}/results")
    assert (refused.status, refused.json()["code"]) == (403, STOPPED)
    with pytest.raises(JobError, match="stopped"):  # the page, which needs no key
        service.result_file(job, "csv")
    with pytest.raises(JobError, match="stopped"):
        service.results(job)
    containment.release(made, "Sudah")
    assert service.results(job)[1]


def test_no_job_begins_while_its_operation_is_stopped(cast: Cast) -> None:
    stop("operation", cast.operations["satu"].pk)
    refused = jobs_of(cast, method="POST", body="id\n1\n", content_type="text/csv")
    assert (refused.status, refused.json()["code"]) == (403, STOPPED)


# ------------------------------------------------------------------------------ lists


def test_a_reconciliation_reads_nothing_that_is_stopped(
    cast: Cast,
    reconciliation: Reconciliation,  # noqa: F811
) -> None:
    made = stop("grant", cast.grants["daftar"].pk)
    run = ran(reconciliation)
    assert (run.state, run.problem) == ("failed", "stopped")
    containment.release(made, "Sudah")
    holder.refresh()
    assert ran(reconciliation).state == "done"


def test_a_reconciliation_reads_no_own_list_that_is_stopped(
    cast: Cast,
    reconciliation: Reconciliation,  # noqa: F811
) -> None:
    stop("operation", cast.operations["penerima"].pk)
    assert ran(reconciliation).problem == "stopped"


@pytest.mark.parametrize("which", ["operation", "target"])
def test_a_synchronisation_neither_reads_nor_writes_what_is_stopped(
    files: Stage,  # noqa: F811
    which: str,
) -> None:
    with_rows(files, 3)
    files.define()
    kind, pk = ("operation", files.operation.pk) if which == "operation" else ("source", files.target_source.pk)
    made = stop(kind, pk)
    run = files.run()
    assert (run.state, run.problem) == ("failed", "stopped")
    assert files.target.rows("salinan") == []
    containment.release(made, "Sudah")
    holder.refresh()
    assert files.done().inserted == 3
