"""The endpoints that a call tries, in order. tracker.py has the table of their states."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from proxyservices.health.tracker import TRIAL_DELAY, EndpointState, failing_probe, state_of
from proxyservices.transport.endpoint import Endpoint
from registry import faults
from registry.results import Fault

Known = list[tuple[Endpoint, EndpointState]]


def select(endpoints: Sequence[Endpoint], safe: bool = True) -> list[Endpoint]:
    """Return the endpoints to try, the first one first. Raises Fault if every circuit is open.

    ``safe`` is False for a call that could not be sent again to another endpoint. It becomes a trial only if there is
    no other endpoint, or if no other call did so for half the trial delay.
    """
    if len(endpoints) == 1:
        if state_of(endpoints[0]).breaker.try_pass():
            return list(endpoints)
        raise all_circuits_open(endpoints)
    known = [(endpoint, state_of(endpoint)) for endpoint in endpoints]
    usable: list[Endpoint] = []
    due: Known = []
    for endpoint, state in known:
        if failing_probe(endpoint):
            continue
        if state.in_rotation:
            usable.append(endpoint)
        elif state.is_due_for_trial(safe):
            due.append((endpoint, state))
    if usable:
        return with_trial(by_priority_and_weight(usable), due)
    return fallback(known, due)


def fallback(known: Known, due: Known) -> list[Endpoint]:
    """Return the endpoints to try where none is usable. Raises Fault if every circuit is open.

    An endpoint that still responds, be it with 5xx, or that is unhealthy for the prober alone, is better than none.
    """
    responding = [endpoint for endpoint, state in known if state.breaker.state == "closed"]
    if responding:
        return with_trial(by_priority_and_weight(responding), [each for each in due if each[0] not in responding])
    for endpoint, state in sorted(known, key=_priority):
        if state.breaker.try_pass():
            return [endpoint]
    raise all_circuits_open(endpoint for endpoint, _ in known)


def with_trial(ordered: list[Endpoint], due: Known) -> list[Endpoint]:
    """Return the endpoints with those due for a trial.

    At most one of them goes first, and only if its priority is as good as that of the first endpoint. Otherwise they
    are the last resort if all others fail.
    """
    for endpoint, state in sorted(due, key=_priority):
        if endpoint.priority <= ordered[0].priority:
            state.begin_trial()
            return [endpoint, *ordered]
    return [*ordered, *(endpoint for endpoint, _ in due)]


def _priority(known: tuple[Endpoint, EndpointState]) -> int:
    return known[0].priority


def by_priority_and_weight(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints by priority, and at random by weight among equals."""
    if len(endpoints) < 2:
        return endpoints
    # The smallest of exponentially distributed numbers falls on each in proportion to its weight.
    return sorted(endpoints, key=lambda each: (each.priority, random.expovariate(each.weight or 1)))


def all_circuits_open(endpoints: Iterable[Endpoint]) -> Fault:
    """Return the fault of a call that no endpoint may take, with the seconds until the next trial."""
    seconds = min((state_of(endpoint).breaker.retry_after() for endpoint in endpoints), default=int(TRIAL_DELAY))
    return Fault(faults.UPSTREAM_CIRCUIT_OPEN, retry_after=seconds, seconds=seconds)
