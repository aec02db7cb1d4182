"""The pages of proxy services: operations that stand in front of another system's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from proxyservices.address_change import cutover
from proxyservices.admin.address_change import AddressChangePage
from proxyservices.admin.importing import ImportPage
from proxyservices.admin.inlines import DescriptionInline, MappingForm, MappingInline, UpstreamForm, UpstreamInline
from proxyservices.health import advice, connection_test, summary
from proxyservices.models import AddressChange, ParameterMapping, ProxyOperation, Upstream
from proxyservices.styles import style_of
from registry import versions
from registry.admin.operation_page import Tab
from registry.admin.services import FieldInline, OperationAdmin, ParameterInline
from registry.admin.theme import display, text_area

#: A word with which plan.recipe_of refuses an operation → what its author can do.
BROKEN: dict[str, Any] = {
    "path": _(
        "The operation cannot be called yet: a {parameter} in the path has no value, a mapping names a {parameter} "
        "that is not in the path, or the path does not fit this style."
    ),
    "parameter": _("The operation cannot be called yet: a mapping names a parameter that is not declared."),
    "form and JSON": _(
        "The operation cannot be called yet: mappings write into a form and into a JSON body. Choose one of the two."
    ),
    "header": _("The operation cannot be called yet: a mapping names a header that the bus itself sets."),
}


def wrong(operation: ProxyOperation) -> str:
    """Why nobody can call the operation as it is saved, or an empty text."""
    names = operation.parameters.order_by("position", "id").values_list("name", flat=True)
    try:
        style_of(operation, list(operation.mappings.all()), list(names))
    except ValueError as error:
        return str(BROKEN.get(str(error), BROKEN["path"]))
    if not operation.upstreams.filter(active=True).exists():
        return gettext("The operation cannot be called yet: none of its upstreams is in use.")
    return ""


#: How often the live state is looked at, in seconds, and how many changes of address are shown below it.
LIVE_SECONDS, CHANGES = 5, 10


@admin.register(ProxyOperation)
class ProxyOperationAdmin(ImportPage, AddressChangePage, OperationAdmin):
    list_display = ("address", "title", "state_label", "access", "style_label", "updated_at")
    list_before_template = "mantra/proxy_list.html"
    change_form_outer_before_template = "mantra/proxy_before.html"
    fieldsets = (
        (None, {"fields": (("service", "code"), "title", "description")}),
        (_("Request"), {"fields": (("style", "method"), "path")}),
        (_("Response"), {"fields": ("records_path",)}),
        (
            _("Forwarding"),
            {
                "classes": ("mantra-pass-through",),
                "fields": ("allowed_methods", "forwarded_request_headers", "returned_response_headers"),
            },
        ),
        (
            _("Limits"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("timeout_ms", "connect_timeout_ms", "read_timeout_ms"),
                    ("max_body_bytes", "max_concurrent_calls", "retries"),
                    ("stale_if_error_seconds", "forward_credentials"),
                ),
            },
        ),
        OperationAdmin.publication,
        OperationAdmin.rarely_used,
    )  # fmt: skip

    class Media:
        js = ("mantra/proxy.js",)

    def form_tabs(self) -> list[Tab]:
        query, *others = super().form_tabs()
        query.title = _("Request")
        return [query, Tab("upstreams", _("Upstreams"), "mantra/proxy_after.html"), *others]

    @display(description=_("style"), ordering="style")
    def style_label(self, operation: ProxyOperation) -> str:
        """The style without what it does, which the form tells."""
        name, colon, rest = operation.get_style_display().partition(":")
        return f"{name}:{rest}" if colon and operation.style.startswith("legacy") else name

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        found: list[Any] = [UpstreamInline, ParameterInline, MappingInline, FieldInline]
        if obj is not None and obj.descriptions.exists():
            found.append(DescriptionInline)
        return found

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("description", "forwarded_request_headers", "returned_response_headers"):
            kwargs["widget"] = text_area(2)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        name = "proxyservices_proxyoperation_import"
        return [path("import/", self.admin_site.admin_view(self.import_view), name=name), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        more = {"may_import": self.has_add_permission(request)}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def _create_formsets(self, request: HttpRequest, obj: Any, change: bool) -> tuple[list[Any], list[Any]]:
        """With the upstreams of the page known to its mappings: a secret may go to no server that is new."""
        formsets, inlines = super()._create_formsets(request, obj, change)
        by_model = {formset.model: formset for formset in formsets}
        if ParameterMapping in by_model:
            by_model[ParameterMapping].upstreams = by_model.get(Upstream)
        return formsets, inlines

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """With a parameter for each mark in the path that has none, and a line in the history for each address that
        was changed here, so that it can be gone back from.
        """
        forms = [each for formset in formsets for each in formset.forms if each.instance.pk]
        moves = [
            each for each in forms
            if isinstance(each, UpstreamForm) and "url" in each.changed_data and not each.cleaned_data.get("DELETE")
            and form.instance.draft_of_id is None  # a draft's way back is the earlier version
        ]  # fmt: skip
        mappings = {
            str(each.instance.pk): each.before for each in forms
            if isinstance(each, MappingForm) and each.instance.secret and "value" in each.changed_data
        }  # fmt: skip
        sent_before = {each.instance.pk: self._destinations(each.instance.pk) for each in moves}
        super().save_related(request, form, formsets, change)
        missing = form.instance.declare_missing()
        if missing:
            self.message_user(
                request,
                gettext("Parameters added for %(names)s. Check their types.") % {"names": ", ".join(missing)},
                messages.WARNING,
            )
        problem = wrong(form.instance)
        if problem:
            self.message_user(request, problem, messages.WARNING)
        for each in moves:
            old_url, credential = each.before
            secrets = {**({"credential": credential} if "credential" in each.changed_data else {}), **mappings}
            planned, user = cutover.Cutover(each.instance, each.instance.url), request.user
            cutover.record(planned, "switch", user, old_url, secrets, sent_before[each.instance.pk])  # type: ignore[arg-type]

    @staticmethod
    def _destinations(upstream: int) -> dict[str, frozenset[str]]:
        """Return where an upstream's stored row sends the secrets."""
        return cutover.destinations(Upstream.objects.get(pk=upstream))

    # ------------------------------------------------------------------------------------ live state

    def row_views(self) -> dict[str, Any]:
        own = {"live": self.live, "test": self.test, "change-address": self.change_address}
        return {**super().row_views(), **own}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        operation = kwargs.get("obj")
        if operation is not None:
            context["live_address"] = reverse("admin:proxyservices_proxyoperation_live", args=(operation.pk,))
            if self.has_change_permission(request, operation):
                context["change_address_url"] = reverse(
                    "admin:proxyservices_proxyoperation_change-address", args=(operation.pk,)
                )
        return super().render_change_form(request, context, *args, **kwargs)

    def live(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How the operation's upstreams fare now; its page asks for it over and over."""
        operation = self.get_or_404(request, object_id)
        if request.method != "GET":
            raise PermissionDenied
        rows = list(operation.upstreams.all())
        states = summary.live([row.pk for row in rows])
        alone = not request.headers.get("HX-Request")
        context = {
            "operation": operation,
            "seconds": LIVE_SECONDS,
            "live_address": request.path,
            "upstreams": [_shown(row, states[row.pk]) for row in rows],
            "changes": AddressChange.objects.filter(operation_ref=operation.pk)[:CHANGES],
            "may_change": self.has_change_permission(request, operation),
            "test_address": reverse("admin:proxyservices_proxyoperation_test", args=(operation.pk,)),
            "change_address_url": reverse("admin:proxyservices_proxyoperation_change-address", args=(operation.pk,)),
        }
        template = "mantra/proxy_live_page.html" if alone else "mantra/proxy_live.html"
        return self.render_page(request, template, _("Current state"), **context)

    @method_decorator(require_POST)
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask one upstream with what is saved, and say how it went."""
        operation = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, operation):
            raise PermissionDenied
        # The form shows the draft, if there is one. A single upstream is chosen among those that calls go to.
        rows = (versions.draft_of(operation) or operation).upstreams.all()
        chosen = request.POST.get("upstream", "")
        if chosen:
            rows = [get_object_or_404(operation.upstreams, pk=chosen if chosen.isdigit() else 0)]
        for row in rows:
            found = connection_test.check_connection(row)
            level = messages.SUCCESS if found.ok else messages.ERROR
            self.message_user(request, f"{row.url}: {found.text}", level)
        if not rows:
            self.message_user(request, _("The operation has no upstream yet."), messages.WARNING)
        return self.redirect_to(request, operation)

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        if not self.has_change_permission(request, obj):
            return []
        return [("test", ngettext("Test upstream", "Test upstreams", obj.upstreams.count()), "")]


#: A word of health.Summary.state → how people call it, and the colour of its label.
STATES: dict[str, tuple[Any, str]] = {
    "healthy": (_("healthy"), "yes"),
    "ejected": (_("ejected: other addresses are tried first"), "warn"),
    "open": (_("circuit open: calls are paused"), "no"),
    "half-open": (_("circuit half-open: the next call is a trial"), "warn"),
    "unknown": (_("not called recently"), "mute"),
    "off": (_("not in use"), "mute"),
}


def _shown(row: Upstream, state: summary.Summary) -> dict[str, Any]:
    """An upstream and its state, in the page's words."""
    label, colour = STATES["off" if not row.active else state.state]
    failure = ""
    if state.phase or state.reason:
        failure = f"{advice.phase_name(state.phase)}: {state.reason}" if state.phase else state.reason
    return {
        "row": row,
        "state": state,
        "label": label,
        "colour": colour,
        "milliseconds": None if state.latency_us is None else f"{state.latency_us / 1000:.1f}",
        "failure": failure,
        # What was wrong stays in sight; what to do about it only as long as it is wrong.
        "advice": advice.advise(state.phase, state.reason) if state.phase and state.state != "healthy" else "",
    }
