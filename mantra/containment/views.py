"""The pages of stops and incidents: what is stopped, stopping, releasing, and what belongs to an incident."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mantra.containment import forms, report
from mantra.containment.affected import affected, counted
from mantra.containment.gathering import gather
from registry import containment, exports, incidents, notifications, tenancy
from registry.models import Incident, Stop, StopKind, User
from registry.notifications.writing import page_of
from registry.pages import address
from registry.stop_targets import Target, target_of

TITLE = gettext_lazy("Stops and incidents")
#: The rights of which a reader has one.
RIGHTS = ("registry.view_stop", incidents.VIEW)
#: The most lines of a list, and stops that are released on one page.
MOST, MOST_STOPS = 100, 50

_FORM = require_http_methods(["GET", "HEAD", "POST"])


def may_open(user: Any) -> bool:
    """Return True if a user may open the list of stops and incidents."""
    return any(user.has_perm(right) for right in RIGHTS)


def _page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    context = {**admin.site.each_context(request), **context}
    response = TemplateResponse(request, f"containment/{template}.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _reader(request: HttpRequest) -> User:
    """Return the user, who may see stops and incidents. Raises PermissionDenied."""
    if not isinstance(request.user, User) or not may_open(request.user):
        raise PermissionDenied
    return request.user


def _errors(error: ValidationError) -> str:
    return " ".join(error.messages)


# ------------------------------------------------------------------------------ the list


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Show what is stopped, what was, and the incidents."""
    user = _reader(request)
    stops = tenancy.visible(Stop.objects.select_related("started_by", "incident"), user)
    rows = tenancy.visible(Incident.objects.select_related("agency"), user)
    lasting = Count("stops", filter=Q(stops__released_at=None))
    return _page(
        request,
        "list",
        title=TITLE,
        in_force=list(stops.filter(released_at=None)[:MOST]),
        released=list(stops.exclude(released_at=None).order_by("-released_at")[:20]),
        incidents=list(rows.annotate(lasting=lasting)[:MOST]) if user.has_perm(incidents.VIEW) else [],
        now=timezone.now(),
        may_open_incident=incidents.may_open(user),
        may_stop_all=tenancy.is_administrator(user),
    )


# ------------------------------------------------------------------------------ stopping


@_FORM
def stop_new(request: HttpRequest, kind: str, ref: int) -> HttpResponse:
    """Say whom a stop shuts out, ask for the reason, and stop."""
    user = _reader(request)
    target = _target(user, kind, ref)
    incident = _incident_of(request, user)
    form = forms.StopForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = containment.stop(target.kind, target.ref, form.cleaned_data["reason"], by=user, incident=incident)
        except ValidationError as error:
            form.add_error(None, _errors(error))
        else:
            messages.success(request, _("Stopped. Calls are refused everywhere within a second."))
            return redirect("containment_stop", row.pk)
    return _page(
        request,
        "stop_new",
        status=400 if form.errors else 200,
        title=_("Stop %(what)s") % {"what": _words(target.kind, target.name)},
        form=form,
        target=target,
        affected=affected(target, timezone.now()),
        incident=incident,
        back=reverse("incident", args=[incident.pk]) if incident else page_of(target.row) or reverse("containment"),
    )


def _target(user: User, kind: str, ref: int) -> Target:
    """Return what the user may stop. Raises Http404 for what the user may not see, PermissionDenied for the rest."""
    try:
        target = target_of(kind, ref)
    except ValidationError:
        raise Http404 from None
    if not containment.may_stop(user, target):
        if target.row is None or tenancy.visible(type(target.row).objects.filter(pk=ref), user).exists():  # type: ignore[attr-defined]
            raise PermissionDenied
        raise Http404
    return target


