"""The page below an operation of the catalogue on which access is requested."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from mantra.access_requests.forms import RequestForm, first_values, values_of
from mantra.catalogue.reader import Reader, reader_of
from registry import requests, roles, tenancy
from registry.models import AccessRequest, Application, Grant, Operation, User
from registry.requests.asking import MAX_OPERATIONS


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def request_access(request: HttpRequest, agency: str, service: str, operation: str) -> HttpResponse:
    """Show the form for an operation and those of the same service, and take it."""
    reader = reader_of(request)
    row = Operation.objects.select_related("service__agency").get(pk=reader.operation(agency, service, operation).pk)
    user = request.user
    if not isinstance(user, User) or user.agency_id is None or not user.has_perm(requests.ASKING):
        context = {"operation": row, "role": roles.label(roles.REQUESTER)}
        return render(request, "catalogue/request_refused.html", context, status=403)
    revised = _revised(request, user)
    offered = _offered(reader, row, revised)
    closed = revised is None and row.pk not in {each.pk for each in offered}
    if not offered or (closed and request.method != "POST"):  # what was sent is never lost
        return render(request, "catalogue/request_refused.html", {"operation": row, "closed": True})
    applications = list(Application.objects.filter(agency=user.agency_id, active=True).select_related("agency"))
    if request.method == "POST":
        form = RequestForm(user, applications, offered, request.POST, request.FILES, revised=revised)
        return _taken(request, form, row) or _page(request, form, row, reader)
    initial = values_of(revised) if revised is not None else _first_values(reader, row)
    form = RequestForm(user, applications, offered, initial=initial, revised=revised)
    if revised is not None:
        form.file = revised.agreement_file
    return _page(request, form, row, reader)


def _revised(request: HttpRequest, user: User) -> AccessRequest | None:
    """Return the open request that is to be changed, None for a new one. Raises Http404."""
    number = request.GET.get("revise", "")
    if not number:
        return None
    rows = requests.own(user).select_related("agreement_file").filter(pk=int(number) if _is_number(number) else 0)
    found = rows.filter(state__in=AccessRequest.OPEN).first()
    if found is None or not requests.may_ask(user, found.application):
        raise Http404
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _offered(reader: Reader, row: Operation, revised: AccessRequest | None) -> list[Operation]:
    """Return the operations that can be requested here: the page's own first, or those of the changed request."""
    rows = reader.operations().filter(
        service=row.service_id, access=Operation.Access.RESTRICTED,
        state__in=(Operation.State.PUBLISHED, Operation.State.DEPRECATED),
    ).select_related(
        "service__agency", "dataoperation", "proxyoperation", "verificationoperation"
    ).prefetch_related("fields")  # fmt: skip
    first = {row.pk} if revised is None else {item.operation_id for item in requests.items_of(revised)}
    chosen = list(rows.filter(pk__in=first))
    others = rows.exclude(pk__in=first).order_by("code")[: MAX_OPERATIONS - len(chosen)]
    return [*chosen, *others]


def _first_values(reader: Reader, row: Operation) -> dict[str, Any]:
    grant = None
    if reader.application is not None:
        grant = Grant.objects.filter(application=reader.application, operation=row).first()
    return first_values(row, reader.application or _any_application(reader), grant)


def _any_application(reader: Reader) -> Application | None:
    rows = tenancy.visible(Application.objects.filter(active=True), reader.user)
    return rows.filter(agency=getattr(reader.user, "agency_id", None)).first()


def _taken(request: HttpRequest, form: RequestForm, row: Operation) -> HttpResponse | None:
    """Store a valid request, and return a redirect to its page; None if the form must be shown again."""
    if not form.is_valid():
        return None
    user = form.user
    try:
        if form.revised is not None:
            requests.revise(form.revised, user, form.wanted(), form.cleaned_data["answer"])
            made = form.revised
        else:
            made = requests.submit(user, form.wanted())
    except ValidationError as error:
        form.add_problems(error)
        form.earlier = getattr(error, "request", None)  # type: ignore[attr-defined]
        return None
    except PermissionDenied:
        form.add_error("application", _("You may not request access for this application."))
        return None
    messages.success(request, _("The request was sent. Its steps are on this page."))
    return redirect("admin:registry_accessrequest_change", made.pk)


def _page(request: HttpRequest, form: RequestForm, row: Operation, reader: Reader) -> HttpResponse:
    waiting = None
    if not form.is_bound and form.revised is None and reader.application is not None:
        waiting = requests.waiting_for(reader.application, [row])
    context = {
        "form": form, "operation": row, "reader": reader, "revised": form.revised,
        "earlier": getattr(form, "earlier", None) or waiting, "grant": reader.grant(row),
    }  # fmt: skip
    return render(request, "catalogue/request.html", context, status=400 if form.is_bound else 200)
