"""The pages of the catalogue."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mantra.catalogue.reader import reader_of


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What there is, newest first."""
    reader = reader_of(request)
    operations = reader.operations().select_related("service__agency").order_by("-updated_at")[:50]
    return render(request, "catalogue/index.html", {"reader": reader, "operations": operations})


@require_safe
def agency_page(request: HttpRequest, agency: str) -> HttpResponse:
    """An agency with its services."""
    reader = reader_of(request)
    row = reader.agency(agency)
    services = row.services.filter(pk__in=reader.operations().values("service"))
    return render(request, "catalogue/agency.html", {"reader": reader, "agency": row, "services": services})


@require_safe
def service_page(request: HttpRequest, agency: str, service: str) -> HttpResponse:
    """A service with its operations."""
    reader = reader_of(request)
    row = reader.service(agency, service)
    operations = reader.operations().filter(service=row).select_related("service__agency")
    return render(request, "catalogue/service.html", {"reader": reader, "service": row, "operations": operations})


@require_safe
def operation_page(request: HttpRequest, agency: str, service: str, operation: str) -> HttpResponse:
    """An operation: what it is for, what it takes and what it returns."""
    reader = reader_of(request)
    row = reader.operation(agency, service, operation)
    context = {
        "reader": reader,
        "operation": row,
        "parameters": list(row.parameters.all()),
        "fields": reader.fields(row),
        "grant": reader.grant(row),
    }
    return render(request, "catalogue/operation.html", context)
