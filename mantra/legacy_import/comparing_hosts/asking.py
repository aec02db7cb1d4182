"""Sends one request to both hosts, and keeps of the responses what comparing them needs, in memory only.

Only the two hosts are contacted, by GET, at their own addresses: a redirect is a response like any other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256

from mantra.legacy_import.comparing_hosts.differences import Response
from mantra.legacy_import.comparing_hosts.questions import Question
from proxyservices.transport import client
from proxyservices.transport.client import Limits, Request
from proxyservices.transport.errors import UpstreamError
from proxyservices.transport.pool import Origin, Target

#: Bytes of a body that are kept for a comparison, and those that are read at all.
KEPT_BYTES, READ_BYTES = 8 * 1024 * 1024, 256 * 1024 * 1024
#: Seconds to connect, for each wait, and for a whole response. The old host has no time limit of its own.
LIMITS = Limits(connect=10.0, read=60.0, total=180.0, max_body_bytes=READ_BYTES)


class HostInvalid(Exception):
    """An address is none of a host. The text is the address's own fault, in words of the transport."""


class _AnyAddress(Origin):
    """The connections to a host that an operator named on the command line, such as this very machine."""

    @staticmethod
    def permits(address: str) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Host:
    """A host with the folder in its address, such as http://gsb.contoh.go.id/mantra."""

    target: Target = field(repr=False)

    @staticmethod
    def of(url: str, any_address: bool = False) -> Host:
        """Return the host of a URL. Raises HostInvalid.

        ``any_address``: also one that MANTRA_UPSTREAM_NETWORKS does not permit. Only for who runs the server.
        """
        try:
            target = Target.of(url)
        except ValueError as error:
            raise HostInvalid(str(error)) from None
        if target.query:
            raise HostInvalid("address")
        if any_address:
            origin = target.origin
            target = replace(target, origin=_AnyAddress(origin.host, origin.port, origin.context))
        return Host(target)

    @property
    def folder(self) -> str:
        """The folder before the format in its addresses: "/" or "/mantra/"."""
        return f"{self.target.base}/"

    def get(self, question: Question, format: str) -> Response:
        """Return the response to a request. Raises nothing that a host can cause."""
        headers = [("User-Agent", "MANTRA"), *([("AccessKey", question.key)] if question.key else [])]
        began = time.monotonic()
        try:
            request = Request("GET", question.target(format), headers)
            response = client.send(self.target, request, LIMITS, began + LIMITS.total)
            status, body = response.status, _Body()
            try:
                for chunk in response.chunks():
                    body.add(chunk)
                    if time.monotonic() - began > LIMITS.total:
                        raise UpstreamError("body", "slow", slow=True)
            finally:
                with suppress(UpstreamError):
                    response.close()
        except UpstreamError as error:
            if error.reason == "too-large":
                return Response(200, None, b"", READ_BYTES, time.monotonic() - began)
            return Response(failure=f"{error.phase} {error.reason}", seconds=time.monotonic() - began)
        return Response(status, body.kept(), body.hash.digest(), body.size, time.monotonic() - began)


class _Body:
    """A body as it comes: its hash, and its bytes while they are few."""

    def __init__(self) -> None:
        self.hash = sha256()
        self.size = 0
        self._pieces: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        self.hash.update(chunk)
        self.size += len(chunk)
        if self.size <= KEPT_BYTES:
            self._pieces.append(chunk)
        else:
            self._pieces.clear()

    def kept(self) -> bytes | None:
        return b"".join(self._pieces) if self.size <= KEPT_BYTES else None


class Pace:
    """Lets at most so many requests a second begin. ``clock`` and ``sleep`` are of the time module."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._clock, self._sleep = clock, sleep
        self._next = clock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may begin."""
        with self._lock:
            now = self._clock()
            begin = max(self._next, now)
            self._next = begin + self._interval
        if begin > now:
            self._sleep(begin - now)
