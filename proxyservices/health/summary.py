"""The live state of upstreams, for pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F
from django.utils import timezone

from proxyservices.health.tracker import PROBER
from proxyservices.models import UpstreamState

#: Seconds after which a row is ignored: its observer has stopped.
STALE_AFTER = 180.0


@dataclass(frozen=True, slots=True)
class Summary:
    """The health of an upstream over all observers that are running."""

    #: healthy, ejected, open or half-open (the circuit's), or unknown (no observer saw it within STALE_AFTER seconds).
    state: str
    #: The number of processes that call it, and of those that have ejected it or have its circuit open.
    observers: int
    against: int
    #: What the prober says; None where it is not probed.
    probe: bool | None
    latency_us: int | None
    #: The phase, reason and time of its last failure.
    phase: str
    reason: str
    failed_at: datetime | None
    seen_at: datetime | None


def live(upstream_ids: Iterable[int]) -> dict[int, Summary]:
    """Return the live state of each upstream by its id. One query; not for the call path."""
    rows: dict[int, list[UpstreamState]] = {id: [] for id in upstream_ids}
    now = timezone.now()
    states = UpstreamState.objects.filter(upstream_id__in=rows).annotate(every=F("upstream__probe_interval_seconds"))
    for row in states.order_by("seen_at"):
        lifetime = max(STALE_AFTER, 2 * row.every) if row.observer == PROBER else STALE_AFTER
        if (now - row.seen_at).total_seconds() < lifetime:
            rows[row.upstream_id].append(row)
    return {id: _summary(of_upstream) for id, of_upstream in rows.items()}


def _summary(rows: list[UpstreamState]) -> Summary:
    """Return the summary of one upstream's rows, the newest last."""
    if not rows:
        return Summary("unknown", 0, 0, None, None, "", "", None, None)
    probe = next((row.healthy for row in rows if row.observer == PROBER), None)
    processes = [row for row in rows if row.observer != PROBER]
    breakers = {row.breaker for row in processes}
    worst = next((word for word in ("open", "half-open") if word in breakers), "")
    ejected = not all(row.healthy for row in rows)
    failures = [row for row in rows if row.failed_at is not None]
    last = max(failures, key=lambda row: row.failed_at or row.seen_at, default=None)
    timed = [row.latency_us for row in rows if row.latency_us is not None]
    return Summary(
        state=worst or ("ejected" if ejected else "healthy"),
        observers=len(processes),
        against=sum(not row.healthy for row in processes),
        probe=probe,
        latency_us=timed[-1] if timed else None,
        phase=last.phase if last else "",
        reason=last.reason if last else "",
        failed_at=last.failed_at if last else None,
        seen_at=rows[-1].seen_at,
    )
