"""Jobs by REST: /rest/{agency}/{service}/{operation}/jobs and what is below it.

Each request is a call of its own: it has a key, a grant, and a record. Only the application that started a job sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils.translation import override

from mantra.gateway import admission, http, recording
from mantra.gateway.formats import FORMATS
from mantra.gateway.http import Environ, Response
from mantra.gateway.protocols import problem
from mantra.gateway.protocols.responding import respond_to
from mantra.gateway.recording import RecordedResult, internal_fault
from mantra.jobs import problems, service
from mantra.jobs import results as stored_results
from mantra.jobs.execution import can_run
from mantra.jobs.inputs import MEDIA_TYPES, format_of
from mantra.jobs.models import ENDED, Job, State
from mantra.jobs.problems import JobError
from registry import faults, logs, models
from registry.calls import Call
from registry.journal.subjects import PROTOCOL
from registry.results import Document, Fault, Result, Rows
from registry.snapshot.types import Operation

#: The formats of a job's state. Others hold rows and nothing else.
_NESTED = ("json", "xml", "php", "phpa")
#: Rows of a job whose results are given at once: without a wish, and at most.
PAGE, MOST = 1_000, 10_000
_ID = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"file\.(csv|xlsx|ndjson|json)")
_TEMPLATE = re.compile(r"template\.(csv|xlsx)")
_COLUMN = "column."
_PIECE = 256 * 1024


class State202(Document):
    """The state of a job that has been started."""

    status = 202


class Nothing(Document):
    """The response to a deletion."""

    status = 204


class Content(Result):
    """Bytes of a media type."""

    def __init__(self, body: bytes, media_type: str) -> None:
        self.body, self.media_type = body, media_type


def handle(environ: Environ, call: Call) -> Response:
    """Return the response to a request about jobs."""
    call.protocol = PROTOCOL
    if call.format not in _NESTED and call.error is None and not _wants_rows(call):
        call.format = "json"
    write_fault = partial(problem.write_fault, environ=environ)
    return respond_to(call, _respond, write_fault, serve=partial(_serve, environ))


def _wants_rows(call: Call) -> bool:
    return call.path_suffix.rstrip("/").endswith("/results")


def _serve(environ: Environ, call: Call) -> RecordedResult:
    """Run a request through the steps of a call. It is not counted in the quota: the rows of the job are."""
    result: Result
    logs.current.call = call
    close_old_connections()
    try:
        admission.find(call)
        recording.begin(call)
        if call.error is not None:
            raise call.error
        admission.admit(call)
        if call.application is None:  # an open operation: a job needs an owner
            raise Fault(faults.KEY_MISSING)
        assert call.operation is not None
        if not can_run(call.operation):
            raise Fault(faults.JOB_IMPOSSIBLE)
        result = _result(environ, call)
    except Fault as fault:
        result = fault.without_traceback()
    except JobError as error:
        result = _fault(error)
    except (DatabaseError, InterfaceError):
        result = Fault(faults.NOT_READY, retry_after=5)
    except Exception:
        result = internal_fault(call)
    finally:
        close_old_connections()
    return recording.finish_when_sent(call, result)


def _fault(error: JobError) -> Fault:
    """Return why something cannot be done with a job, as a fault."""
    match error.problem:
        case "too-large":
            return Fault(faults.BODY_TOO_LARGE, limit=settings.MAX_JOB_BYTES)
        case "too-many":
            return Fault(faults.JOBS_TOO_MANY, most=settings.MAX_JOBS, retry_after=60)
        case "agency-space":
            return Fault(faults.JOBS_SPACE, mib=settings.AGENCY_JOB_BYTES >> 20, retry_after=600)
        case "format":
            return Fault(faults.JOB_FORMAT)
        case "empty":
            return Fault(faults.BODY_INVALID, reason_id="kosong", reason_en="it is empty")
        case "interrupted-upload":
            return Fault(faults.BODY_INVALID, reason_id="tidak lengkap", reason_en="it is incomplete")
        case "mapping":
            return Fault(faults.PARAMETER_UNKNOWN, parameter=error.detail[:60], known="column.*")
        case "not-ready":
            return Fault(faults.JOB_NOT_READY, retry_after=5)
        case "expired":
            return Fault(faults.JOB_EXPIRED)
    return Fault(faults.JOB_STORAGE, retry_after=30)


# ----------------------------------------------------------------------------------------- requests


def _result(environ: Environ, call: Call) -> Result:
    """Do what a request asks for. Raises Fault, JobError."""
    parts = call.path_suffix.strip("/").split("/")[1:]
    if not parts:
        _check_method(call, "POST")
        return _create(environ, call)
    if len(parts) == 1 and (match := _TEMPLATE.fullmatch(parts[0])):
        _check_method(call, "GET", "HEAD")
        return Content(service.template(_row_of(call), match[1]), MEDIA_TYPES[match[1]])
    job = _job(call, parts[0])
    if len(parts) == 1:
        _check_method(call, "GET", "HEAD", "DELETE")
        if call.method == "DELETE":
            service.delete(job)
            return Nothing(None)
        return Document(state_of(job, call))
    if len(parts) > 2:
        raise Fault(faults.JOB_UNKNOWN)
    if parts[1] == "results":
        _check_method(call, "GET", "HEAD")
        return _results(environ, call, job)
    if match := _FILE.fullmatch(parts[1]):
        _check_method(call, "GET", "HEAD")
        return _file(call, job, match[1])
    action = _ACTIONS.get(parts[1])
    if action is None:
        raise Fault(faults.JOB_UNKNOWN)
    _check_method(call, "POST")
    try:
        action(job)
    except JobError:
        job.refresh_from_db()
        raise Fault(faults.JOB_STATE, state=job.state) from None
    return Document(state_of(job, call))


_ACTIONS: dict[str, Callable[[Job], None]] = {
    "pause": service.pause,
    "resume": service.resume,
    "cancel": service.cancel,
}


def _check_method(call: Call, *allowed: str) -> None:
    if call.method not in allowed:
        raise Fault(faults.METHOD_NOT_ALLOWED, method=call.method, allowed=", ".join(allowed))


def _job(call: Call, id: str) -> Job:
    """Return a job of the call's application and operation. Raises Fault JOB_UNKNOWN for any other."""
    assert call.application is not None
    assert call.operation is not None
    rows = Job.objects.select_related("application__agency", "operation__service__agency", "user")
    own = rows.filter(request_id=id, application_id=call.application.id, operation_id=call.operation.id)
    job = own.first() if _ID.fullmatch(id) else None
    if job is None:
        raise Fault(faults.JOB_UNKNOWN)
    return job


