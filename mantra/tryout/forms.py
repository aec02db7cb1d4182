"""The form for the values of an operation's parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.html import escape
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from registry.admin.theme import select, text_input
from registry.models import Operation, Parameter

#: How the names of values of grants begin: no parameter's name has a dot.
GRANT = "grant."

INPUT_MODES: dict[str, str] = {
    Parameter.Type.INTEGER: "numeric",
    Parameter.Type.DECIMAL: "decimal",
    Parameter.Type.NIK: "numeric",
}


class TryForm(forms.Form):
    """One field for each parameter. An empty field is an absent parameter; the gateway validates the values."""

    PREFIX = "p_"
    #: True if the values that grants have for the operation are asked for: no grant is used.
    asks_values = True

    def __init__(self, operation: Operation, parameters: list[Parameter], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in parameters:
            self.fields[self.PREFIX + parameter.name] = self._field(parameter)
        for name in sorted(operation.of_its_kind.grant_values) if self.asks_values else ():
            hint = _("A value of the grant: callers cannot send it.")
            self.fields[f"{self.PREFIX}{GRANT}{name}"] = self._text(f"{GRANT}{name}", hint)
        if getattr(operation, "page_size", 0):
            self.fields["page"] = self._text(_("page"), _("Empty: first page."), inputmode="numeric")
        if writes(operation):
            self.fields["confirm"] = forms.BooleanField(
                required=False, label=_("I confirm that this run changes data in the source")
            )

    def _field(self, parameter: Parameter) -> forms.Field:
        optional = _("optional") if not parameter.required or parameter.default else ""
        default = gettext("default: %s") % parameter.default if parameter.default else ""
        parts = (parameter.get_type_display(), optional, default, parameter.description)
        # The theme does not escape a field's help, and the provider wrote this text.
        hint = escape(" · ".join(str(part) for part in parts if part))
        choices = {
            Parameter.Type.CHOICE: [
                (choice.strip(), choice.strip()) for choice in parameter.choices.splitlines() if choice.strip()
            ],
            Parameter.Type.BOOLEAN: [("true", gettext("yes")), ("false", gettext("no"))],
        }.get(Parameter.Type(parameter.type))
        if choices:
            widget = select([("", "---------"), *choices])
            return forms.CharField(required=False, label=parameter.name, help_text=hint, widget=widget, strip=False)
        attrs = {"inputmode": INPUT_MODES.get(Parameter.Type(parameter.type), "text")}
        if parameter.type == Parameter.Type.DATE:
            attrs = {"placeholder": "2026-01-31"}
        elif parameter.type == Parameter.Type.DATETIME:
            attrs = {"placeholder": "2026-01-31T08:00:00"}
        return self._text(parameter.name, hint, **attrs)

    def _text(self, label: Any, hint: Any, **attrs: str) -> forms.CharField:
        # The browser must not suggest a person's number later.
        widget = text_input(autocomplete="off", **attrs)
        return forms.CharField(required=False, label=label, help_text=hint, widget=widget, strip=False)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the values that were entered, under the names that callers use."""
        return [
            (name.removeprefix(self.PREFIX), value)
            for name, value in self.cleaned_data.items()
            if name != "confirm" and value != ""
        ]


def split(pairs: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Return the values that callers would send, and those that a grant would have, by their names."""
    found = list(pairs)
    values = {name.removeprefix(GRANT): value for name, value in found if name.startswith(GRANT)}
    return [pair for pair in found if not pair[0].startswith(GRANT)], values


def writes(operation: Operation) -> bool:
    """Return True if the operation changes its source."""
    return bool(getattr(operation, "writes", False))
