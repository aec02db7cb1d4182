"""A thread that exchanges findings with the database: it reads the prober's and writes this process's."""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from proxyservices.health import tracker
from proxyservices.health.tracker import PROBER, EndpointState, Finding, findings, states
from proxyservices.models import BackendServer, ServerState
from registry.processes import this_process
from registry.rounds import ProcessThread, survive

log = logging.getLogger("mantra.proxyservices")

#: Seconds after which an unchanged row is written again while the endpoint is not called.
IDLE_REFRESH = 60.0
#: Seconds between two readings of all the prober's rows; between them only newer rows are read.
_FULL_READ = 10.0

_PUBLISHED = [
    "healthy",
    "breaker",
    "latency_us",
    "phase",
    "reason",
    "failed_at",
    "since",
    "certificate_ends",
    "seen_at",
]


class StateExchange:
    """One process's exchange: its name as an observer, and how far it has read the prober's rows."""

    def __init__(self) -> None:
        self._name = this_process()
        #: The newest time in the prober's rows, and the monotonic time at which all of them were read.
        self._newest: datetime | None = None
        self._full_read_at = 0.0

    def tick(self) -> None:
        """Do one round. Raises the database's errors."""
        self.read()
        self.write()

    def read(self) -> None:
        """Take over the prober's findings, and forget those without a row."""
        now = tracker.clock()
        rows = ServerState.objects.filter(observer=PROBER)
        full = self._newest is None or now - self._full_read_at > _FULL_READ
        if not full:
            rows = rows.filter(seen_at__gt=self._newest)
        values = list(rows.values_list("server_id", "healthy", "seen_at"))
        if full:
            self._full_read_at = now
            for id in findings.keys() - {id for id, *_ in values}:
                findings.pop(id, None)
        for id, healthy, seen_at in values:
            _record_finding(id, healthy, seen_at, now)
        self._newest = max((seen_at for *_, seen_at in values), default=self._newest)

    def write(self) -> None:
        """Write the states that changed or are due for renewal, and forget those of deleted servers."""
        now = tracker.clock()
        due: dict[int, tuple[EndpointState, ServerState, tuple[Any, ...]]] = {}
        for (id, _), state in list(states.items()):
            state.note_health()
            row, content = _row(id, state, self._name)
            age = now - state.published_at
            if content != state.published or age > (tracker.REFRESH if state.used else IDLE_REFRESH):
                due[id] = (state, row, content)
        if not due:
            return
        existing = save_states([row for _, row, _ in due.values()])
        for id, (state, _, content) in due.items():
            state.published, state.published_at, state.used = content, now, False
            if id not in existing:
                _forget(id)


def _record_finding(id: int, healthy: bool, seen_at: datetime, now: float) -> None:
    previous = findings.get(id)
    if previous is not None and previous.seen_at == seen_at:
        return
    # The age of a row from before this process's first reading is known by its writer's clock only.
    age = 0.0 if previous is not None else max(0.0, (timezone.now() - seen_at).total_seconds())
    findings[id] = Finding(healthy, seen_at, now - age)
    if healthy and previous is not None and not previous.healthy:
        for key, state in list(states.items()):
            if key[0] == id:
                state.close(now)


def _row(id: int, state: EndpointState, name: str) -> tuple[ServerState, tuple[Any, ...]]:
    """Return an endpoint's row, and that part of its content in which a change is worth a write."""
    breaker = state.breaker.state
    healthy = state.in_rotation
    row = ServerState(
        server_id=id,
        observer=name,
        healthy=healthy,
        breaker=breaker,
        latency_us=state.latency_us,
        phase=state.phase[:20],
        reason=state.reason[:40],
        failed_at=_as_datetime(state.failed_at),
        since=_as_datetime(state.since),
    )
    # Open becomes half-open by the passing of time alone.
    return row, (healthy, breaker == "closed", state.phase, state.reason)


def _as_datetime(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.get_current_timezone())


def save_states(rows: list[ServerState]) -> set[int]:
    """Insert or update rows. Return the ids of the servers that still exist."""
    existing = set(BackendServer.objects.filter(pk__in=[row.server_id for row in rows]).values_list("pk", flat=True))
    try:
        with transaction.atomic():
            ServerState.objects.bulk_create(
                [row for row in rows if row.server_id in existing],
                batch_size=100,
                update_conflicts=True,
                unique_fields=["server", "observer"],
                update_fields=_PUBLISHED,
            )
    except IntegrityError:
        pass  # a server was deleted meanwhile; the next round omits it
    return existing


def _forget(id: int) -> None:
    for key in [key for key in list(states) if key[0] == id]:
        states.pop(key, None)


def _run(stop: threading.Event) -> None:
    exchange = StateExchange()
    failing = False
    while not stop.wait(settings.SNAPSHOT_SECONDS):
        failing = survive(exchange.tick, failing, log, "server states could not be synchronised")
    connection.close()


#: Without a thread only a caller of StateExchange.tick() exchanges findings. They remain when it is stopped.
_thread = ProcessThread("health", _run)
start, stop = _thread.start, _thread.stop
