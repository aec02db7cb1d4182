"""The prober: sends each server's probe at its interval, and writes its findings to the database.

One process at a time probes: the one that holds leadership. A probe that hangs delays no other. Servers that
responded quickly last time are probed by a pool of their own, in which a probe may take QUICK_LIMIT seconds. One that
takes longer is probed again by the pool for slow ones before the failure counts.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from proxyservices import endpoints
from proxyservices.health import summary, sync, tracker
from proxyservices.health.probe import LIMIT, QUICK_LIMIT, SLACK, Outcome, run_probe
from proxyservices.models import BackendServer, ProxyOperation, ServerState
from proxyservices.models.backends import SETTINGS
from proxyservices.transport.endpoint import Endpoint
from registry import leader
from registry.models import Operation, SnapshotVersion

log = logging.getLogger("mantra.proxyservices")
#: Seconds after which a first failure is probed again before it counts.
RECHECK_SECONDS = 1.0
#: Failures in a row until a server is unhealthy.
FAILURES_UNTIL_UNHEALTHY = 2
#: Probes in progress at once: of servers that responded quickly last time, and of all others.
QUICK, SLOW = 32, 48
#: Seconds between two rounds, two refreshes of registry and leadership, and two removals of old rows.
ROUND, REFRESH_INTERVAL, PRUNE_INTERVAL = 0.1, 0.5, 30.0


class WorkerPool:
    """At most ``size`` daemon threads, started on demand: the end of the process waits for none of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def submit(self, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread as soon as one is free. To be called by one thread only."""
        if not self._idle.acquire(blocking=False) and self._started < self._size:
            self._started += 1
            threading.Thread(target=self._run, name="probe", daemon=True).start()
        self._work.put(work)

    def _run(self) -> None:
        while True:
            self._work.get()()
            self._idle.release()


class ProbeTarget:
    """A server that is probed, the probe in progress, and its health."""

    def __init__(self, key: tuple[Any, ...], endpoint: Endpoint | None, reason: str, interval_seconds: float) -> None:
        #: The row's values and its settings: if one of them changes, it is another target.
        self.key = key
        #: None if the row cannot be used; ``reason`` is the word why.
        self.endpoint = endpoint
        self.reason = reason
        self.interval_seconds = interval_seconds
        self.due = time.monotonic()
        #: The probe in progress: its deadline (monotonic seconds), and its number.
        self.until: float | None = None
        self.number = 0
        #: False while a thread probes it; the thread of a lost probe may return later.
        self.free = True
        #: True if it responded slowly last time, or was never probed.
        self.slow = True
        self.failures = 0
        self.healthy: bool | None = None
        self.since = timezone.now()
        self.last: Outcome | None = None
        self.failed: tuple[Outcome, datetime] | None = None
        #: The content that was written last, and when (monotonic); True if there is a newer outcome.
        self.published: tuple[Any, ...] | None = None
        self.published_at = 0.0
        self.fresh = False

    def record(self, outcome: Outcome) -> None:
        """Judge the server's health after a probe."""
        before = self.healthy
        self.last = outcome
        self.slow = outcome.slow or outcome.seconds > QUICK_LIMIT / 2
        if outcome.healthy:
            self.failures = 0
            self.healthy = True
        else:
            self.failures += 1
            self.failed = (outcome, timezone.now())
            if self.failures >= FAILURES_UNTIL_UNHEALTHY:
                self.healthy = False
            elif self.healthy is not False:
                self.due = min(self.due, time.monotonic() + RECHECK_SECONDS)
        if self.healthy is not before:
            self.since = timezone.now()
        # After a first failure the health of a server that was never probed is not known yet.
        self.fresh = self.healthy is not None

    def row(self, id: int) -> ServerState:
        """Return the row to write."""
        outcome, failed_at = self.failed or (None, None)
        return ServerState(
            server_id=id,
            observer=tracker.PROBER,
            healthy=self.healthy is not False,
            latency_us=int(self.last.seconds * 1_000_000) if self.last else None,
            phase=outcome.phase[:20] if outcome else "",
            reason=outcome.reason[:40] if outcome else "",
            failed_at=failed_at,
            since=self.since,
            certificate_ends=self._certificate_ends(),
        )

    def _certificate_ends(self) -> datetime | None:
        end = self.endpoint.target.origin.certificate_ends if self.endpoint else None
        return None if end is None else datetime.fromtimestamp(end, UTC)

    def current_state(self) -> tuple[Any, ...]:
        """Return the part of the row's content in which a change is worth a write."""
        outcome = self.failed[0] if self.failed else None
        return (self.healthy, outcome and (outcome.phase, outcome.reason))


class Prober:
    """Probes all servers while it holds leadership."""

    def __init__(self) -> None:
        self.leadership = leader.Leadership("probes")
        self._targets: dict[int, ProbeTarget] = {}
        self._version = -1
        self._refreshed = self._pruned = float("-inf")
        self._done: queue.SimpleQueue[tuple[ProbeTarget, int, Outcome]] = queue.SimpleQueue()
        self._quick, self._slow = WorkerPool(QUICK), WorkerPool(SLOW)
        self._failing = False

    def run(self, is_wanted: Callable[[], bool], wait: Callable[[float], bool]) -> None:
        """Probe until is_wanted() returns False, or wait(seconds), called after each round, returns True."""
        while is_wanted():
            self._guarded(self.refresh)
            if self.leadership.held:
                self.probe()
                if not self._failing:
                    self._guarded(self.write)
            _beat()
            if wait(ROUND if self._targets else REFRESH_INTERVAL):
                break
        self._guarded(self.leadership.release)
        connection.close()

    def _guarded(self, step: Callable[[], object]) -> None:
        """Do a step that needs the database; skip it while the database is not available."""
        try:
            step()
        except Exception as error:  # the prober must survive every error
            if not self._failing:
                log.error("the prober is paused (%s)", type(error).__name__)
            self._failing = True
            # Not in every round: the database must not be flooded with attempts when it comes back.
            self._refreshed = time.monotonic() + leader.TAKEOVER_SECONDS / 2
            if isinstance(error, DatabaseError | InterfaceError):
                connection.close()

    def refresh(self) -> None:
        """Renew leadership, take over changes of the registry, and remove old rows."""
        now = time.monotonic()
        if now - self._refreshed < REFRESH_INTERVAL:
            return
        self._refreshed = now
        if not self.leadership.hold():
            self._targets, self._version = {}, -1
            return
        version = SnapshotVersion.objects.filter(pk=1).values_list("version", flat=True).first() or 0
        if version != self._version:
            self._reload()
            self._version = version
        if now - self._pruned > PRUNE_INTERVAL:
            self._pruned = now
            self.prune()
        if self._failing:
            log.warning("the prober has resumed")
            self._failing = False

    def _reload(self) -> None:
        previous, self._targets = self._targets, {}
        findings = ServerState.objects.filter(observer=tracker.PROBER)
        stored = {id: (healthy, since) for id, healthy, since in findings.values_list("server_id", "healthy", "since")}
        for row in probed():
            key = _key(row)
            target = previous.get(row.pk)
            if target is None or target.key != key:
                target = _target(row, key)
                # On taking over, the last leader's finding counts; a changed row is judged by its own first probes.
                if not previous and row.pk in stored:
                    target.healthy, since = stored[row.pk]
                    target.since = since or target.since
            self._targets[row.pk] = target

    def probe(self) -> None:
        """Record the finished and the lost probes, and start every probe that is due."""
        self.collect()
        now = time.monotonic()
        for target in self._targets.values():
            if target.until is not None and now > target.until:
                target.until = None
                target.record(Outcome(False, target.interval_seconds, "dns", "lost", slow=True))
            if target.until is None and target.free and now >= target.due:
                self._start(target, now)

    def _start(self, target: ProbeTarget, now: float) -> None:
        target.due = now + target.interval_seconds
        endpoint = target.endpoint
        if endpoint is None:
            target.record(Outcome(False, 0.0, "address", target.reason))
            return
        target.number += 1
        target.free = False
        number = target.number
        pool, limit = (self._slow, LIMIT) if target.slow else (self._quick, QUICK_LIMIT)

        def work() -> None:
            began = time.monotonic()
            target.due = began + target.interval_seconds
            target.until = began + limit + SLACK
            outcome = run_probe(endpoint, limit)
            target.free = True
            self._done.put((target, number, outcome))

        pool.submit(work)

    def collect(self) -> None:
        """Record the finished probes. The outcome of one that counted as lost is ignored."""
        while True:
            try:
                target, number, outcome = self._done.get_nowait()
            except queue.Empty:
                return
            if target.until is not None and number == target.number:
                target.until = None
                target.record(outcome)

    def write(self) -> None:
        """Write the rows that changed, and the others every REFRESH seconds: it shows that the prober runs."""
        now = time.monotonic()
        due = {
            id: target
            for id, target in self._targets.items()
            if target.fresh
            and (target.current_state() != target.published or now - target.published_at > 0.9 * tracker.REFRESH)
        }
        if not due:
            return
        sync.save_states([target.row(id) for id, target in due.items()])
        for target in due.values():
            target.published, target.published_at, target.fresh = target.current_state(), now, False

    def prune(self) -> None:
        """Remove the rows of processes that have ended, and of servers that are no longer probed."""
        oldest = timezone.now() - timedelta(seconds=summary.STALE_AFTER)
        ServerState.objects.exclude(observer=tracker.PROBER).filter(seen_at__lt=oldest).delete()
        ServerState.objects.filter(observer=tracker.PROBER).exclude(server_id__in=list(self._targets)).delete()


def probed() -> QuerySet[BackendServer]:
    """Return the servers in use that have a probe, except those that no operation uses, or only retired ones."""
    own = Q(own_settings=True, probe_interval_seconds__gt=0)
    shared = Q(own_settings=False, backend__probe_interval_seconds__gt=0)
    used = ProxyOperation.objects.filter(backend=OuterRef("backend"), draft_of=None)
    used = used.exclude(state=Operation.State.RETIRED)
    rows = BackendServer.objects.filter(own | shared, Exists(used), active=True)
    return rows.select_related("backend").order_by("pk")


def _key(row: BackendServer) -> tuple[Any, ...]:
    settings = (getattr(row.settings, name) for name in SETTINGS)
    return (row.priority, row.weight, row.url, row.backend_id, *settings)


def _target(row: BackendServer, key: tuple[Any, ...]) -> ProbeTarget:
    interval = row.settings.probe_interval_seconds
    try:
        return ProbeTarget(key, endpoints.endpoint_of(row), "", interval)
    except ValueError as error:
        log.error("server %d cannot be probed: %s", row.pk, error)
        return ProbeTarget(key, None, str(error), interval)


def heartbeat_file() -> Path:
    """Return the file that a running prober touches."""
    return Path(settings.JOURNAL_DIR) / "probes.alive"


_last_beat = 0.0


def _beat() -> None:
    global _last_beat
    now = time.monotonic()
    if now - _last_beat > REFRESH_INTERVAL * 2:
        _last_beat = now
        with contextlib.suppress(OSError):
            heartbeat_file().touch()
