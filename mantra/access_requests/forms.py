"""The form of an access request. The rules are those of registry/requests; the form only reads and shows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from mantra.wizard.naming import code_from
from registry import agreements, requests
from registry.models import AccessRequest, AgreementFile, Application, Grant, Operation, User, bounds, names
from registry.requests import Wanted
from registry.requests.asking import CONTENT

#: The choice of an application that does not exist yet.
NEW = "new"


def _date() -> forms.DateInput:
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


class RequestForm(forms.Form):
    """What is requested. Columns have a field for each operation; names of errors are those of Wanted."""

    application = forms.ChoiceField(label=_("Application"))
    new_title = forms.CharField(label=_("Title of the new application"), max_length=200, required=False)
    new_code = forms.CharField(
        label=_("Code of the new application"), max_length=63, required=False,
        help_text=_("Letters, digits, - and _, such as e-bansos. Empty: made from the title."),
    )  # fmt: skip
    operations = forms.MultipleChoiceField(
        label=_("Operations"), widget=forms.CheckboxSelectMultiple, required=False,
        error_messages={"invalid_choice": _("An operation that you chose is no longer offered. Choose again.")},
    )  # fmt: skip
    purpose = forms.CharField(
        label=_("Purpose"), max_length=300, widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("What the data is for, such as: to verify recipients of social aid."),
    )  # fmt: skip
    legal_basis = forms.CharField(
        label=_("Legal basis"), max_length=300, required=False,
        help_text=_("The law or regulation that allows it. Requests for personal data need one."),
    )  # fmt: skip
    agreement = forms.CharField(label=_("Agreement number"), max_length=100, required=False)
    agreement_file = forms.FileField(
        label=_("Agreement file"), required=False, help_text=_("PDF, JPEG or PNG."),
        widget=forms.FileInput(attrs={"accept": ".pdf,.jpg,.jpeg,.png"}),
    )  # fmt: skip
    kept_file = forms.CharField(required=False, max_length=32, widget=forms.HiddenInput)
    valid_from = forms.DateField(label=_("First day"), required=False, widget=_date(), help_text=_("Empty: at once."))
    valid_until = forms.DateField(label=_("Last day"), required=False, widget=_date(), help_text=_("Empty: no end."))
    volume = forms.IntegerField(
        label=_("Expected calls"), required=False, min_value=1,
        help_text=_("It becomes the quota. Empty: no limit."),
    )  # fmt: skip
    volume_period = forms.ChoiceField(label=_("Period of the expected calls"), choices=AccessRequest.Period.choices)
    networks = forms.CharField(
        label=_("Networks"), required=False, max_length=bounds.NETWORK_LIST, widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Addresses of the application's servers, one per line, such as 10.1.2.3 or 10.1.0.0/16."),
    )  # fmt: skip
    token = forms.UUIDField(widget=forms.HiddenInput)
    answer = forms.CharField(
        label=_("Answer"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(
        self, user: User, applications: Iterable[Application], offered: list[Operation], *args: Any,
        revised: AccessRequest | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(*args, **kwargs)
        self.user, self.revised, self.offered = user, revised, {str(each.pk): each for each in offered}
        self.applications = {str(each.pk): each for each in applications}
        choices = [(pk, f"{each} – {each.title}") for pk, each in self.applications.items()]
        if revised is None and user.has_perm("registry.add_application"):
            choices.append((NEW, str(_("A new application"))))
        self.fields["application"].choices = choices  # type: ignore[attr-defined]
        self.fields["operations"].choices = [(pk, str(each)) for pk, each in self.offered.items()]  # type: ignore[attr-defined]
        self.file: AgreementFile | None = None
        for pk, operation in self.offered.items():
            self._add_columns(pk, operation)
        if revised is None:
            for name in ("answer",):
                del self.fields[name]

    def _add_columns(self, pk: str, operation: Operation) -> None:
        columns = requests.choosable(operation)
        if columns:
            choices = [(each.name, f"{each.name} ({each.get_classification_display()})") for each in columns]
            self.fields[f"columns-{pk}"] = forms.MultipleChoiceField(
                label=capfirst(_("columns")), choices=choices, required=False, widget=forms.CheckboxSelectMultiple,
                initial=requests.proposed_columns(operation),
            )  # fmt: skip

    @property
    def only_new(self) -> bool:
        """Return True if a new application is the only choice."""
        return [value for value, _label in self.fields["application"].choices] == [NEW]  # type: ignore[attr-defined]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The operations as the page shows them: each with its box and its columns."""
        boxes = {str(box.data["value"]): box for box in self["operations"]}
        return [
            {
                "operation": operation,
                "box": boxes[pk],
                "columns": self[name] if (name := f"columns-{pk}") in self.fields else None,
            }
            for pk, operation in self.offered.items()
        ]

    # ------------------------------------------------------------------------------------ reading

    def clean(self) -> dict[str, Any]:
        """Store an uploaded file, so that it is not lost if something else is wrong."""
        cleaned = self.cleaned_data
        self.file = self._kept_file(cleaned.get("kept_file", ""))
        upload = cleaned.get("agreement_file")
        if upload:
            try:
                self.file = agreements.store(self.user, upload.name, upload.chunks())
            except ValidationError as error:
                self.add_error("agreement_file", error)
        if cleaned.get("application") == NEW and not cleaned.get("new_title"):
            self.add_error("new_title", _("Enter a title."))
        return cleaned

    def _kept_file(self, stored: str) -> AgreementFile | None:
        revised = self.revised.agreement_file if self.revised is not None else None
        if revised is not None and revised.stored == stored:
            return revised
        return agreements.own_upload(self.user, stored) if stored else None

    def wanted(self) -> Wanted:
        """Return what a valid form says."""
        cleaned = self.cleaned_data
        operations = {self.offered[pk]: cleaned.get(f"columns-{pk}", []) for pk in cleaned["operations"]}
        return Wanted(
            application=self._application(), operations=operations, agreement_file=self.file, token=cleaned["token"],
            **{name: cleaned[name] for name in CONTENT},
        )  # fmt: skip

    def _application(self) -> Application:
        cleaned = self.cleaned_data
        if cleaned["application"] != NEW:
            return self.applications[cleaned["application"]]
        code = cleaned["new_code"] or code_from(cleaned["new_title"], self._codes(), "aplikasi")
        return Application(agency=self.user.agency, code=code, title=cleaned["new_title"])  # type: ignore[misc]

    def _codes(self) -> list[str]:
        """Return the codes of the agency's applications, also of those that are not active."""
        return list(Application.objects.filter(agency=self.user.agency_id).values_list("code", flat=True))

    def add_problems(self, error: ValidationError) -> None:
        """Show what the rules say, at the fields where there are such."""
        renamed = {"code": "new_code", "title": "new_title"}
        found = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
        for name, texts in found.items():
            field = renamed.get(name, name)
            self.add_error(field if field in self.fields else None, texts)


