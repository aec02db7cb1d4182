"""The pages: the list of runs, the form, a run with its report, and its buttons."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mantra.jobs.uploading import JobUploadHandler
from mantra.legacy_import.models import ImportInput, LegacyImport, OldTable, Outcome
from mantra.legacy_import.pages import calls, forms, inputs, report, runs, tasks
from registry import exports, moments, tenancy
from registry.exports import ExportError
from registry.exports import problems as export_problems
from registry.models import User

TITLE = gettext_lazy("Moving in from MANTRA 1.99x")
#: Seconds between two looks of a page at a run in progress.
SECONDS = 2

_FORM = require_http_methods(["GET", "HEAD", "POST"])


def _page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    context = {**admin.site.each_context(request), **context}
    response = TemplateResponse(request, f"legacy_import/{template}.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def may_open(user: Any) -> bool:
    """Return True if a user may import: whoever imports makes agencies, users and keys of all agencies."""
    return tenancy.is_administrator(user)


def _user(request: HttpRequest) -> User:
    """Return the user, who may import. Raises PermissionDenied."""
    if not isinstance(request.user, User) or not may_open(request.user):
        raise PermissionDenied
    return request.user


def _run(request: HttpRequest, pk: int) -> LegacyImport:
    """Return a run. Raises Http404 and PermissionDenied."""
    _user(request)
    return get_object_or_404(LegacyImport.objects.select_related("input", "user"), pk=pk)


# ------------------------------------------------------------------------------------ starting


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Show how it goes, and the runs."""
    _user(request)
    lines = [report.Line(run) for run in LegacyImport.objects.select_related("user")[: runs.MOST_RUNS]]
    return _page(request, "list", title=TITLE, lines=lines, has_calls=calls.months() is not None)


@csrf_exempt  # the handler must be set before the token is read from the body; _new() checks the token
def new(request: HttpRequest) -> HttpResponse:
    """Upload a dump or enter a connection, and start the dry run. Who may not is refused before the file is read."""
    user = _user(request)
    # Django's own handlers would keep the file readable and, in a container, in memory.
    request.upload_handlers = [JobUploadHandler(request)]
    return _new(request, user)


