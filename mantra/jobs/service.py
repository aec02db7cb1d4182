"""What people and callers do with jobs: start, follow, pause, resume, cancel and delete them, and get their results."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from mantra.gateway.formats import FORMATS
from mantra.gateway.formats.xlsx import OPTIONS
from mantra.jobs import admission, execution, files, inputs, record
from mantra.jobs import results as stored_results
from mantra.jobs.files import INPUT, JobFolder
from mantra.jobs.inputs import format_of
from mantra.jobs.models import ACTIVE, ENDED, HEADER, UNFINISHED, Job, State
from mantra.jobs.problems import JobError
from registry import containment, tenancy
from registry.models import Agency, Application, Operation, User
from registry.parameter_examples import example
from registry.parameter_values import ParameterParser
from registry.results import Column, Row
from registry.snapshot import holder, types

__all__ = ["format_of"]

FILE_FORMATS = ("csv", "xlsx", "ndjson", "json")
#: Bytes that are read at once from what is sent.
_PIECE = 256 * 1024
_RETIRED = Operation.State.RETIRED.value


class Stream(Protocol):
    """What is sent."""

    def read(self, size: int, /) -> bytes: ...


# ---------------------------------------------------------------------------------------- starting


def in_snapshot(operation: Operation) -> types.Operation | None:
    """Return an operation as calls get it; None if it cannot be called."""
    found = holder.current()
    service = operation.service
    return found.operation(service.agency.code, service.code, operation.code) if found is not None else None


def runnable(operation: Operation) -> bool:
    """Return True if an operation can be run as a job at all. No database is asked."""
    found = in_snapshot(operation)
    return found is not None and found.id == operation.pk and found.state != _RETIRED and execution.can_run(found)


def may_create(user: User, application: Application, operation: Operation, client_ip: str = "") -> bool:
    """Return True if a user may start a job of an operation as one of the agency's applications, as for a trial."""
    vouches = user.agency_id is not None and user.has_perm("registry.add_accesskey")
    own = application.agency_id == user.agency_id and application.active
    return vouches and own and runnable(operation) and admission.may_run(application, operation, client_ip)


def create(
    *,
    application: Application,
    operation: Operation,
    stream: Stream,
    input_format: str,
    language: str,
    user: User | None = None,
    key: str = "",
    client_ip: str | None = None,
    mapping: Mapping[str, str] | None = None,
    on_invalid: str = Job.OnInvalid.SKIP,
    file_name: str = "",
    length: int | None = None,
) -> Job:
    """Store what is sent and let the worker run a job of it. Raises JobError.

    The caller has checked that the application may run the operation; it is checked again while the job runs.
    ``key``: the public part of the access key. ``length``: the bytes that are announced.
    """
    if input_format not in inputs.MEDIA_TYPES:
        raise JobError("format")
    mapping = dict(mapping or {})
    _check_mapping(operation, mapping)
    if length is not None and length > settings.MAX_JOB_BYTES:
        raise JobError("too-large", settings.MAX_JOB_BYTES >> 20)
    check_limits(application, length or 0)
    job = Job(
        application=application, operation=operation, user=user, key_public=key, client_ip=client_ip or None,
        language=language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE,
        input_format=input_format, file_name=_plain_name(file_name), mapping=mapping, on_invalid=on_invalid,
        stored=files.new_name(), key=files.new_key(),
    )  # fmt: skip
    job.clean_fields(exclude=["columns", "origin", "report", "mapping"])
    folder = JobFolder(job.stored, str(job.key))
    folder.make()
    try:
        job.input_bytes = _store(folder, stream)
        if length is not None and job.input_bytes < length:
            raise JobError("interrupted-upload")
        if not job.input_bytes:
            raise JobError("empty")
        job.stored_bytes = folder.size()
        with transaction.atomic():
            # Nobody else counts the agency's jobs meanwhile.
            Agency.objects.select_for_update().get(pk=application.agency_id)
            check_limits(application, job.stored_bytes)
            job.save()
    except BaseException:
        folder.remove_all()
        raise
    return job


def _check_mapping(operation: Operation, mapping: Mapping[str, str]) -> None:
    known = {name.lower() for name in operation.parameters.values_list("name", flat=True)}
    if unknown := [name for name in mapping if name.lower() not in known]:
        raise JobError("mapping", ", ".join(unknown))
    if any(len(header) > HEADER for header in mapping.values()):
        raise JobError("mapping")


