"""The pages of data operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dataservices.models import DataOperation
from dataservices.plan import parameters_message, unused_message
from dataservices.routines import with_lookups
from dataservices.sql import TemplateError
from registry.admin.base import ListFormSet
from registry.admin.filters import ScopedFilter
from registry.admin.services import FieldInline, OperationAdmin, ParameterInline
from registry.admin.theme import code_area, code_block, text_area
from registry.models import Parameter


class DataParameterFormSet(ListFormSet):
    """The parameters of one operation, with its SQL as the form has it."""

    def clean(self) -> None:
        """Report parameters without a placeholder, and removed ones with one: what was never declared is on saving."""
        super().clean()
        forms = {form.cleaned_data["name"]: form for form in self._remaining_forms()}
        if self.instance.pk and self.instance.source_id and not any(self.errors):
            removed = {row.name for row in Parameter.objects.filter(operation=self.instance)} - set(forms)
            if problem := parameters_message(self.instance, list(forms), removed, check_unused=False):
                raise ValidationError(problem)
        try:
            unused = self.instance.unused(list(forms)) if self.instance.source_id else []
        except TemplateError:
            return  # the SQL's own field has an error then
        for name in unused:
            forms[name].add_error("name", unused_message(name))

    def _remaining_forms(self) -> Iterator[Any]:
        """Yield the valid forms that have a name and will not be deleted."""
        for form in self.forms:
            cleaned = getattr(form, "cleaned_data", {})
            if cleaned.get("name") and form not in self.deleted_forms:
                yield form


class DataParameterInline(ParameterInline):
    formset = DataParameterFormSet


@admin.register(DataOperation)
class DataOperationAdmin(OperationAdmin):
    list_display = ("address", "title", "state_label", "access", "source", "writes", "updated_at")
    list_filter = (*OperationAdmin.list_filter, ("source", ScopedFilter), "writes")
    list_select_related = ("service__agency", "source__agency")
    autocomplete_fields = ("service", "source")
    inlines = (DataParameterInline, FieldInline)
    #: For users who may only view: SQL keeps its line breaks.
    readonly_preprocess_fields: ClassVar[dict[str, Any]] = {"sql": code_block}
    fieldsets = (
        (None, {"fields": (("service", "code"), "title", "description")}),
        (_("Query"), {"fields": (("source", "writes"), "sql")}),
        (
            _("Limits and pages"),
            {"classes": ("collapse",), "fields": (("max_rows", "timeout_ms", "page_size"),)},
        ),
        OperationAdmin.publication,
        OperationAdmin.rarely_used,
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "sql":
            kwargs["widget"] = code_area(10)
        elif db_field.name == "description":
            kwargs["widget"] = text_area(2)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def changeform_view(self, *args: Any, **kwargs: Any) -> Any:
        return with_lookups(lambda: super(DataOperationAdmin, self).changeform_view(*args, **kwargs))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Add a parameter for each placeholder that has none, and let the SQL's blocks decide which are optional."""
        super().save_related(request, form, formsets, change)
        missing = form.instance.declare_missing()
        relaxed = form.instance.relax_optional() if "sql" in form.changed_data else []
        if relaxed:
            self.message_user(
                request,
                gettext("%(names)s is in a [[ block ]] now and no longer required.") % {"names": ", ".join(relaxed)},
                messages.WARNING,
            )
        if missing:
            self.message_user(
                request,
                gettext("Parameters added for %(names)s. Check their types.") % {"names": ", ".join(missing)},
                messages.WARNING,
            )
