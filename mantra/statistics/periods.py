"""The periods that a page of statistics offers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.statistics.reading import Period

#: Days → what the period is called, and the one before.
CHOICES: dict[int, tuple[Any, Any]] = {
    1: (_("today"), _("yesterday, the whole day")),
    7: (_("7 days"), _("the 7 days before")),
    30: (_("30 days"), _("the 30 days before")),
    365: (_("365 days"), _("the 365 days before")),
}
DEFAULT = 30


def period_of(request: HttpRequest) -> Period:
    """Return the period that a request chooses with ?days=, up to today."""
    text = request.GET.get("days", "")
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else DEFAULT
    return Period.of(days if days in CHOICES else DEFAULT, timezone.localdate())


def step_of(period: Period) -> str:
    """Return what a point of a chart over a period stands for: hour, day or month."""
    return "hour" if period.days == 1 else "day" if period.days <= 92 else "month"
