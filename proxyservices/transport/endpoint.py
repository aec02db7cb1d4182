"""A server as the code uses it at run time, and its probe."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxyservices.transport.credentials import Credential
from proxyservices.transport.pool import Target
from registry.bulkhead import Bulkhead


@dataclass(frozen=True, slots=True)
class Probe:
    """The request that finds out whether an endpoint is healthy."""

    #: Between the beginnings of two probes.
    interval_seconds: float
    method: str = "GET"
    #: Below the endpoint's own path; with a leading slash from its host's root.
    path: str = ""
    #: (first, last) of each range of statuses that mean healthy.
    expected_statuses: tuple[tuple[int, int], ...] = ((200, 399),)
    #: The text that the response must contain; "" for any.
    expected_text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One row of BackendServer, ready for requests."""

    id: int
    #: The address as the row has it: the requests of some styles go to another form of it.
    address: str
    priority: int
    weight: int
    target: Target
    credential: Credential
    #: None if the server is not probed.
    probe: Probe | None = None
    #: The limit on all operations' calls in progress to its host; None: no limit.
    bulkhead: Bulkhead | None = field(default=None, repr=False)
