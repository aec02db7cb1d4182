"""The try-it console: an operation run from its page in the admin, on the way that every call goes."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from dataservices.diagnosis import advise
from dataservices.models import DataOperation
from mantra.gateway import http
from mantra.gateway.client_ip import client_ip
from mantra.gateway.protocols.soap.request import sample as sample_envelope
from mantra.gateway.recording import unforeseen
from mantra.gateway.serve import serve
from mantra.tryout.forms import TryForm, writes
from mantra.tryout.howto import calling
from mantra.tryout.rendering import Shown, _soap_fault, show
from proxyservices.models import ProxyOperation
from registry.calls import Call
from registry.models import Operation
from registry.results import Fault
from registry.snapshot import holder

KINDS: dict[str, type[Operation]] = {"data": DataOperation, "proxy": ProxyOperation}


def run(operation: Operation, pairs: list[tuple[str, str]], request: HttpRequest) -> dict[str, Any]:
    """Run an operation as it is saved, and say what came of it: the context of the result's template."""
    holder.refresh()  # what was saved a moment ago, not what this worker read before
    call = Call(
        face="console",
        method="POST" if writes(operation) else "GET",
        address=client_ip(request.META),
        request_id=http.request_id(),
        format="json",
        supply=lambda call: list(pairs),
        agency=operation.service.agency.code,
        service=operation.service.code,
        code=operation.code,
        keyed=False,
        user=request.user.get_username(),
    )
    answer = serve(call)
    shown, fault = Shown(), None
    try:
        shown = show(answer.result, call)
    except Fault as met:
        fault = met
    except Exception:
        fault = unforeseen(call)
    if fault is not None:
        answer.fail(fault)
    try:
        answer.send(iter((shown.json,)))
    except Fault as met:  # what is not on record is not shown either
        shown, fault = Shown(), met
    if fault is not None:
        shown.soap = _soap_fault(fault, call)
    return {
        "call": call,
        "shown": shown,
        "soap_request": sample_envelope(call.operation, pairs) if call.operation else "",
        "fault": fault,
        "message": fault.message(get_language() or "id") if fault else "",
        "advice": advice(operation, fault) if fault else "",
        "milliseconds": round((time.perf_counter() - call.clock) * 1000),
    }


def advice(operation: Operation, fault: Fault) -> str:
    """What the author can do where the source failed, "" for other faults."""
    reason = fault.details.get("reason", "")
    return advise(reason, operation.source) if reason and isinstance(operation, DataOperation) else ""


# ---------------------------------------------------------------------------------------- the page


def find(request: HttpRequest, operation_id: int) -> Operation:
    """The operation with all of its kind, if the user may see it. Raises Http404."""
    kind = Operation.objects.filter(pk=operation_id).values_list("kind", flat=True).first()
    if kind not in KINDS:
        raise Http404
    page = admin.site.get_model_admin(KINDS[kind])
    found = page.get_object(request, str(operation_id))
    if found is None or not page.has_view_permission(request, found):
        raise Http404
    operation: Operation = found
    return operation


def try_operation(request: HttpRequest, operation_id: int) -> HttpResponse:
    """GET: the form. POST: run the operation and show what came of it. htmx asks for the part alone."""
    operation = find(request, operation_id)
    page = admin.site.get_model_admin(type(operation))
    context: dict[str, Any] = {"operation": operation, "address": reverse("try_operation", args=(operation_id,))}
    context["writes"] = writes(operation)
    # What an operation answers may be personal data: watching over its definition is no reason to see it.
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
    context["form"] = form
    if request.headers.get("HX-Request"):
        template = "mantra/try_result.html" if posted else "mantra/try_form.html"
    else:
        template = "mantra/try_page.html"
        context |= admin.site.each_context(request) | {"title": _("Try"), "opts": operation._meta}
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response
