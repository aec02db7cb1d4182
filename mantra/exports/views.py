"""The pages of a person's exports: the list with its progress, starting one, downloading and deleting it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from mantra.exports import history, monthly, pages
from mantra.exports.kinds import HISTORY
from mantra.statistics.periods import period_of
from mantra.statistics.scopes import scope_of
from registry import exports, moments, notifications, tenancy
from registry.admin.theme import select, text_input
from registry.exports import ExportError, files, problems
from registry.exports.kinds import MEDIA_TYPES
from registry.journal import viewing
from registry.models import Agency, ExportJob, User

TITLE = gettext_lazy("Exports and reports")
RIGHT = "registry.view_callrecord"
#: Seconds between two looks of a page on which something is being made; the most lines of it.
SECONDS, MOST = 2, 100
#: A box has at most so many agencies; where there are more, the code is entered.
FEW = 50
FORMATS = {"xlsx": gettext_lazy("Excel (XLSX)"), "csv": gettext_lazy("CSV"), "pdf": gettext_lazy("PDF")}

State = ExportJob.State
_COLOURS = {State.DONE: "yes", State.FAILED: "no", State.EXPIRED: "mute", State.WAITING: "mute", State.RUNNING: "warn"}


@dataclass(frozen=True, slots=True)
class Line:
    """An export on the page. ``owner``: whose it is, for an administrator who sees one of somebody else."""

    job: ExportJob
    title: str
    format: Any
    owner: str = ""
    downloadable: bool = False

    @property
    def colour(self) -> str:
        return _COLOURS[State(self.job.state)]

    @property
    def problem(self) -> Any:
        return problems.sentence(self.job.problem) if self.job.state == State.FAILED else ""

    @property
    def in_progress(self) -> bool:
        return self.job.state in (State.WAITING, State.RUNNING)

    @property
    def may_be_made_again(self) -> bool:
        return not self.owner and self.job.state in exports.ENDED


class ReportForm(forms.Form):
    """Which report: an agency's that the user may read, and a month."""

    agency = forms.CharField(label=gettext_lazy("Agency"), max_length=63)
    month = forms.ChoiceField(label=gettext_lazy("Month"))

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user
        agencies = Agency.objects.order_by("name", "code")
        if not tenancy.sees_all_agencies(user):
            agencies = agencies.filter(pk=user.agency_id or 0)
        offered = [(agency.code, str(agency)) for agency in agencies[: FEW + 1]]
        few = len(offered) <= FEW
        self.fields["agency"].widget = select(offered) if few else text_input()
        self.fields["agency"].help_text = "" if few else _("The code of the agency.")
        choices = [(f"{month:%Y-%m}", moments.month(month)) for month in monthly.months(today())]
        self.fields["month"].widget = select(choices)
        self.fields["month"].choices = choices  # type: ignore[attr-defined]
        self.initial.setdefault("month", choices[1][0])

    def clean_agency(self) -> str:
        code = self.cleaned_data["agency"].strip()
        agency = Agency.objects.filter(code__iexact=code).first()
        if agency is None or not monthly.may_read(self._user, agency.code):
            raise ValidationError(_("There is no agency with this code, or you may not read its report."))
        return agency.code


def today() -> date:
    return timezone.localdate()


def reader(request: HttpRequest) -> User:
    """Return the user, who may read the call history. Raises PermissionDenied."""
    if not isinstance(request.user, User) or not request.user.has_perm(RIGHT):
        raise PermissionDenied
    return request.user


