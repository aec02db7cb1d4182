"""The health of each endpoint, as this process sees it.

=================  ================================================  ===============================================
state              when                                              what calls do
=================  ================================================  ===============================================
healthy            fewer than THRESHOLD failures in a row            select it by priority and weight
failing its probe  the prober's last finding, while the prober runs  try the others first; no trial
ejected            THRESHOLD failures in a row of any kind: no       try the others first; after the trial delay, one
                   response, an aborted body, or a 5xx               call tries it again
circuit open       THRESHOLD times in a row no response, or STORM    do not call it, even if it is the only one
                   failures in a row of any kind
circuit half-open  the trial delay after the last failure            the next call is the trial
=================  ================================================  ===============================================

A single request that an upstream always answers with 500 must not close the upstream to all other callers. Therefore
a 5xx ejects, and only STORM of them open the circuit.

A call reads and writes plain attributes, without a lock and without the database: it does no harm if two callers both
become the trial. A thread (sync.py) reads the prober's findings and writes this process's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxyservices.transport.endpoint import Endpoint, Probe
from proxyservices.transport.errors import UpstreamError
from registry.circuit_breaker import CircuitBreaker

log = logging.getLogger("mantra.proxyservices")

#: Failures in a row until an endpoint is ejected; failures without a response in a row until its circuit opens.
THRESHOLD = 3
#: Failures of any kind in a row until its circuit opens.
STORM = 20
#: Seconds from a failure to the trial. An endpoint that is probed more often gets its trial as often as its probe.
TRIAL_DELAY = 5.0
#: The reason of a failure that is a response of 5xx.
STATUS = "status"
#: The observer of the prober's rows.
PROBER = "probe"
#: Seconds after which an unchanged row is written again while the endpoint is called or probed.
REFRESH = 10.0
#: Monotonic seconds. Tests set their own.
clock: Callable[[], float] = time.monotonic


class EndpointState:
    """The health of one endpoint: its ejection, its circuit breaker, its latency and its last failure."""

    __slots__ = (
        "answers", "breaker", "broken_bodies", "ejection", "failed_at", "latency_us", "news_since", "phase",
        "published", "published_at", "reason", "since", "used", "was_well",
    )  # fmt: skip

    def __init__(self, reset_timeout: float) -> None:
        self.ejection = CircuitBreaker(THRESHOLD, reset_timeout, clock)
        self.breaker = CircuitBreaker(THRESHOLD, reset_timeout, clock)
        #: Aborted bodies in a row, and the responses that began since the last of them.
        self.broken_bodies = self.answers = 0
        #: Smoothed: a new value counts for a fifth.
        self.latency_us: int | None = None
        #: The last failure; ``failed_at`` in seconds since the epoch.
        self.phase = ""
        self.reason = ""
        self.failed_at: float | None = None
        #: Since when it is as healthy as it is, in seconds since the epoch: see note_health().
        self.since = time.time()
        self.was_well = (True, True)
        #: Monotonic seconds: the failure of a call that began before this is no news.
        self.news_since = 0.0
        #: True if a call came since the row was written; the content that was written last, and when (monotonic).
        self.used = True
        self.published: tuple[Any, ...] = ()
        self.published_at = 0.0

    @property
    def in_rotation(self) -> bool:
        """True if the endpoint is neither ejected nor its circuit open."""
        return self.ejection.failures < THRESHOLD and self.breaker.failures < THRESHOLD

    def note_health(self) -> None:
        """Note the time if the endpoint was ejected, its circuit opened, or it came back since the last time."""
        well = (self.in_rotation, self.breaker.state == "closed")
        if well != self.was_well:
            self.was_well, self.since = well, time.time()

    def is_due_for_trial(self, safe: bool) -> bool:
        """Return True if a call may be the trial. One that is not ``safe`` waits for half the delay longer."""
        delay = 0.0 if safe else self.ejection.reset_timeout / 2
        return self.ejection.may_pass(delay) and self.breaker.may_pass(delay)

    def begin_trial(self) -> None:
        """Make the current call the trial: the next one comes after another delay."""
        self.ejection.try_pass()
        self.breaker.try_pass()

    def succeeded(self, seconds: float) -> None:
        """Record a response below 500 that began after ``seconds``."""
        latency_us = int(seconds * 1_000_000)
        smoothed = self.latency_us
        self.latency_us = latency_us if smoothed is None else smoothed + (latency_us - smoothed) // 5
        self.used = True
        self.answers += 1
        self.close(clock() - seconds)

    def close(self, since: float) -> None:
        """Put the endpoint back into rotation: it was healthy at ``since`` (monotonic seconds)."""
        self.news_since = since
        self.ejection.succeeded()
        self.breaker.succeeded()

    def failed(self, phase: str, reason: str, began: float | None) -> None:
        """Record a failure of a call that began at ``began`` (monotonic seconds)."""
        if reason == "too-large":
            return  # a large response is no sign of bad health
        self.phase, self.reason, self.failed_at, self.used = phase, reason, time.time(), True
        if phase == "body":
            self._body_aborted()
            return
        if began is not None and began < self.news_since:
            return  # a call that hung must not delay the trial of an endpoint that has recovered
        self.ejection.failed()
        if reason != STATUS:
            self.breaker.failed()
        elif self.ejection.failures < STORM:
            self.breaker.succeeded()
        else:
            open_circuit(self.breaker)
        if self.ejection.failures >= THRESHOLD:
            self.news_since = clock()

    def _body_aborted(self) -> None:
        """Record an aborted body. Its response has been recorded as a success when it began."""
        self.broken_bodies = self.broken_bodies + 1 if self.answers < THRESHOLD else 1
        self.answers = 0
        if self.broken_bodies >= THRESHOLD and self.ejection.failures < THRESHOLD:
            open_circuit(self.ejection)
            self.news_since = clock()
        if self.broken_bodies >= STORM and self.breaker.failures < THRESHOLD:
            open_circuit(self.breaker)


def open_circuit(breaker: CircuitBreaker) -> None:
    """Open a circuit breaker whatever its count of failures."""
    breaker.failures = max(breaker.failures, breaker.threshold - 1)
    breaker.failed()


@dataclass(frozen=True, slots=True)
class Finding:
    """The content of a prober's row: its time, and the monotonic time at which this process saw it change."""

    healthy: bool
    seen_at: datetime
    read_at: float


