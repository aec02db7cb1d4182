"""The pages of jobs: the list, a job with its progress and its first results, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from mantra.jobs import problems, proposals, reading, service
from mantra.jobs.models import ACTIVE, ENDED, UNFINISHED, Job
from mantra.jobs.problems import JobError
from mantra.jobs.starting import limits, page
from registry import notifications, tenancy
from registry.admin.theme import select
from registry.journal import viewing
from registry.models import User
from registry.results import Fault

TITLE = gettext_lazy("Jobs")
#: Seconds between two looks of a page at a job that runs; lines of a list; rows of results that a page shows.
SECONDS, LINES, SHOWN_ROWS = 2, 50, 20
#: The problem of a job of which a person must say which column goes to which parameter, and of one that waits for a
#: decision about rows with errors.
COLUMNS_MISSING, UNDECIDED = "columns-missing", "check"

State = Job.State
COLOURS = {
    State.DONE: "yes", State.FAILED: "no", State.PAUSED: "warn", State.QUOTA: "warn", State.RUNNING: "warn",
    State.CHECKING: "warn",
}  # fmt: skip
#: The column of the results that says what became of a row, and its words. The other values are codes of faults.
STATUS = "status"
ROW_STATES = {
    "ok": gettext_lazy("done"),
    "not-found": gettext_lazy("not found"),
    "invalid": gettext_lazy("cannot be run"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A job as lists and its page show it."""

    job: Job
    progress: service.Progress

    @property
    def colour(self) -> str:
        return COLOURS.get(State(self.job.state), "mute")

    @property
    def problem(self) -> str:
        if asks_for_columns(self.job):
            return _("The columns of the file have other names. Open the job, and choose them.")
        return problems.sentence(self.job)

    @property
    def in_progress(self) -> bool:
        return self.job.state in UNFINISHED

    @property
    def time_left(self) -> str:
        """How long the job will still run, in words; "" if that is not known."""
        seconds = self.progress.seconds_left
        if seconds is None or not self.progress.moves:
            return ""
        if seconds < 60:
            return _("less than a minute left")
        minutes = round(seconds / 60)
        if minutes < 120:
            return ngettext("about %(number)d minute left", "about %(number)d minutes left", minutes) % {
                "number": minutes
            }
        hours = round(minutes / 60)
        return ngettext("about %(number)d hour left", "about %(number)d hours left", hours) % {"number": hours}


def asks_for_columns(job: Job) -> bool:
    """Return True if a person must say which column of the file goes to which parameter."""
    return job.state == State.PAUSED and job.problem == COLUMNS_MISSING


def line_of(job: Job) -> Line:
    """Return a job as a page shows it."""
    return Line(job, service.progress(job))


