"""The pages of reconciliations: the list, the form in two steps, a reconciliation with its runs, and its buttons."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import OuterRef, Prefetch, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dataservices.uploads import UploadError
from mantra.reconciliation import files, forms, pairs, runs, shown, sides, uploads
from mantra.reconciliation.engine import KINDS
from mantra.reconciliation.models import Reconciliation, ReconciliationRun, Side
from mantra.reconciliation.schedule import next_run
from registry import exports, notifications, tenancy
from registry.exports import ExportError
from registry.exports import problems as export_problems
from registry.journal import viewing
from registry.models import User

TITLE = gettext_lazy("Reconciliation")
RIGHT, ADD = "reconciliation.view_reconciliation", "reconciliation.add_reconciliation"
#: Seconds between two looks of a page on which a run is in progress; the most lines of a list, and runs of a page.
SECONDS, MOST, RUNS = 2, 200, 50

_FORM = require_http_methods(["GET", "HEAD", "POST"])


def _page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    context = {**admin.site.each_context(request), **context}
    response = TemplateResponse(request, f"reconciliation/{template}.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _reader(request: HttpRequest) -> User:
    """Return the user, who may see reconciliations. Raises PermissionDenied."""
    if not isinstance(request.user, User) or not request.user.has_perm(RIGHT):
        raise PermissionDenied
    return request.user


def _author(request: HttpRequest) -> User:
    """Return the user, who may make reconciliations: somebody of an agency. Raises PermissionDenied."""
    user = _reader(request)
    if not may_add(user):
        raise PermissionDenied
    return user


def may_add(user: User) -> bool:
    """Return True if a user may make reconciliations. Only people of an agency have lists."""
    return user.agency_id is not None and user.has_perm(ADD)


def _row(user: User, pk: int) -> Reconciliation:
    """Return a reconciliation that a user may see. Raises Http404."""
    rows = tenancy.visible(Reconciliation.objects.select_related("agency", "responsible"), user)
    lists = Side.objects.select_related("operation__service__agency", "application__agency")
    return get_object_or_404(rows.prefetch_related(Prefetch("sides", lists)), pk=pk)


def _own(request: HttpRequest, pk: int) -> tuple[User, Reconciliation]:
    """Return the user and a reconciliation that the user may change and run. Raises Http404 and PermissionDenied."""
    user = _reader(request)
    row = _row(user, pk)
    if not sides.may_use(user, row):
        raise PermissionDenied
    return user, row


# -------------------------------------------------------------------------------------------- the list


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Show the reconciliations that the user may see, each with its last run."""
    user = _reader(request)
    last = ReconciliationRun.objects.filter(reconciliation=OuterRef("pk")).values("pk")[:1]
    rows = tenancy.visible(Reconciliation.objects.select_related("agency"), user).annotate(last=Subquery(last))
    lists = Side.objects.select_related("operation")
    found = list(rows.prefetch_related(Prefetch("sides", lists))[:MOST])
    last_runs = ReconciliationRun.objects.in_bulk([row.last for row in found if row.last])
    lines = [(row, shown.Line(last_runs[row.last]) if row.last in last_runs else None) for row in found]
    return _page(
        request, "list", title=TITLE, lines=lines, may_add=may_add(user), several=tenancy.sees_all_agencies(user)
    )


# --------------------------------------------------------------------------------------------- the form


@_FORM
def new(request: HttpRequest) -> HttpResponse:
    """Choose the two lists of a new reconciliation."""
    user = _author(request)
    assert user.agency is not None
    return _lists(request, user, Reconciliation(agency=user.agency, responsible=user), None)


