from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mantra.jobs import service, worker
from mantra.jobs.models import Job
from mantra.jobs.running import Run
from tests.cast import Cast, Reply, call


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.JOB_DIR = tmp_path / "jobs"
    return tmp_path / "jobs"


def jobs_of(cast: Cast, operation: str = "satu", below: str = "", **more: Any) -> Reply:
    """A request about jobs, with the application's key."""
    more.setdefault("accesskey", cast.key)
    return call(f"/rest/prov/data/{operation}/jobs{below}", **more)


def begin(cast: Cast, body: str | bytes, operation: str = "satu", below: str = "", **more: Any) -> Job:
    """Start a job by REST, of CSV if nothing else is said."""
    reply = jobs_of(cast, operation, below, method="POST", body=body, **{"content_type": "text/csv", **more})
    assert reply.status == 202, reply.body
    return Job.objects.get(request_id=reply.json()["id"])


def take_turn(job: Job | None = None, **more: Any) -> Job:
    """Let the job whose turn it is run as long as it can, in this thread."""
    taken = worker.take()
    assert taken is not None, "no job waits"
    assert job is None or taken.pk == job.pk
    Run(taken, **more).go()
    taken.refresh_from_db()
    return taken


def work(**more: Any) -> None:
    """Let all jobs run that wait, and conclude them."""
    worker.take_up()
    while (job := worker.take()) is not None:
        Run(job, **more).go()
    for ended in Job.objects.filter(concluded=False, state__in=("done", "failed", "cancelled")):
        worker.conclude(ended)


def lines(job: Job) -> list[dict[str, Any]]:
    """All rows of the results of a job, by the names of their columns."""
    job.refresh_from_db()
    chunks, _type, _name = service.result_file(job, "ndjson")
    return [json.loads(line) for line in b"".join(chunks).splitlines()]


Clock = Callable[[], float]


class Time:
    """A clock that goes on while somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def time() -> Time:
    return Time()