def _row_of(call: Call) -> models.Operation:
    row = models.Operation.objects.select_related("service__agency").filter(pk=call.operation.id).first()  # type: ignore[union-attr]
    if row is None:
        raise Fault(faults.OPERATION_UNKNOWN)
    return row


def _create(environ: Environ, call: Call) -> Result:
    """Start a job. The body is its file, the query string says how it is run."""
    assert call.application is not None
    application = models.Application.objects.select_related("agency").filter(pk=call.application.id).first()
    if application is None:
        raise Fault(faults.KEY_UNKNOWN)
    input_format = format_of("", environ.get("CONTENT_TYPE", ""))
    if not input_format or environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise Fault(faults.JOB_FORMAT)
    options, mapping = _options(environ)
    body = _Body(environ)
    job = service.create(
        application=application, operation=_row_of(call), stream=body, input_format=input_format,
        language=http.language(environ), key=call.key.public if call.key is not None else "",
        client_ip=call.client_ip, mapping=mapping, on_invalid=options.get("on_invalid", Job.OnInvalid.SKIP),
        length=body.length,
    )  # fmt: skip
    call.extra_headers["Location"] = _url(call, job)
    return State202(state_of(job, call))


def _options(environ: Environ) -> tuple[dict[str, str], dict[str, str]]:
    """Return the options and the mapping of columns in a query string. Raises Fault."""
    options: dict[str, str] = {}
    mapping: dict[str, str] = {}
    for name, value in http.pairs(environ.get("QUERY_STRING", "")):
        if name.startswith(_COLUMN):
            mapping[name.removeprefix(_COLUMN)] = value
        elif name == "on_invalid":
            options[name] = value
        else:
            raise Fault(faults.PARAMETER_UNKNOWN, parameter=name[:60], known="on_invalid, column.*")
    if options.get("on_invalid", "skip") not in Job.OnInvalid.values:
        choices = ", ".join(Job.OnInvalid.values)
        raise Fault(
            faults.PARAMETER_INVALID,
            parameter="on_invalid",
            reason_id=f"harus salah satu dari {choices}",
            reason_en=f"it must be one of {choices}",
        )
    return options, mapping


class _Body:
    """The body of a request, read in pieces."""

    def __init__(self, environ: Environ) -> None:
        self._stream = environ["wsgi.input"]
        length = environ.get("CONTENT_LENGTH") or ""
        if length and not (length.isascii() and length.isdigit()):
            raise Fault(faults.ADDRESS_INVALID)
        #: The bytes that are announced; None for a body in chunks.
        self.length = int(length) if length else None if "HTTP_TRANSFER_ENCODING" in environ else 0
        self._left = self.length

    def read(self, size: int, /) -> bytes:
        """Return at least a byte, at the end none. Raises Fault."""
        if self._left is not None:
            size = min(size, self._left)
        if not size:
            return b""
        try:
            piece: bytes = self._stream.read(size)
        except TimeoutError:
            raise Fault(faults.REQUEST_TOO_SLOW) from None
        except OSError:
            raise Fault(
                faults.BODY_INVALID, reason_id="koneksi terputus", reason_en="the connection was lost"
            ) from None
        if self._left is not None:
            self._left -= len(piece)
        return piece


