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
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxyservices.transport.endpoint import Address, Probe
from proxyservices.transport.errors import Failed
from registry.circuit_breaker import Breaker

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
REFRESH = 10.0


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


def succeeded(address: Address, seconds: float) -> None:
    """An answer came after ``seconds``, and it was no 5xx."""
    state_of(address).succeeded(seconds)


def failed(address: Address, failure: Failed | str, began: float | None = None) -> None:
    """An attempt failed that began at ``began`` (monotonic): with an error, a word, or STATUS for an answer of 5xx."""
    if isinstance(failure, Failed):
        state_of(address).failed(failure.phase, failure.reason, began)
    else:
        state_of(address).failed("first-byte" if failure == STATUS else "", failure, began)
