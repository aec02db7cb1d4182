"""The forms: a stop, its release, an incident, a note, a change of its state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.admin.theme import capitalise_labels, text_area, text_input
from registry.models import Incident, Stop
from registry.models.bounds import REASON
from registry.models.containment import NOTE


class MomentField(forms.DateTimeField):
    """A day and a time, as browsers ask for them."""

    def __init__(self, **kwargs: Any) -> None:
        widget = text_input(step="60")
        widget.input_type = "datetime-local"
        super().__init__(widget=widget, input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, datetime):
            local = timezone.localtime(value) if timezone.is_aware(value) else value
            return local.strftime("%Y-%m-%dT%H:%M")
        return value


class StopForm(forms.Form):
    """Why something is stopped."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON,
        widget=text_area(),
        help_text=_(
            "Who and what, in a few words. The people of the agency that it belongs to can read it, callers cannot."
        ),
    )


class ReleaseForm(forms.Form):
    """What was done, and why a stop ends."""

    checks = forms.MultipleChoiceField(
        label=_("What was done"), choices=list(Stop.CHECKS.items()), required=False,
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    reason = forms.CharField(label=_("Reason of the release"), max_length=REASON, widget=text_area())


class NoteForm(forms.Form):
    text = forms.CharField(label=_("Note"), max_length=NOTE, widget=text_area())


class IncidentForm(forms.ModelForm):  # type: ignore[type-arg]
    """An incident, without what belongs into the notification."""

    noticed_at = MomentField(label=_("Noticed at"), help_text=Incident._meta.get_field("noticed_at").help_text)
    period_from = MomentField(label=_("Calls from"))
    period_until = MomentField(
        label=_("Calls until"), required=False, help_text=Incident._meta.get_field("period_until").help_text
    )

    class Meta:
        model = Incident
        fields = ("title", "noticed_at", "period_from", "period_until")
        widgets = {"title": text_input()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        capitalise_labels(self)


class ReportForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person writes into the notification."""

    class Meta:
        model = Incident
        fields = ("disclosed", "how", "handling", "effects", "contact")
        widgets = {name: text_area(4) for name in fields}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        capitalise_labels(self)