def first_values(operation: Operation, application: Application | None, grant: Grant | None) -> dict[str, Any]:
    """Return the values that the form has at first: those of the present grant, if there is one."""
    values: dict[str, Any] = {
        "operations": [str(operation.pk)], "volume_period": AccessRequest.Period.DAY, "token": uuid.uuid4(),
        "application": str(application.pk) if application is not None else NEW,
    }  # fmt: skip
    if grant is not None:
        values |= {name: getattr(grant, name) for name in ("purpose", "legal_basis", "agreement", "networks")}
        values |= _limits(grant)
        if grant.fields:
            values[f"columns-{operation.pk}"] = names(grant.fields)
    return values


def _limits(grant: Grant) -> dict[str, Any]:
    """Return the quota and the last day of a grant, where the form can show them: a renewal must not widen them."""
    values: dict[str, Any] = {}
    calls, _slash, period = grant.quota.partition("/")
    if calls.isdecimal() and period in AccessRequest.Period.values:
        values |= {"volume": int(calls), "volume_period": period}
    if grant.valid_until is not None and grant.valid_until >= timezone.localdate():
        values["valid_until"] = grant.valid_until
    return values


def values_of(request: AccessRequest) -> dict[str, Any]:
    """Return the values of a request that is to be changed."""
    values = {name: getattr(request, name) for name in (*CONTENT, "token")}
    values |= {"application": str(request.application_id)}
    pending = [item for item in requests.items_of(request) if item.is_pending]
    values["operations"] = [str(item.operation_id) for item in pending]
    values |= {f"columns-{item.operation_id}": names(item.fields) for item in pending}
    if request.agreement_file is not None:
        values["kept_file"] = request.agreement_file.stored
    return values
