"""The pages of comparisons: the form, a comparison with its result, and its buttons."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mantra.jobs.uploading import JobUploadHandler
from mantra.legacy_import.models import ComparisonInput, HostComparison, LegacyImport
from mantra.legacy_import.pages import compared, comparisons, forms, report, runs
from mantra.legacy_import.pages.frame import SECONDS, page, run_of, store_file, user_of
from registry.models import User

TITLE = gettext_lazy("Compare with the old server")


def _comparison(request: HttpRequest, pk: int) -> HostComparison:
    """Return a comparison. Raises Http404 and PermissionDenied."""
    user_of(request)
    return get_object_or_404(HostComparison.objects.select_related("run", "user"), pk=pk)


@csrf_exempt  # the handler must be set before the token is read from the body; _compare() checks the token
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    """Enter the old host, and start a comparison after a run. Who may not is refused before a log is read."""
    user, run = user_of(request), run_of(request, pk)
    request.upload_handlers = [JobUploadHandler(request)]
    return _compare(request, user, run)


@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
def _compare(request: HttpRequest, user: User, run: LegacyImport) -> HttpResponse:
    kept = comparisons.input_of(run)
    if kept is None or run.state != LegacyImport.State.DONE:
        return _without_keys(request, run)
    last = run.comparisons.first() or HostComparison.objects.first()
    form = forms.ComparisonForm(kept, last, request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        started = _started(user, kept, form)
        if started is not None:
            return redirect("moving_in_comparison", started.pk)
    status = 400 if form.errors else 200
    return page(request, "compare", status=status, title=TITLE, run=run, form=form, kept=kept)


def _without_keys(request: HttpRequest, run: LegacyImport) -> HttpResponse:
    messages.error(
        request, _("The keys of the old callers are deleted. Import the old database again, and compare then.")
    )
    return redirect("moving_in_run", run.pk)


def _started(user: User, kept: ComparisonInput, form: forms.ComparisonForm) -> HostComparison | None:
    """Start the comparison of a form. Return None, with an error of the form, if it cannot be."""
    values = form.cleaned_data
    if runs.is_busy():  # which may need the log that is there
        form.add_error(None, _("A run is in progress already. Wait for its end, or cancel it."))
        return None
    if values["log"]:
        log = store_file(form, "log", forms.log_too_large)
        if log is None:
            return None
        comparisons.put_log(kept, *log)
    elif kept.log_stored and not values["use_log"]:
        comparisons.put_log(kept, "", "", "")
    started = comparisons.start(
        user, kept, timezone.now(), old_url=values["old_url"], requests=values["requests"], only=values["operations"],
        language=get_language() or "id",
    )  # fmt: skip
    if started is None:
        form.add_error(None, _("A run is in progress already. Wait for its end, or cancel it."))
    return started


@require_safe
def single(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a comparison: how far it is, or what differs."""
    one = _comparison(request, pk)
    context: dict[str, Any] = {"comparison": one, "title": TITLE, "line": compared.Line(one)}
    if one.in_progress:
        context |= {"shown": compared.progress(one), "seconds": SECONDS}
        return page(request, "comparing" if request.headers.get("HX-Request") else "comparison", **context)
    former, kind = comparisons.former(one), compared.known(request.GET.get("kind", ""))
    found = Paginator(compared.rows(one, kind), report.PAGE).get_page(request.GET.get("page"))
    response = page(
        request, "comparison", former=former, kinds=compared.kinds(one, former), kind=kind,
        kind_label=compared.label_of(kind) if kind else "", page=found, rows=compared.shown(found),
        kept=comparisons.input_of(one.run), **context,
    )  # fmt: skip
    if request.headers.get("HX-Request"):
        response["HX-Refresh"] = "true"  # it has ended: the whole page is new
    return response


@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Start the same comparison once more."""
    user, one = user_of(request), _comparison(request, pk)
    kept = comparisons.input_of(one.run)
    if kept is None:
        return _without_keys(request, one.run)
    started = comparisons.start(
        user, kept, timezone.now(), old_url=one.old_url, requests=one.requests, only=one.only,
        language=get_language() or "id",
    )  # fmt: skip
    if started is None:
        messages.warning(request, _("A run is in progress already. Wait for its end, or cancel it."))
        return redirect("moving_in_comparison", pk)
    return redirect("moving_in_comparison", started.pk)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel a comparison that is in progress."""
    one = _comparison(request, pk)
    if one.in_progress:
        comparisons.cancel(one, timezone.now())
        messages.success(request, _("The comparison is cancelled. It ends after the requests that are under way."))
    return redirect("moving_in_comparison", pk)


@require_POST
def forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete the keys and the log that are kept for comparisons after a run."""
    run = run_of(request, pk)
    if not run.comparisons.filter(state__in=(HostComparison.State.WAITING, HostComparison.State.RUNNING)).exists():
        comparisons.forget(run)
        messages.success(request, _("The keys of the old callers and the access log are deleted."))
    return redirect("moving_in_run", pk)
