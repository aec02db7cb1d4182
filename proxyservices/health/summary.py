"""The live state of upstreams, for pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F
from django.utils import timezone

from proxyservices.health.tracker import PROBER
from proxyservices.models import UpstreamState

#: Seconds after which a row tells nothing any more: its observer is gone.
GONE = 180.0


# ------------------------------------------------------------------------------------------------------ for the admin


@dataclass(frozen=True, slots=True)
class Summary:
    """How an upstream fares over all observers that are alive."""

    #: healthy; ejected (others come first); open or half-open (the breaker's); unknown (nobody has seen it lately).
    state: str
    #: How many processes see it, and how many of these have ejected it or hold their breaker open.
    observers: int
    against: int
    #: What the prober says; None where it is not probed.
    probe: bool | None
    latency_us: int | None
    #: Where and how it failed last, and when.
    phase: str
    reason: str
    failed_at: datetime | None
    seen_at: datetime | None


def live(upstream_ids: Iterable[int]) -> dict[int, Summary]:
    """The live state of upstreams, for a page: one query, not for the call path."""
    rows: dict[int, list[UpstreamState]] = {id: [] for id in upstream_ids}
    now = timezone.now()
    states = UpstreamState.objects.filter(upstream_id__in=rows).annotate(every=F("upstream__probe_seconds"))
    for row in states.order_by("seen_at"):
        lasting = max(GONE, 2 * row.every) if row.observer == PROBER else GONE
        if (now - row.seen_at).total_seconds() < lasting:
            rows[row.upstream_id].append(row)
    return {id: _summary(found) for id, found in rows.items()}


def _summary(rows: list[UpstreamState]) -> Summary:
    """Of one upstream's rows, the newest last."""
    if not rows:
        return Summary("unknown", 0, 0, None, None, "", "", None, None)
    probe = next((row.healthy for row in rows if row.observer == PROBER), None)
    others = [row for row in rows if row.observer != PROBER]
    breakers = {row.breaker for row in others}
    worst = next((word for word in ("open", "half-open") if word in breakers), "")
    ejected = not all(row.healthy for row in rows)
    failures = [row for row in rows if row.failed_at is not None]
    last = max(failures, key=lambda row: row.failed_at or row.seen_at, default=None)
    timed = [row.latency_us for row in rows if row.latency_us is not None]
    return Summary(
        state=worst or ("ejected" if ejected else "healthy"),
        observers=len(others),
        against=sum(not row.healthy for row in others),
        probe=probe,
        latency_us=timed[-1] if timed else None,
        phase=last.phase if last else "",
        reason=last.reason if last else "",
        failed_at=last.failed_at if last else None,
        seen_at=rows[-1].seen_at,
    )
