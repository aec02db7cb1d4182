"""Whether a job may run now: its operation, application, key and grant, by the snapshot, as for a call."""

from __future__ import annotations

import time

from django.conf import settings

from mantra.gateway import stops
from mantra.gateway.admission import check_grant, check_key
from mantra.jobs.execution import can_run
from mantra.jobs.models import Job
from mantra.jobs.problems import JobError
from registry import models
from registry.calls import Call
from registry.results import Fault
from registry.snapshot import holder
from registry.snapshot.parts import application_of
from registry.snapshot.types import Grant, Operation, Snapshot

_RETIRED = models.Operation.State.RETIRED.value


def snapshot() -> Snapshot:
    """Return the snapshot, which a process has from its first job on. Raises JobError."""
    if not settings.SNAPSHOT_SECONDS:
        return holder.refresh()
    holder.start()
    found = holder.current()
    if found is None:
        raise JobError("snapshot")
    return found


def operation_of(job: Job, found: Snapshot) -> Operation:
    """Return a job's operation. Raises JobError if it can no longer be run."""
    service = job.operation.service
    operation = found.operation(service.agency.code, service.code, job.operation.code)
    if operation is None or operation.id != job.operation_id or operation.state == _RETIRED or not can_run(operation):
        raise JobError("operation")
    return operation


def call_of(job: Job) -> Call:
    """Return the call of a job's rows. Raises JobError if it may not run any more."""
    found = snapshot()
    operation = operation_of(job, found)
    owner = job.application
    if not models.Application.objects.filter(pk=owner.pk, active=True).exists():
        raise JobError("application")
    if job.user is not None and not models.User.objects.filter(pk=job.user.pk, is_active=True).exists():
        raise JobError("denied")
    call = Call(
        # As a caller of REST gets rows; the format is one that no upstream's document is passed on in.
        protocol="rest", method="GET", client_ip=job.client_ip or "", request_id=job.request_id, format="xlsx",
        read_input=lambda call: [], agency=operation.agency, service=operation.service, code=operation.code,
        operation=operation, application=application_of(owner), snapshot=found,
    )  # fmt: skip
    if operation.plan is not None and operation.plan.page_size:
        call.page, call.per_page = 1, operation.plan.page_size
    now = time.time()
    if job.key_public:
        keys = [key for key in found.keys.values() if key.public == job.key_public and key.application.id == owner.pk]
        if not keys:
            raise JobError("key")
        call.key = keys[0]
        try:
            check_key(call, call.key, operation, now)
        except Fault:
            raise JobError("key") from None
    if not operation.open:
        call.grant = grant_of(call, found.grants.get((owner.pk, operation.id)), now)
    refuse_stopped(call)
    return call


def refuse_stopped(call: Call) -> None:
    """Raise JobError if anything that takes part in the rows' call is stopped."""
    try:
        stops.refuse(call)
    except Fault:
        raise JobError("stopped") from None


def grant_of(call: Call, grant: Grant | None, now: float) -> Grant:
    """Return a grant that admits the call. Raises JobError."""
    if grant is None:
        raise JobError("grant")
    try:
        check_grant(call, grant, now)
    except Fault:
        raise JobError("grant") from None
    return grant


def may_run(application: models.Application, operation: models.Operation, client_ip: str) -> bool:
    """Return True if an application may run an operation as a job now, by the snapshot of this process."""
    job = Job(application=application, operation=operation, client_ip=client_ip)
    try:
        call_of(job)
    except JobError:
        return False
    return True
