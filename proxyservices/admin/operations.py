"""The pages of proxy services: operations that stand in front of another system's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyservices.admin.importing import ImportPage
from proxyservices.admin.inlines import DescriptionInline, MappingInline
from proxyservices.admin.samples import SamplesPage
from proxyservices.models import Backend, ProxyOperation
from proxyservices.publishing import problem_of
from registry import tenancy
from registry.admin.numbers import number_of
from registry.admin.operation_page import Tab
from registry.admin.services import FieldInline, OperationAdmin, ParameterInline
from registry.admin.theme import display, text_area
from registry.admin.to_verification import ToVerification


@admin.register(ProxyOperation)
class ProxyOperationAdmin(ImportPage, SamplesPage, ToVerification, OperationAdmin):
    list_display = ("address", "title", "state_label", "access_label", "style_label", "updated_at")
    list_before_template = "mantra/proxy_list.html"
    change_form_outer_before_template = "mantra/proxy_before.html"
    fieldsets = (
        (None, {"fields": (("service", "code"), "title", "description")}),
        (_("Request"), {"fields": ("backend", ("style", "method"), "path")}),
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
        OperationAdmin.undeclared,
        OperationAdmin.rarely_used,
    )  # fmt: skip

    autocomplete_fields = ("backend",)

    class Media:
        js = ("mantra/proxy.js",)

    def form_tabs(self) -> list[Tab]:
        query, *others = super().form_tabs()
        query.title = _("Request")
        return [query, Tab("backend", _("Backend"), "mantra/proxy_after.html"), *others]

    @display(description=_("style"), ordering="style")
    def style_label(self, operation: ProxyOperation) -> str:
        """The style without what it does, which the form tells."""
        name, colon, rest = operation.get_style_display().partition(":")
        return f"{name}:{rest}" if colon and operation.style.startswith("legacy") else name

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        found: list[Any] = [ParameterInline, MappingInline, FieldInline]
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

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """With a parameter for each mark in the path that has none."""
        super().save_related(request, form, formsets, change)
        missing = form.instance.declare_missing()
        if missing:
            self.message_user(
                request,
                gettext("Parameters added for %(names)s. Check their types.") % {"names": ", ".join(missing)},
                messages.WARNING,
            )
        problem = problem_of(form.instance)
        if problem:
            self.message_user(request, problem, messages.WARNING)

    def row_views(self) -> dict[str, Any]:
        return {**super().row_views(), "samples": self.samples_view}

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        chosen = self._chosen_backend(request)
        return {**super().get_changeform_initial_data(request), **({"backend": chosen.pk} if chosen else {})}

    def _chosen_backend(self, request: HttpRequest) -> Backend | None:
        """Return the backend that was made for this form, None if none was."""
        number = number_of(request.GET.get("backend", ""))
        return tenancy.referable(ProxyOperation, "backend", request.user).filter(pk=number).first() if number else None

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        operation = kwargs.get("obj")
        if request.user.has_perm("proxyservices.add_backend"):
            made_for = f"?operation={operation.pk if operation else ''}"
            context["new_backend_url"] = reverse("admin:proxyservices_backend_add") + made_for
        if operation is not None:
            context |= self._links(request, operation)
            if chosen := self._chosen_backend(request):
                context["adminform"].form.initial["backend"] = chosen.pk
        return super().render_change_form(request, context, *args, **kwargs)

    def _links(self, request: HttpRequest, operation: ProxyOperation) -> dict[str, Any]:
        """Return the addresses of the operation's samples, and of its backend's pages."""
        links: dict[str, Any] = {}
        changes = self.has_change_permission(request, operation)
        if changes:
            links["samples_url"] = reverse("admin:proxyservices_proxyoperation_samples", args=(operation.pk,))
        if operation.backend is not None and request.user.has_perm("proxyservices.view_backend"):
            page, place = "admin:proxyservices_backend_", (operation.backend_id,)
            links |= {"backend": operation.backend, "backend_url": reverse(page + "change", args=place)}
            links["live_address"] = reverse(page + "live", args=place)
            if changes:
                links["change_address_url"] = reverse(page + "change-address", args=place)
        return links
