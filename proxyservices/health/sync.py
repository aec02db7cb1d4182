"""Exchanges findings with the database in a thread: the prober's come in, this process's go out."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, connection, transaction
from django.utils import timezone

from proxyservices.health import tracker
from proxyservices.health.balancer import _stands
from proxyservices.health.tracker import PROBER, Finding, State, _findings, _states
from proxyservices.models import Upstream, UpstreamState

log = logging.getLogger("mantra.proxyservices")


IDLE = 60.0
#: Seconds between two readings of all the prober's rows; between them only what is new is read.
_WHOLE = 10.0


# ------------------------------------------------------------------------------------------ from and to the database

_TOLD = ["healthy", "breaker", "latency_us", "phase", "reason", "failed_at", "seen_at"]


def observer() -> str:
    """The name of this process in UpstreamState."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}"


class Exchange:
    """What the thread does: takes over the prober's findings, and writes what this process found."""

    def __init__(self) -> None:
        self._name = observer()
        self._newest: datetime | None = None
        self._whole_at = 0.0

    def tick(self) -> None:
        """One round. Raises what the database raises."""
        self.read()
        self.write()

    def read(self) -> None:
        now = time.monotonic()
        rows = UpstreamState.objects.filter(observer=PROBER)
        whole = self._newest is None or now - self._whole_at > _WHOLE
        if not whole:
            rows = rows.filter(seen_at__gt=self._newest)
        found = list(rows.values_list("upstream_id", "healthy", "seen_at"))
        if whole:
            self._whole_at = now
            for id in _findings.keys() - {id for id, *_ in found}:
                _findings.pop(id, None)
        for id, healthy, written in found:
            _heard(id, healthy, written, now)
        self._newest = max((written for *_, written in found), default=self._newest)

    def write(self) -> None:
        now = time.monotonic()
        wanted: dict[int, tuple[State, UpstreamState, tuple[Any, ...]]] = {}
        for (id, _), state in list(_states.items()):
            row, told = _row(id, state, self._name)
            silent = now - state.told_at
            if told != state.told or silent > (tracker.REFRESH if state.used else IDLE):
                wanted[id] = (state, row, told)
        if not wanted:
            return
        there = put([row for _, row, _ in wanted.values()])
        for id, (state, _, told) in wanted.items():
            state.told, state.told_at, state.used = told, now, False
            if id not in there:
                _forget(id)


def _heard(id: int, healthy: bool, written: datetime, now: float) -> None:
    held = _findings.get(id)
    if held is not None and held.written == written:
        return
    # A row that was there before us was written at a time that only its writer's clock knows.
    age = 0.0 if held is not None else max(0.0, (timezone.now() - written).total_seconds())
    _findings[id] = Finding(healthy, written, now - age)
    if healthy and held is not None and not held.healthy:
        for key, state in list(_states.items()):
            if key[0] == id:
                state.close(now)


def _row(id: int, state: State, name: str) -> tuple[UpstreamState, tuple[Any, ...]]:
    breaker = state.breaker.state
    healthy = _stands(state)
    row = UpstreamState(
        upstream_id=id,
        observer=name,
        healthy=healthy,
        breaker=breaker,
        latency_us=state.latency_us,
        phase=state.phase[:20],
        reason=state.reason[:40],
        failed_at=_moment(state.failed_at),
    )
    # Half-open is an open breaker with time gone by: no change that is worth a write.
    return row, (healthy, breaker == "closed", state.phase, state.reason)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.get_current_timezone())


def put(rows: list[UpstreamState]) -> set[int]:
    """Insert or renew rows, and tell which upstreams are still there."""
    there = set(Upstream.objects.filter(pk__in=[row.upstream_id for row in rows]).values_list("pk", flat=True))
    try:
        with transaction.atomic():
            UpstreamState.objects.bulk_create(
                [row for row in rows if row.upstream_id in there],
                batch_size=100,
                update_conflicts=True,
                unique_fields=["upstream", "observer"],
                update_fields=_TOLD,
            )
    except IntegrityError:
        pass  # an upstream was deleted under our hands; the next round leaves it out
    return there


def _forget(id: int) -> None:
    for key in [key for key in list(_states) if key[0] == id]:
        _states.pop(key, None)


_stopping = threading.Event()
_threads: list[threading.Thread] = []


def start() -> None:
    """Exchange findings with the database in a thread of its own. One per process, started after the fork.

    With settings.SNAPSHOT_SECONDS = 0 nobody does so but who calls Exchange.tick().
    """
    if settings.SNAPSHOT_SECONDS and not any(thread.is_alive() for thread in _threads):
        _stopping.clear()
        _threads[:] = [threading.Thread(target=_follow, name="health", daemon=True)]
        _threads[0].start()


def stop() -> None:
    """End the thread; what it learned stays."""
    _stopping.set()
    for thread in _threads:
        thread.join(timeout=5)
    _threads.clear()


def _follow() -> None:
    exchange = Exchange()
    failing = False
    while not _stopping.wait(settings.SNAPSHOT_SECONDS):
        try:
            exchange.tick()
            failing = False
        except Exception as error:  # the thread must outlive whatever it meets
            if not failing:
                log.error("the upstreams' states could not be exchanged (%s)", type(error).__name__)
            failing = True
            if isinstance(error, DatabaseError | InterfaceError):
                connection.close()
    connection.close()
