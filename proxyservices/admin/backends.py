"""The pages of backends: their servers, how they are, the operations that use them, and moves to other addresses."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from proxyservices.address_change import cutover
from proxyservices.admin.address_change import AddressChangePage
from proxyservices.health import advice, connection_test, summary
from proxyservices.models import AddressChange, Backend, BackendServer, ProxyOperation
from proxyservices.publishing import publish_together
from registry import tenancy
from registry.admin.base import ScopedAdmin, StackedInline
from registry.admin.bulk import ReasonPage, say_published
from registry.admin.filters import ScopedFilter
from registry.admin.numbers import number_of
from registry.admin.secrets_form import SecretsForm
from registry.admin.theme import display, password_input, text_area
from registry.approvals import ReasonNeeded
from registry.secrets import readable

#: How often the live state is looked at, in seconds, how many changes of address are shown below it, and operations.
LIVE_SECONDS, CHANGES, OPERATIONS = 5, 10, 100

_CREDENTIAL = (("credential_kind", "credential_name"), "credential", ("token_url", "scope"))
_CERTIFICATES = ("client_certificate", "ca_certificate")
_PROBE = (
    ("probe_interval_seconds", "probe_method", "probe_path"),
    ("probe_expected_statuses", "probe_expected_text"),
)


class _SettingsFields:
    """The form fields of ServerSettings."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "credential":
            kwargs["widget"] = password_input()
        elif db_field.name in _CERTIFICATES:
            kwargs["widget"] = text_area(4)
        found = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]
        if db_field.name in ("credential", "client_certificate"):
            kept = gettext("Stored encrypted and never shown again.")
            found.help_text = f"{found.help_text} {kept}".strip()
        if db_field.name == "credential":
            found.strip = False
        return found


