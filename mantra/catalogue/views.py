"""The pages of the catalogue."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from mantra.catalogue import details, search
from mantra.catalogue.reader import Reader, reader_of
from mantra.catalogue.search import SearchForm
from registry import sample_responses
from registry.admin.numbers import number_of
from registry.models import Agency, Operation, Service

#: Agencies on the first page; the search finds the others.
MOST_AGENCIES = 200


@require_safe
def start_page(request: HttpRequest) -> HttpResponse:
    """Lead people who are signed in to their work, and all others to the catalogue, where they can sign in."""
    return redirect("admin:index" if request.user.is_authenticated else "catalogue")


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The search, and without one the agencies that offer operations."""
    reader, form = reader_of(request), SearchForm(request.GET)
    context: dict[str, Any] = {"reader": reader, "form": form}
    if form.is_valid():
        context["searched"] = searched = any(form.cleaned_data.values())
        context["found"] = search.page_of(form.found(reader), _page_number(request))
        context["others"] = _others(request)
        if not searched:
            context["agencies"] = _agencies(reader)
    return render(request, "catalogue/index.html", context)


def _agencies(reader: Reader) -> list[dict[str, Any]]:
    """Return the agencies with the number of operations that the reader finds of each."""
    callable_now = reader.operations().exclude(state=Operation.State.RETIRED).order_by()
    counted = callable_now.values("service__agency").annotate(operations=Count("pk"))
    numbers = {each["service__agency"]: each["operations"] for each in counted}
    agencies = Agency.objects.filter(pk__in=numbers).order_by("name", "code")[:MOST_AGENCIES]
    return [{"agency": agency, "operations": numbers[agency.pk]} for agency in agencies]


def _page_number(request: HttpRequest) -> int:
    return number_of(request.GET.get("page", "")) or 1


def _others(request: HttpRequest) -> str:
    """Return the search's terms as a query string, without the page: for the links to other pages."""
    terms = request.GET.copy()
    terms.pop("page", None)
    return terms.urlencode()


@require_safe
def agency_page(request: HttpRequest, agency: str) -> HttpResponse:
    """An agency with its services."""
    reader = reader_of(request)
    row = reader.agency(agency)
    context = {"reader": reader, "agency": row, "services": _services(reader, row)}
    return render(request, "catalogue/agency.html", context)


def _services(reader: Reader, agency: Agency) -> QuerySet[Service]:
    """Return the agency's services with the number of operations that the reader finds of each."""
    offered = reader.operations().filter(service__agency=agency)
    rows: QuerySet[Service] = Service.objects.filter(agency=agency, operations__in=offered)
    return rows.annotate(offered=Count("operations")).order_by("title", "code")


@require_safe
def service_page(request: HttpRequest, agency: str, service: str) -> HttpResponse:
    """A service with its operations."""
    reader = reader_of(request)
    row = reader.service(agency, service)
    operations = reader.operations().filter(service=row).order_by("code")
    context = {
        "reader": reader,
        "service": row,
        "tags": tags_of(row),
        "found": search.page_of(operations, _page_number(request)),
        "others": _others(request),
    }
    return render(request, "catalogue/service.html", context)


def tags_of(service: Service) -> list[str]:
    """Return the tags of a service."""
    return [tag.strip() for tag in service.tags.split(",") if tag.strip()]


@require_safe
def operation_page(request: HttpRequest, agency: str, service: str, operation: str) -> HttpResponse:
    """An operation: what it is for, what it takes and what it returns."""
    reader = reader_of(request)
    row = reader.operation(agency, service, operation)
    context = details.context_of(request, reader, row)
    return render(request, "catalogue/operation.html", {**context, "tags": tags_of(row.service)})


@require_POST
def remove_sample(request: HttpRequest, agency: str, service: str, operation: str) -> HttpResponse:
    """Remove the sample response of an operation, for those who may change the operation."""
    reader = reader_of(request)
    row = reader.operation(agency, service, operation)
    if not details.may_change(reader, row):
        raise PermissionDenied
    if sample_responses.remove(row):
        messages.success(request, _("The sample response was removed."))
    return redirect(details.own_address(row))
