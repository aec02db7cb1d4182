"""How far the call history is behind the journal."""

from __future__ import annotations

from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health import trend
from mantra.health.findings import Finding, State
from registry import moments
from registry.journal.lag import Lag, lag
from registry.statistics.reading import rolled_up_to

AREA = "journal"
#: The bytes of the journal that the worker ships within seconds.
BEHIND = 16 * 1024 * 1024
#: Seconds after which a call should be in the history, and after which something is wrong.
LATE, VERY_LATE = 60, 600
#: Seconds between two measurements, for which they are kept, and for which the lag must have grown to say so.
EVERY, KEEP, GROWING = 15.0, 300.0, 45.0


def check() -> list[Finding]:
    """Return how much of the journal is not in the call history yet."""
    behind = lag()
    grows = trend.grows(trend.noted(AREA, behind.bytes), GROWING)
    late = (timezone.now() - behind.oldest).total_seconds() if behind.oldest else 0.0
    state: State = "ill" if late > VERY_LATE else "warn" if late > LATE or behind.bytes > BEHIND else "well"
    advice = "" if state == "well" else _("No call is lost: the journal keeps them. See whether the worker runs.")
    since = behind.oldest if state != "well" else None
    return [Finding(AREA, _("not in the call history yet"), state, _sentence(behind, late, grows), advice, since)]


def note() -> None:
    """Measure the lag."""
    trend.note(AREA, lag().bytes, EVERY, KEEP)


def _sentence(behind: Lag, late: float, grows: bool | None) -> str:
    size = ngettext("%(size)s in %(number)d file", "%(size)s in %(number)d files", behind.segments) % {
        "size": filesizeformat(behind.bytes), "number": behind.segments,
    }  # fmt: skip
    parts = [size]
    if behind.oldest and late > LATE:
        parts.append(_("the oldest call is of %(age)s ago") % {"age": timesince(behind.oldest, timezone.now())})
    if grows is not None and behind.bytes:
        parts.append(_("growing") if grows else _("not growing"))
    counted = rolled_up_to()
    if counted is not None:
        moment = {"moment": moments.moment(counted)}
        parts.append(_("statistics count calls up to %(moment)s") % moment)
    return ", ".join(parts)