# ---------------------------------------------------------------------------------------- the list


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Show the jobs of the user's agency, the newest first, and the numbers of those on its own operations."""
    user = reading.reader(request)
    rows = service.visible(user).select_related(*reading.RELATED) if user.has_perm(reading.CALLERS) else ()
    lines = [line_of(job) for job in rows[:LINES]]
    offered = [line_of(job) for job in reading.offered(user)[:LINES]]
    moves = any(line.progress.moves for line in (*lines, *offered))
    part = bool(request.headers.get("HX-Request"))
    return page(
        request, "lines" if part else "list", title=TITLE, lines=lines, offered=offered, most=LINES,
        heading=_("Jobs of all agencies") if tenancy.sees_all_agencies(user) else _("Jobs of your agency"),
        calls=user.has_perm(reading.CALLERS), may_start=reading.may_start(user), seconds=SECONDS if moves else 0,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------ a job


class ColumnsForm(forms.Form):
    """Which column of the file goes to which parameter."""

    PREFIX = "c_"

    def __init__(self, job: Job, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        header = [str(name) for name in job.report.get("header", ())]
        self._required: list[str] = []
        parameters = list(job.operation.parameters.all())
        found = proposals.proposed([each.name for each in parameters], header, job.report.get("columns", {}))
        self._names = {f"{self.PREFIX}{number}": each.name for number, each in enumerate(parameters)}
        for number, each in enumerate(parameters):
            must = each.required and not each.default
            none = _("Choose a column") if must else _("Not in the file")
            choices = [("", f"– {none} –"), *((name, name) for name in header)]
            self.fields[f"{self.PREFIX}{number}"] = forms.ChoiceField(
                label=each.name, required=must, choices=choices, widget=select(choices), help_text=each.description,
                initial=found.get(each.name, ""),
            )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        chosen = super().clean() or self.cleaned_data
        columns = [column for column in chosen.values() if column]
        if not columns and not self.errors:
            raise forms.ValidationError(_("Choose a column for at least one parameter."))
        for name, column in chosen.items():
            if column and columns.count(column) > 1:
                self.add_error(name, _("This column is chosen twice."))
        return chosen

    def mapping(self) -> dict[str, str]:
        """Return the column of each parameter that has one."""
        return {self._names[name]: column for name, column in self.cleaned_data.items() if column}


@viewing.shows("results")
@require_safe
def single(request: HttpRequest, number: str) -> HttpResponse:
    """Show a job. A page that polls gets its progress alone, and loads itself again when there is more to show."""
    user, polls = reading.reader(request), bool(request.headers.get("HX-Request"))
    try:
        job = reading.job_of(user, number)
    except Http404:
        if not polls:
            raise
        # It was deleted meanwhile.
        return HttpResponse(headers={"HX-Redirect": reverse("jobs")})
    if polls:
        line, known = line_of(job), _known(job)
        response = page(request, "progress", line=line, seconds=SECONDS if line.progress.moves else 0, known=known)
        if request.GET.get("known") != known:
            response["HX-Refresh"] = "true"
        return response
    response = _page_of(request, user, job)
    notifications.seen(user, reverse("job", args=[job.request_id]))
    return response


def _known(job: Job) -> str:
    """Return what a page knows of a job beside its numbers: if it changes, the page has other parts."""
    return f"{job.state}-{'rows' if job.done else ''}-{job.problem}-{'checked' if job.rows is not None else ''}"


def _page_of(
    request: HttpRequest, user: User, job: Job, form: ColumnsForm | None = None, status: int = 200
) -> HttpResponse:
    line, controls = line_of(job), service.may_control(user, job)
    if form is None and controls and asks_for_columns(job):
        form = ColumnsForm(job)
    results = _results(user, job)
    if results.get("rows"):
        seen = viewing.View.of(job.operation, "results", len(results["rows"]))
        viewing.record(request, replace(seen, fields=tuple(results["columns"])))
    return page(
        request, "single", status=status, title=job.operation.title or job.operation.address, line=line, job=job,
        form=form, known=_known(job), seconds=SECONDS if line.progress.moves else 0, may_control=controls,
        actions=_actions(job) if controls else (), invalid=_invalid(job), ended=job.state in ENDED,
         **results, **limits(),
    )  # fmt: skip


def _actions(job: Job) -> list[tuple[str, Any, str]]:
    """Return what can be done with a job now: the action, its word, and the question before it."""
    found: list[tuple[str, Any, str]] = []
    if job.state in (*ACTIVE, State.QUOTA):
        found.append(("pause", _("Pause"), ""))
    if job.state == State.PAUSED and not asks_for_columns(job):
        found.append(("resume", _("Run the other rows") if job.problem == UNDECIDED else _("Resume"), ""))
    if job.state in UNFINISHED:
        found.append(("cancel", _("Cancel"), _("Cancel the job? The rows that are done keep their results.")))
    else:
        found.append(("delete", _("Delete"), _("Delete the job with its file and its results?")))
    return found


def _invalid(job: Job) -> list[dict[str, Any]]:
    """Return the first rows that cannot be run: the number, the parameter, and the reason in the reader's language."""
    place = 2 if (get_language() or "id") == "id" else 3
    return [{"row": each[0], "parameter": each[1], "reason": each[place]} for each in job.report.get("invalid", ())]


def _results(user: User, job: Job) -> dict[str, Any]:
    """Return the first rows of the results and the files with all of them, for the person who may have them."""
    mine = service.may_download(user, job)
    if not mine or job.state == State.EXPIRED or not job.done:
        return {"may_download": mine}
    try:
        columns, rows, _next = service.results(job, most=SHOWN_ROWS)
    except JobError as error:
        return {"may_download": True, "results_problem": error.sentence}
    names = [column.name for column in columns]
    shown = [[_shown(*cell) for cell in zip(names, row, strict=True)] for row in rows[:SHOWN_ROWS]]
    formats = service.FILE_FORMATS if job.ended else ()
    return {"may_download": True, "columns": names, "rows": shown, "formats": formats}


def _shown(name: str, value: Any) -> Any:
    """Return a value of a column of the results as a page shows it."""
    return ROW_STATES.get(value, value) if name == STATUS else value


@viewing.shows("results")
@require_POST
def columns(request: HttpRequest, number: str) -> HttpResponse:
    """Store which column goes to which parameter, and let the job be checked again."""
    user = reading.reader(request)
    job = _controlled(user, number)
    if not asks_for_columns(job):
        messages.error(request, JobError("state").sentence)
        return redirect("job", job.request_id)
    form = ColumnsForm(job, request.POST)
    if not form.is_valid():
        return _page_of(request, user, job, form, status=400)
    try:
        service.set_columns(job, form.mapping())
    except JobError as error:
        messages.error(request, error.sentence)
    return redirect("job", job.request_id)


#: Action → what does it, and what is said then.
ACTIONS: dict[str, tuple[Callable[[Job], Any], Any]] = {
    "pause": (service.pause, gettext_lazy("The job is paused. Rows that are done keep their results.")),
    "resume": (service.resume, gettext_lazy("The job goes on.")),
    "cancel": (service.cancel, gettext_lazy("The job is cancelled.")),
    "delete": (service.delete, gettext_lazy("The job is deleted, with its file and its results.")),
}


@require_POST
def act(request: HttpRequest, number: str, action: str) -> HttpResponse:
    """Pause, resume, cancel or delete a job."""
    if action not in ACTIONS:
        raise Http404
    job = _controlled(reading.reader(request), number)
    do, said = ACTIONS[action]
    try:
        do(job)
    except (JobError, Fault) as error:
        messages.error(request, _sentence(error))
        return redirect("job", number)
    messages.success(request, said)
    return redirect("jobs") if action == "delete" else redirect("job", number)


def _sentence(error: JobError | Fault) -> str:
    """Return what is wrong, in the reader's language."""
    return error.sentence if isinstance(error, JobError) else error.message(get_language() or "id")


def _controlled(user: User, number: str) -> Job:
    """Return a job that the user may pause, cancel and delete. Raises Http404, PermissionDenied."""
    job = reading.job_of(user, number)
    if not service.may_control(user, job):
        raise PermissionDenied
    return job


@viewing.shows("job")
@require_safe
def download(request: HttpRequest, number: str, file_format: str) -> HttpResponseBase:
    """Send the results of a job as a file to the person who started it, once the journal has recorded that."""
    user = reading.reader(request)
    job = reading.job_of(user, number)
    if not service.may_download(user, job):
        raise PermissionDenied
    if file_format not in service.FILE_FORMATS:
        raise Http404
    try:
        content, media_type, name = service.result_file(job, file_format)
        service.record_download(job, request)
    except (JobError, Fault) as error:
        messages.error(request, _sentence(error))
        return redirect("job", number)
    response = StreamingHttpResponse(content, content_type=media_type)
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response