@_FORM
def lists(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose other lists."""
    user, row = _own(request, pk)
    return _lists(request, user, row, row)


def _lists(request: HttpRequest, user: User, row: Reconciliation, stored: Reconciliation | None) -> HttpResponse:
    form = forms.ListsForm(user, stored, request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid() and _save_lists(user, row, form):
        messages.success(request, _("The lists are saved. Choose now which columns belong together."))
        return redirect("reconciliation_columns", row.pk)
    back = reverse("reconciliation", args=[row.pk]) if stored is not None else reverse("reconciliations")
    title = row.title if stored is not None else _("New reconciliation")
    status = 400 if form.errors else 200
    return _page(request, "lists", status=status, form=form, title=title, back=back, none=len(sides.choices(user)) == 0)


def _save_lists(user: User, row: Reconciliation, form: forms.ListsForm) -> bool:
    """Store the lists. Return False, with an error of the form, if a file cannot be read."""
    before = {side.place: side for side in row.sides.all()} if row.pk else {}
    chosen: list[Side] = []
    replaced: list[str] = []
    values = form.cleaned_data
    for place in forms.PLACES:
        side = before.get(place) or Side(place=place)
        old, file = side.stored, values.get(f"{place}_file")
        try:
            if values[place] != sides.FILE:
                if side.pk is None or sides.choice_of(side) != values[place]:
                    sides.set_choice(side, values[place])
                    side.arguments, side.file_name, side.stored, side.key, side.found = {}, "", "", "", {}
                    side.file_rows = 0
            elif file is not None:
                uploads.put(side, row.agency, file.name, file.chunks())
            side.clean_fields(exclude=["reconciliation"])
        except UploadError as error:
            form.add_error(f"{place}_file", str(error))
        except ValidationError:
            form.add_error(f"{place}_file", _("The file has too many columns, or their headers are too long."))
        except (ExportError, OSError):
            form.add_error(f"{place}_file", export_problems.sentence("disk"))
        chosen.append(side)
        if old and old != side.stored:
            replaced.append(old)
    if form.errors or not _store(user, row, values["title"], chosen, form):
        for side in chosen:  # those that were uploaded just now
            if side.stored and side.stored not in {old.stored for old in Side.objects.filter(reconciliation=row.pk)}:
                files.remove(files.UPLOADS, side.stored)
        return False
    for stored in replaced:
        files.remove(files.UPLOADS, stored)
    return True


def _store(user: User, row: Reconciliation, title: str, chosen: list[Side], form: forms.ListsForm) -> bool:
    """Write the rows. Return False, with an error of the form, if there may be no further one."""
    try:
        with transaction.atomic():
            row.title, row.responsible = title, user
            if not row.pk:
                row.code = _free_code(row)
                row.full_clean(exclude=["responsible"])
            row.save()
            for side in chosen:
                side.reconciliation = row
                side.save()
    except ValidationError as error:
        form.add_error(None, error.messages)  # type: ignore[arg-type]
        return False
    return True


def _free_code(row: Reconciliation) -> str:
    """Return a code that is made from the title and that the agency has not used."""
    base = slugify(row.title)[:50].strip("-_") or "reconciliation"
    taken = set(Reconciliation.objects.filter(agency=row.agency, code__istartswith=base).values_list("code", flat=True))
    number, code = 1, base
    while code in taken:
        number += 1
        code = f"{base}-{number}"
    return code


@_FORM
def columns(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose which columns belong together, the values of parameters, and the schedule."""
    user, row = _own(request, pk)
    if row.sides.count() != len(forms.PLACES):
        return redirect("reconciliation_lists", pk)
    data = request.POST if request.method == "POST" else None
    lines = forms.pair_forms(row, data)
    schedule = forms.ScheduleForm(data, instance=row)
    parameters = {place: forms.ParametersForm(row.side(place), data) for place in forms.PLACES}
    every = [lines, schedule, *parameters.values()]
    valid = [form.is_valid() for form in every] if data is not None else [False]  # each has its errors
    if all(valid):
        row.pairs = [pair.stored() for pair in lines.pairs]
        row.responsible, row.next_at = user, next_run(row.schedule, row.hour, timezone.now())
        with transaction.atomic():
            schedule.save()
            for place, form in parameters.items():
                Side.objects.filter(reconciliation=row, place=place).update(arguments=form.cleaned_data)
        messages.success(request, _("The columns are saved. You can run it now."))
        return redirect("reconciliation", pk)
    wrong = any(form.errors for form in every[1:]) or lines.total_error_count()
    lists_of = [
        {"name": name, "side": row.side(place), "form": parameters[place], "columns": sides.columns(row.side(place))}
        for place, name in forms.PLACES.items()
    ]
    return _page(
        request, "columns", status=400 if wrong else 200, title=row.title, row=row, lines=lines, schedule=schedule,
        lists=lists_of, without_columns=[each["name"] for each in lists_of if not each["columns"]],
    )  # fmt: skip


# ------------------------------------------------------------------------------------ a reconciliation


@viewing.shows("results")
@require_safe
def single(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a reconciliation: its lists, what its last run has found, and its runs."""
    user = _reader(request)
    row = _row(user, pk)
    found = list(row.runs.select_related("user")[:RUNS])
    may_use = sides.may_use(user, row)
    current = next((run for run in found if run.in_progress), None)
    done = next((run for run in found if run.state == ReconciliationRun.State.DONE), None)
    if str(request.GET.get("run", "")).isdigit():
        done = next((run for run in found if run.pk == int(request.GET["run"]) and run.state == "done"), done)
    notifications.seen(user, reverse("reconciliation", args=[pk]))
    context: dict[str, Any] = {
        "row": row, "title": row.title, "may_use": may_use, "current": current, "seconds": SECONDS if current else 0,
        "last": shown.Line(found[0]) if found else None,
    }  # fmt: skip
    if request.headers.get("HX-Request") and current is not None:
        return _page(request, "progress", **context)
    if done is not None:
        rows = shown.first_rows(done) if may_use else []
        if rows:
            number = sum(len(each.rows) for each in rows)
            viewing.record(request, viewing.View("results", row.agency.code, "", row.code, rows=number))
        context |= {
            "done": done, "figures": shown.figures(done), "summary": shown.summary(done),
            "by_field": shown.by_field(done), "rows": rows,
        }  # fmt: skip
    response = _page(
        request, "single", runs=[shown.Line(run) for run in found], trend=shown.trend(found),
        lists=[(name, side) for name, side in zip(forms.PLACES.values(), row.sides.all(), strict=False)],
        pairs=[(pair, forms.RULES.get(pair.rule, pair.rule)) for pair in pairs.of(row.pairs)], **context,
    )  # fmt: skip
    if request.headers.get("HX-Request"):
        response["HX-Refresh"] = "true"  # the run has ended: the whole page is new
    return response


@require_POST
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Start a run."""
    user, row = _own(request, pk)
    if not row.pairs:
        return redirect("reconciliation_columns", pk)
    if runs.start(row, user) is None:
        messages.warning(request, _("A run is in progress already."))
    return redirect("reconciliation", pk)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel the run that is in progress."""
    _user, row = _own(request, pk)
    for each in row.runs.filter(state__in=runs.IN_PROGRESS):
        runs.cancel(each, timezone.now())
    messages.success(request, _("The run is cancelled."))
    return redirect("reconciliation", pk)


@_FORM
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, and then delete a reconciliation with its files and results."""
    user = _reader(request)
    row = _row(user, pk)
    if not user.has_perm("reconciliation.delete_reconciliation") or not tenancy.may_change(user, row):
        raise PermissionDenied
    if request.method == "POST":
        runs.delete(row)
        messages.success(request, _("The reconciliation is deleted."))
        return redirect("reconciliations")
    return _page(request, "delete", title=row.title, row=row)


@require_POST
def export(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the rows of a run be written as a file."""
    user, row = _own(request, pk)
    kind, number, format = (request.POST.get(name, "") for name in ("kind", "run", "format"))
    found = row.runs.filter(pk=int(number), state="done").first() if number.isdigit() and len(number) < 18 else None
    if found is None or not found.stored or (kind and kind not in KINDS) or (format == "csv" and not kind):
        raise Http404
    try:
        exports.start(
            user, "reconciliation", {"run": found.pk, "kind": kind}, format=format, language=get_language() or "id"
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("reconciliation", pk)
    except ValueError:
        raise Http404 from None
    messages.success(request, _("The file is being made. You can go on with other work meanwhile."))
    return redirect("exports")