#: (id, address) → state: a server with a new address begins with a new state.
states: dict[tuple[int, str], EndpointState] = {}
#: id → the prober's finding.
findings: dict[int, Finding] = {}


def reset() -> None:
    """Forget the health of all endpoints. For tests."""
    states.clear()
    findings.clear()


def trial_delay(probe: Probe | None) -> float:
    """Return the seconds from a failure to the trial."""
    return TRIAL_DELAY if probe is None else min(TRIAL_DELAY, probe.interval_seconds)


def state_of(endpoint: Endpoint) -> EndpointState:
    """Return the state of an endpoint, healthy if it was never called."""
    key = (endpoint.id, endpoint.address)
    state = states.get(key)
    return state if state is not None else states.setdefault(key, EndpointState(trial_delay(endpoint.probe)))


def failing_probe(endpoint: Endpoint) -> bool:
    """Return True if the prober finds the endpoint unhealthy. A finding expires if the prober stops renewing it."""
    if endpoint.probe is None:
        return False
    finding = findings.get(endpoint.id)
    if finding is None or finding.healthy:
        return False
    return clock() - finding.read_at < 2 * max(endpoint.probe.interval_seconds, REFRESH)


def succeeded(endpoint: Endpoint, seconds: float) -> None:
    """Record a response below 500 that began after ``seconds``."""
    state_of(endpoint).succeeded(seconds)


def failed(endpoint: Endpoint, failure: UpstreamError | str, began: float | None = None) -> None:
    """Record a failed attempt that began at ``began`` (monotonic seconds).

    ``failure``: the error, a reason in one word, or STATUS for a response of 5xx.
    """
    if isinstance(failure, UpstreamError):
        state_of(endpoint).failed(failure.phase, failure.reason, began)
    else:
        state_of(endpoint).failed("first-byte" if failure == STATUS else "", failure, began)
