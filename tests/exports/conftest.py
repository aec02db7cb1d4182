from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry.exports import files, worker
from registry.models import Agency, CallRecord, ExportJob, User
from tests.admin.conftest import make_user, sign_in

__all__ = ["sign_in"]

#: When the first of the recorded calls was, in the time of the bus's zone: 05-10-2026 09.00.
FIRST = datetime(2026, 10, 5, 2, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.EXPORT_DIR = tmp_path / "exports"
    return tmp_path / "exports"


@pytest.fixture
def agency(db: None) -> Agency:
    return Agency.objects.create(code="prov", name="Dinas Penyedia")


@pytest.fixture
def rini(agency: Agency) -> User:
    return make_user("Head", agency, "rini", email="rini@prov.go.id")


Record = Callable[..., CallRecord]


@pytest.fixture
def record(db: None) -> Record:
    """Make the record of a call of the agency's, each a minute after the one before it."""

    def made(**more: Any) -> CallRecord:
        number = CallRecord.objects.count()
        values = {
            "request_id": f"{number:032x}", "started_at": FIRST + timedelta(minutes=number), "protocol": "rest",
            "method": "GET", "agency": "prov", "service": "data", "operation": "satu", "consumer_agency": "kons",
            "application": "app", "outcome": 200, "status": 200, "rows": 1, "bytes": 20, "duration_us": 1500,
        }  # fmt: skip
        return CallRecord.objects.create(**values | more)

    return made


def work() -> None:
    """Let a new worker do one round, as after a start."""
    worker.Worker().round()


def content(job: ExportJob) -> bytes:
    """The file of an export, decrypted."""
    job.refresh_from_db()
    assert job.state == "done", (job.state, job.problem)
    return b"".join(files.read(job.stored, str(job.key)))
