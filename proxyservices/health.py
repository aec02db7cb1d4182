"""How each upstream address fares as this process sees it, and which of them a call tries.

Two things keep an address from calls. It is ejected, which means that others come first while there are any:
after THRESHOLD failures in a row of whatever kind, answers of 5xx and bodies that break off included, or when the
prober finds it ill. Its breaker opens, which means that it is left alone even when it is the only one: after
THRESHOLD times in a row without any answer, or STORM bad ones. One bad question that an upstream answers with 500
must not close it to everybody else. From both it comes back by a trial: the first call after the pause.

A call reads and writes plain attributes, without a lock and without the database: that two callers may both
become the trial does no harm. A thread of its own reads what the prober found and writes what this process found.
"""

from __future__ import annotations

import logging
import os
import random
import re
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, connection, transaction
from django.db.models import F
from django.utils import timezone

from proxyservices.addresses import Address, Probe
from proxyservices.client import Failed
from proxyservices.models import Upstream, UpstreamState
from registry import faults
from registry.breaker import Breaker
from registry.faults import Fault

log = logging.getLogger("mantra.proxyservices")

#: Failures in a row after which an address is ejected, and bad answers in a row after which its breaker opens.
THRESHOLD, STORM = 3, 20
#: Seconds until a trial. An address that is probed more often than that has its trial as often as its probe.
PAUSE = 5.0
#: The word of a failure that is an answer of 5xx.
STATUS = "status"
#: The observer of the prober's rows.
PROBER = "probe"
#: Seconds after which a row is written though nothing has changed: while the address is called, and while not.
REFRESH, IDLE = 10.0, 60.0
#: Seconds after which a row tells nothing any more: its observer is gone.
GONE = 180.0
#: Seconds between two readings of all the prober's rows; between them only what is new is read.
_WHOLE = 10.0


class State:
    """What this process knows of one address."""

    __slots__ = (
        "answers", "breaker", "cuts", "ejection", "failed_at", "latency_us", "news_since", "phase", "reason", "told",
        "told_at", "used",
    )  # fmt: skip

    def __init__(self, pause: float) -> None:
        self.ejection = Breaker(THRESHOLD, pause)
        self.breaker = Breaker(THRESHOLD, pause)
        #: Bodies in a row that broke off, and how many answers began since the last of them.
        self.cuts = self.answers = 0
        self.latency_us: int | None = None
        self.phase = ""
        self.reason = ""
        #: Seconds since the epoch.
        self.failed_at: float | None = None
        #: Monotonic: the failure of a call that began before this tells nothing that is not known already.
        self.news_since = 0.0
        #: Whether a call came by since the row was written; what was written last, and when (monotonic).
        self.used = True
        self.told: tuple[Any, ...] = ()
        self.told_at = 0.0

    def succeeded(self, seconds: float) -> None:
        taken = int(seconds * 1_000_000)
        held = self.latency_us
        self.latency_us = taken if held is None else held + (taken - held) // 5
        self.used = True
        self.answers += 1
        self.close(time.monotonic() - seconds)

    def close(self, since: float) -> None:
        """It was well at ``since``."""
        self.news_since = since
        self.ejection.succeeded()
        self.breaker.succeeded()

    def failed(self, phase: str, reason: str, began: float | None) -> None:
        if reason == "too-large":
            return  # that is no illness
        self.phase, self.reason, self.failed_at, self.used = phase, reason, time.time(), True
        if phase == "body":
            self._cut()
            return
        if began is not None and began < self.news_since:
            return  # a call that hung must not put off the trial of what is back
        self.ejection.failed()
        if reason != STATUS:
            self.breaker.failed()
        elif self.ejection.failures < STORM:
            self.breaker.succeeded()
        else:
            _open(self.breaker)
        if self.ejection.failures >= THRESHOLD:
            self.news_since = time.monotonic()

    def _cut(self) -> None:
        """An answer broke off that had begun well, which was counted as a success."""
        self.cuts = self.cuts + 1 if self.answers < THRESHOLD else 1
        self.answers = 0
        if self.cuts >= THRESHOLD and self.ejection.failures < THRESHOLD:
            _open(self.ejection)
            self.news_since = time.monotonic()
        if self.cuts >= STORM and self.breaker.failures < THRESHOLD:
            _open(self.breaker)


def _open(breaker: Breaker) -> None:
    breaker.failures = max(breaker.failures, breaker.threshold - 1)
    breaker.failed()


@dataclass(frozen=True, slots=True)
class Finding:
    """What the prober's row says, and when (monotonic) it was last seen to be written anew."""

    healthy: bool
    written: datetime
    heard: float


#: (id, url) → state: an upstream that moves begins anew. id → the prober's finding.
_states: dict[tuple[int, str], State] = {}
_findings: dict[int, Finding] = {}


