"""The pages of the admin that people open most, by name, in a registry of any size."""

from __future__ import annotations

from django.contrib.admin.views.main import PAGE_VAR
from django.urls import reverse

from dataservices.models import DataOperation, DataSource, UploadedTable
from mantra.legacy_import.models import HostComparison, LegacyImport
from mantra.reconciliation.models import Reconciliation
from mantra.synchronization.models import Sync
from mantra.verification.models import VerificationOperation
from proxyservices.models import Backend, ProxyOperation
from registry.models import (
    AccessKey,
    AccessRequest,
    Agency,
    Application,
    CallRecord,
    ClientCertificate,
    Grant,
    HarvestAlarm,
    HarvestRule,
    PublishRequest,
    Service,
)


def _list(name: str, query: str = "") -> str:
    return reverse(f"admin:{name}_changelist") + query


def _row(name: str, pk: int, view: str = "change") -> str:
    return reverse(f"admin:{name}_{view}", args=(pk,))


def pages() -> dict[str, str]:
    """Return the address of each page. The registry has at least one row of each kind."""
    operation, service, application, proxy, backend, uploaded, request, call = (
        model.objects.order_by("pk").first()
        for model in (
            DataOperation, Service, Application, ProxyOperation, Backend, UploadedTable, PublishRequest, CallRecord,
        )
    )  # fmt: skip
    agency, service_code, _code = operation.address.split("/")
    calls, operations = "registry_callrecord", "dataservices_dataoperation"
    proxies, backends = "proxyservices_proxyoperation", "proxyservices_backend"
    uploads = "dataservices_uploadedtable"
    verifications = "verification_verificationoperation"
    verification = VerificationOperation.objects.order_by("pk")[0]
    autocomplete = "?app_label=registry&model_name=grant&field_name=operation&term="
    return {
        "server": reverse("server"),
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
        "two versions compared": _row(operations, operation.pk, "compare") + "?old=1&new=2",
        "proxy operations": _list(proxies),
        "proxy operation": _row(proxies, proxy.pk),
        "add a proxy operation": reverse(f"admin:{proxies}_add"),
        "import proxy operations": reverse(f"admin:{proxies}_import"),
        "verifications": _list(verifications),
        "verification": _row(verifications, verification.pk),
        "versions of a verification": _row(verifications, verification.pk, "versions"),
        "add a verification": reverse(f"admin:{verifications}_add"),
        "what can be verified": reverse("verification_choose"),
        "make a verification": reverse("verification_propose", args=(verification.base_id,)),
        "backends": _list(backends),
        "backends, last page": _list(backends, f"?{PAGE_VAR}={1 + (Backend.objects.count() - 1) // 50}"),
        "backend": _row(backends, backend.pk),
        "state of a backend": _row(backends, backend.pk, "live"),
        "change an address": _row(backends, backend.pk, "change-address"),
        "health board": reverse("health_board"),
        "statistics": reverse("statistics"),
        "statistics of an agency": reverse("statistics_agency", args=(agency,)),
        "statistics of an agency, what follows": reverse("statistics_agency", args=(agency,)) + "?part=further",
        "statistics of an application": reverse("statistics_application", args=(application.pk,)),
        "who calls whom": reverse("statistics_matrix"),
        "latest calls": reverse("statistics_live"),
        "catalogue": reverse("catalogue"),
        "catalogue, searched": reverse("catalogue") + "?q=data&column=nip",
        "uploaded tables": _list(uploads),
        "uploaded table": _row(uploads, uploaded.pk),
        "synchronisations": _list("synchronization_sync"),
        "synchronisation": _row("synchronization_sync", Sync.objects.order_by("pk").first().pk),  # type: ignore[union-attr]
        "add a synchronisation": reverse("admin:synchronization_sync_add"),
        "publish requests": _list("registry_publishrequest"),
        "publish request": _row("registry_publishrequest", request.pk),
        "access requests": _list("registry_accessrequest"),
        "access request": _row("registry_accessrequest", AccessRequest.objects.order_by("pk").first().pk),
        "publish data": reverse("wizard"),
        "applications": _list("registry_application"),
        "application": _row("registry_application", application.pk),
        "keys": _list("registry_accesskey"),
        "key": _row("registry_accesskey", AccessKey.objects.order_by("pk").first().pk),
        "add a key": reverse("admin:registry_accesskey_add"),
        "client certificates": _list("registry_clientcertificate"),
        "client certificate": _row("registry_clientcertificate", ClientCertificate.objects.order_by("pk").first().pk),
        "add a client certificate": reverse("admin:registry_clientcertificate_add"),
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
        "history by duration": _list(calls, "?o=-5"),
        "history by duration, of an agency": _list(calls, f"?o=-5&of_agency={agency}"),
        "history of a source": _list(calls, f"?of_origin=source:{agency}/{operation.source.code}"),
        "history of specific personal data": _list(calls, "?classification_is=specific"),
        "history by request id": _list(calls, f"?q={call.request_id}"),
        "call": _row(calls, call.pk),
        "changes of definitions": _list("registry_changerecord"),
        "changes of a row": _list("registry_changerecord", f"?of_row=registry.dataoperation:{operation.pk}"),
        "who looked at a person": reverse("subject_access"),
        "leaked key": reverse("leaked_key"),
        "use of a key": reverse("key_use", args=(AccessKey.objects.order_by("pk").first().pk,)),
        "reconciliations": reverse("reconciliations"),
        "reconciliation": reverse("reconciliation", args=(Reconciliation.objects.order_by("pk")[0].pk,)),
        "moving in": reverse("moving_in"),
        "upload a dump": reverse("moving_in_new"),
        "connect to the old server": reverse("moving_in_new") + "?from=server",
        "report of an import": reverse("moving_in_run", args=(LegacyImport.objects.order_by("pk")[0].pk,)),
        "report of an import, filtered": reverse("moving_in_run", args=(LegacyImport.objects.order_by("pk")[0].pk,))
        + "?task=programs&outcome=person",
        "compare hosts": reverse("moving_in_compare", args=(LegacyImport.objects.order_by("pk")[0].pk,)),
        "comparison of hosts": reverse("moving_in_comparison", args=(HostComparison.objects.order_by("-pk")[0].pk,)),
        "comparison of hosts, of a kind": reverse(
            "moving_in_comparison", args=(HostComparison.objects.order_by("-pk")[0].pk,)
        )
        + "?kind=value",
        "calls of 1.99x": reverse("moving_in_calls"),
        "jobs": reverse("jobs"),
        "exports": reverse("exports"),
        "export the history": reverse("export_history") + "?outcome_is=failed",
        "notifications": reverse("notifications"),
        "how to be notified": reverse("notification_choices"),
        "outbox": _list("registry_outboxmessage"),
        "alarm rules": _list("registry_harvestrule"),
        "alarm rule": _row("registry_harvestrule", HarvestRule.objects.order_by("pk")[0].pk),
        "what a rule would have found": _row("registry_harvestrule", HarvestRule.objects.order_by("pk")[0].pk, "past"),
        "alarms": _list("registry_harvestalarm"),
        "alarm": _row("registry_harvestalarm", HarvestAlarm.objects.order_by("pk")[0].pk),
        "texts of messages": reverse("message_templates"),
        "text of a message": reverse("message_template", args=("grant_ending", "id")),
        "test e-mail": reverse("test_mail"),
    }
