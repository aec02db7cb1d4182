"""A form whose secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from registry.secrets import EncryptedField


class SecretsForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose secrets go in and never come out: left empty, a secret stays as it is.

    The model decides when a stored secret must be entered again (registry/secret_rules.py).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self._secrets():
            stored = bool(getattr(self.instance, name)) and self.instance.pk is not None
            self.initial[name] = ""
            if stored:
                self.fields[name].widget.attrs["placeholder"] = _("stored – keep empty to keep the stored value")

    def _secrets(self) -> list[str]:
        return [
            field.name
            for field in self._meta.model._meta.get_fields()
            if isinstance(field, EncryptedField) and field.name in self.fields
        ]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if cleaned is None:
            cleaned = self.cleaned_data
        for name in self._secrets():
            if self.instance.pk is not None and not cleaned.get(name):
                cleaned[name] = getattr(self.instance, name)
        return cleaned
