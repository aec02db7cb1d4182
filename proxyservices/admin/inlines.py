"""The rows below a proxy operation: upstreams, mappings, descriptions."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyservices.address_change import cutover
from proxyservices.models import Contract, Mapping, Upstream
from registry.admin.base import StackedInline, TabularInline
from registry.admin.secrets_form import SecretsForm
from registry.admin.theme import password_input, text_area, text_input
from registry.secrets import readable


class UpstreamForm(SecretsForm):
    places = ("token_url", "credential_kind")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What stood before the form: an address that is edited here can be gone back from as well.
        self.before = (self.instance.url, readable(self.instance.credential))

    def moved(self) -> bool:
        url = self.cleaned_data.get("url", "")
        return super().moved() or not cutover.same_place(self.before[0], url)


class UpstreamFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """The addresses of an operation. A new one may not slip past the mappings that keep secrets (MappingForm)."""

    def clean(self) -> None:
        super().clean()
        held = [str(row.url) for row in self.instance.upstreams.all()] if self.instance.pk else []
        posted = [str(each.cleaned_data.get("url") or "") for each in self.forms if hasattr(each, "cleaned_data")]
        if all(any(cutover.same_place(url, each) for each in held) for url in posted if url):
            return
        asked = {self.data.get(f"mappings-{place}-id", "") for place in range(self._mappings())}
        secret = self.instance.mappings.filter(secret=True) if self.instance.pk else ()
        if any(str(row.pk) not in asked for row in secret if row.value):
            raise ValidationError(
                gettext("The address has changed: type it again, so that it goes to no wrong place.")
            )  # fmt: skip

    def _mappings(self) -> int:
        """How many mappings that are stored are in the form."""
        given = str(self.data.get("mappings-INITIAL_FORMS", ""))
        return min(int(given), 1000) if given.isdigit() and len(given) < 6 else 0


class UpstreamInline(StackedInline):
    model = Upstream
    form = UpstreamForm
    formset = UpstreamFormSet
    fieldsets = (
        (None, {"fields": ("url", ("position", "weight"), "active")}),
        (
            _("Credential"),
            {"fields": (("credential_kind", "credential_name"), "credential", ("token_url", "scope"))},
        ),
        (
            _("Certificates"),
            {"classes": ("collapse",), "fields": ("client_certificate", "authority")},
        ),
        (
            _("Probe"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("probe_seconds", "probe_method", "probe_path"), ("probe_statuses", "probe_text"),
                ),
            },
        ),
    )  # fmt: skip

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "credential":
            kwargs["widget"] = password_input()
        elif db_field.name in ("client_certificate", "authority"):
            kwargs["widget"] = text_area(4)
        found = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in ("credential", "client_certificate"):
            kept = gettext("Kept encrypted and never shown again.")
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

    def moved(self) -> bool:
        if not self.cleaned_data.get("secret"):
            return True
        held = [row.url for row in self.instance.operation.upstreams.all()]
        posted = [value for name, value in self.data.items() if name[:10] == "upstreams-" and name[-4:] == "-url"]
        return any(not any(cutover.same_place(url, each) for each in held) for url in posted if url)

    def clean(self) -> dict[str, Any] | None:
        # A row that takes a parameter's value from now on has no use for the secret that it held.
        return self.cleaned_data if self.cleaned_data.get("parameter") else super().clean()


class MappingInline(TabularInline):
    model = Mapping
    form = MappingForm
    template_before = "mantra/proxy_mapping_hint.html"
    fields = ("position", "place", "name", "parameter", "value", "secret")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "value":
            kwargs["widget"] = text_input(autocomplete="off")
        found = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "value":
            found.strip = False
        return found


class ContractInline(TabularInline):
    """The documents that the operation was made from: kept for its calls, not to be written by hand."""

    model = Contract
    fields = ("url", "main", "fetched_at")
    readonly_fields = ("url", "main", "fetched_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
