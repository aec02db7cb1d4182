"""The form of step 4: the service, the names and who may call."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dataservices.models import WizardDraft
from mantra.wizard.making import Target
from mantra.wizard.naming import code_from
from registry.admin.theme import select, text_area, text_input
from registry.models import Operation, Service, bounds

#: The choice of a service that does not exist yet.
NEW = "new"


def services(draft: WizardDraft) -> QuerySet[Service]:
    """Return the services in which the operation can be: those of the agency, the last used first."""
    rows = Service.objects.filter(agency=draft.agency).select_related("agency")
    return rows.order_by("-operations__updated_at").distinct()


class PublishForm(forms.Form):
    """The names of an operation. Of one that exists, the service and the code stay."""

    service = forms.ChoiceField(label=capfirst(_("service")), widget=select())
    service_title = forms.CharField(
        label=_("Title of the new service"), max_length=200, required=False, widget=text_input(autocomplete="off")
    )
    service_code = forms.CharField(
        label=_("Code of the new service"), max_length=63, required=False, widget=text_input(autocomplete="off"),
        help_text=_("Empty: made from the title."),
    )  # fmt: skip
    title = forms.CharField(label=capfirst(_("title")), max_length=200, widget=text_input(autocomplete="off"))
    code = forms.CharField(
        label=capfirst(_("code")), max_length=63, required=False, widget=text_input(autocomplete="off"),
        help_text=_("Part of the address. Empty: made from the title."),
    )  # fmt: skip
    description = forms.CharField(label=capfirst(_("description")), required=False, widget=text_area(2))
    access = forms.ChoiceField(label=capfirst(_("access")), choices=Operation.Access.choices, widget=select())
    listing = forms.ChoiceField(
        label=_("Shown in the catalogue to"), choices=Operation.Listing.choices, required=False, widget=select()
    )
    change_note = forms.CharField(
        label=_("Note for callers"), max_length=bounds.CHANGE_NOTE, required=False, widget=text_area(2),
        help_text=_("What changes for them. The catalogue shows it with the version."),
    )  # fmt: skip
    reason = forms.CharField(label=_("Reason"), required=False, max_length=1000, widget=text_area(2))

    def __init__(self, draft: WizardDraft, data: Any = None, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        self.draft = draft
        if draft.operation is not None:
            for name in ("service", "service_title", "service_code", "code", "listing"):
                del self.fields[name]
            return
        del self.fields["change_note"]
        rows = list(services(draft))
        choices = [(str(row.pk), f"{row.code} – {row.title}") for row in rows]
        self.fields["service"].choices = [*choices, (NEW, _("A new service"))]  # type: ignore[attr-defined]
        self.rows = {str(row.pk): row for row in rows}

    @property
    def makes_service(self) -> bool:
        """True if a new service is chosen."""
        return "service" in self.fields and self["service"].value() == NEW

    def entered(self) -> dict[str, str]:
        """Return what was entered, valid or not."""
        return {name: str(self.data.get(name, ""))[:10_000] for name in self.fields}

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if self.makes_service and not cleaned.get("service_title"):
            self.add_error("service_title", _("Enter a title."))
        return cleaned

    def target(self) -> Target:
        """Return what a valid form says, with the codes that were left empty."""
        cleaned, existing = self.cleaned_data, self.draft.operation
        service = existing.service if existing is not None else self._service()
        code = existing.code if existing is not None else cleaned["code"] or self._code(service)
        listing = existing.listing if existing is not None else cleaned["listing"] or Operation.Listing.MEMBERS
        return Target(service, code, cleaned["title"], cleaned["description"], cleaned["access"], listing)

    def _service(self) -> Service:
        cleaned = self.cleaned_data
        if cleaned["service"] != NEW:
            return self.rows[cleaned["service"]]
        taken = {row.code for row in self.rows.values()}
        code = cleaned["service_code"] or code_from(cleaned["service_title"], taken)
        return Service(agency=self.draft.agency, code=code, title=cleaned["service_title"])

    def _code(self, service: Service) -> str:
        taken = set(service.operations.values_list("code", flat=True)) if service.pk else set()
        return code_from(self.cleaned_data["title"], taken)

    def add_problems(self, error: ValidationError) -> None:
        """Show what the models' rules say, at the fields where there are such."""
        found = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        for name, messages in found.items():
            self.add_error(name if name in self.fields else None, messages)


def first_values(draft: WizardDraft, title: str) -> dict[str, Any]:
    """Return the values that the form has at first: of the operation that is changed, or proposed ones."""
    existing = draft.operation
    if existing is not None:
        return {name: getattr(existing, name) for name in ("title", "description", "access")}
    rows = services(draft)
    first = rows.first()
    name = gettext("Data of %(agency)s") % {"agency": draft.agency}
    return {
        "service": str(first.pk) if first is not None else NEW,
        "service_title": name[:200],
        "title": title,
        "access": Operation.Access.RESTRICTED,
        "listing": Operation.Listing.MEMBERS,
    }
