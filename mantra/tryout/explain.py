"""The execution plan of a data operation's SQL with the values of the try-out. The source gives no rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from dataservices import runner
from dataservices.models import DataOperation
from mantra.gateway import parameters
from mantra.gateway.recording import internal_fault
from mantra.tryout.forms import TryForm, split
from mantra.tryout.views import advice, operation_or_404, prepared
from registry import faults
from registry.calls import Call, request_id
from registry.client_ip import client_ip
from registry.journal import viewing
from registry.results import Fault


@viewing.shows("explain")
@require_POST
def explain_operation(request: HttpRequest, operation_id: int) -> HttpResponse:
    """Return the execution plan of the saved operation. For htmx only that part of the page.

    The source runs nothing. The call history has a record of the view, not of a call.
    """
    operation = operation_or_404(request, operation_id)
    page = admin.site.get_model_admin(type(operation))
    if not isinstance(operation, DataOperation):
        raise Http404
    if not page.has_change_permission(request, operation):
        raise PermissionDenied
    form = TryForm(operation, list(operation.parameters.all()), request.POST)
    form.is_valid()
    context: dict[str, Any] = {"operation": operation, **execution_plan(operation, form.pairs(), request)}
    if request.headers.get("HX-Request"):
        template = "mantra/explain_result.html"
    else:
        template = "mantra/explain_page.html"
        context |= admin.site.each_context(request) | {"title": _("Execution plan"), "opts": operation._meta}
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response


def execution_plan(operation: DataOperation, pairs: list[tuple[str, str]], request: HttpRequest) -> dict[str, Any]:
    """Return the context of the result's template: the lines of the plan, or the fault instead."""
    given, values = split(pairs)
    call = Call(
        protocol="tryout",
        method="POST" if operation.writes else "GET",
        client_ip=client_ip(request.META),
        request_id=request_id(),
        format="json",
        read_input=lambda call: list(given),
        needs_key=False,
        user=request.user.get_username(),
        operation=prepared(operation),
        tried_values=values,
    )
    try:
        if call.operation is None:
            raise Fault(faults.OPERATION_UNKNOWN)
        parameters.read(call)
        lines = runner.explain(call)
        viewing.record(request, viewing.View.of(operation, "explain"))
        return {"lines": lines}
    except Fault as error:
        fault = error
    except Exception:
        fault = internal_fault(call)
    return {"fault": fault, "message": fault.message(get_language() or "id"), "advice": advice(operation, fault)}
