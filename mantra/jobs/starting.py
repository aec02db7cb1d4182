"""The pages on which a job is started: what to run, and the file with its rows."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_safe

from mantra.client_code.example import sample_value
from mantra.jobs import reading, service
from mantra.jobs.inputs import MEDIA_TYPES
from mantra.jobs.models import Job
from mantra.jobs.problems import JobError
from mantra.jobs.uploading import JobUploadHandler
from registry import requests
from registry.admin.theme import file_input, select
from registry.client_ip import client_ip
from registry.models import Application, Grant, Operation, User

#: Lines of the choice; grants of which it looks which can be run as a job.
LINES, LOOKED_AT = 50, 500
ACCEPT = ".csv,.txt,.tsv,.xlsx,.ndjson,.jsonl,.json"
#: The columns of a grant in which the choice is searched.
SEARCHED = (
    "operation__title", "operation__code", "operation__service__title", "operation__service__agency__name",
    "application__title", "application__code",
)  # fmt: skip
#: Files that people prepare a list in.
TEMPLATES = ("xlsx", "csv")

#: What is done with rows that cannot be run, as the form asks for it.
ON_INVALID = {
    Job.OnInvalid.SKIP: gettext_lazy("Run the other rows. The result says which rows could not be run."),
    Job.OnInvalid.ASK: gettext_lazy("Pause after the check, so that I can decide."),
    Job.OnInvalid.STOP: gettext_lazy("Run nothing. I correct the file first."),
}


class StartForm(forms.Form):
    """Whose call it is, the file, and what is done with rows that cannot be run."""

    application = forms.ChoiceField(label=gettext_lazy("Application"))
    file = forms.FileField(label=gettext_lazy("File"), max_length=500, widget=file_input(ACCEPT, many=False))
    on_invalid = forms.ChoiceField(
        label=gettext_lazy("If some rows have errors"), choices=list(ON_INVALID.items()), widget=forms.RadioSelect,
        initial=Job.OnInvalid.SKIP.value,
    )  # fmt: skip

    def __init__(self, applications: list[Application], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.applications = {str(application): application for application in applications}
        choices = [(address, f"{application.title} ({address})") for address, application in self.applications.items()]
        only = choices[0][0] if len(choices) == 1 else ""
        field = self.fields["application"] = forms.ChoiceField(
            label=_("Application"), choices=choices, initial=only or self.initial.get("application"),
            widget=forms.HiddenInput() if only else select(choices),
        )  # fmt: skip
        self.only = self.applications[only] if only else None
        field.error_messages["invalid_choice"] = _("Choose one of the applications.")
        self.fields["file"].error_messages["empty"] = str(JobError("empty").sentence)
        self.fields["file"].widget.attrs |= {
            "data-most": str(settings.MAX_JOB_BYTES), "aria-describedby": "file-limits", "required": True,
        }  # fmt: skip

    @property
    def caller(self) -> Application:
        """The application as which the job runs."""
        return self.applications[self.cleaned_data["application"]]


def page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    """Return a page of jobs, which no cache keeps."""
    shown = {**admin.site.each_context(request), **context}
    response = TemplateResponse(request, f"jobs/{template}.html", shown, status=status)
    response["Cache-Control"] = "no-store"
    return response


def limits() -> dict[str, Any]:
    """Return the limits that pages name before a file is sent."""
    return {"most_rows": settings.MAX_JOB_ROWS, "most_bytes": settings.MAX_JOB_BYTES, "hours": settings.JOB_HOURS}


# ------------------------------------------------------------------------------------ what to run


@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """Show the operations that can be run as a job, with the applications that have a grant for them."""
    user = reading.starter(request)
    term = request.GET.get("q", "").strip()[:200]
    found = [grant for grant in _searched(user, term)[:LOOKED_AT] if service.runnable(grant.operation)]
    return page(
        request, "choose", title=_("New job"), grants=found[:LINES], more=len(found) > LINES, term=term,
        searchable=bool(term) or len(found) > 8,
    )  # fmt: skip


def _searched(user: User, term: str) -> QuerySet[Grant]:
    """Return the user's grants of which a name has each word of a term."""
    rows = reading.grants(user)
    for word in term.split():
        rows = rows.filter(reduce(or_, (Q(**{f"{column}__icontains": word}) for column in SEARCHED)))
    return rows


# ---------------------------------------------------------------------------------------- the file


@csrf_exempt  # the handler must be set before the token is read from the body; _start() checks the token
def start(request: HttpRequest, operation_id: int) -> HttpResponse:
    """Show the form of a job on an operation, or start one.

    Who may not start one is refused before the file is read.
    """
    user = reading.starter(request)
    operation = get_object_or_404(Operation.objects.listed().select_related("service__agency"), pk=operation_id)
    applications = reading.applications(user, operation)
    if not applications:
        raise Http404
    request.upload_handlers = [JobUploadHandler(request)]
    return _start(request, user, operation, applications)


@csrf_protect
def _start(request: HttpRequest, user: User, operation: Operation, applications: list[Application]) -> HttpResponse:
    if request.method != "POST":
        form = StartForm(applications, initial={"application": request.GET.get("application", "")})
        return _form(request, operation, form)
    form = StartForm(applications, request.POST, request.FILES)
    if form.is_valid():
        try:
            job = _create(request, user, operation, form)
        except JobError as error:
            form.add_error("file", error.sentence)
        else:
            messages.success(request, _("The list was received. It is checked first, then run."))
            return redirect("job", job.request_id)
    return _form(request, operation, form, status=400)


def _create(request: HttpRequest, user: User, operation: Operation, form: StartForm) -> Job:
    """Start a job with the file of the form. Raises JobError."""
    file = form.cleaned_data["file"]
    if file.problem:
        raise JobError(file.problem)
    # Browsers name the type of a file with an unknown ending in many ways, also as text.
    input_format = service.format_of(file.name, "" if "." in file.name else file.content_type)
    if not input_format:
        raise JobError("format")
    return service.create(
        application=form.caller, operation=operation, user=user, client_ip=client_ip(request.META),
        language=get_language() or "id", input_format=input_format, stream=file,
        on_invalid=form.cleaned_data["on_invalid"], file_name=file.name,
    )  # fmt: skip


def _form(request: HttpRequest, operation: Operation, form: StartForm, status: int = 200) -> HttpResponse:
    quota = ""
    if form.only is not None:
        grant = Grant.objects.filter(application=form.only, operation=operation.pk).first()
        quota = requests.quota_text(grant.quota) if grant is not None and grant.quota else ""
    parameters = [(parameter, sample_value(parameter)) for parameter in operation.parameters.all()]
    return page(
        request, "new", status=status, title=_("Send a list"), operation=operation, form=form, quota=quota,
        parameters=parameters, templates=TEMPLATES, **limits(),
        address=reverse("catalogue_operation", args=operation.address.split("/")),
    )  # fmt: skip


@require_safe
def template(request: HttpRequest, operation_id: int, file_format: str) -> HttpResponse:
    """Send the file in which people write their rows, with the columns that the operation needs."""
    user = reading.starter(request)
    operation = get_object_or_404(Operation.objects.listed().select_related("service__agency"), pk=operation_id)
    if file_format not in TEMPLATES:
        raise Http404
    if not reading.applications(user, operation):
        raise PermissionDenied
    response = HttpResponse(service.template(operation, file_format), content_type=MEDIA_TYPES[file_format])
    name = _("list") + f"-{operation.code}.{file_format}"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    return response
