"""The pages of verification operations."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from mantra.verification.models import VerificationOperation, VerifiedField, declare, inconsistencies
from registry.admin.base import TabularInline
from registry.admin.filters import ScopedFilter
from registry.admin.operation_page import Tab, on_tab
from registry.admin.services import OperationAdmin
from registry.admin.theme import ChoicesDropdownFilter, text_area
from registry.models import Operation

#: What can be compared with: published operations that give records.
_CALLABLE = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)
_WITH_RECORDS = (Operation.Kind.DATA, Operation.Kind.PROXY)


class VerifiedFieldInline(TabularInline):
    model = VerifiedField
    on_tab = "query"
    template_before = "verification/fields_hint.html"
    fields = ("position", "name", "column", "rule", "threshold", "description")


@admin.register(VerificationOperation)
class VerificationOperationAdmin(OperationAdmin):
    list_display = ("address", "title", "state_label", "base", "updated_at")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("service__agency", ScopedFilter),
        ("service", ScopedFilter),
        "hides_existence",
    )
    list_select_related = ("service__agency", "base__service__agency")
    autocomplete_fields = ("service", "base")
    inlines = (VerifiedFieldInline,)
    list_before_template = "verification/list.html"
    fieldsets = (
        (None, {"fields": (("service", "code"), "title", "description")}),
        (_("Comparison"), {"fields": ("base", "min_fields")}),
        (
            _("Protection against guessing"),
            {"fields": (("tries", "tries_of_all", "lock_minutes"), "hides_existence")},
        ),
        (
            _("Publication"),
            {"classes": on_tab("access"), "fields": (("state", "listing"), "updated_at")},
        ),
        (
            _("Sunset and earlier names"),
            {"classes": on_tab("access", "collapse"), "fields": ("sunset", "legacy_name")},
        ),
    )
    #: Access and caching are fixed: it always needs a grant, and each try is counted.
    exclude: ClassVar[tuple[str, ...]] = ("access", "cache_seconds", "guard", "guard_expected")

    def form_tabs(self) -> list[Tab]:
        return [
            Tab("query", _("Comparison"), "mantra/operation_query.html"),
            Tab("response", _("Request and response"), "verification/derived.html"),
            Tab("access", _("Access")),
        ]

    def choices(self, field: str, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        rows = super().choices(field, rows, request)
        return rows.filter(kind__in=_WITH_RECORDS, state__in=_CALLABLE) if field == "base" else rows

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "description":
            kwargs["widget"] = text_area(2)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Declare what callers send and get, which follows from the base and the verified fields."""
        super().save_related(request, form, formsets, change)
        declare(form.instance)
        for problem in inconsistencies(form.instance):
            self.message_user(request, problem, messages.WARNING)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        shown = context["adminform"].form.instance
        if shown.pk is not None:
            context["derived_parameters"] = list(shown.parameters.all())
            context["derived_fields"] = list(shown.fields.all())
        return super().render_change_form(request, context, *args, **kwargs)
