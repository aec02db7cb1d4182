"""The live state of servers, for pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Case, F, QuerySet, When
from django.utils import timezone

from proxyservices.health.tracker import PROBER
from proxyservices.models import Backend, BackendServer, ServerState
from registry.metrics.gauges import Gauge

#: Seconds after which a row is ignored: its observer has stopped.
STALE_AFTER = 180.0
#: The states of servers, the worst first.
WORST_FIRST = ("open", "half-open", "ejected", "unknown", "healthy")


@dataclass(frozen=True, slots=True)
class Summary:
    """The health of a server over all observers that are running."""

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
    #: Since when an observer judges as the worst of them does; None if nobody knows.
    since: datetime | None
    seen_at: datetime | None


def live(server_ids: Iterable[int]) -> dict[int, Summary]:
    """Return the live state of each server by its id. One query; not for the call path."""
    rows: dict[int, list[ServerState]] = {id: [] for id in server_ids}
    now = timezone.now()
    shared = F("server__backend__probe_interval_seconds")
    every = Case(When(server__own_settings=True, then=F("server__probe_interval_seconds")), default=shared)
    states = ServerState.objects.filter(server_id__in=rows).annotate(every=every)
    for row in states.order_by("seen_at"):
        lifetime = max(STALE_AFTER, 2 * row.every) if row.observer == PROBER else STALE_AFTER
        if (now - row.seen_at).total_seconds() < lifetime:
            rows[row.server_id].append(row)
    return {id: _summary(of_server) for id, of_server in rows.items()}


@dataclass(frozen=True, slots=True)
class BackendSummary:
    """The state of a backend by those of its servers in use, with the worst server and its summary.

    ``serves``: True if one of these servers is healthy, so that calls are answered.
    """

    state: str
    server: BackendServer
    summary: Summary
    serves: bool = False


def backends(rows: QuerySet[Backend]) -> dict[int, BackendSummary]:
    """Return the live state of those backends that an observer knows, by their ids. Two queries for all."""
    known = BackendServer.objects.filter(active=True, backend__in=rows.order_by().values("pk"), states__isnull=False)
    servers = {row.pk: row for row in known.only("backend_id", "url").distinct()}
    found: dict[int, BackendSummary] = {}
    serving: set[int] = set()
    for id, state in live(servers).items():
        row = servers[id]
        other = found.get(row.backend_id)
        if state.state == "healthy":
            serving.add(row.backend_id)
        if other is None or WORST_FIRST.index(state.state) < WORST_FIRST.index(other.state):
            found[row.backend_id] = BackendSummary(state.state, row, state)
    return {id: replace(each, serves=id in serving) for id, each in found.items()}


def working() -> dict[int, bool]:
    """Return whether all servers of a backend work, for the backends of which that is known."""
    found = backends(Backend.objects.all())
    return {id: each.state == "healthy" for id, each in found.items() if each.state != "unknown"}


def gauges() -> Iterator[Gauge]:
    """Yield whether a backend's servers work, and whether the circuit of one is open. Three queries."""
    found = {id: each.state for id, each in backends(Backend.objects.all()).items() if each.state != "unknown"}
    for pk, agency, code in Backend.objects.filter(pk__in=found).values_list("pk", "agency__code", "code"):
        labels = {"backend_id": str(pk), "agency": agency, "backend": code}
        yield "mantra_backend_up", labels, found[pk] == "healthy"
        yield "mantra_backend_circuit_open", labels, found[pk] in ("open", "half-open")


def worst(states: Iterable[str]) -> str:
    """Return the state of a backend by those of its servers: unknown without any."""
    return min(states, key=WORST_FIRST.index, default="unknown")


def _summary(rows: list[ServerState]) -> Summary:
    """Return the summary of one server's rows, the newest last."""
    if not rows:
        return Summary("unknown", 0, 0, None, None, "", "", None, None, None)
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
        since=_since(rows, bad=bool(worst or ejected)),
        seen_at=rows[-1].seen_at,
    )


def _since(rows: list[ServerState], bad: bool) -> datetime | None:
    """Return since when the first of the unhealthy observers is so, or since when the last of all is healthy."""
    unhealthy = [row.since for row in rows if row.since and not row.healthy]
    if bad and unhealthy:
        return min(unhealthy)
    return max((row.since for row in rows if row.since), default=None)
