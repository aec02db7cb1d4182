"""The rows below a proxy operation: upstreams, mappings, descriptions."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyservices.models import ParameterMapping, ServiceDescription, Upstream, mappings_to_reenter, missing_upstream
from registry.admin.base import ListFormSet, StackedInline, TabularInline, rows_after
from registry.admin.secrets_form import SecretsForm
from registry.admin.theme import password_input, text_area, text_input
from registry.secret_rules import ENTER_AGAIN
from registry.secrets import readable


class UpstreamForm(SecretsForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: URL and credential as they were stored: an address that is edited here can be rolled back as well.
        self.before = (self.instance.url, readable(self.instance.credential))


class UpstreamFormSet(ListFormSet):
    """The upstreams of an operation, checked against its state as it will be."""

    def clean(self) -> None:
        super().clean()
        if not any(self.errors) and (problem := missing_upstream(self.instance, rows_after(self))):
            raise ValidationError(problem)


class MappingFormSet(ListFormSet):
    """The mappings of an operation, checked against its upstreams as they will be."""

    #: The upstreams of the same page, set by its admin.
    upstreams: BaseInlineFormSet | None = None  # type: ignore[type-arg]

    def clean(self) -> None:
        super().clean()
        if self.instance.pk is None or self.upstreams is None or any(self.errors) or not self.upstreams.is_valid():
            return
        for mapping in mappings_to_reenter(self.instance, rows_after(self.upstreams), rows_after(self)):
            form = next((each for each in self.forms if each.instance is mapping), None)
            if form is None:
                raise ValidationError(str(ENTER_AGAIN))
            form.add_error("value", ENTER_AGAIN)


class UpstreamInline(StackedInline):
    model = Upstream
    on_tab = "upstreams"
    form = UpstreamForm
    formset = UpstreamFormSet
    fieldsets = (
        (None, {"fields": ("url", ("priority", "weight"), "active")}),
        (
            _("Credential"),
            {"fields": (("credential_kind", "credential_name"), "credential", ("token_url", "scope"))},
        ),
        (
            _("Certificates"),
            {"classes": ("collapse",), "fields": ("client_certificate", "ca_certificate")},
        ),
        (
            _("Probe"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("probe_interval_seconds", "probe_method", "probe_path"),
                    ("probe_expected_statuses", "probe_expected_text"),
                ),
            },
        ),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "credential":
            kwargs["widget"] = password_input()
        elif db_field.name in ("client_certificate", "ca_certificate"):
            kwargs["widget"] = text_area(4)
        found = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in ("credential", "client_certificate"):
            kept = gettext("Stored encrypted and never shown again.")
            found.help_text = f"{found.help_text} {kept}".strip()
        if db_field.name == "credential":
            found.strip = False
        return found


class MappingForm(SecretsForm):
    """A constant is shown again; a secret goes in and never comes out, and to no server that did not have it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = readable(self.instance.value)
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
