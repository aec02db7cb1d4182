"""The result of an offloaded call, and the timeouts of nginx."""

from __future__ import annotations

import time

from proxyservices.transport.endpoint import Endpoint
from registry.results import Result

#: The timeouts of deploy/nginx/accelerated/upstream.server, in seconds. Operations with shorter ones are not offloaded.
CONNECT, READ = 3.0, 10.0


class OffloadedResult(Result):
    """A response that nginx fetches, as ``headers`` instruct it."""

    __slots__ = ("endpoint", "headers", "started", "status")

    def __init__(self, headers: dict[str, str], endpoint: Endpoint) -> None:
        self.status = 200
        self.headers = headers
        self.endpoint = endpoint
        self.started = time.monotonic()
