"""The prober: asks upstreams at their intervals whether they are well, and writes down what it finds.

One process at a time does so, whoever has the lease. A probe that hangs holds no other up: who answered quickly
last time is asked in a lane of its own, in which a probe may take a second. Who does not keep to it is asked again
in the lane of the slow before that counts.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F, QuerySet
from django.utils import timezone

from proxyservices import endpoints
from proxyservices.health import summary, sync, tracker
from proxyservices.health.probe import LIMIT, QUICK_LIMIT, SLACK, Outcome, ask
from proxyservices.models import Lease, Upstream, UpstreamState
from proxyservices.transport.credentials import Credential
from proxyservices.transport.endpoint import Address
from proxyservices.transport.pool import Target
from registry import processes
from registry.models import Operation, SnapshotVersion

log = logging.getLogger("mantra.proxyservices")
#: Seconds after which a first failure is looked at again before it counts.
AGAIN = 1.0
#: Failures in a row until an upstream is ill.
FALL = 2
#: Probes at once of those that answered quickly last time, and of all others.
QUICK, SLOW = 32, 48
#: Seconds between two rounds, two looks at the book and the lease, and two removals of old rows.
ROUND, LOOK, TIDY = 0.1, 0.5, 30.0
#: Seconds for which a lease may stand still before another takes it.
PATIENCE = 5.0


class Lane:
    """At most ``most`` daemon threads, started as they are needed: the end of the process waits for none of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def put(self, work: Callable[[], None]) -> None:
        """Called by one thread only."""
        if not self._idle.acquire(blocking=False) and self._started < self._most:
            self._started += 1
            threading.Thread(target=self._run, name="probe", daemon=True).start()
        self._work.put(work)

    def _run(self) -> None:
        while True:
            self._work.get()()
            self._idle.release()


class Watched:
    """An upstream that is probed, and what is known of it."""

    def __init__(self, key: tuple[Any, ...], address: Address | None, reason: str, seconds: float) -> None:
        #: What of the row, and of the operation's state, would make it another one.
        self.key = key
        #: None where the row cannot be used, with the word why.
        self.address = address
        self.reason = reason
        self.seconds = seconds
        self.due = time.monotonic()
        #: The probe under way: when it has to be over (monotonic), and its number.
        self.until: float | None = None
        self.number = 0
        #: Whether its thread has come back; a lost one's may take longer.
        self.free = True
        #: Whether it did not answer quickly last time, as far as is known.
        self.slow = True
        self.failures = 0
        self.healthy: bool | None = None
        self.last: Outcome | None = None
        self.failed: tuple[Outcome, datetime] | None = None
        #: What was written last, and when (monotonic); whether there is something newer.
        self.told: tuple[Any, ...] | None = None
        self.told_at = 0.0
        self.fresh = False

    def take(self, outcome: Outcome) -> None:
        self.last = outcome
        self.slow = outcome.slow or outcome.seconds > QUICK_LIMIT / 2
        if outcome.healthy:
            self.failures = 0
            self.healthy = True
        else:
            self.failures += 1
            self.failed = (outcome, timezone.now())
            if self.failures >= FALL:
                self.healthy = False
            elif self.healthy is not False:
                self.due = min(self.due, time.monotonic() + AGAIN)
        # A first failure says nothing yet of an upstream that nobody has seen.
        self.fresh = self.healthy is not None

    def row(self, id: int) -> UpstreamState:
        outcome, at = self.failed or (None, None)
        return UpstreamState(
            upstream_id=id,
            observer=tracker.PROBER,
            healthy=self.healthy is not False,
            latency_us=int(self.last.seconds * 1_000_000) if self.last else None,
            phase=outcome.phase[:20] if outcome else "",
            reason=outcome.reason[:40] if outcome else "",
            failed_at=at,
        )

    def news(self) -> tuple[Any, ...]:
        outcome = self.failed[0] if self.failed else None
        return (self.healthy, outcome and (outcome.phase, outcome.reason))


class Holder:
    """The prober's lease. It goes by no clock but one's own: what stands still for PATIENCE seconds is free."""

    def __init__(self, name: str = "probes") -> None:
        self._name = name
        self._me = sync.observer()
        self._seen: tuple[str, int] = ("", -1)
        self._since = 0.0
        self.held = False

    def hold(self) -> bool:
        """Renew it, or try to get it. Raises what the database raises."""
        rows = Lease.objects.filter(name=self._name)
        if self.held:
            self.held = bool(rows.filter(holder=self._me).update(beat=F("beat") + 1))
            return self.held
        row, _ = Lease.objects.get_or_create(name=self._name)
        if (row.holder, row.beat) != self._seen:
            self._seen, self._since = (row.holder, row.beat), time.monotonic()
        if row.holder == self._me or self._free(row.holder):
            mine = rows.filter(holder=row.holder, beat=row.beat).update(holder=self._me, beat=row.beat + 1)
            self.held = bool(mine)
        return self.held

    def _free(self, holder: str) -> bool:
        host, _, pid = holder.rpartition(":")
        if not holder or time.monotonic() - self._since > PATIENCE:
            return True
        return host == socket.gethostname()[:80] and pid.isdigit() and not processes.pid_alive(int(pid))

    def release(self) -> None:
        """Give it back, so that the next one need not wait."""
        if self.held:
            self.held = False
            Lease.objects.filter(name=self._name, holder=self._me).update(holder="")