@_FORM
@csrf_protect
def _new(request: HttpRequest, user: User) -> HttpResponse:
    from_server = request.GET.get("from") == "server"
    cls = forms.ServerForm if from_server else forms.FileForm
    form = cls(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        run = _started(user, form)
        if run is not None:
            return redirect("moving_in_run", run.pk)
    status = 400 if form.errors else 200
    return _page(request, "new", status=status, title=_("New import"), form=form, from_server=from_server)


def _started(user: User, form: forms.RunForm) -> LegacyImport | None:
    """Start the dry run of a form. Return None, with an error of the form, if it cannot be."""
    try:
        chosen = form.made if isinstance(form, forms.ServerForm) else _uploaded(form.cleaned_data["dump"])
    except ExportError as error:
        text = forms.too_large() if error.problem == "too-large" else export_problems.sentence("disk")
        form.add_error("dump", text)
        return None
    except OSError:
        form.add_error("dump", export_problems.sentence("disk"))
        return None
    run = runs.start(
        user, chosen, timezone.now(), dry=True, parts=form.cleaned_data["parts"], hosts=form.chosen_hosts,
        language=get_language() or "id", wrapped=form.cleaned_data["wrapped"],
    )  # fmt: skip
    if run is None:
        form.add_error(None, _("A run is in progress already. Wait for its end, or cancel it."))
    return run


def _uploaded(file: Any) -> ImportInput:
    """Store a dump, piece by piece. Raises ExportError and OSError."""
    if file.problem:
        raise ExportError(file.problem)
    stored, key = inputs.store(file.chunks())
    name = "".join(letter for letter in file.name if letter.isprintable())[:200]
    return ImportInput(name=name or "dump.sql", stored=stored, key=key)


# --------------------------------------------------------------------------------------- a run


@require_safe
def single(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a run: how far it is, or its report."""
    run = _run(request, pk)
    context: dict[str, Any] = {"run": run, "title": TITLE, "line": report.Line(run)}
    if run.in_progress:
        context |= {"shown": report.progress(run), "seconds": SECONDS}
        return _page(request, "progress" if request.headers.get("HX-Request") else "run", **context)
    wanted = report.filter_of(request.GET)
    found = Paginator(report.rows(run, wanted), report.PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    response = _page(
        request, "run", tables=report.tables(run), further=report.further_tables(run), tasks=report.to_do(run),
        wanted=wanted, task=tasks.BY_NAME.get(wanted.task), page=found, rows=report.shown(run, found),
        query=query.urlencode(), outcomes=Outcome.choices, all_tables=OldTable.choices,
        form=forms.AgainForm(run) if run.input is not None and runs.current() is None else None, **context,
    )  # fmt: skip
    if request.headers.get("HX-Request"):
        response["HX-Refresh"] = "true"  # the run has ended: the whole page is new
    return response


@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Start a run with the same input: a dry one, or for good."""
    user, run = _user(request), _run(request, pk)
    if run.input is None:
        messages.error(request, _("The dump or the connection data are deleted. Start again with a new dump."))
        return redirect("moving_in_run", pk)
    form = forms.AgainForm(run, request.POST)
    if not form.is_valid():
        return _page(request, "again", status=400, title=TITLE, run=run, form=form)
    if "password" in form.cleaned_data:
        run.input.password = form.cleaned_data["password"]
    started = runs.start(
        user, run.input, timezone.now(), dry=request.POST.get("for_good") != "1", parts=form.cleaned_data["parts"],
        hosts=form.chosen_hosts, language=get_language() or "id", wrapped=form.cleaned_data["wrapped"],
    )  # fmt: skip
    if started is None:
        messages.warning(request, _("A run is in progress already. Wait for its end, or cancel it."))
        return redirect("moving_in")
    return redirect("moving_in_run", started.pk)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel a run that is in progress."""
    run = _run(request, pk)
    if run.in_progress:
        runs.cancel(run, timezone.now())
        messages.success(request, _("The import is cancelled. It ends within a few seconds."))
    return redirect("moving_in_run", pk)


@require_POST
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete the dump, or the connection data, of a run at once."""
    run = _run(request, pk)
    current = runs.current()
    if run.input is not None and (current is None or current.input_id != run.input_id):
        runs.discard(run.input)
        messages.success(request, _("The dump and the connection data are deleted."))
    return redirect("moving_in_run", pk)


@require_POST
def export(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the report be written as a file."""
    user, run = _user(request), _run(request, pk)
    try:
        exports.start(
            user, "legacy_import", {"run": run.pk}, format=request.POST.get("format", ""),
            language=get_language() or "id",
        )  # fmt: skip
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("moving_in_run", pk)
    except ValueError:
        raise Http404 from None
    messages.success(request, _("The file is being made. You can go on with other work meanwhile."))
    return redirect("exports")


@require_safe
def old_calls(request: HttpRequest) -> HttpResponse:
    """Show the calls of MANTRA 1.99x of a month."""
    _user(request)
    span = calls.months()
    if span is None:
        return _page(request, "calls", title=_("Calls of MANTRA 1.99x"))
    first, last = span
    try:
        wanted = date.fromisoformat(f"{request.GET.get('month', '')}-01")
    except ValueError:
        wanted = last
    month = min(max(wanted, first), last)
    return _page(
        request, "calls", title=_("Calls of MANTRA 1.99x"), month=moments.month(month), shown=calls.tables(month),
        earlier=f"{calls.before(month):%Y-%m}" if month > first else "",
        later=f"{calls.after(month):%Y-%m}" if month < last else "",
    )  # fmt: skip
