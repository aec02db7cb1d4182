"""The page with the program code of an operation, and the download of the adapter file."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mantra.catalogue.reader import reader_of
from mantra.client_code.adapter import FILE_NAME, adapter
from mantra.client_code.example import base_url, example_of
from mantra.client_code.languages import codes


@require_safe
def client_code(request: HttpRequest, agency: str, service: str, operation: str) -> HttpResponse:
    """The code that calls an operation, in every language, for the reader's application."""
    reader = reader_of(request)
    row = reader.operation(agency, service, operation)
    parameters, fields = list(row.parameters.all()), reader.fields(row)
    example = example_of(row, parameters, fields, base_url(request), reader.application)
    context = {
        "reader": reader,
        "operation": row,
        "parameters": parameters,
        "grant": reader.grant(row),
        "applications": reader.applications()[: settings.ROW_LIMITS["applications"]],
        "example": example,
        "codes": codes(example),
    }
    return render(request, "catalogue/code.html", context)


@require_safe
def client_adapter(request: HttpRequest, file: str) -> HttpResponse:
    """The adapter file, as a download."""
    if file != FILE_NAME:
        raise Http404
    response = HttpResponse(adapter(base_url(request)), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{FILE_NAME}"'
    return response