class Prober:
    """Keeps probing while it has the lease."""

    def __init__(self) -> None:
        self.lease = Holder()
        self._watched: dict[int, Watched] = {}
        self._version = -1
        self._looked = self._tidied = float("-inf")
        self._done: queue.SimpleQueue[tuple[Watched, int, Outcome]] = queue.SimpleQueue()
        self._quick, self._slow = Lane(QUICK), Lane(SLOW)
        self._failing = False

    def run(self, wanted: Callable[[], bool], rest: Callable[[float], bool]) -> None:
        """Go on while wanted() holds and rest(seconds) is False."""
        while wanted():
            self._guarded(self.look)
            if self.lease.held:
                self.probe()
                if not self._failing:
                    self._guarded(self.write)
            _sign_of_life()
            if rest(ROUND if self._watched else LOOK):
                break
        self._guarded(self.lease.release)
        connection.close()

    def _guarded(self, step: Callable[[], object]) -> None:
        """One step that needs the database; while that is away, it is left out."""
        try:
            step()
        except Exception as error:  # the prober must outlive whatever it meets
            if not self._failing:
                log.error("the prober stands still (%s)", type(error).__name__)
            self._failing = True
            # Not in every round: an outage must not become a storm of attempts.
            self._looked = time.monotonic() + PATIENCE / 2
            if isinstance(error, DatabaseError | InterfaceError):
                connection.close()

    def look(self) -> None:
        """Renew the lease, take over what changed in the book, and remove what is old."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        if not self.lease.hold():
            self._watched, self._version = {}, -1
            return
        version = SnapshotVersion.objects.filter(pk=1).values_list("version", flat=True).first() or 0
        if version != self._version:
            self._reload()
            self._version = version
        if now - self._tidied > TIDY:
            self._tidied = now
            self.tidy()
        if self._failing:
            log.warning("the prober goes on")
            self._failing = False

    def _reload(self) -> None:
        held, self._watched = self._watched, {}
        known = dict(UpstreamState.objects.filter(observer=tracker.PROBER).values_list("upstream_id", "healthy"))
        for row in probed():
            key = _key(row)
            watched = held.get(row.pk)
            if watched is None or watched.key != key:
                watched = _watch(row, key)
                # Whoever had the lease before us knew; a changed row is judged afresh, by its own first probes.
                watched.healthy = known.get(row.pk) if not held else None
            self._watched[row.pk] = watched

    def probe(self) -> None:
        """Start every probe that is due, and take in those that are over."""
        self.take()
        now = time.monotonic()
        for watched in self._watched.values():
            if watched.until is not None and now > watched.until:
                watched.until = None
                watched.take(Outcome(False, watched.seconds, "dns", "lost", slow=True))
            if watched.until is None and watched.free and now >= watched.due:
                self._start(watched, now)

    def _start(self, watched: Watched, now: float) -> None:
        watched.due = now + watched.seconds
        address = watched.address
        if address is None:
            watched.take(Outcome(False, 0.0, "address", watched.reason))
            return
        watched.number += 1
        watched.free = False
        number = watched.number
        lane, limit = (self._slow, LIMIT) if watched.slow else (self._quick, QUICK_LIMIT)

        def work() -> None:
            began = time.monotonic()
            watched.due = began + watched.seconds
            watched.until = began + limit + SLACK
            outcome = ask(address, limit)
            watched.free = True
            self._done.put((watched, number, outcome))

        lane.put(work)

    def take(self) -> None:
        """Take in the probes that are over."""
        while True:
            try:
                watched, number, outcome = self._done.get_nowait()
            except queue.Empty:
                return
            if watched.until is not None and number == watched.number:
                watched.until = None
                watched.take(outcome)

    def write(self) -> None:
        """Write what has changed, and the rest every REFRESH seconds: how readers know that somebody probes."""
        now = time.monotonic()
        wanted = {
            id: watched
            for id, watched in self._watched.items()
            if watched.fresh and (watched.news() != watched.told or now - watched.told_at > 0.9 * tracker.REFRESH)
        }
        if not wanted:
            return
        sync.put([watched.row(id) for id, watched in wanted.items()])
        for watched in wanted.values():
            watched.told, watched.told_at, watched.fresh = watched.news(), now, False

    def tidy(self) -> None:
        """Remove the rows of processes that are gone, and of upstreams that nobody probes any more."""
        since = timezone.now() - timedelta(seconds=summary.GONE)
        UpstreamState.objects.exclude(observer=tracker.PROBER).filter(seen_at__lt=since).delete()
        UpstreamState.objects.filter(observer=tracker.PROBER).exclude(upstream_id__in=list(self._watched)).delete()


def probed() -> QuerySet[Upstream]:
    """The upstreams that are to be probed."""
    rows = Upstream.objects.filter(active=True, probe_seconds__gt=0)
    return rows.exclude(operation__state=Operation.State.RETIRED).order_by("pk")


def _key(row: Upstream) -> tuple[Any, ...]:
    return tuple(getattr(row, each.attname) for each in row._meta.concrete_fields)


def _watch(row: Upstream, key: tuple[Any, ...]) -> Watched:
    try:
        return Watched(key, address_of(row), "", row.probe_seconds)
    except ValueError as error:
        log.error("upstream %d cannot be probed: %s", row.pk, error)
        return Watched(key, None, str(error), row.probe_seconds)


def address_of(row: Upstream) -> Address:
    """An upstream as its probe asks it. Raises ValueError with a word."""
    target = Target.of(row.url, row.authority, str(row.client_certificate or ""))
    return Address(row.pk, row.position, row.weight, target, Credential.of(row), endpoints.probe_of(row))


def sign() -> Path:
    """The file whose time says that a prober's rounds go on."""
    return Path(settings.JOURNAL_DIR) / "probes.alive"


_signed = 0.0


def _sign_of_life() -> None:
    global _signed
    now = time.monotonic()
    if now - _signed > LOOK * 2:
        _signed = now
        with contextlib.suppress(OSError):
            sign().touch()
