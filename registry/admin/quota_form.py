"""Quotas in forms: numbers of calls, each with its period."""

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


class QuotaWidget(forms.MultiWidget):
    def __init__(self) -> None:
        widgets: list[forms.Widget] = []
        for number in range(1, LIMITS + 1):
            calls = text_input(inputmode="numeric", autocomplete="off")
            calls.attrs["aria-label"] = _("Number of calls, limit %(number)d") % {"number": number}
            period = select(PERIODS.items())
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

    def __init__(self, **kwargs: Any) -> None:
        parts: list[forms.Field] = []
        for _number in range(LIMITS):
            parts += [
                forms.IntegerField(min_value=1, required=False),
                forms.ChoiceField(choices=PERIODS.items(), required=False),
            ]
        super().__init__(fields=parts, require_all_fields=False, **kwargs)

    def compress(self, values: list[Any]) -> str:
        found = zip(values[::2], values[1::2], strict=True)
        return "; ".join(f"{calls}/{period}" for calls, period in found if calls and period)
