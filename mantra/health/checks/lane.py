"""Whether nginx takes calls over the fast lane, and if not, why."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mantra.health.findings import Finding
from registry.journal import lane_folder
from registry.models import CallLease

AREA = "lane"
#: Seconds after which an nginx that does not ask is away, and one that has old groups does not load the new ones.
SILENT, LOADING = 60.0, 60.0
#: For how long unexplained calls are spoken of.
SHOWN = timedelta(days=1)
NAME = gettext_lazy("fast lane")
#: Whom the findings are about.
WHO = "nginx"


def check() -> list[Finding]:
    """Return whether calls go over the fast lane, and how many are unexplained."""
    if not settings.NGINX_SECRET or not settings.FAST_LANE:
        return [Finding(AREA, WHO, "well", _("off: every call goes through the bus"))]
    return [_state(time.time()), *_unexplained()]


def _state(now: float) -> Finding:
    tick, collected, wanted = lane_folder.last_tick(), lane_folder.collected(), lane_folder.rendered()
    if tick is None or now - tick.at > SILENT:
        sentence = _("On, but no nginx asks for it: every call goes through the bus.")
        advice = _("See whether nginx has the bus's present configuration, its module njs, and the same secret.")
        return Finding(AREA, WHO, "warn", sentence, advice, _moment(tick.at) if tick else None)
    if collected is None or collected.is_behind(now):
        sentence = _("Its calls are not collected. Until they are, every call goes through the bus.")
        since = _moment(collected.upto) if collected else None
        return Finding(AREA, WHO, "ill", sentence, _("See whether the worker runs."), since)
    if wanted is not None and tick.groups != wanted.version and now - wanted.at > LOADING:
        sentence = _("nginx has not loaded the present upstream groups: calls of new servers go through the bus.")
        advice = _("See what nginx's log says about upstreams.conf.")
        return Finding(AREA, WHO, "warn", sentence, advice, _moment(wanted.at))
    if collected.last_call is None:
        return Finding(AREA, WHO, "well", _("on; no call has gone over it yet"))
    age = {"age": timesince(_moment(collected.last_call), timezone.now())}
    return Finding(AREA, WHO, "well", _("in use; last call %(age)s ago") % age)


def _unexplained() -> Iterator[Finding]:
    """Yield a finding if calls were counted for nginx of which it is not known whether they were made."""
    since = timezone.now() - SHOWN
    number = CallLease.objects.filter(at__gte=since).aggregate(number=Sum("unexplained"))["number"] or 0
    if number:
        sentence = ngettext(
            "At most %(number)d call of the last day is unexplained: nginx did not say what became of it.",
            "At most %(number)d calls of the last day are unexplained: nginx did not say what became of them.",
            number,
        ) % {"number": number}  # fmt: skip
        yield Finding(AREA, _("unexplained calls"), "warn", sentence, _("See why nginx was killed."))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
