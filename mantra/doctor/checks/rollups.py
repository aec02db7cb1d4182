"""The statistics against the call history: an upgrade to the first version with statistics counts nothing old."""

from __future__ import annotations

from django.db.models import Min
from django.utils import timezone
from django.utils.translation import gettext as _

from mantra.health.findings import Finding
from registry.models import CallRecord
from registry.models.statistics import CallDay

AREA = "statistics"


def check() -> list[Finding]:
    """Return whether the statistics begin as early as the history. Raises what the database raises."""
    oldest = (
        CallRecord.objects.exclude(operation="").order_by("started_at").values_list("started_at", flat=True).first()
    )
    counted = CallDay.objects.aggregate(first=Min("day"))["first"]
    name = _("first day of the statistics")
    if oldest is None or (counted is not None and counted <= timezone.localdate(oldest)):
        return [Finding(AREA, name, "well", _("as early as the call history"))]
    sentence = _("The call history is older: it begins on %(day)s.") % {"day": timezone.localdate(oldest).isoformat()}
    return [Finding(AREA, name, "warn", sentence, _("Run manage.py rebuild_statistics once."))]
