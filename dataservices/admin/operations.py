"""The pages of data operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dataservices import authoring
from dataservices.admin import authoring as authoring_views
from dataservices.admin.wizard import OperationToWizard
from dataservices.models import DataOperation
from dataservices.plan import parameters_message, unused_message
from dataservices.sql import TemplateError
from dataservices.unsaved import AuthoringError
from registry import versions
from registry.admin.base import ListFormSet
from registry.admin.filters import ScopedFilter
from registry.admin.services import FieldInline, OperationAdmin, ParameterInline
from registry.admin.theme import code_area, code_block, display, text_area
from registry.admin.to_verification import ToVerification
from registry.lookups import with_lookups
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


class DataFieldInline(FieldInline):
    template_before = "mantra/data_fields_hint.html"


@admin.register(DataOperation)
class DataOperationAdmin(OperationToWizard, ToVerification, OperationAdmin):
    list_display = ("address", "title", "state_label", "access_label", "source", "effect", "updated_at")
    list_filter = (*OperationAdmin.list_filter, ("source", ScopedFilter), "writes")
    list_select_related = ("service__agency", "source__agency")
    autocomplete_fields = ("service", "source")
    inlines = (DataParameterInline, DataFieldInline)
    change_form_before_template = "mantra/data_form_before.html"
    #: For users who may only view: SQL keeps its line breaks.
    readonly_preprocess_fields: ClassVar[dict[str, Any]] = {"sql": code_block}
    fieldsets = (
        (None, {"fields": (("service", "code"), "title", "description")}),
        (_("Query"), {"fields": (("source", "writes"), "sql")}),
        (
            _("Limits and pages"),
            {"classes": ("collapse",), "fields": (("max_rows", "timeout_ms", "page_size"),)},
        ),
        (
            _("Changes since an earlier call"),
            {
                "classes": ("collapse",),
                "fields": (("change_marker", "change_key"), ("deleted_column", "change_lag_seconds")),
            },
        ),
        OperationAdmin.publication,
        OperationAdmin.undeclared,
        OperationAdmin.rarely_used,
    )

    # A red cross at each operation that reads would look like an error.
    @display(description=_("effect"), ordering="writes", label={"writes": "warning"})
    def effect(self, operation: DataOperation) -> tuple[str, Any]:
        return ("writes", _("changes data")) if operation.writes else ("reads", _("reads data"))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "sql":
            kwargs["widget"] = code_area(10)
        elif db_field.name == "description":
            kwargs["widget"] = text_area(2)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def within_lookups(self, change: Callable[[], Any]) -> Any:
        return with_lookups(change)

    class Media:
        css = {"all": ("mantra/editor.css",)}
        js = ("mantra/vendor/sql-editor.js", "mantra/editor.js")

    def get_urls(self) -> list[URLPattern]:
        """Add what the editor asks for. It concerns a source: the operation may not be saved yet."""
        views = {"schema": authoring_views.schema, "run": authoring_views.run}
        return [
            *(
                path(f"editor/{word}/", self.admin_site.admin_view(view), name=f"dataservices_dataoperation_{word}")
                for word, view in views.items()
            ),
            *super().get_urls(),
        ]

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Save, and then take the columns from the result where that button was pressed: no change waits for it."""
        takes = "_columns" in request.POST
        if takes:
            posted = request.POST.copy()
            posted["_continue"] = "1"
            request.POST = posted  # type: ignore[assignment]
        response = with_lookups(lambda: super(DataOperationAdmin, self).changeform_view(request, *args, **kwargs))
        saved = getattr(request, "saved_operation", None)
        if saved is not None and takes:
            self.take_columns(request, saved)
        return response

    def take_columns(self, request: HttpRequest, saved: DataOperation) -> None:
        """Make the columns of the result the fields of an operation's draft, and tell what has changed."""
        operation = DataOperation.objects.get(pk=saved.draft_of_id or saved.pk)
        # A draft that says the same as what is published is not kept.
        described = versions.draft_of(operation) or operation
        try:
            columns = authoring.result_columns(described)
            if not authoring.field_changes(described, columns):
                self.message_user(request, gettext("The columns are those of the result already."))
                return
            with transaction.atomic():
                draft = versions.open_draft(operation, request.user)  # type: ignore[arg-type]
                changes = authoring.field_changes(draft, columns)
                changes.save()
                self.log_change(request, draft, gettext("Took the columns from the result."))
        except AuthoringError as error:
            for finding in error.findings:
                self.message_user(request, finding.text, messages.ERROR)
            return
        text = gettext("Columns from the result: %(added)d added, %(changed)d with another type, %(removed)d removed.")
        counts = {name: len(getattr(changes, name)) for name in ("added", "changed", "removed")}
        self.message_user(request, text % counts, messages.SUCCESS)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Add a parameter for each placeholder that has none, and let the SQL's blocks decide which are optional."""
        super().save_related(request, form, formsets, change)
        request.saved_operation = form.instance  # type: ignore[attr-defined]
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
