"""The rows below a proxy operation: mappings, descriptions."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest

from proxyservices.models import ParameterMapping, ServiceDescription, mappings_to_reenter
from registry.admin.base import ListFormSet, TabularInline, rows_after
from registry.admin.secrets_form import SecretsForm
from registry.admin.theme import password_input, text_input
from registry.secret_rules import ENTER_AGAIN


class MappingFormSet(ListFormSet):
    """The mappings of an operation, checked against the servers of the backend that it will have."""

    def clean(self) -> None:
        super().clean()
        if self.instance.pk is None or any(self.errors):
            return
        for mapping in mappings_to_reenter(self.instance, rows_after(self)):
            form = next((each for each in self.forms if each.instance is mapping), None)
            if form is None:
                raise ValidationError(str(ENTER_AGAIN))
            form.add_error("value", ENTER_AGAIN)


class MappingForm(SecretsForm):
    """A constant is shown again; a secret goes in and never comes out, and to no server that did not have it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "value" in self.fields and self._secrets():
            widget = password_input()
            widget.attrs |= self.fields["value"].widget.attrs
            self.fields["value"].widget = widget

    def _secrets(self) -> list[str]:
        return ["value"] if "value" in self.fields and self.instance.pk and self.instance.secret else []

    def clean(self) -> dict[str, Any] | None:
        # A row that takes a parameter's value from now on has no use for the secret that it held.
        return self.cleaned_data if self.cleaned_data.get("parameter") else super().clean()


class MappingInline(TabularInline):
    model = ParameterMapping
    on_tab = "parameters"
    form = MappingForm
    formset = MappingFormSet
    template_before = "mantra/proxy_mapping_hint.html"
    fields = ("position", "location", "name", "parameter", "value", "secret")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "value":
            kwargs["widget"] = text_input(autocomplete="off")
        found = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "value":
            found.strip = False
        return found


class DescriptionInline(TabularInline):
    """The documents that the operation was made from: kept for its calls, not to be written by hand."""

    model = ServiceDescription
    fields = ("url", "main", "fetched_at")
    readonly_fields = ("url", "main", "fetched_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
