"""The pages of proxy services: operations that stand in front of another system's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from proxyservices.models import ProxyOperation, Upstream
from registry.admin import FieldInline, OperationAdmin, ParameterInline
from registry.admin_base import SecretsForm, TabularInline, password_input, text_area


class UpstreamForm(SecretsForm):
    places = ("url",)


class UpstreamInline(TabularInline):
    model = Upstream
    form = UpstreamForm
    fields = ("position", "url", "credential")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "credential":
            kwargs["widget"] = password_input()
        return super().formfield_for_dbfield(db_field, request, **kwargs)


@admin.register(ProxyOperation)
class ProxyOperationAdmin(OperationAdmin):
    list_display = ("address", "title", "state_label", "access", "style", "updated_at")
    inlines = (UpstreamInline, ParameterInline, FieldInline)
    fieldsets = (
        (None, {"fields": (("service", "code"), "title", "description")}),
        (_("Upstream service"), {"fields": (("style", "method"), "path", ("time_cap_ms", "size_cap"))}),
        OperationAdmin.publication,
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "description":
            kwargs["widget"] = text_area()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def choices(self, field: str, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        return rows.select_related("agency")
