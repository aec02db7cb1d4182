"""The pages: the list of runs, the form, a run with its report, and its buttons."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mantra.jobs.uploading import JobUploadHandler
from mantra.legacy_import.models import ImportInput, LegacyImport, OldTable, Outcome
from mantra.legacy_import.pages import calls, compared, comparisons, forms, inputs, report, runs, tasks
from mantra.legacy_import.pages.frame import SECONDS, TITLE, page, run_of, store_file, user_of
from registry import exports, moments
from registry.models import User

_FORM = require_http_methods(["GET", "HEAD", "POST"])


# ------------------------------------------------------------------------------------ starting


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Show how it goes, and the runs."""
    user_of(request)
    lines = [report.Line(run) for run in LegacyImport.objects.select_related("user")[: runs.MOST_RUNS]]
    return page(request, "list", title=TITLE, lines=lines, has_calls=calls.months() is not None)


@csrf_exempt  # the handler must be set before the token is read from the body; _new() checks the token
def new(request: HttpRequest) -> HttpResponse:
    """Upload a dump or enter a connection, and start the dry run. Who may not is refused before the file is read."""
    user = user_of(request)
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
    return page(request, "new", status=status, title=_("New import"), form=form, from_server=from_server)


def _started(user: User, form: forms.RunForm) -> LegacyImport | None:
    """Start the dry run of a form. Return None, with an error of the form, if it cannot be."""
    if isinstance(form, forms.ServerForm):
        chosen = form.made
    else:
        dump = store_file(form, "dump", forms.too_large)
        if dump is None:
            return None
        chosen = ImportInput(name=dump[0], stored=dump[1], key=dump[2])
    if form.cleaned_data["log"]:
        log = store_file(form, "log", forms.log_too_large)
        if log is None:
            inputs.remove(chosen.stored)
            return None
        chosen.log_name, chosen.log_stored, chosen.log_key = log
    run = runs.start(user, chosen, timezone.now(), dry=True, **_choices(form))
    if run is None:
        form.add_error(None, _("A run is in progress already. Wait for its end, or cancel it."))
    return run


def _choices(form: forms.RunForm) -> dict[str, Any]:
    """Return how a run is made."""
    chosen = {name: form.cleaned_data[name] for name in ("parts", "wrapped", "keys_in_path")}
    return {**chosen, "hosts": form.chosen_hosts, "language": get_language() or "id"}


# --------------------------------------------------------------------------------------- a run


@require_safe
def single(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a run: how far it is, or its report."""
    run = run_of(request, pk)
    context: dict[str, Any] = {"run": run, "title": TITLE, "line": report.Line(run)}
    if run.in_progress:
        context |= {"shown": report.progress(run), "seconds": SECONDS}
        return page(request, "progress" if request.headers.get("HX-Request") else "run", **context)
    wanted = report.filter_of(request.GET)
    found = Paginator(report.rows(run, wanted), report.PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    response = page(
        request, "run", tables=report.tables(run), further=report.further_tables(run), tasks=report.to_do(run),
        wanted=wanted, task=tasks.BY_NAME.get(wanted.task), page=found, rows=report.shown(run, found),
        query=query.urlencode(), outcomes=Outcome.choices, all_tables=OldTable.choices,
        form=forms.AgainForm(run) if run.input is not None and not runs.is_busy() else None,
        comparing=_comparing(run), **context,
    )  # fmt: skip
    if request.headers.get("HX-Request"):
        response["HX-Refresh"] = "true"  # the run has ended: the whole page is new
    return response


def _comparing(run: LegacyImport) -> dict[str, Any] | None:
    """Return the comparisons after a run for good, and whether another one can be made; None for another run."""
    if run.dry or run.state != LegacyImport.State.DONE:
        return None
    lines = [compared.Line(each) for each in run.comparisons.select_related("user")]
    kept = comparisons.input_of(run)
    return {"lines": lines, "kept": kept} if lines or kept is not None else None


@csrf_exempt  # as new(): _again() checks the token
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Start a run with the same input: a dry one, or for good."""
    user, run = user_of(request), run_of(request, pk)
    request.upload_handlers = [JobUploadHandler(request)]
    return _again(request, user, run)


@require_POST
@csrf_protect
def _again(request: HttpRequest, user: User, run: LegacyImport) -> HttpResponse:
    if run.input is None:
        messages.error(request, _("The dump or the connection data are deleted. Start again with a new dump."))
        return redirect("moving_in_run", run.pk)
    form = forms.AgainForm(run, request.POST, request.FILES)
    log = None
    if form.is_valid() and form.cleaned_data["log"]:
        log = store_file(form, "log", forms.log_too_large)
    if not form.is_valid():
        return page(request, "again", status=400, title=TITLE, run=run, form=form)
    if "password" in form.cleaned_data:
        run.input.password = form.cleaned_data["password"]
    former_log = run.input.log_stored
    if log is not None:
        run.input.log_name, run.input.log_stored, run.input.log_key = log
    is_dry = request.POST.get("for_good") != "1"
    started = runs.start(user, run.input, timezone.now(), dry=is_dry, **_choices(form))
    if log is not None:
        inputs.remove(former_log if started is not None else log[1])
    if started is None:
        messages.warning(request, _("A run is in progress already. Wait for its end, or cancel it."))
        return redirect("moving_in")
    return redirect("moving_in_run", started.pk)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel a run that is in progress."""
    run = run_of(request, pk)
    if run.in_progress:
        runs.cancel(run, timezone.now())
        messages.success(request, _("The import is cancelled. It ends within a few seconds."))
    return redirect("moving_in_run", pk)


@require_POST
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete the dump, or the connection data, of a run at once."""
    run = run_of(request, pk)
    current = runs.current()
    if run.input is not None and (current is None or current.input_id != run.input_id):
        runs.discard(run.input)
        messages.success(request, _("The dump and the connection data are deleted."))
    return redirect("moving_in_run", pk)


@require_POST
def export(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the report be written as a file."""
    user, run = user_of(request), run_of(request, pk)
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
    user_of(request)
    span = calls.months()
    if span is None:
        return page(request, "calls", title=_("Calls of MANTRA 1.99x"))
    first, last = span
    try:
        wanted = date.fromisoformat(f"{request.GET.get('month', '')}-01")
    except ValueError:
        wanted = last
    month = min(max(wanted, first), last)
    return page(
        request, "calls", title=_("Calls of MANTRA 1.99x"), month=moments.month(month), shown=calls.tables(month),
        earlier=f"{calls.before(month):%Y-%m}" if month > first else "",
        later=f"{calls.after(month):%Y-%m}" if month < last else "",
    )  # fmt: skip
