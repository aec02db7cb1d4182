"""The statistics against the call history: an upgrade to the first version with statistics counts nothing old."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from django.conf import settings
from django.db.models import Min
from django.utils import timezone
from django.utils.translation import gettext as _

from mantra.health.findings import Finding
from registry import moments
from registry.models import CallDay, CallRecord
from registry.outcomes import COUNTED
from registry.statistics import rebuilding

AREA = "statistics"


def check() -> list[Finding]:
    """Return whether the statistics begin as early as the history. Raises what the database raises."""
    oldest = _oldest()
    counted = CallDay.objects.aggregate(first=Min("day"))["first"]
    name = _("first day of the statistics")
    if oldest is None or (counted is not None and counted <= timezone.localdate(oldest)):
        return [Finding(AREA, name, "well", _("as early as the call history"))]
    sentence = _("The call history is older: it begins on %(day)s.") % {"day": moments.day(oldest)}
    return [Finding(AREA, name, "warn", sentence, _("Run manage.py rebuild_statistics once."))]


def _oldest() -> datetime | None:
    """Return when the first call began that the statistics should count: of the days that both keep whole."""
    first = max(rebuilding.first_day(), timezone.localdate() - timedelta(days=settings.STATISTICS_DAYS))
    begin = timezone.make_aware(datetime.combine(first, time.min))
    ended = CallRecord.objects.filter(protocol__in=COUNTED, started_at__gte=begin).exclude(outcome=0)
    return ended.order_by("started_at").values_list("started_at", flat=True).first()
