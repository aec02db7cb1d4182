"""The form of a data source: the settings of its engine only, tested before they are saved."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters import ADAPTERS, adapter_class
from adapters.base import Setting
from dataservices.connection_test import Diagnosis
from registry.admin.confirming import ConfirmedForm
from registry.admin.secrets_form import SecretsForm
from registry.admin.theme import text_input

#: Settings that have a column of their own. The others are in the column options.
COLUMNS = ("host", "port", "database", "user", "password", "wallet_password")
OPTION = "option_"
Fieldsets = list[tuple[Any, dict[str, Any]]]


def options_of(engine: str) -> list[Setting]:
    """Return the settings of an engine that have no column."""
    return [setting for setting in adapter_class(engine).settings if setting.name not in COLUMNS]


class SourceForm(SecretsForm, ConfirmedForm):
    """The base of the engines' forms, with a text field for each of the engine's options."""

    engine = ""
    #: The outcome of the test of the values that were posted, None if none was needed.
    outcome: Diagnosis | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance.options if isinstance(self.instance.options, dict) else {}
        for setting in options_of(self.engine) if self.engine else ():
            self.initial.setdefault(OPTION + setting.name, stored.get(setting.name, ""))

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        entered = {name: cleaned.get(name) for name in self.fields if name.startswith(OPTION)}
        self.instance.options = {name.removeprefix(OPTION): value for name, value in entered.items() if value}
        # What another engine had is nothing to this one.
        for name in set(COLUMNS) - {setting.name for setting in adapter_class(self.engine).settings}:
            setattr(self.instance, name, None if name == "port" else "")
        return cleaned

    def add_error(self, field: str | None, error: Any) -> None:
        """Add an error of the model. One of a column that the form does not have is about the whole form."""
        for name, errors in getattr(error, "error_dict", {field: error}).items():
            super().add_error(name if name in self.fields else None, errors)

    @property
    def connection_changed(self) -> bool:
        """True if another connection would be made than with the stored row."""
        same = {"agency", "code", "pool_size"}
        return self.instance.pk is None or not set(self.changed_data) <= same

    def asked(self) -> list[str]:
        questions = super().asked()
        if self.outcome is not None and not self.outcome.succeeded:
            text = _("The connection test failed: %(reason)s Save it all the same?")
            questions.append(str(text % {"reason": self.outcome.text}))
        return questions


def form_class(engine: str) -> type[SourceForm]:
    """Return the form of an engine."""
    fields: dict[str, Any] = {"engine": engine}
    for setting in options_of(engine) if engine in ADAPTERS else ():
        fields[OPTION + setting.name] = _option_field(setting)
    return type("SourceForm", (SourceForm,), fields)


def _option_field(setting: Setting) -> forms.CharField:
    widget = text_input(placeholder=setting.default, autocomplete="off")
    help_text = capfirst(gettext(setting.help)) if setting.help else ""
    return forms.CharField(
        label=gettext(setting.label), required=False, max_length=500, widget=widget, help_text=help_text
    )


def fieldsets(engine: str) -> Fieldsets:
    """Return the fieldsets of an engine: where it is, how to sign in, and folded what has a default."""
    known = {setting.name: setting for setting in adapter_class(engine).settings}
    options = options_of(engine)
    place: list[Any] = [("host", "port")] if "host" in known else []
    place += [name for name in ("database",) if name in known]
    place += [OPTION + setting.name for setting in options if setting.leads]
    login = [name for name in ("user", "password", "wallet_password") if name in known]
    more = [OPTION + setting.name for setting in options if not setting.leads]
    found: Fieldsets = [(None, {"fields": ["agency", "code", "engine"]}), (_("Connection"), {"fields": place})]
    if login:
        found.append((_("Login"), {"fields": login}))
    found.append((_("More settings"), {"classes": ("collapse",), "fields": [*more, "pool_size"]}))
    return found


def viewed_fieldsets() -> Fieldsets:
    """Return the fieldsets for users who only read."""
    return [
        (None, {"fields": ["agency", "code", "engine"]}),
        (_("Connection"), {"fields": [("host", "port"), "database", "user", "options", "pool_size"]}),
    ]