# ----------------------------------------------------------------------------------------- results


def _results(environ: Environ, call: Call, job: Job) -> Result:
    """Return the results of some rows, as far as they are there."""
    wanted = dict(http.pairs(environ.get("QUERY_STRING", "")))
    first, most = _number(wanted, "from", 1, settings.MAX_JOB_ROWS + 1), _number(wanted, "per_page", PAGE, MOST)
    ended = job.state in ENDED
    folder = service.folder_of(job)
    rows, follows = stored_results.page(job, folder, first, most, service.MOST_LINES)
    if not ended or follows <= job.done:
        query = urlencode({"from": follows, "per_page": most})
        call.extra_headers["Link"] = f'<{_url(call, job)}/results?{query}>; rel="next"'
    if not rows and not ended:
        call.extra_headers["Retry-After"] = "5"
    call.origin = _origin(job)
    found = Rows(stored_results.columns_of_job(job), iter((rows,) if rows else ()))
    found.count = len(rows)
    return found


def _number(wanted: dict[str, str], name: str, default: int, most: int) -> int:
    text = wanted.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= most):
        raise Fault(
            faults.PARAMETER_INVALID,
            parameter=name,
            reason_id=f"harus bilangan bulat dari 1 sampai {most}",
            reason_en=f"it must be a whole number from 1 to {most}",
        )
    return int(text)


def _file(call: Call, job: Job, format: str) -> Result:
    """Return all results of a job that has ended, as a file."""
    folder = service.folder_of(job)
    if job.state not in ENDED or not job.done:
        raise JobError("not-ready")
    call.format = format
    call.origin = _origin(job)
    name = f"{job.operation.code}-{job.request_id[:12]}.{format}"
    call.extra_headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return stored_results.rows_of(job, folder)


def _origin(job: Job) -> tuple[str, int, str] | None:
    return (job.origin[0], job.origin[1], job.origin[2]) if len(job.origin) == 3 else None


def _url(call: Call, job: Job) -> str:
    """Return the address of a job."""
    return f"{settings.BASE_URL}{quote(f'/rest/{call.agency}/{call.service}/{call.code}/jobs')}/{job.request_id}"


def state_of(job: Job, call: Call) -> dict[str, Any]:
    """Return the state of a job, as callers get it."""
    url = _url(call, job)
    found: dict[str, Any] = {
        "id": job.request_id, "state": job.state, "rows": job.rows, "checked": job.checked, "done": job.done,
        "found": job.found, "not_found": job.not_found, "faults": job.faults, "invalid": job.invalid,
        "duplicates": job.duplicates, "result_rows": job.result_rows, "rate": job.rate,
        "created_at": _moment(job.created_at), "started_at": _moment(job.started_at),
        "estimated_end": _moment(job.estimated_end), "retry_at": _moment(job.retry_at),
        "finished_at": _moment(job.finished_at), "expires_at": _moment(job.expires_at), "problem": None,
        "report": None, "results": f"{url}/results",
    }  # fmt: skip
    if job.problem:
        with override(job.language):
            found["problem"] = {"name": job.problem, "detail": problems.sentence(job)}
    if job.report:
        report = job.report
        language = 3 if job.language == "en" else 2
        found["report"] = {
            "columns": report.get("columns", {}),
            "ignored": report.get("ignored", []),
            "invalid_rows": report.get("invalid_rows", 0),
            "invalid": [
                {"row": each[0], "parameter": each[1], "reason": each[language]} for each in report.get("invalid", [])
            ],
        }
    if job.state in ENDED and job.state != State.EXPIRED and job.done:
        found["files"] = {format: f"{url}/file.{format}" for format in service.FILE_FORMATS}
    return found


def _moment(value: datetime | None) -> str | None:
    return value.isoformat(timespec="seconds") if value is not None else None


# --------------------------------------------------------------------------------------- responses


def _respond(recorded: RecordedResult, operation: Operation) -> Response:
    """Return the response to a request that was not refused. Raises Fault."""
    call, result = recorded.call, recorded.result
    format = FORMATS[call.format]
    media_type = format.media_type
    chunks: Iterator[bytes]
    if isinstance(result, Rows):
        chunks = format.render(result, operation.code)
    elif isinstance(result, Content):
        chunks, media_type = iter((result.body,)), result.media_type
    elif isinstance(result, Nothing):
        chunks = iter((b"",))
    else:
        assert isinstance(result, Document)
        chunks = iter((format.render_document(result),))
    response = http.response(recorded, chunks, result.status, media_type)
    if isinstance(result, Nothing):
        response.headers.clear()
    response.headers |= call.extra_headers
    response.headers["Cache-Control"] = "no-store"
    return response
