"""The try-out: runs an operation from its page in the admin. The call takes the same way as every other call."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from dataservices.connection_test import advise
from dataservices.models import DataOperation
from mantra.client_code.example import base_url, example_of
from mantra.client_code.languages import codes
from mantra.gateway.formats import FORMATS
from mantra.gateway.protocols.soap.request import sample_envelope
from mantra.gateway.recording import internal_fault
from mantra.gateway.serve import serve
from mantra.tryout.forms import TryForm, split, writes
from mantra.tryout.rendering import Rendering, render, render_soap_fault
from mantra.verification.models import VerificationOperation
from proxyservices.models import ProxyOperation
from registry import sample_responses, versions
from registry.calls import Call, request_id
from registry.client_ip import client_ip
from registry.models import Operation, Parameter
from registry.results import Fault
from registry.snapshot.parts import operation as prepared_operation
from registry.snapshot.types import Operation as PreparedOperation

#: The value of ?which= that selects the published version where there is a draft beside it.
PUBLISHED = "published"
KINDS: dict[str, type[Operation]] = {
    "data": DataOperation,
    "proxy": ProxyOperation,
    "verification": VerificationOperation,
}


def run(operation: Operation, pairs: list[tuple[str, str]], request: HttpRequest) -> dict[str, Any]:
    """Run the saved operation, and return the context of the result's template."""
    given, values = split(pairs)
    call = Call(
        protocol="tryout",
        method="POST" if writes(operation) else "GET",
        client_ip=client_ip(request.META),
        request_id=request_id(),
        format="json",
        read_input=lambda call: list(given),
        agency=operation.service.agency.code,
        service=operation.service.code,
        code=operation.code,
        needs_key=False,
        user=request.user.get_username(),
        operation=prepared(operation),
        tried_values=values,
    )
    recorded = serve(call)
    rendering, fault = Rendering(), None
    try:
        rendering = render(recorded.result, call)
    except Fault as error:
        fault = error
    except Exception:
        fault = internal_fault(call)
    if fault is not None:
        recorded.fail(fault)
    try:
        recorded.end(len(rendering.json))
    except Fault as error:  # a result that the journal could not record is not displayed
        rendering, fault = Rendering(), error
    if fault is not None:
        rendering.soap = render_soap_fault(fault, call)
    return {
        "call": call,
        "shown": rendering,
        "soap_request": sample_envelope(call.operation, given) if call.operation else "",
        "fault": fault,
        "message": fault.message(get_language() or "id") if fault else "",
        "advice": advice(operation, fault) if fault else "",
        "words": fault.details.get("words", "") if fault else "",
        "milliseconds": round((time.perf_counter() - call.started_monotonic) * 1000),
    }


def keep_sample(operation: Operation, result: dict[str, Any]) -> dict[str, str]:
    """Store a result as the sample response that the catalogue shows, masked. Return what it is, or why it is none."""
    if result["fault"] is not None or operation.draft_of is not None or writes(operation):
        return {"error": gettext("There is no response that can be a sample.")}
    try:
        sample_responses.save(operation, result["shown"].json)
    except ValidationError as error:
        return {"error": " ".join(error.messages)}
    return {"content": sample_responses.shown(operation)}


def prepared(operation: Operation) -> PreparedOperation | None:
    """Return an operation ready to be run. The draft beside a published one is recorded as the version it will be."""
    found = prepared_operation(operation.pk)
    if found is None or operation.draft_of is None:
        return found
    return replace(found, id=operation.draft_of.pk, revision=versions.next_number(operation.draft_of))


def advice(operation: Operation, fault: Fault) -> str:
    """Return advice for the author if the source failed, "" for other faults."""
    reason = fault.details.get("reason", "")
    return advise(reason, operation.source) if reason and isinstance(operation, DataOperation) else ""


# ---------------------------------------------------------------------------------------- the page


def operation_or_404(request: HttpRequest, operation_id: int) -> Operation:
    """Return the operation as a row of its kind, if the user may view it. Raises Http404.

    It is the draft beside it, if there is one, unless the address says ?which=published.
    """
    kind = Operation.objects.filter(pk=operation_id).values_list("kind", flat=True).first()
    if kind not in KINDS:
        raise Http404
    page = admin.site.get_model_admin(KINDS[kind])
    operation: Operation | None = page.get_object(request, str(operation_id))
    if operation is None or not page.has_view_permission(request, operation):
        raise Http404
    draft: Operation | None = versions.draft_of(operation)
    return operation if draft is None or request.GET.get("which") == PUBLISHED else draft


def choices(request: HttpRequest, operation_id: int, operation: Operation) -> dict[str, Any]:
    """Return the context of the choice between the published version and the draft, {} where there is one only."""
    address = reverse("try_operation", args=(operation_id,))
    explain = reverse("explain_operation", args=(operation_id,))
    published = operation if operation.draft_of is None else operation.draft_of
    if operation.draft_of is None and versions.draft_of(operation) is None:
        return {"address": address, "explain_address": explain}
    suffix = f"?which={PUBLISHED}" if operation.draft_of is None else ""
    return {
        "address": address + suffix,
        "explain_address": explain + suffix,
        "which": {
            "draft": address,
            "published": f"{address}?which={PUBLISHED}",
            "runs_draft": operation.draft_of is not None,
            "number": versions.next_number(published),
            "revision": published.revision,
        },
    }


def calling(operation: Operation, parameters: list[Parameter], request: HttpRequest) -> dict[str, Any]:
    """Return the context of the instructions for callers."""
    example = example_of(operation, parameters, list(operation.fields.all()), base_url(request))
    return {"example": example, "codes": codes(example), "suffixes": [f".{name}" for name in FORMATS]}


def try_operation(request: HttpRequest, operation_id: int) -> HttpResponse:
    """Return the form (GET), or the result of a run (POST). For htmx only that part of the page."""
    operation = operation_or_404(request, operation_id)
    page = admin.site.get_model_admin(type(operation))
    context: dict[str, Any] = {"operation": operation, **choices(request, operation_id, operation)}
    context["writes"] = writes(operation)
    # A response may contain personal data: the right to view a definition is no reason to see it.
    context["allowed"] = page.has_change_permission(request, operation)
    posted = request.method == "POST"
    parameters = list(operation.parameters.all())
    form = TryForm(operation, parameters, request.POST if posted else None)
    context["calling"] = calling(operation, parameters, request)
    if posted:
        if not context["allowed"]:
            raise PermissionDenied
        form.is_valid()
        if context["writes"] and not form.cleaned_data.get("confirm"):
            context["unconfirmed"] = True
        else:
            context |= run(operation, form.pairs(), request)
            if request.POST.get("sample"):
                context["sample"] = keep_sample(operation, context)
    context["may_keep"] = operation.draft_of is None and not context["writes"]
    context["form"] = form
    if request.headers.get("HX-Request"):
        template = "mantra/try_result.html" if posted else "mantra/try_form.html"
    else:
        template = "mantra/try_page.html"
        context |= admin.site.each_context(request) | {"title": _("Try operation"), "opts": operation._meta}
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response
