"""Step 1: where the data comes from. An existing source of the agency, a new one, or an uploaded file."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from adapters import ADAPTERS, missing_driver
from dataservices.connection_test import diagnose
from dataservices.models import DataSource, WizardDraft, engines
from mantra.wizard import drafts, pages
from mantra.wizard.source_form import NewSourceForm
from registry import tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.numbers import number_of
from registry.models import SnapshotVersion, User

#: Sources that the page lists; the others are found by its search.
MAX_LISTED = 30


def sources(user: User) -> QuerySet[DataSource]:
    """Return the sources over which the user may make operations."""
    return tenancy.visible(DataSource.objects.select_related("agency"), user)


def show(request: HttpRequest, user: User, draft: WizardDraft) -> HttpResponse:
    """Return the page, or do what one of its buttons says."""
    if request.method != "POST":
        engine = request.GET.get("engine", "")
        return _page(request, user, draft, _blank_form(user, draft, engine) if engine else None)
    if "use" in request.POST:
        return _use(request, user, draft)
    return _make(request, user, draft)


def _blank_form(user: User, draft: WizardDraft, engine: str) -> NewSourceForm:
    """Return the form of an engine, with what was typed before and failed. Raises Http404 for an unknown engine."""
    if engine not in ADAPTERS:
        raise Http404
    typed = draft.data.get("new_source", {})
    initial = typed.get("settings") if typed.get("engine") == engine else None
    return NewSourceForm(engine, user, initial=initial or {})


def _page(request: HttpRequest, user: User, draft: WizardDraft, form: NewSourceForm | None) -> HttpResponse:
    term = request.GET.get("q", "").strip()
    rows = sources(user)
    listed = [row for row in rows if term.lower() in f"{row} {row.database} {row.host}".lower()]
    may_add = user.has_perm("dataservices.add_datasource")
    context: dict[str, Any] = {
        "form": form,
        "sources": listed[:MAX_LISTED],
        "more": len(listed) > MAX_LISTED,
        "searchable": bool(term) or len(listed) > MAX_LISTED // 3,
        "term": term,
        "engines": [(name, label, missing_driver(name)) for name, label in engines()] if may_add else [],
        "upload": _upload_page(user),
        "unfinished": drafts.unfinished(user).exclude(key=draft.key),
        "chosen": draft.source_id,
        "failed": pages.focus_first_error(form) if form is not None else False,
    }
    return pages.render(request, "source", draft, 1, **context)


def _upload_page(user: User) -> str:
    """Return the address of the page that makes a table from a file, "" if the user may not."""
    if not user.has_perm("dataservices.add_uploadedtable"):
        return ""
    return reverse("admin:dataservices_uploadedtable_add")


def _use(request: HttpRequest, user: User, draft: WizardDraft) -> HttpResponse:
    """Go on with an existing source. Raises Http404 for another agency's."""
    source = sources(user).filter(pk=number_of(request.POST["use"])).first()
    if source is None or not tenancy.may_change(user, source):
        raise Http404
    with drafts.saving(draft) as stored:
        _set(stored, source)
    return pages.go_to(request, draft, 2)


def _set(draft: WizardDraft, source: DataSource) -> None:
    """Set a draft's source. What was chosen of another source is forgotten."""
    if draft.source_id != source.pk:
        draft.data = {name: draft.data[name] for name in ("operation",) if name in draft.data}
    draft.source, draft.agency = source, source.agency
    draft.step = max(draft.step, 2)


def _make(request: HttpRequest, user: User, draft: WizardDraft) -> HttpResponse:
    """Test a new source, and save it if it works. Otherwise show why, with all that was typed but secrets."""
    engine = request.POST.get("engine", "")
    if engine not in ADAPTERS:
        raise Http404
    form = NewSourceForm(engine, user, request.POST)
    if form.is_valid():
        if not (user.has_perm("dataservices.add_datasource") and tenancy.may_change(user, form.instance)):
            raise PermissionDenied
        outcome = diagnose(form.instance)
        if outcome.succeeded and _saved(request, draft, form):
            return pages.go_to(request, draft, 2)
        if not outcome.succeeded:
            form.add_error(None, outcome.text)
    with drafts.saving(draft) as stored:
        stored.data = {**stored.data, "new_source": {"engine": engine, "settings": form.typed()}}
    return _page(request, user, draft, form)


def _saved(request: HttpRequest, draft: WizardDraft, form: NewSourceForm) -> bool:
    """Save a tested source, once for a form that is sent twice. Return False with an error in the form."""
    try:
        with drafts.saving(draft) as stored:
            if stored.source is None or not _same(stored.source, form.instance):
                SnapshotVersion.lock()
                form.instance.full_clean()
                form.instance.save()
                _log(request, form.instance)
                _set(stored, form.instance)
    except ValidationError as error:
        form.add_error(None, error.messages)
        return False
    return True


def _same(one: DataSource, other: DataSource) -> bool:
    columns = ("agency_id", "engine", "host", "port", "database", "user", "options")
    secrets = ("password", "wallet_password")
    return all(getattr(one, name) == getattr(other, name) for name in columns) and all(
        str(getattr(one, name) or "") == str(getattr(other, name) or "") for name in secrets
    )


def _log(request: HttpRequest, source: DataSource) -> None:
    page = admin.site.get_model_admin(DataSource)
    assert isinstance(page, ScopedAdmin)
    page.log_addition(request, source, [{"added": {}}])