def _plain_name(name: str) -> str:
    """Return the name of a file without folders and what cannot be shown."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:150]


def _store(folder: JobFolder, stream: Stream) -> int:
    with folder.writing(INPUT, settings.MAX_JOB_BYTES) as output:
        while piece := stream.read(_PIECE):
            output.write(piece)
        return output.size


def check_limits(application: Application, size: int) -> None:
    """Check that an application may have a further job, of files of a size. Raises JobError."""
    if Job.objects.filter(application=application, state__in=UNFINISHED).count() >= settings.MAX_JOBS:
        raise JobError("too-many", settings.MAX_JOBS)
    stored = Job.objects.filter(application__agency=application.agency_id).aggregate(all=Sum("stored_bytes"))["all"]
    if (stored or 0) + size > settings.AGENCY_JOB_BYTES:
        raise JobError("agency-space", settings.AGENCY_JOB_BYTES >> 20)


def set_columns(job: Job, mapping: Mapping[str, str]) -> None:
    """Store which columns the parameters of a job have that waits for that, and let it be checked. Raises JobError."""
    _check_mapping(job.operation, mapping)
    waits = Job.objects.filter(pk=job.pk, state=State.PAUSED, problem="columns-missing")
    _changed(job, waits, {"state": State.WAITING, "problem": "", "problem_detail": "", "mapping": dict(mapping),
                          "expires_at": None, "turn_at": timezone.now()})  # fmt: skip


# ------------------------------------------------------------------------------------------ people


def visible(user: tenancy.AnyUser) -> QuerySet[Job]:
    """Return the jobs that a user may see: those of the agency's applications."""
    if not user.has_perm("registry.view_application"):
        return Job.objects.none()
    return tenancy.visible(Job.objects.all(), user)


def may_see(user: tenancy.AnyUser, job: Job) -> bool:
    return visible(user).filter(pk=job.pk).exists()


def may_control(user: User, job: Job) -> bool:
    """Return True if a user may pause, resume, cancel and delete a job: their own, or of an application of theirs."""
    own = job.user_id == user.pk or user.has_perm("registry.change_application")
    return own and user.is_active and not tenancy.is_supervisor(user) and may_see(user, job)


def may_download(user: User, job: Job) -> bool:
    """Return True if a user gets the results: who started the job, and still may call as its application."""
    return (
        job.user_id == user.pk and user.is_active and user.agency_id == job.application.agency_id
        and user.has_perm("registry.add_accesskey")
    )  # fmt: skip


# ----------------------------------------------------------------------------------------- control


def _changed(job: Job, rows: QuerySet[Job], columns: Mapping[str, Any]) -> None:
    """Change a job that is in a state in which that can be done. Raises JobError."""
    if not rows.update(**columns):
        raise JobError("state")
    for name, value in columns.items():
        setattr(job, name, value)


def pause(job: Job) -> None:
    """Let a job stand still until it is resumed. Raises JobError."""
    goes_on = Job.objects.filter(pk=job.pk, state__in=(*ACTIVE, State.QUOTA))
    waits = Job.objects.filter(pk=job.pk, state=State.PAUSED, retry_at__isnull=False)
    kept = timezone.now() + timedelta(hours=settings.JOB_HOURS)
    _changed(job, goes_on | waits, {"state": State.PAUSED, "problem": "", "problem_detail": "", "retry_at": None,
                                    "estimated_end": None, "expires_at": kept})  # fmt: skip


def resume(job: Job) -> None:
    """Let a job go on. Raises JobError."""
    stands = Job.objects.filter(pk=job.pk, state__in=(State.PAUSED, State.QUOTA)).exclude(problem="columns-missing")
    _changed(job, stands, {"state": State.WAITING, "problem": "", "problem_detail": "", "retry_at": None,
                           "expires_at": None, "turn_at": timezone.now()})  # fmt: skip


def cancel(job: Job) -> None:
    """End a job. What is done stays until it expires. Raises JobError."""
    now = timezone.now()
    unfinished = Job.objects.filter(pk=job.pk, state__in=UNFINISHED)
    _changed(job, unfinished, {"state": State.CANCELLED, "problem": "", "problem_detail": "", "retry_at": None,
                               "estimated_end": None, "finished_at": now,
                               "expires_at": now + timedelta(hours=settings.JOB_HOURS)})  # fmt: skip