def _page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    shown = {**admin.site.each_context(request), **context}
    response = TemplateResponse(request, f"exports/{template}.html", shown, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _lines(user: User, rows: Any) -> list[Line]:
    return [_line(user, job) for job in rows]


def _line(user: User, job: ExportJob) -> Line:
    kind = exports.kind_of(job.kind)
    own = job.user_id == user.pk
    title = kind.title(job.parameters) if kind else job.kind
    owner = "" if own else str(job.user)
    return Line(job, title, FORMATS.get(job.format, job.format), owner, own and exports.may_download(user, job))


def _shown(user: User, pk: int | None) -> list[Line]:
    """Return the user's exports; for an administrator, those of others that are being made too."""
    if pk is not None:
        return _lines(user, [_own(user, pk)])
    rows = user.exports.select_related("user")[:MOST]
    others = ExportJob.objects.filter(state__in=(State.WAITING, State.RUNNING)).exclude(user=user)
    if not tenancy.is_administrator(user):
        others = others.none()
    return _lines(user, chain(rows, others.select_related("user")[:MOST]))


def _own(user: User, pk: int) -> ExportJob:
    return get_object_or_404(user.exports.select_related("user"), pk=pk)


def _listing(request: HttpRequest, user: User, pk: int | None = None, form: ReportForm | None = None) -> HttpResponse:
    lines = _shown(user, pk)
    context: dict[str, Any] = {
        "lines": lines, "single": pk is not None, "address": request.path if form is None else reverse("exports"),
        "seconds": SECONDS if any(line.in_progress for line in lines) else 0, "title": TITLE,
        "others": any(line.owner for line in lines),
    }  # fmt: skip
    if request.headers.get("HX-Request") and form is None:
        return _page(request, "lines", **context)
    if form is None:
        chosen = {name: request.GET[name] for name in ("agency", "month") if name in request.GET}
        form = ReportForm(user, initial=chosen)
    return _page(request, "list", status=400 if form.errors else 200, form=form, **context)


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Show the user's exports, the newest first. The page polls while one of them is being made."""
    return _listing(request, reader(request))


@require_safe
def single(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one export, to which a message leads."""
    user = reader(request)
    response = _listing(request, user, pk)
    notifications.seen(user, reverse("export", args=[pk]))
    return response


@require_POST
def start_report(request: HttpRequest) -> HttpResponse:
    """Let the monthly report of an agency be made."""
    user = reader(request)
    form = ReportForm(user, request.POST)
    if not form.is_valid():
        return _listing(request, user, form=form)
    month = date.fromisoformat(f"{form.cleaned_data['month']}-01")
    try:
        monthly.begin(user, form.cleaned_data["agency"], month, language=get_language() or "id")
    except ValidationError as error:
        form.add_error(None, error)
        return _listing(request, user, form=form)
    messages.success(request, _("The report is being made. It is ready in a moment."))
    return redirect("exports")


@require_POST
def start_statistics(request: HttpRequest) -> HttpResponse:
    """Let a page of the statistics be written as PDF. The form names the page, and ?days= its period."""
    user = reader(request)
    scope = scope_of(request.POST.get("kind", ""), request.POST.get("key", ""), user)
    parameters = pages.parameters(scope, period_of(request))
    try:
        exports.start(user, "statistics", parameters, format="pdf", language=get_language() or "id")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("exports")
    messages.success(request, _("The file is being made. You can go on with other work meanwhile."))
    return redirect("exports")


def start_history(request: HttpRequest) -> HttpResponse:
    """Ask for the format of an export of the call history, which the page's query string filters, and start it."""
    user = reader(request)
    query = history.filters(request.GET)
    problem: Any = ""
    if request.method == "POST":
        problem = _start_history(request, user, query)
        if not problem:
            messages.success(request, _("The file is being made. You can go on with other work meanwhile."))
            return redirect("exports")
    back = reverse("admin:registry_callrecord_changelist") + (f"?{query}" if query else "")
    return _page(
        request, "history", status=400 if problem else 200, title=_("Export the call history"), problem=problem,
        formats=[(name, FORMATS[name]) for name in HISTORY.formats], filtered=bool(query), back=back,
        chosen=request.POST.get("format", "xlsx"),
    )  # fmt: skip


def _start_history(request: HttpRequest, user: User, query: str) -> Any:
    """Start an export. Return what is wrong instead, "" if nothing is."""
    try:
        history.records(user, query)
        exports.start(
            user, "history", {"query": query}, format=request.POST.get("format", ""), language=get_language() or "id"
        )
    except ExportError as error:
        return problems.sentence(error.problem)
    except ValidationError as error:
        return " ".join(error.messages)
    except ValueError:
        return _("Choose a format.")
    return ""


@viewing.shows("export")
@require_safe
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the file of an export to its user, who still must have the right to what is in it."""
    user = reader(request)
    job = _own(user, pk)
    if job.state != State.DONE:
        return redirect("export", pk)
    kind = exports.kind_of(job.kind)
    if kind is None or not exports.may_download(user, job):
        raise PermissionDenied
    content = _content(job)
    agency = user.agency.code if user.agency is not None else ""
    viewing.record(request, viewing.View("export", agency, "", f"{job.kind}.{job.format}", rows=job.rows))
    response = StreamingHttpResponse(content, content_type=MEDIA_TYPES[job.format])
    response["Content-Length"] = str(job.size)
    response["Content-Disposition"] = f'attachment; filename="{kind.file_name(job.parameters)}.{job.format}"'
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _content(job: ExportJob) -> Any:
    """Return the content of an export's file. Raises Http404 if it cannot be read from its begin on."""
    content = files.read(job.stored, str(job.key))
    try:
        first = next(content)
    except ExportError:
        raise Http404(_("The file is no longer there. Make the export again.")) from None
    return chain((first,), content)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel or delete an export: the user's own, or as an administrator anybody's."""
    user = reader(request)
    rows = ExportJob.objects.all() if tenancy.is_administrator(user) else user.exports.all()
    exports.delete(get_object_or_404(rows, pk=pk))
    messages.success(request, _("The export is deleted."))
    return redirect("exports")


@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Make an export again that has failed or expired, in place of the old one."""
    user = reader(request)
    job = _own(user, pk)
    if job.state in exports.ENDED:
        try:
            _replace(user, job)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
    return redirect("exports")


@transaction.atomic
def _replace(user: User, job: ExportJob) -> None:
    """Start an export in place of one that has ended, and so has no file. Raises ValidationError: then that stays."""
    exports.delete(job)
    exports.start(user, job.kind, job.parameters, format=job.format, language=job.language)
