"""The pages of data operations."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dataservices.models import DataOperation
from registry.admin.filters import ScopedFilter
from registry.admin.services import FieldInline, OperationAdmin, ParameterInline
from registry.admin.theme import code_area, code_block, text_area


@admin.register(DataOperation)
class DataOperationAdmin(OperationAdmin):
    list_display = ("address", "title", "state_label", "access", "source", "writes", "updated_at")
    list_filter = (*OperationAdmin.list_filter, ("source", ScopedFilter), "writes")
    list_select_related = ("service__agency", "source__agency")
    inlines = (ParameterInline, FieldInline)
    #: For users who may only view: SQL keeps its line breaks.
    readonly_preprocess_fields: ClassVar[dict[str, Any]] = {"sql": code_block}
    fieldsets = (
        (None, {"fields": (("service", "code"), "title", "description")}),
        (_("Query"), {"fields": ("source", "sql", ("max_rows", "timeout_ms"), "page_size", "writes")}),
        OperationAdmin.publication,
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "sql":
            kwargs["widget"] = code_area()
        elif db_field.name == "description":
            kwargs["widget"] = text_area()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def choices(self, field: str, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        return rows.select_related("agency")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Add a parameter for each placeholder that has none: without it the SQL cannot be run."""
        super().save_related(request, form, formsets, change)
        missing = form.instance.declare_missing()
        if missing:
            self.message_user(
                request,
                gettext("Parameters added for %(names)s. Check their types.") % {"names": ", ".join(missing)},
                messages.WARNING,
            )
