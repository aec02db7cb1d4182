"""The form of a new source: the fields of one engine, tested before the source is saved."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters import adapter_class
from adapters.base import Setting
from dataservices.models import DataSource
from mantra.wizard.naming import code_from
from registry import tenancy
from registry.admin.theme import password_input, select, text_input
from registry.models import Agency, User

#: Settings that stand open; the engine's others are folded away.
PROMINENT = ("host", "port", "service_name", "database", "user", "password")


class NewSourceForm(forms.Form):
    """The settings of a new source of one engine. ``instance`` is the source, not saved, if the form is valid."""

    def __init__(self, engine: str, user: User, data: Any = None, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial, prefix="source")
        self.engine, self.user = engine, user
        self.settings = adapter_class(engine).settings
        if tenancy.sees_all_agencies(user):
            agencies = Agency.objects.all()
            self.fields["agency"] = forms.ModelChoiceField(agencies, label=capfirst(_("agency")), widget=select())
        for setting in self.settings:
            self.fields[setting.name] = _field(setting)
        self.fields["code"] = forms.CharField(
            required=False,
            label=capfirst(_("code")),
            widget=text_input(autocomplete="off"),
            help_text=_("Empty: made from the name of the database."),
        )
        self.instance = DataSource(engine=engine)

    @property
    def prominent(self) -> list[forms.BoundField]:
        """The fields that stand open."""
        return [self[name] for name in self.fields if name in ("agency", *PROMINENT)]

    @property
    def folded(self) -> list[forms.BoundField]:
        """The engine's rarely used settings, and the code."""
        return [self[name] for name in self.fields if name not in ("agency", *PROMINENT)]

    @property
    def folded_has_errors(self) -> bool:
        return any(field.errors for field in self.folded)

    def typed(self) -> dict[str, str]:
        """Return what was entered, without secrets: setting → text."""
        secret = {setting.name for setting in self.settings if setting.secret}
        return {name: str(self.data.get(self.add_prefix(name), ""))[:500] for name in self.fields if name not in secret}

    def clean(self) -> dict[str, Any]:
        """Build the source, and check it by the model's own rules."""
        cleaned = self.cleaned_data
        source = self.instance
        agency = cleaned.get("agency") or self.user.agency
        source.agency = agency  # type: ignore[assignment]  # full_clean reports none
        for setting in self.settings:
            _assign(source, setting, cleaned.get(setting.name))
        if agency is not None:
            source.code = cleaned.get("code") or self._proposed_code(source)
        if not self.errors:
            self._check(source)
        return cleaned

    def _proposed_code(self, source: DataSource) -> str:
        taken = DataSource.objects.filter(agency=source.agency).values_list("code", flat=True)
        name = source.database.replace("\\", "/").rpartition("/")[2].partition(".")[0]
        return code_from(name or str(source.options.get("service_name") or source.host), set(taken), self.engine)

    def _check(self, source: DataSource) -> None:
        try:
            source.full_clean()
        except ValidationError as error:
            for name, problems in error.message_dict.items():
                self.add_error(name if name in self.fields else None, problems)


def _assign(source: DataSource, setting: Setting, value: Any) -> None:
    """Set one setting: a column of the source, or one of its options."""
    if hasattr(source, setting.name):
        setattr(source, setting.name, value if value or setting.name == "port" else "")
    elif value and value != setting.default:
        source.options[setting.name] = value


def _field(setting: Setting) -> forms.Field:
    """Return the form field of a setting."""
    common: dict[str, Any] = {
        "label": _label(setting),
        "required": setting.required,
        "initial": setting.default,
        "help_text": capfirst(gettext(setting.help)) if setting.help else "",
    }
    if setting.secret:
        return forms.CharField(widget=password_input(), strip=False, max_length=1000, **common)
    if setting.name == "port":
        widget = text_input(inputmode="numeric", autocomplete="off")
        return forms.IntegerField(min_value=1, max_value=65535, widget=widget, **common)
    return forms.CharField(max_length=500, widget=text_input(autocomplete="off", spellcheck="false"), **common)


def _label(setting: Setting) -> str:
    """Return the label of a setting: of the source's column, or the engine's own word for it."""
    if hasattr(DataSource, setting.name) and setting.name != "database":
        return capfirst(str(DataSource._meta.get_field(setting.name).verbose_name))  # type: ignore[union-attr]
    return gettext(setting.label)
