"""Pages of services, and the common part of the pages of operations."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from registry.admin.base import Neighbour, ScopedAdmin, StackedInline, TabularInline, listed
from registry.admin.bulk import BulkActions
from registry.admin.confirming import CodeForm
from registry.admin.filters import ScopedFilter
from registry.admin.operation_page import OperationPage, on_tab
from registry.admin.theme import ChoicesDropdownFilter, display, text_area
from registry.admin.versions import VersionedPage
from registry.models import CallRecord, Field, Grant, Operation, Parameter, Service

STATES = {"draft": "info", "published": "success", "deprecated": "warning", "retired": "danger"}


# --------------------------------------------------------------------------------------- services


class ServiceForm(CodeForm):
    def _addresses(self) -> int:
        return self.instance.operations.listed().count()


@admin.register(Service)
class ServiceAdmin(ScopedAdmin):
    form = ServiceForm
    autocomplete_fields = ("agency",)
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
    def operation_count(self, service: Any) -> str:
        return format_html(
            '<a href="{}">{}</a>', listed(Operation, service__id__exact=service.pk), service.operation_total
        )

    def neighbours(self, request: HttpRequest, obj: Any) -> list[Neighbour]:
        grants = Grant.objects.filter(operation__service=obj.pk)
        calls = f"{obj.agency.code}/{obj.code}/"
        return [
            Neighbour(_("Operations"), Operation, {"service__id__exact": obj.pk}, obj.operations.listed()),
            Neighbour(_("Callers"), Grant, {"operation__service__id__exact": obj.pk}, grants),
            Neighbour(_("Calls"), CallRecord, {"of_operation": calls}),
        ]

    def statistics_address(self, request: HttpRequest, obj: Any) -> str:
        return reverse("statistics_service", args=(obj.agency.code, obj.code))


@admin.register(Operation)
class AllOperationsAdmin(ScopedAdmin):
    """The operations of all kinds in one list. Each is changed on the page of its kind."""

    list_display = ("address", "title", "kind", "state_label", "access", "updated_at")
    list_display_links = ("address", "title")
    list_filter = (("state", ChoicesDropdownFilter), ("service__agency", ScopedFilter), ("service", ScopedFilter))
    list_select_related = ("service__agency",)
    search_fields = ("code", "title", "service__code", "service__agency__code")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(draft_of=None)

    @display(description=_("address"), ordering="code")
    def address(self, operation: Operation) -> str:
        return operation.address

    @display(description=_("state"), ordering="state", label=STATES)
    def state_label(self, operation: Operation) -> tuple[str, str]:
        return operation.state, operation.get_state_display()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Redirect to the page of the operation's kind."""
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        row = self.get_or_404(request, object_id).of_its_kind
        return redirect(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", row.pk)


class OperationAdmin(OperationPage, BulkActions, VersionedPage):
    """The common part of the pages of all kinds of operation."""

    list_display: tuple[Any, ...] = ("address", "title", "state_label", "access_label", "updated_at")
    list_display_links = ("address", "title")
    list_filter: tuple[Any, ...] = (
        ("state", ChoicesDropdownFilter),
        ("access", ChoicesDropdownFilter),
        ("service__agency", ScopedFilter),
        ("service", ScopedFilter),
    )
    list_select_related: tuple[str, ...] = ("service__agency",)
    search_fields = ("code", "title", "service__code", "service__agency__code")
    readonly_fields = ("updated_at",)
    change_form_outer_before_template = "mantra/operation_before.html"
    autocomplete_fields: tuple[str, ...] = ("service",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        fields = Field.objects.filter(operation=OuterRef("pk"))
        closed = fields.exclude(classification=Field.Classification.PUBLIC)
        return super().get_queryset(request).annotate(has_fields=Exists(fields), has_closed_fields=Exists(closed))

    publication: ClassVar[tuple[Any, dict[str, Any]]] = (
        _("Publication"),
        {"classes": on_tab("access"), "fields": (("state", "access"), "listing", "updated_at")},
    )
    undeclared: ClassVar[tuple[Any, dict[str, Any]]] = (
        _("Personal data that is not declared"),
        {"classes": on_tab("access"), "fields": (("guard", "guard_expected"),)},
    )
    rarely_used: ClassVar[tuple[Any, dict[str, Any]]] = (
        _("Cache, sunset and earlier names"),
        {"classes": on_tab("access", "collapse"), "fields": (("sunset", "cache_seconds"), "legacy_name")},
    )

    @display(description=_("address"), ordering="code")
    def address(self, operation: Any) -> str:
        return str(operation.address)

    @display(description=_("access"), ordering="access", label={"broken": "danger"})
    def access_label(self, operation: Any) -> tuple[str, Any]:
        """The access; for one that no operation may have with such fields, from before there was a rule, that too."""
        is_open = operation.access == Operation.Access.OPEN
        if is_open and operation.is_callable and (operation.has_closed_fields or not operation.has_fields):
            return "broken", _("open, not all columns are public")
        return operation.access, _("open") if is_open else _("restricted")

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
    fields = ("position", "name", "type", "classification", "mask", "description")