class ServerForm(SecretsForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The row as it was stored, and where it sent the secrets: an address that is edited here can be rolled back.
        self.before: BackendServer | None = None
        self.sent_before: dict[str, frozenset[str]] = {}
        if self.is_bound and self.instance.pk:
            self.before = BackendServer.objects.select_related("backend").get(pk=self.instance.pk)
            self.sent_before = cutover.destinations(self.before)


class ServerInline(_SettingsFields, StackedInline):
    model = BackendServer
    form = ServerForm
    fieldsets = (
        (None, {"fields": ("url", ("priority", "weight"), ("active", "own_settings"))}),
        (_("Credential of its own"), {"classes": ("mantra-own-settings",), "fields": _CREDENTIAL}),
        (_("Certificates of its own"), {"classes": ("mantra-own-settings",), "fields": _CERTIFICATES}),
        (_("Probe of its own"), {"classes": ("mantra-own-settings",), "fields": _PROBE}),
    )

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 1 if obj is None else 0


@admin.register(Backend)
class BackendAdmin(_SettingsFields, AddressChangePage, ReasonPage, ScopedAdmin):
    form = SecretsForm
    inlines = (ServerInline,)
    list_display = ("code", "title", "agency", "health_label", "operation_count", "addresses")
    statistics_page = "statistics_backend"
    list_display_links = ("code", "title")
    list_filter = (("agency", ScopedFilter),)
    list_select_related = ("agency",)
    ordering = ("agency__code", "code")
    search_fields = ("code", "title", "agency__code", "servers__url")
    change_form_outer_before_template = "mantra/backend_before.html"
    change_form_outer_after_template = "mantra/backend_after.html"
    fieldsets = (
        (None, {"fields": ("agency", ("code", "title"), "contact")}),
        (_("Credential"), {"fields": _CREDENTIAL}),
        (_("Certificates"), {"classes": ("collapse",), "fields": _CERTIFICATES}),
        (_("Probe"), {"classes": ("collapse",), "fields": _PROBE}),
        (_("Limits"), {"classes": ("collapse",), "fields": ("max_concurrent_calls",)}),
    )

    class Media:
        js = ("mantra/proxy.js",)

    # ------------------------------------------------------------------------------------ the list

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return (
            super()
            .get_queryset(request)
            .annotate(operation_total=Count("operations", filter=Q(operations__draft_of=None), distinct=True))
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().changelist_view(request, extra_context)
        changelist = getattr(response, "context_data", {}).get("cl")
        if changelist is not None:  # the state of the whole page's servers in one query
            _give_health(changelist.result_list)
        return response

    @display(description=_("operations"), ordering="operation_total")
    def operation_count(self, backend: Any) -> int:
        return int(backend.operation_total)

    @display(description=_("servers"))
    def addresses(self, backend: Any) -> str:
        first, *others = [row.url for row in getattr(backend, "rows", ())] or ["–"]
        return f"{first} +{len(others)}" if others else first

    @display(
        description=_("health"),
        label={"yes": "success", "warn": "warning", "no": "danger", "mute": "info"},
    )
    def health_label(self, backend: Any) -> tuple[str, str]:
        label, colour = STATES[getattr(backend, "health", "unknown")]
        return colour, str(label)

    # ------------------------------------------------------------------------------------ the form

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """With a line in the history for each address that was changed here, so that it can be rolled back."""
        moves = [
            each for formset in formsets for each in formset.forms
            if each.before is not None and "url" in each.changed_data and not each.cleaned_data.get("DELETE")
        ]  # fmt: skip
        super().save_related(request, form, formsets, change)
        for each in moves:
            after = BackendServer.objects.select_related("backend").get(pk=each.instance.pk)
            before = readable(each.before.settings.credential)
            secrets = {"credential": before} if before != readable(after.settings.credential) else {}
            planned, user = cutover.Cutover(after, after.url), request.user
            cutover.record(planned, "switch", user, each.before.url, secrets, each.sent_before)  # type: ignore[arg-type]

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Go back to the operation whose page led here, with the new backend chosen."""
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        operation = request.GET.get("operation")
        if operation is None or "_save" not in request.POST:
            return response
        page = "admin:proxyservices_proxyoperation_"
        number = number_of(operation)
        address = reverse(page + "change", args=(number,)) if number else reverse(page + "add")
        return HttpResponseRedirect(f"{address}?{urlencode({'backend': obj.pk})}")

    def row_views(self) -> dict[str, Any]:
        return {
            "live": self.live, "test": self.test, "change-address": self.change_address,
            "publish-drafts": self.publish_drafts,
        }  # fmt: skip

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        if not self.has_change_permission(request, obj):
            return []
        return [("test", ngettext("Test server", "Test servers", obj.servers.count()), "")]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        backend = kwargs.get("obj")
        if backend is not None:
            context |= self._links(request, backend) | _operations(request, backend)
        return super().render_change_form(request, context, *args, **kwargs)

    def _links(self, request: HttpRequest, backend: Backend) -> dict[str, Any]:
        links = {"live_address": reverse("admin:proxyservices_backend_live", args=(backend.pk,))}
        if self.has_change_permission(request, backend):
            links["change_address_url"] = reverse("admin:proxyservices_backend_change-address", args=(backend.pk,))
            links["publish_url"] = reverse("admin:proxyservices_backend_publish-drafts", args=(backend.pk,))
        return links

    # ------------------------------------------------------------------------------------ further views

    def live(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How the backend's servers are now; its page and those of its operations poll it."""
        backend = self.get_or_404(request, object_id)
        if request.method != "GET":
            raise PermissionDenied
        rows = list(backend.servers.all())
        states = summary.live([row.pk for row in rows])
        alone = not request.headers.get("HX-Request")
        context = {
            "backend": backend,
            "seconds": LIVE_SECONDS,
            "servers": [shown(row, states[row.pk]) for row in rows],
            "changes": AddressChange.objects.filter(backend_ref=backend.pk)[:CHANGES],
            "may_change": self.has_change_permission(request, backend),
            "test_address": reverse("admin:proxyservices_backend_test", args=(backend.pk,)),
            **self._links(request, backend),
        }
        template = "mantra/proxy_live_page.html" if alone else "mantra/proxy_live.html"
        return self.render_page(request, template, _("Current state"), **context)

    @method_decorator(require_POST)
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send each server, or one, what its probe sends, by what is saved, and show the outcome."""
        backend = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, backend):
            raise PermissionDenied
        rows = backend.servers.select_related("backend")
        if chosen := request.POST.get("server", ""):
            rows = [get_object_or_404(rows, pk=number_of(chosen))]
        for row in rows:
            found = connection_test.check_connection(row)
            level = messages.SUCCESS if found.ok else messages.ERROR
            self.message_user(request, f"{row.url}: {found.text}", level)
        if not rows:
            self.message_user(request, _("The backend has no server yet."), messages.WARNING)
        return self.redirect_to(request, backend)

    @method_decorator(require_POST)
    def publish_drafts(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Publish the backend's draft operations together, or request it where a second person must approve."""
        backend = self.get_or_404(request, object_id)
        rows = list(_drafts(backend).select_related("service__agency", "backend"))
        allowed = request.user.has_perm("proxyservices.change_proxyoperation")
        if not allowed or not all(tenancy.may_change(request.user, row) for row in rows):
            raise PermissionDenied
        try:
            made = publish_together(rows, request.user, request.POST.get("reason", "").strip())  # type: ignore[arg-type]
        except ReasonNeeded as needed:
            return self.ask_reason(request, needed.messages)
        except ValidationError as error:
            for message in error.messages:
                self.message_user(request, message, messages.ERROR)
        else:
            say_published(request, made)
        return self.redirect_to(request, backend)


def _drafts(backend: Backend) -> QuerySet[Any]:
    return backend.operations.listed().filter(state=ProxyOperation.State.DRAFT)


def _operations(request: HttpRequest, backend: Backend) -> dict[str, Any]:
    """Return what the page shows of the operations that use the backend."""
    rows = tenancy.visible(backend.operations.listed().select_related("service__agency"), request.user)
    return {"operations": rows[:OPERATIONS], "operation_total": rows.count(), "drafts": _drafts(backend).count()}


#: A word of health.Summary.state → how people call it, and the colour of its label.
STATES: dict[str, tuple[Any, str]] = {
    "healthy": (_("healthy"), "yes"),
    "ejected": (_("ejected: other addresses are tried first"), "warn"),
    "open": (_("circuit open: calls are paused"), "no"),
    "half-open": (_("circuit half-open: the next call is a trial"), "warn"),
    "unknown": (_("not called recently"), "mute"),
    "off": (_("not in use"), "mute"),
}


def _give_health(backends: Any) -> None:
    """Give backends their servers (``rows``) and their state (``health``), in two queries for all."""
    servers: dict[int, list[BackendServer]] = {}
    for row in BackendServer.objects.filter(backend__in=[each.pk for each in backends]).order_by("priority", "id"):
        servers.setdefault(row.backend_id, []).append(row)
    states = summary.live([row.pk for rows in servers.values() for row in rows if row.active])
    for backend in backends:
        backend.rows = servers.get(backend.pk, [])
        backend.health = summary.worst(states[row.pk].state for row in backend.rows if row.active)


def shown(row: BackendServer, state: summary.Summary) -> dict[str, Any]:
    """A server and its state, in the page's words."""
    label, colour = STATES["off" if not row.active else state.state]
    return {
        "row": row,
        "state": state,
        "label": label,
        "colour": colour,
        "milliseconds": None if state.latency_us is None else f"{state.latency_us / 1000:.1f}",
        "failure": advice.failure_name(state.phase, state.reason),
        # What was wrong stays in sight; what to do about it only as long as it is wrong.
        "advice": advice.advise(state.phase, state.reason) if state.phase and state.state != "healthy" else "",
    }
