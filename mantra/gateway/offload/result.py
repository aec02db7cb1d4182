"""A response that nginx fetches."""

from __future__ import annotations

import time

from proxyservices.transport.endpoint import Address
from registry.results import Result

#: What deploy/nginx/accelerated.conf waits for at most, in seconds. Operations that allow less go the direct way.
CONNECT, READ = 3.0, 10.0


class Handed(Result):
    """An answer that nginx fetches. ``headers`` tell it where and how."""

    __slots__ = ("address", "began", "headers", "status")

    def __init__(self, headers: dict[str, str], address: Address) -> None:
        self.status = 200
        self.headers = headers
        self.address = address
        self.began = time.monotonic()
