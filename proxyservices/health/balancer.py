"""Which endpoints a call tries, in which order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from proxyservices.health.tracker import PAUSE, THRESHOLD, State, ill, state_of
from proxyservices.transport.endpoint import Address
from registry import faults
from registry.results import Fault


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
