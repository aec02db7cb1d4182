"""Targets of requests, and the idle connections to them."""

from __future__ import annotations

import os
import ssl
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from proxyservices import server_url
from proxyservices.transport.allowlist import is_permitted
from proxyservices.transport.connection import Connection
from proxyservices.transport.dial import connect
from proxyservices.transport.tls import certificate_end, secure, tls_context

#: Idle connections per origin, how long each may stay unused, and its greatest age: a name's new address takes
#: effect after MAX_AGE_SECONDS at the latest.
MAX_IDLE = 16
IDLE_SECONDS = 30.0
MAX_AGE_SECONDS = 300.0


class Origin:
    """A scheme, host and port, and the idle connections to it."""

    #: Whether an address of the host may be called.
    permits = staticmethod(is_permitted)

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.host = host
        self.port = port
        self.context = context
        self.idle: deque[Connection] = deque()
        #: When the certificate of the last connection ends (time.time()); None without TLS.
        self.certificate_ends: float | None = None
        # Also when the process ends.
        weakref.finalize(self, _close_all, self.idle)

    def acquire(self) -> Connection | None:
        """Return an idle connection that is still open; None if there is none."""
        now = time.monotonic()
        while True:
            try:
                connection = self.idle.pop()
            except IndexError:
                return None
            if now - connection.last_used < IDLE_SECONDS and connection.is_idle():
                return connection
            connection.close()

    def release(self, connection: Connection) -> None:
        """Store a connection for the next request, or close it if it is too old or there are enough."""
        connection.last_used = time.monotonic()
        if connection.last_used - connection.opened > MAX_AGE_SECONDS or len(self.idle) >= MAX_IDLE:
            connection.close()
        else:
            self.idle.append(connection)

    def close_idle(self) -> None:
        """Close the connections that were unused for IDLE_SECONDS: the longest unused are at the left."""
        oldest = time.monotonic() - IDLE_SECONDS
        with suppress(IndexError):
            while self.idle[0].last_used < oldest:
                self.idle.popleft().close()

    def open(self, until: float) -> Connection:
        """Return a new connection. ``until``: monotonic seconds, for name, TCP and TLS. Raises UpstreamError."""
        sweeper.start()
        link = connect(self.host, self.port, until, self.permits)
        if self.context is None:
            return Connection(link)
        secured = secure(link, self.context, self.host, until)
        self.certificate_ends = certificate_end(secured)
        return Connection(secured)


def _close_all(idle: deque[Connection]) -> None:
    while idle:
        with suppress(IndexError):
            idle.pop().close()


_origins: weakref.WeakValueDictionary[tuple[Any, ...], Origin] = weakref.WeakValueDictionary()


def idle_connections() -> int:
    """Return the number of idle connections of this process."""
    return sum(len(origin.idle) for origin in list(_origins.values()))


def reset() -> None:
    """Close all idle connections, and forget the origins. For tests: targets that exist keep theirs."""
    for origin in list(_origins.values()):
        _close_all(origin.idle)
    _origins.clear()


class _Sweeper:
    """A thread that closes connections which stayed unused."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            # Two that start at once do no harm: the second one sweeps too.
            self._thread = threading.Thread(target=self._sweep, name="connection-sweeper", daemon=True)
            self._thread.start()

    def _sweep(self) -> None:
        while True:
            time.sleep(IDLE_SECONDS / 4)
            for origin in list(_origins.values()):
                origin.close_idle()

    def reset_after_fork(self) -> None:
        """Forget the parent's thread and connections in a forked child.

        Closing sends nothing on the wire, so that the parent's connections stay open.
        """
        self._thread = None
        for origin in list(_origins.values()):
            _close_all(origin.idle)


sweeper = _Sweeper()
os.register_at_fork(after_in_child=sweeper.reset_after_fork)


@dataclass(frozen=True, slots=True)
class Target:
    """The URL of an upstream in parts. Targets of the same host and certificates share their connections."""

    url: str
    #: The path before every request's path, without a slash at its end.
    base: str
    #: The part of the URL after "?".
    query: str
    #: The Host header: host, and port unless it is the scheme's own.
    authority: str
    origin: Origin = field(repr=False, compare=False)

    @staticmethod
    def of(url: str, ca_pem: str = "", client_certificate_pem: str = "") -> Target:
        """Return a URL's target. Not for the call path.

        Raises ValueError with a word: address, ca-certificate or client-certificate.
        """
        parts = server_url.split(url)
        name, port = parts.host, parts.port
        context = tls_context(ca_pem, client_certificate_pem) if parts.scheme == "https" else None
        default_port = 443 if context else 80
        key = (parts.scheme, name, port or default_port, ca_pem, client_certificate_pem)
        origin = _origins.get(key)
        if origin is None:
            origin = _origins.setdefault(key, Origin(name, port or default_port, context))
        literal = f"[{name}]" if ":" in name else name
        authority = literal if port in (None, default_port) else f"{literal}:{port}"
        return Target(url, parts.path.rstrip("/"), parts.query, authority, origin)
