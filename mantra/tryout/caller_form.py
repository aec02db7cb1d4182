"""The form of a trial: as whom, in which way, with which values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from mantra.client_code.example import is_pass_through
from mantra.tryout.forms import TryForm, writes
from mantra.tryout.wire import WAYS, Raw
from proxyservices.address_change import samples
from proxyservices.models import ProxyOperation
from proxyservices.styles.base import SAFE_METHODS
from registry.models import Application, Operation

#: As whom: besides these an application, as agency/code.
TYPED_KEY, WITHOUT_KEY = "key", "none"
MAX_KEY, MAX_SUFFIX, MAX_BODY = 128, 2_000, 100_000
#: The most characters of all values together: web servers take no longer address.
MAX_VALUES = 8_000
_KEY = re.compile(r"[A-Za-z0-9_-]{4,128}\Z")
_SUFFIX = re.compile(r"(?:[/?][!-~]*)?\Z")
_MEDIA_TYPE = re.compile(r"[ -~]*\Z")


class CallerForm(TryForm):
    """The fields of a trial. A typed key is never written back."""

    asks_values = False

    def __init__(
        self,
        operation: Operation,
        applications: Sequence[Application],
        methods: Sequence[str],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.passes = is_pass_through(operation)
        super().__init__(operation, [] if self.passes else list(operation.parameters.all()), *args, **kwargs)
        self.applications = {str(application): application for application in applications}
        self.only_method = methods[0] if methods else "GET"
        self.changes_data = _changes_data(operation)
        self._identity(operation)
        self._way(methods)
        self.fields["address"] = forms.GenericIPAddressField(
            required=False,
            label=_("address of your application's server"),
            help_text=_("Only to judge networks by. The trial itself comes from your own address."),
        )
        if self.changes_data or self.passes:
            self.fields["confirm"] = forms.BooleanField(
                required=False, label=_("I confirm that this call may change data")
            )
        self.order_fields(["identity", "key", "way", "method"])
        self.label_suffix = ""
        for name, field in self.fields.items():
            if not name.startswith(self.PREFIX):  # a parameter's name is what callers write
                field.label = capfirst(str(field.label))

    def _identity(self, operation: Operation) -> None:
        choices: list[tuple[str, Any]] = [
            (address, f"{address} – {application.title}") for address, application in self.applications.items()
        ]
        choices.append((TYPED_KEY, _("with an access key that I type")))
        if operation.access == Operation.Access.OPEN:
            choices.append((WITHOUT_KEY, _("without an access key")))
        self.fields["identity"] = forms.ChoiceField(label=_("call as"), choices=choices)
        self.fields["key"] = forms.CharField(
            required=False,
            max_length=MAX_KEY,
            label=_("access key"),
            help_text=_("Only to call with an access key that you type. It is not stored and not shown again."),
            widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        )

    def _way(self, methods: Sequence[str]) -> None:
        if self.passes:
            self.fields["suffix"] = forms.CharField(
                required=False,
                max_length=MAX_SUFFIX,
                label=_("path and query string after the operation"),
                help_text=_("For example /2026/rekap?provinsi=32, percent-encoded."),
            )
            self.fields["media_type"] = forms.CharField(required=False, max_length=200, label=_("Content-Type"))
            self.fields["body"] = forms.CharField(
                required=False, max_length=MAX_BODY, label=_("body of the request"), widget=forms.Textarea({"rows": 4})
            )
        else:
            groups = [(protocol, list(ways.items())) for protocol, ways in WAYS.items()]
            self.fields["way"] = forms.ChoiceField(label=_("protocol and format"), choices=groups)
        if len(methods) > 1:
            hint = "" if self.passes else _("Only for REST.")
            self.fields["method"] = forms.ChoiceField(
                label=_("HTTP method"), choices=[(name, name) for name in methods], help_text=hint
            )

    def clean_suffix(self) -> str:
        suffix: str = self.cleaned_data["suffix"]
        if not _SUFFIX.match(suffix):
            raise forms.ValidationError(_("Begin with / or ?, and percent-encode spaces and letters beyond ASCII."))
        return suffix

    def clean_media_type(self) -> str:
        media_type: str = self.cleaned_data["media_type"]
        if not _MEDIA_TYPE.match(media_type):
            raise forms.ValidationError(_("Enter a media type such as application/json."))
        return media_type

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        if found.get("identity") == TYPED_KEY and not _KEY.match(found.get("key") or ""):
            self.add_error("key", _("Enter the access key: letters, digits, - and _ only."))
        if sum(len(value) for name, value in found.items() if name.startswith(self.PREFIX)) > MAX_VALUES:
            self.add_error(None, _("All values together have more than %(most)d characters.") % {"most": MAX_VALUES})
        changes = self.changes_data or (self.passes and self.method not in SAFE_METHODS)
        if changes and not found.get("confirm"):
            self.add_error("confirm", _("This call may change data. Confirm first."))
        return found

    @property
    def method(self) -> str:
        """The HTTP method of REST."""
        method: str = self.cleaned_data.get("method", self.only_method)
        return method

    @property
    def application(self) -> Application | None:
        """The application as which to call; None with a typed key or without one."""
        return self.applications.get(self.cleaned_data["identity"])

    @property
    def typed_key(self) -> str:
        typed: str = self.cleaned_data["key"]
        return typed if self.cleaned_data["identity"] == TYPED_KEY else ""

    @property
    def raw(self) -> Raw:
        found = self.cleaned_data
        return Raw(found["suffix"], found["media_type"], found["body"].encode())

    def pairs(self) -> list[tuple[str, str]]:
        """Return the parameters that were entered, under the names that callers use."""
        own = [name for name in self.cleaned_data if name[:2] == self.PREFIX or name == "page"]
        return [(name.removeprefix(self.PREFIX), self.cleaned_data[name]) for name in own if self.cleaned_data[name]]


def _changes_data(operation: Operation) -> bool:
    """Return True if a call may change data, whatever its HTTP method."""
    if isinstance(operation, ProxyOperation):
        return samples.may_write(operation, [])
    return writes(operation)
