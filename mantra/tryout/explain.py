"""How a data operation's source would run its SQL with the try panel's values: its plan, and not a row."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from dataservices import query
from dataservices.models import DataOperation
from mantra.gateway import http, parameters
from mantra.gateway.client_ip import client_ip
from mantra.gateway.recording import unforeseen
from mantra.tryout.forms import TryForm
from mantra.tryout.views import advice, find
from registry import faults
from registry.calls import Call
from registry.results import Fault
from registry.snapshot import holder


@require_POST
def explain_operation(request: HttpRequest, operation_id: int) -> HttpResponse:
    """The plan of the operation as it is saved. htmx asks for the part alone. The source runs nothing, so the
    history has no record of it."""
    operation = find(request, operation_id)
    page = admin.site.get_model_admin(type(operation))
    if not isinstance(operation, DataOperation):
        raise Http404
    if not page.has_change_permission(request, operation):
        raise PermissionDenied
    form = TryForm(operation, list(operation.parameters.all()), request.POST)
    form.is_valid()
    context: dict[str, Any] = {"operation": operation, **explained(operation, form.pairs(), request)}
    if request.headers.get("HX-Request"):
        template = "mantra/explain_result.html"
    else:
        template = "mantra/explain_page.html"
        context |= admin.site.each_context(request) | {"title": _("Plan"), "opts": operation._meta}
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response


def explained(operation: DataOperation, pairs: list[tuple[str, str]], request: HttpRequest) -> dict[str, Any]:
    """The context of the result's template: the plan's lines, or the fault in its place."""
    call = Call(
        face="console",
        method="POST" if operation.writes else "GET",
        address=client_ip(request.META),
        request_id=http.request_id(),
        format="json",
        supply=lambda call: list(pairs),
        keyed=False,
        user=request.user.get_username(),
    )
    service = operation.service
    # What was saved a moment ago, not what this worker read before.
    call.operation = holder.refresh().operation(service.agency.code, service.code, operation.code)
    try:
        if call.operation is None:
            raise Fault(faults.OPERATION_UNKNOWN)
        parameters.read(call)
        return {"lines": query.explain(call)}
    except Fault as met:
        fault = met
    except Exception:
        fault = unforeseen(call)
    return {"fault": fault, "message": fault.message(get_language() or "id"), "advice": advice(operation, fault)}
