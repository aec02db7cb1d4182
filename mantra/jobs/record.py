"""The record of a job in the journal: a begin line, an end line, and lines with the persons whose rows were run.

A job may be begun by one process and ended by another, so that its record is not closed when a process ends. Lines that
are written twice, as after a kill, count once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from mantra.jobs.models import Job, State
from mantra.jobs.problems import JobError
from registry import faults
from registry.calls import Call, request_id
from registry.client_ip import client_ip
from registry.journal import chain, segments
from registry.journal.subjects import PROTOCOL, RUN, SUBJECTS_IN_LINE
from registry.models import AccessKey
from registry.results import Fault

log = logging.getLogger("mantra.jobs")


def begin(job: Job, call: Call) -> None:
    """Record that a job begins to run. Raises JobError: what cannot be recorded is not run."""
    operation = call.operation
    assert operation is not None
    line = {
        "t": "begin", "id": job.request_id, "at": job.created_at.timestamp(), "protocol": PROTOCOL, "method": RUN,
        "ip": job.client_ip or "",
        "op": (operation.agency, operation.service, operation.code, operation.id, operation.revision),
    }  # fmt: skip
    if job.user is not None:
        line["user"] = job.user.get_username()
    _write(line)


def subjects(job: Job, hashes: Iterable[str]) -> None:
    """Record the persons of a part, by their keyed hashes. Raises JobError."""
    distinct = sorted(set(hashes))
    for start in range(0, len(distinct), SUBJECTS_IN_LINE):
        part = distinct[start : start + SUBJECTS_IN_LINE]
        _write({"t": "subjects", "id": job.request_id, "at": job.created_at.timestamp(), "hashes": part})


def guarded(job: Job, call: Call) -> None:
    """Record what the egress guard has found in the results of a part, once. Raises JobError."""
    if call.guarded and call.operation is not None:
        found = [(place, kind, number) for (place, kind), number in call.guarded.items()]
        call.guarded.clear()
        at, rule = job.created_at.timestamp(), call.operation.guard
        _write(
            {"t": "guard", "id": job.request_id, "at": at, "op": call.operation.id, "guard": found, "guard_rule": rule}
        )


def end(job: Job) -> None:
    """Record that a job has ended. Raises JobError."""
    application = job.application
    key = AccessKey.objects.filter(application=application, public=job.key_public).first() if job.key_public else None
    failed = job.state == State.FAILED
    took = (job.finished_at or timezone.now()) - job.created_at
    line: dict[str, Any] = {
        "t": "end", "id": job.request_id, "code": faults.JOB_FAILED.code if failed else 200,
        "status": faults.JOB_FAILED.status if failed else 200, "bytes": job.result_bytes,
        "us": max(0, int(took.total_seconds() * 1_000_000)), "format": job.input_format,
        "by": (application.agency.code, application.code, job.key_public, key.pk if key is not None else None),
        "params": sorted(job.report.get("columns", ())), "rows": job.result_rows,
        "fields": [name for name, _type in job.columns],
    }  # fmt: skip
    if job.origin:
        line["from"] = (*job.origin, None)
    if job.classification and job.found:
        line["class"] = job.classification
    if job.state == State.CANCELLED:
        line["broken"] = True
    # It began in another segment, which is read first.
    _write(line, chain.COMPLETIONS)


def abandon(id: str) -> None:
    """Record that a job has ended of which there is no row any more. Raises JobError."""
    fault = faults.INTERRUPTED
    line = {"t": "end", "id": id, "code": fault.code, "status": fault.status, "bytes": 0, "us": 0, "format": ""}
    _write({**line, "broken": True}, chain.COMPLETIONS)


def download(job: Job, request: HttpRequest, username: str) -> None:
    """Record that the user of a job gets its results on a page. Raises Fault JOURNAL_DOWN: then they are not sent."""
    service = job.operation.service
    id = request_id()
    begin = {
        "t": "begin", "id": id, "at": time.time(), "protocol": PROTOCOL, "method": "GET",
        "ip": client_ip(request.META), "user": username,
        "op": (service.agency.code, service.code, job.operation.code, job.operation.pk, job.operation.revision),
    }  # fmt: skip
    application = job.application
    end: dict[str, Any] = {
        "t": "end", "id": id, "code": 200, "status": 200, "bytes": job.result_bytes, "us": 0, "format": "html",
        "by": (application.agency.code, application.code, "", None), "rows": job.result_rows,
        "fields": [name for name, _type in job.columns],
    }  # fmt: skip
    if job.classification and job.found:
        end["class"] = job.classification
    try:
        _write(begin)
        _write(end)
    except JobError:
        raise Fault(faults.JOURNAL_DOWN, retry_after=5) from None


def _write(line: dict[str, Any], kind: str = "") -> None:
    if not settings.JOURNAL:
        return
    try:
        segments.write(line, kind)
    except OSError as error:
        log.error("the journal cannot be written: errno %s", error.errno)
        raise JobError("journal") from None