def _incident_of(request: HttpRequest, user: User) -> Incident | None:
    """Return the incident that the address names, which the user handles. Raises Http404."""
    text = request.GET.get("incident", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    row = get_object_or_404(tenancy.visible(Incident.objects.all(), user), pk=int(text))
    if not incidents.may_handle(user, row) or row.is_closed:
        raise Http404
    return row


def _words(kind: str, name: str) -> str:
    label = StopKind(kind).label
    return str(label) if kind == StopKind.ALL else f"{label} {name}"


# ------------------------------------------------------------------------------ a stop


@_FORM
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a stop, what it has refused, and the form of its release."""
    user = _reader(request)
    found = Stop.objects.select_related("started_by", "released_by", "incident", "agency", "owner")
    row = get_object_or_404(tenancy.visible(found, user), pk=pk)
    notifications.seen(user, request.path)
    may = containment.may_release(user, row)
    form = forms.ReleaseForm(request.POST or None) if may else None
    if request.method == "POST":
        if form is None:
            raise PermissionDenied
        if form.is_valid():
            try:
                values = form.cleaned_data
                containment.release(row, values["reason"], by=user, checks=values["checks"])
            except ValidationError as error:
                form.add_error(None, _errors(error))
            else:
                messages.success(request, _("Released. Calls are served again within a second."))
                return redirect("containment_stop", row.pk)
    inside = containment.is_inside(user, row)
    return _page(
        request,
        "stop",
        status=400 if form is not None and form.errors else 200,
        title=_words(row.kind, row.name),
        row=row,
        form=form,
        inside=inside,
        object_url=_object_url(user, row) if inside else "",
        counted=counted(row) if inside else None,
        may_open_incident=row.incident is None and inside and incidents.may_open(user),
        incident_url=_incident_url(user, row),
    )


def _object_url(user: User, row: Stop) -> str:
    try:
        target = target_of(row.kind, row.ref)
    except ValidationError:
        return ""
    if target.row is None:
        return ""
    return page_of(target.row) if user.has_perm(_view_right(target)) else ""


def _view_right(target: Target) -> str:
    meta = containment.model_of(target.kind)._meta
    return f"{meta.app_label}.view_{meta.model_name}"


def _incident_url(user: User, row: Stop) -> str:
    if row.incident is None:
        return ""
    seen = incidents.seen_by(user).filter(pk=row.incident.pk).exists()
    return reverse("incident", args=[row.incident.pk]) if seen else ""


# ------------------------------------------------------------------------------ incidents


def _incident(request: HttpRequest, pk: int) -> tuple[User, Incident]:
    """Return the user and an incident that the user may see. Raises Http404, PermissionDenied."""
    user = _reader(request)
    if not user.has_perm(incidents.VIEW):
        raise PermissionDenied
    rows = tenancy.visible(Incident.objects.select_related("agency", "opened_by"), user)
    return user, get_object_or_404(rows, pk=pk)


def _handled(request: HttpRequest, pk: int) -> tuple[User, Incident]:
    """Return the user and an incident that the user may handle. Raises Http404, PermissionDenied."""
    user, row = _incident(request, pk)
    if not incidents.may_handle(user, row):
        raise PermissionDenied
    return user, row


@_FORM
def incident_new(request: HttpRequest) -> HttpResponse:
    """Open an incident, about a stop or an object if the address names one."""
    user = _reader(request)
    if not incidents.may_open(user):
        raise PermissionDenied
    about = _stop_of(request, user)
    now = timezone.now()
    blank = Incident(noticed_at=now, period_from=now - timedelta(days=7), title=str(about)[:200] if about else "")
    form = forms.IncidentForm(request.POST or None, instance=blank)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            targets = [target_of(about.kind, about.ref)] if about is not None else []
        except ValidationError:
            targets = []
        row = incidents.open_incident(
            values["title"], values["period_from"], by=user, targets=targets, noticed_at=values["noticed_at"]
        )
        Incident.objects.filter(pk=row.pk).update(period_until=values["period_until"])
        if about is not None and about.incident_id is None:
            containment.join(about, row, user)
        return redirect("incident", row.pk)
    status = 400 if form.errors else 200
    return _page(
        request, "incident_new", status=status, title=_("Open an incident"), form=form, about=about,
        back=reverse("containment"),
    )  # fmt: skip


def _stop_of(request: HttpRequest, user: User) -> Stop | None:
    text = request.GET.get("stop", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    return get_object_or_404(tenancy.visible(Stop.objects.all(), user), pk=int(text))


@require_safe
def incident(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an incident: its deadline, what the history knows, its stops in the order of release, its timeline."""
    user, row = _incident(request, pk)
    evidence = gather(row)
    stops = list(row.stops.select_related("started_by", "released_by")[:200])
    lasting = incidents.in_order(each for each in stops if each.is_in_force)
    found = list(report.sections(row, evidence))
    may = incidents.may_handle(user, row)
    return _page(
        request,
        "incident",
        title=str(row),
        row=row,
        evidence=evidence,
        callers=[(line, _caller_links(user, row, line.words) if may else []) for line in evidence.callers],
        operations=[(line, _operation_link(user, row, line.words) if may else "") for line in evidence.operations],
        highest=max((line.calls for line in evidence.times), default=0),
        subjects=len(evidence.subjects),
        objects=list(row.objects_of.all()[: Incident.MAX_OBJECTS]),
        lasting=lasting,
        released=[(each, counted(each)) for each in stops if not each.is_in_force][:MOST_STOPS],
        next_stop=next((each for each in lasting if containment.may_release(user, each)), None),
        notes=list(row.notes.select_related("by")[: Incident.MAX_NOTES + 500]),
        note=forms.NoteForm(),
        next_states=_next_states(row) if may else [],
        missing=report.missing(found),
        now=timezone.now(),
        late=not row.reported_at and timezone.now() > row.due_at,
        may_handle=may,
    )


def _caller_links(user: User, row: Incident, words: tuple[Any, ...]) -> list[tuple[str, str]]:
    """Return the links by which a caller of the incident can be stopped: its key, its grant."""
    found = []
    for kind, ref in ((StopKind.KEY, words[3]), (StopKind.GRANT, words[4])):
        if ref and (url := _stop_url(user, row, kind, ref)):
            found.append((str(kind.label), url))
    return found


def _operation_link(user: User, row: Incident, words: tuple[Any, ...]) -> str:
    return _stop_url(user, row, StopKind.OPERATION, words[3]) if words[3] else ""


def _stop_url(user: User, row: Incident, kind: StopKind, ref: int) -> str:
    try:
        target = target_of(kind, ref)
    except ValidationError:
        return ""
    if row.is_closed or not containment.may_stop(user, target):
        return ""
    return f"{reverse('containment_stop_new', args=[kind, ref])}?incident={row.pk}"


def _next_states(row: Incident) -> list[tuple[str, Any]]:
    labels = {
        Incident.State.OPEN: _("It is not contained after all"),
        Incident.State.CONTAINED: _("The leak is contained"),
        Incident.State.REPORTED: _("The notification was sent"),
        Incident.State.CLOSED: _("Close the incident"),
    }
    return [(state.value, labels[state]) for state in Incident.NEXT[Incident.State(row.state)]]


@_FORM
def incident_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the period of an incident, and what a person writes into the notification."""
    _user, row = _handled(request, pk)
    if row.is_closed:
        messages.error(request, _("The incident is closed."))
        return redirect("incident", pk)
    form = forms.IncidentForm(request.POST or None, instance=row, prefix="period")
    texts = forms.ReportForm(request.POST or None, instance=row, prefix="report")
    if request.method == "POST" and form.is_valid() and texts.is_valid():
        form.save(commit=False)
        texts.save()
        messages.success(request, _("Saved."))
        return redirect("incident", pk)
    status = 400 if form.errors or texts.errors else 200
    return _page(
        request, "incident_edit", status=status, title=str(row), row=row, form=form, texts=texts,
        back=reverse("incident", args=[pk]),
    )  # fmt: skip


@require_POST
def incident_note(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a note to the timeline."""
    user, row = _handled(request, pk)
    form = forms.NoteForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([str(each) for each in form.errors.get("text", [])])
        incidents.note(row, user, form.cleaned_data["text"])
    except ValidationError as error:
        messages.error(request, _errors(error))
    return redirect(f"{reverse('incident', args=[pk])}#timeline")


@require_POST
def incident_state(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the state of an incident."""
    user, row = _handled(request, pk)
    state = request.POST.get("state", "")
    if state not in Incident.State.values:
        raise Http404
    try:
        incidents.follow(row, state, user)
    except ValidationError as error:
        messages.error(request, _errors(error))
    return redirect("incident", pk)


@require_safe
def incident_report(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the notification of the breach, to be read, printed and sent."""
    _user, row = _handled(request, pk)
    evidence = gather(row)
    found = list(report.sections(row, evidence))
    return _page(
        request, "report", title=report.title(row), row=row, sections=found, missing=report.missing(found),
        complete=evidence.complete,
    )  # fmt: skip


#: The word of a button → the kind of export and its format.
_FILES = {"report": ("breach", "pdf"), "subjects": ("subjects", "csv")}


@require_POST
def incident_file(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the worker make a file about an incident."""
    user, row = _handled(request, pk)
    kind, file_format = _FILES.get(request.POST.get("file", ""), ("", ""))
    if not kind:
        raise Http404
    try:
        exports.start(
            user, kind, {"incident": row.pk, "number": row.number}, format=file_format, language=get_language() or "id"
        )
    except ValidationError as error:
        messages.error(request, _errors(error))
        return redirect("incident", pk)
    messages.success(request, _("The file is being made. It is listed here when it is ready."))
    return redirect(address("exports") or reverse("incident", args=[pk]))
