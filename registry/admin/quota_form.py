"""Quotas in forms: numbers of calls, rows or persons, each with its period."""

from __future__ import annotations

from typing import Any

import limits
from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from registry.admin.theme import select, text_input
from registry.requests.review import PERIODS

#: The form has so many limits. Quotas with others are edited as text.
LIMITS = 2


def pairs(quota: str) -> list[tuple[int, str]] | None:
    """Return the limits of a quota as (calls, period), None if the form's boxes cannot show it."""
    try:
        found = limits.parse_many(quota) if quota else []
    except ValueError:
        return None
    result = [(each.amount, each.GRANULARITY.name) for each in found if each.multiples == 1]
    fits = len(result) == len(found) <= LIMITS and all(period in PERIODS for _amount, period in result)
    return result if fits else None


#: The periods of quotas of rows and persons.
SHORT_PERIODS = {name: PERIODS[name] for name in ("hour", "day")}
_CALLS = _("Number of calls, limit %(number)d")
#: What is counted by the columns of grants and applications, for readers who hear the boxes.
COUNTED = {
    "row_limit": _("Number of rows, limit %(number)d"),
    "subject_limit": _("Number of persons, limit %(number)d"),
}


class QuotaWidget(forms.MultiWidget):
    def __init__(self, label: Any = _CALLS, periods: dict[str, Any] = PERIODS) -> None:
        widgets: list[forms.Widget] = []
        for number in range(1, LIMITS + 1):
            calls = text_input(inputmode="numeric", autocomplete="off")
            calls.attrs["aria-label"] = label % {"number": number}
            period = select(periods.items())
            period.attrs["aria-label"] = _("Period, limit %(number)d") % {"number": number}
            widgets += [calls, period]
        super().__init__(widgets)

    def decompress(self, value: str | None) -> list[Any]:
        found: list[Any] = [part for pair in pairs(value or "") or [] for part in pair]
        return found + [None, "day"] * (LIMITS - len(found) // 2)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        return format_html('<div class="mantra-quota">{}</div>', super().render(name, value, attrs, renderer))


class QuotaField(forms.MultiValueField):
    """Numbers of calls with their periods, as one text. The model checks it."""

    widget = QuotaWidget

    def __init__(self, periods: dict[str, Any] = PERIODS, **kwargs: Any) -> None:
        parts: list[forms.Field] = []
        for _number in range(LIMITS):
            parts += [
                forms.IntegerField(min_value=1, required=False),
                forms.ChoiceField(choices=periods.items(), required=False),
            ]
        super().__init__(fields=parts, require_all_fields=False, **kwargs)

    def compress(self, values: list[Any]) -> str:
        found = zip(values[::2], values[1::2], strict=True)
        return "; ".join(f"{calls}/{period}" for calls, period in found if calls and period)


def use_boxes(form: forms.ModelForm[Any]) -> None:
    """Let a form edit quotas of rows and persons in boxes, where these can show them."""
    for name, label in COUNTED.items():
        field, found = form.fields.get(name), pairs(getattr(form.instance, name))
        if field is not None and found is not None and all(period in SHORT_PERIODS for _amount, period in found):
            form.fields[name] = QuotaField(
                periods=SHORT_PERIODS, label=field.label, required=False, help_text=field.help_text,
                widget=QuotaWidget(label, SHORT_PERIODS),
            )  # fmt: skip
