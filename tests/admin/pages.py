"""The pages of the admin that people open most, by name, in a registry of any size."""

from __future__ import annotations

from django.contrib.admin.views.main import PAGE_VAR
from django.urls import reverse

from dataservices.models import DataOperation, DataSource
from registry.models import AccessKey, Agency, Application, CallRecord, Grant, Service


def _list(name: str, query: str = "") -> str:
    return reverse(f"admin:{name}_changelist") + query


def _row(name: str, pk: int, view: str = "change") -> str:
    return reverse(f"admin:{name}_{view}", args=(pk,))


def pages() -> dict[str, str]:
    """Return the address of each page. The registry has at least one row of each kind."""
    operation, service, application = (
        model.objects.order_by("pk").first() for model in (DataOperation, Service, Application)
    )
    call = CallRecord.objects.order_by("pk").first()
    agency, service_code, _code = operation.address.split("/")
    calls, operations = "registry_callrecord", "dataservices_dataoperation"
    autocomplete = "?app_label=registry&model_name=grant&field_name=operation&term="
    return {
        "first page": reverse("admin:index"),
        "agencies": _list("registry_agency"),
        "agency": _row("registry_agency", Agency.objects.order_by("pk").first().pk),
        "users": _list("registry_user"),
        "services": _list("registry_service"),
        "service": _row("registry_service", service.pk),
        "sources": _list("dataservices_datasource"),
        "source": _row("dataservices_datasource", DataSource.objects.order_by("pk").first().pk),
        "add a source": reverse("admin:dataservices_datasource_add") + "?engine=postgresql",
        "all operations": _list("registry_operation"),
        "operations of a service": _list("registry_operation", f"?service__id__exact={service.pk}"),
        "operations": _list(operations),
        "operations, searched": _list(operations, f"?q={operation.code}"),
        "operations, last page": _list(operations, f"?{PAGE_VAR}={1 + (DataOperation.objects.count() - 1) // 50}"),
        "add an operation": reverse(f"admin:{operations}_add"),
        "operation": _row(operations, operation.pk),
        "callers of an operation": _row(operations, operation.pk, "callers"),
        "calls of an operation": _row(operations, operation.pk, "calls"),
        "versions of an operation": _row(operations, operation.pk, "versions"),
        "samples of an operation": reverse("compare_answers", args=(operation.pk,)),
        "proxy operations": _list("proxyservices_proxyoperation"),
        "backends": _list("proxyservices_backend"),
        "uploaded tables": _list("dataservices_uploadedtable"),
        "publish requests": _list("registry_publishrequest"),
        "health board": reverse("health_board"),
        "applications": _list("registry_application"),
        "application": _row("registry_application", application.pk),
        "keys": _list("registry_accesskey"),
        "key": _row("registry_accesskey", AccessKey.objects.order_by("pk").first().pk),
        "add a key": reverse("admin:registry_accesskey_add"),
        "grants": _list("registry_grant"),
        "grant": _row("registry_grant", Grant.objects.order_by("pk").first().pk),
        "add a grant": reverse("admin:registry_grant_add"),
        "search an operation to grant": reverse("admin:autocomplete") + autocomplete + operation.code,
        "history": _list(calls),
        "history, far back": _list(calls, f"?{PAGE_VAR}=o{call.pk + 50}"),
        "history of an agency": _list(calls, f"?of_agency={agency}"),
        "history of a service": _list(calls, f"?of_operation={agency}/{service_code}/"),
        "history of an operation": _list(calls, f"?of_operation={operation.address}"),
        "history of an application": _list(calls, f"?of_application={application}"),
        "history of an outcome": _list(calls, "?outcome_is=11101"),
        "history, failed": _list(calls, "?outcome_is=failed"),
        "history, aborted": _list(calls, "?outcome_is=broken"),
        "history by duration": _list(calls, "?o=-6"),
        "history by request id": _list(calls, f"?q={call.request_id}"),
        "call": _row(calls, call.pk),
    }
