"""A form whose secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from registry.secrets import EncryptedField

# ----------------------------------------------------------------------------------------- secrets


class SecretsForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose secrets go in and never come out: left empty, a secret stays as it is.

    A stored secret is not sent to a new place: when a field named in ``places`` changes, it must be
    typed again, so that nobody can have it sent to a server of their own.
    """

    places: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self._secrets():
            stored = bool(getattr(self.instance, name)) and self.instance.pk is not None
            self.initial[name] = ""
            if stored:
                self.fields[name].widget.attrs["placeholder"] = _("stored – leave empty to keep it")

    def _secrets(self) -> list[str]:
        return [
            field.name
            for field in self._meta.model._meta.get_fields()
            if isinstance(field, EncryptedField) and field.name in self.fields
        ]

    def moved(self) -> bool:
        """Whether the secrets would be sent to another place than before."""
        return any(name in self.changed_data for name in self.places)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if cleaned is None:
            cleaned = self.cleaned_data
        moved = self.instance.pk is not None and self.moved()
        for name in self._secrets():
            stored = getattr(self.instance, name) if self.instance.pk is not None else ""
            if cleaned.get(name) or not stored:
                continue
            if moved:
                self.add_error(name, _("The address has changed: type it again, so that it goes to no wrong place."))
            else:
                cleaned[name] = stored
        return cleaned
