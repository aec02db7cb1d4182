"""Why was this call refused? A request id, as a caller reports it, becomes a sentence, the rule and pages to open.

The call history decides what a viewer finds: calls of the own agency's operations, and of its applications.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from mantra.gateway.parameters import printable
from mantra.tryout import rules, standing
from mantra.tryout.rules import Case
from mantra.tryout.standing import Finding
from registry import catalogue, faults, request_ids, tenancy
from registry.models import AccessKey, Application, CallRecord, Grant, Operation, User

TITLE = _("Why was this call refused?")
#: The right to open the page.
RIGHT = "registry.view_callrecord"


@require_safe
def why_refused(request: HttpRequest) -> HttpResponse:
    """Return the page with its form and, for ``?id=``, the explanation of that call."""
    user = request.user
    if not isinstance(user, User) or not user.has_perm(RIGHT):
        raise PermissionDenied
    wanted_id = printable(request_ids.cleaned(request.GET.get("id", "")))
    context: dict[str, Any] = {"title": TITLE, "wanted_id": wanted_id, "readable": request_ids.is_whole(wanted_id)}
    if context["readable"]:
        record = request_ids.with_id(tenancy.visible(CallRecord.objects.all(), user), wanted_id).first()
        context |= _explained(user, record) if record is not None else {}
    return TemplateResponse(request, "mantra/why_refused.html", admin.site.each_context(request) | context)


def _explained(user: User, record: CallRecord) -> dict[str, Any]:
    case = _case(user, record)
    return {
        "record": record,
        "alias": "/".join(part for part in (record.agency, record.service, record.operation) if part),
        "caller": case.caller if case is not None else _caller(record),
        "explanation": rules.explain(case) if case is not None else None,
        "kind": case.kind if case is not None else None,
        "findings": _findings(user, case) if case is not None else [],
        "record_page": rules.row_page(user, str(_("Open the call in the history")), record),
    }


def _case(user: User, record: CallRecord) -> Case | None:
    """Return what the viewer may know of a call that was refused or failed; None for another one."""
    kind = faults.TABLE.get(record.outcome)
    if kind is None:
        return None
    caller = {"agency__code": record.consumer_agency, "code": record.application}
    granted = {"application__agency__code": record.consumer_agency, "application__code": record.application}
    return Case(
        viewer=user,
        kind=kind,
        message=kind.outline(get_language() or "id"),
        request_id=record.request_id,
        client_ip=record.client_ip or "",
        path=(record.agency, record.service, record.operation),
        caller=_caller(record),
        at=record.started_at,
        operation=_operation(user, record),
        application=_seen(user, Application, "agency", **caller),
        grant=_seen(user, Grant, "application__agency", "operation__service__agency",
                    operation=record.operation_ref, **granted),
        key=_seen(user, AccessKey, "application__agency", "operation__service__agency", pk=record.key_ref or 0),
    )  # fmt: skip


def _caller(record: CallRecord) -> str:
    return f"{record.consumer_agency}/{record.application}" if record.application else ""


def _operation(user: User, record: CallRecord) -> Operation | None:
    """Return the called operation, if the viewer finds it in the catalogue."""
    rows = catalogue.listed(user).filter(pk=record.operation_ref or 0)
    return rows.select_related("service__agency").first()


def _seen(user: User, model: type[Model], *related: str, **lookup: Any) -> Any:
    """Return a row if there is one and the viewer may see it."""
    if not user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"):
        return None
    rows = model._default_manager.select_related(*related).filter(**lookup)
    return tenancy.visible(rows, user).first()


def _findings(user: User, case: Case) -> list[Finding]:
    """Return what holds now: all that the calling agency may know, or the grant for the providing one."""
    if case.operation is None:
        return []
    if case.application is not None:
        return standing.findings(user, case.application, case.operation, case.client_ip)
    if case.grant is not None:
        return [standing.grant_finding(user, case.grant.application, case.operation, case.client_ip)]
    return []
