"""Alarms of the last day: applications that fetched data unusually."""

from __future__ import annotations

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from mantra.health.findings import Finding
from mantra.health.rows import rows_for
from registry.models import HarvestAlarm
from registry.tenancy import AnyUser

AREA = "alarms"
#: Hours for which an alarm is shown here, and the most of them.
HOURS, MOST = 24, 20


def check(viewer: AnyUser | None) -> list[Finding]:
    """Return the alarms of the last HOURS hours that were not found in a dry run, the newest first."""
    rows = rows_for(viewer, HarvestAlarm).filter(found_at__gte=timezone.now() - timedelta(hours=HOURS))
    return [_alarm(row) for row in rows.exclude(action="").select_related("rule").order_by("-found_at", "-pk")[:MOST]]


def _alarm(row: HarvestAlarm) -> Finding:
    sentence = _("Unusual calls: %(kind)s, %(number)d in an hour.") % {
        "kind": row.rule.get_kind_display(),
        "number": row.number,
    }
    return Finding(
        AREA, row.address, "warn", sentence, _("See its calls, and ask its agency what they are for."),
        url=reverse("admin:registry_harvestalarm_change", args=(row.pk,)),
    )  # fmt: skip