def pause_of(probe: Probe | None) -> float:
    """Seconds until an address that failed gets a trial."""
    return PAUSE if probe is None else min(PAUSE, probe.seconds)


def state_of(address: Address) -> State:
    key = (address.id, address.target.url)
    found = _states.get(key)
    return found if found is not None else _states.setdefault(key, State(pause_of(address.probe)))


def ill(address: Address) -> bool:
    """Whether the prober finds it ill. A prober that has fallen silent says nothing."""
    if address.probe is None:
        return False
    found = _findings.get(address.id)
    if found is None or found.healthy:
        return False
    return time.monotonic() - found.heard < 2 * max(address.probe.seconds, REFRESH)


def order(addresses: Sequence[Address], safe: bool = True) -> list[Address]:
    """Those to try, the first one first. Raises Fault when every breaker is open.

    ``safe`` is False for a call that could not be tried again elsewhere: it becomes a trial only where it must, or
    where nobody else did for half a pause.
    """
    if len(addresses) == 1:
        if state_of(addresses[0]).breaker.allows():
            return list(addresses)
        raise _resting(addresses)
    if not addresses:
        raise _resting(addresses)
    known = [(address, state_of(address)) for address in addresses]
    well = [(address, state) for address, state in known if not ill(address)]
    found = _mixed([address for address, state in well if _stands(state)])
    due = [(address, state) for address, state in well if not _stands(state) and _due(state, safe)]
    if not found:
        # Whoever still answers, if only with 5xx, or is ill for the prober alone, is better than nobody.
        found = _mixed([address for address, state in known if state.breaker.state == "closed"])
        if found:
            return _with_trial(found, [(address, state) for address, state in due if address not in found])
        for address, state in sorted(known, key=lambda each: each[0].position):
            if state.breaker.allows():
                return [address]
        raise _resting(addresses)
    return _with_trial(found, due)


def _stands(state: State) -> bool:
    return state.ejection.failures < THRESHOLD and state.breaker.failures < THRESHOLD


def _due(state: State, safe: bool) -> bool:
    delay = 0.0 if safe else state.ejection.pause / 2
    return state.ejection.due(delay) and state.breaker.due(delay)


def _with_trial(found: list[Address], due: list[tuple[Address, State]]) -> list[Address]:
    """At most one trial goes first, and only where it would stand before or beside the others if it were well."""
    for address, state in sorted(due, key=lambda each: each[0].position):
        if address.position <= found[0].position:
            state.ejection.allows()
            state.breaker.allows()
            return [address, *found]
    # Nobody's turn, but should the others fail they are better than nobody.
    return [*found, *(address for address, _ in due)]


def _mixed(addresses: list[Address]) -> list[Address]:
    """By priority, and at random by weight among equals."""
    if len(addresses) < 2:
        return addresses
    # The smallest of exponentially distributed numbers falls on each in proportion to its weight.
    return sorted(addresses, key=lambda each: (each.position, random.expovariate(each.weight or 1)))


def _resting(addresses: Iterable[Address]) -> Fault:
    seconds = min((state_of(address).breaker.retry_after() for address in addresses), default=int(PAUSE))
    return Fault(faults.UPSTREAM_RESTING, retry_after=seconds, seconds=seconds)


def succeeded(address: Address, seconds: float) -> None:
    """An answer came after ``seconds``, and it was no 5xx."""
    state_of(address).succeeded(seconds)


def failed(address: Address, failure: Failed | str, began: float | None = None) -> None:
    """An attempt failed that began at ``began`` (monotonic): with an error, a word, or STATUS for an answer of 5xx."""
    if isinstance(failure, Failed):
        state_of(address).failed(failure.phase, failure.reason, began)
    else:
        state_of(address).failed("first-byte" if failure == STATUS else "", failure, began)


# ------------------------------------------------------------------------------------------ from and to the database

_TOLD = ["healthy", "breaker", "latency_us", "phase", "reason", "failed_at", "seen_at"]


def observer() -> str:
    """The name of this process in UpstreamState."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}"


def probe_of(row: Upstream) -> Probe | None:
    """How an upstream is probed; None where it is not."""
    if not row.probe_seconds:
        return None
    return Probe(row.probe_seconds, row.probe_method, row.probe_path, statuses(row.probe_statuses), row.probe_text)


def statuses(text: str) -> tuple[tuple[int, int], ...]:
    """The ranges in a text as "200-299, 401". Raises ValueError."""
    parts = [part.partition("-") for part in re.split(r"[,\s]+", text) if part]
    return tuple((int(first), int(last or first)) for first, _, last in parts)


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
            if told != state.told or silent > (REFRESH if state.used else IDLE):
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
