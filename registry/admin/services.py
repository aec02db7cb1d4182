"""Pages of services, and the common part of the pages of operations."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from registry.admin.base import ScopedAdmin, StackedInline, TabularInline
from registry.admin.filters import ScopedFilter
from registry.admin.operation_page import OperationPage, on_tab
from registry.admin.theme import ChoicesDropdownFilter, display, text_area
from registry.admin.versions import VersionedPage
from registry.models import Field, Parameter, Service

STATES = {"draft": "info", "published": "success", "deprecated": "warning", "retired": "danger"}


# --------------------------------------------------------------------------------------- services


@admin.register(Service)
class ServiceAdmin(ScopedAdmin):
    list_display = ("code", "title", "agency", "classification", "operation_count")
    list_display_links = ("code", "title")
    list_filter = (("agency", ScopedFilter), ("classification", ChoicesDropdownFilter))
    list_select_related = ("agency",)
    ordering = ("agency__code", "code")
    search_fields = ("code", "title", "agency__code", "tags")
    fieldsets = (
        (None, {"fields": ("agency", "code", "title", "description")}),
        (_("Catalogue"), {"fields": ("classification", "tags", "contact", "legacy_name")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return (
            super()
            .get_queryset(request)
            .annotate(operation_total=Count("operations", filter=Q(operations__draft_of=None)))
        )

    @display(description=_("operations"), ordering="operation_total")
    def operation_count(self, service: Any) -> int:
        return int(service.operation_total)


class OperationAdmin(OperationPage, VersionedPage):
    """The common part of the pages of both kinds of operation."""

    list_display: tuple[Any, ...] = ("address", "title", "state_label", "access", "updated_at")
    list_display_links = ("address", "title")
    list_filter: tuple[Any, ...] = (
        ("state", ChoicesDropdownFilter),
        ("access", ChoicesDropdownFilter),
        ("service__agency", ScopedFilter),
        ("service", ScopedFilter),
    )
    list_select_related: tuple[str, ...] = ("service__agency",)
    search_fields = ("code", "title", "service__code", "service__agency__code")
    readonly_fields = ("revision", "updated_at")
    change_form_outer_before_template = "mantra/operation_before.html"

    publication: ClassVar[tuple[Any, dict[str, Any]]] = (
        _("Publication"),
        {"classes": on_tab("access"), "fields": (("state", "access"), ("revision", "updated_at"))},
    )
    rarely_used: ClassVar[tuple[Any, dict[str, Any]]] = (
        _("Cache, sunset and earlier names"),
        {"classes": on_tab("access", "collapse"), "fields": (("sunset", "cache_seconds"), "legacy_name")},
    )

    @display(description=_("address"), ordering="code")
    def address(self, operation: Any) -> str:
        return str(operation.address)

    @display(description=_("state"), ordering="state", label=STATES)
    def state_label(self, operation: Any) -> tuple[str, str]:
        return operation.state, operation.get_state_display()


class ParameterInline(StackedInline):
    model = Parameter
    on_tab = "parameters"
    classes = ("mantra-compact",)
    fieldsets = (
        (None, {"fields": (("name", "type", "required", "description"),)}),
        (
            _("Details"),
            {
                "classes": ("collapse",),
                "fields": (("default", "min", "max", "pattern"), ("choices", "legacy_name"), ("subject", "position")),
            },
        ),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "choices":
            kwargs["widget"] = text_area(2)
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class FieldInline(TabularInline):
    model = Field
    on_tab = "columns"
    template_before = "mantra/fields_hint.html"
    fields = ("position", "name", "type", "classification", "description")
