"""Where an operation's upstreams are, and how they are asked whether they are well."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxyservices.transport.bulkhead import Room
from proxyservices.transport.credentials import Credential
from proxyservices.transport.pool import Target


@dataclass(frozen=True, slots=True)
class Probe:
    """How an address is asked whether it is well."""

    #: Between the beginnings of two probes.
    seconds: float
    method: str = "GET"
    #: Below the upstream's address; with a leading slash from its host's root.
    path: str = ""
    #: (first, last) of each range of statuses that mean well.
    statuses: tuple[tuple[int, int], ...] = ((200, 399),)
    #: What the answer must hold; "" for anything.
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Address:
    """Where an upstream is: one row of Upstream."""

    id: int
    position: int
    weight: int
    target: Target
    credential: Credential
    #: None where nobody probes it.
    probe: Probe | None = None
    #: What all operations together may have under way at its host; None: no bound.
    room: Room | None = field(default=None, repr=False)