def delete(job: Job) -> None:
    """Delete a job with its files; one that has not ended is cancelled. Raises JobError if it cannot be recorded."""
    with suppress(JobError):
        cancel(job)
    job.refresh_from_db()
    if job.recorded and not job.concluded:
        record.end(job)
    if job.stored:
        JobFolder(job.stored, "").remove_all()
    job.delete()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. ``moves``: it will be further in a moment."""

    percent: int
    done: int
    rows: int | None
    rate: float
    seconds_left: int | None
    moves: bool


def progress(job: Job) -> Progress:
    """Return how far a job is, by its row alone."""
    rows = job.rows
    percent = 100 if job.state == State.DONE else min(99, job.done * 100 // rows) if rows else 0
    left = None
    if job.estimated_end is not None and job.state == State.RUNNING:
        left = max(0, int((job.estimated_end - timezone.now()).total_seconds()))
    return Progress(percent, job.done, rows, job.rate, left, job.state in ACTIVE or job.retry_at is not None)


# ------------------------------------------------------------------------------------------- files


def template(operation: Operation, format: str) -> bytes:
    """Return a file to fill in: the names of the parameters, and a row of examples. Raises JobError."""
    parameters = list(operation.parameters.all())
    names, examples = (
        [each.name for each in parameters],
        [example(ParameterParser.of(each), each.default) or "" for each in parameters],
    )
    if format == "csv":
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerows((names, examples))
        return b"\xef\xbb\xbf" + text.getvalue().encode()
    if format != "xlsx":
        raise JobError("format")
    return _workbook(names, examples)


def _workbook(names: list[str], examples: list[str]) -> bytes:
    """Return a workbook whose columns are text: Excel takes zeros from numbers, and digits from long ones."""
    import xlsxwriter  # it is slow to import, and most processes write no workbook

    output = io.BytesIO()
    book = xlsxwriter.Workbook(output, {**OPTIONS, "in_memory": True, "constant_memory": False})
    sheet, text, bold = book.add_worksheet("data"), book.add_format({"num_format": "@"}), None
    bold = book.add_format({"bold": True, "num_format": "@"})
    for place, (name, value) in enumerate(zip(names, examples, strict=True)):
        sheet.set_column(place, place, 24, text)
        sheet.write_string(0, place, name, bold)
        sheet.write_string(1, place, value, text)
    sheet.freeze_panes(1, 0)
    book.close()
    return output.getvalue()


def folder_of(job: Job) -> JobFolder:
    """Return the folder of a job. Raises JobError if its files were deleted."""
    if job.state == State.EXPIRED or not job.stored:
        raise JobError("expired")
    return JobFolder(job.stored, str(job.key))


def result_file(job: Job, format: str) -> tuple[Iterator[bytes], str, str]:
    """Return the results of a job that has ended: its bytes, its media type, and a name. Raises JobError, Fault."""
    if format not in FILE_FORMATS:
        raise JobError("format")
    _refuse_stopped(job)
    folder = folder_of(job)
    if job.state not in ENDED or not job.done:
        raise JobError("not-ready")
    written = FORMATS[format]
    chunks = written.render(stored_results.rows_of(job, folder), job.operation.code)
    first = next(chunks, b"")
    name = f"{job.operation.code}-{job.created_at:%Y%m%d}-{job.request_id[:12]}.{written.suffix}"
    return chain((first,), chunks), written.media_type, name


def _refuse_stopped(job: Job) -> None:
    """Raise JobError if what the results were read with is stopped: then nobody fetches them either."""
    application, service = job.application, job.operation.service
    origin = [(str(job.origin[0]), int(job.origin[1]))] if len(job.origin) == 3 else []
    if containment.is_stopped(
        ("application", application.pk), ("agency", application.agency_id),
        ("operation", job.operation_id), ("agency", service.agency_id), *origin,
    ):  # fmt: skip
        raise JobError("stopped")


def record_download(job: Job, request: HttpRequest) -> None:
    """Record that the request's user gets the results on a page. Raises Fault JOURNAL_DOWN: do not send them then."""
    record.download(job, request, request.user.get_username())


#: The most rows of results that are in memory at a time.
MOST_LINES = 5_000


def results(job: Job, first: int = 1, most: int = 1000) -> tuple[tuple[Column, ...], list[Row], int | None]:
    """Return the columns and rows of results from the ``first``-th row of the job on, and the row that follows them.

    None follows if there are none yet from there on. Raises JobError.
    """
    _refuse_stopped(job)
    folder = folder_of(job)
    rows, follows = stored_results.page(job, folder, first, most, MOST_LINES)
    return stored_results.columns_of_job(job), rows, follows if rows else None
