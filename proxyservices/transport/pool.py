"""Targets, and the idle connections that are kept for them."""

from __future__ import annotations

import re
import ssl
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from proxyservices.transport.connection import _Connection
from proxyservices.transport.dial import connect
from proxyservices.transport.tls import secure, tls_context

#: Connections that a target keeps, for how many seconds unused, and for how many in all: whoever changes the
#: address behind a name is followed after so long.
IDLE_MOST = 16
IDLE_SECONDS = 30.0
AGE_SECONDS = 300.0
_PATH = re.compile(r"[/*][!-\"$-~]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


# ---------------------------------------------------------------------------------------------- targets


class _Origin:
    """A scheme, host and port, and the connections to it that wait to be used again."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.host = host
        self.port = port
        self.context = context
        self.idle: deque[_Connection] = deque()
        # Also when the process ends.
        weakref.finalize(self, _close_all, self.idle)

    def take(self) -> _Connection | None:
        """A connection that is still up, or None."""
        now = time.monotonic()
        while True:
            try:
                connection = self.idle.pop()
            except IndexError:
                return None
            if now - connection.used < IDLE_SECONDS and connection.silent():
                return connection
            connection.close()

    def give(self, connection: _Connection) -> None:
        connection.used = time.monotonic()
        if connection.used - connection.born > AGE_SECONDS or len(self.idle) >= IDLE_MOST:
            connection.close()
        else:
            self.idle.append(connection)

    def sweep(self) -> None:
        """Close what nobody has used for a while: it waits at the left."""
        old = time.monotonic() - IDLE_SECONDS
        with suppress(IndexError):
            while self.idle[0].used < old:
                self.idle.popleft().close()

    def open(self, until: float) -> _Connection:
        _sweeper.go()
        link = connect(self.host, self.port, until)
        return _Connection(secure(link, self.context, self.host, until) if self.context else link)


def _close_all(idle: deque[_Connection]) -> None:
    while idle:
        with suppress(IndexError):
            idle.pop().close()


_origins: weakref.WeakValueDictionary[tuple[Any, ...], _Origin] = weakref.WeakValueDictionary()


class _Sweeper:
    """A thread that closes connections which nobody needs any more."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def go(self) -> None:
        if self._thread is None:
            # Two that start at once do no harm: the second one sweeps too.
            self._thread = threading.Thread(target=self._sweep, name="connection-sweeper", daemon=True)
            self._thread.start()

    def _sweep(self) -> None:
        while True:
            time.sleep(IDLE_SECONDS / 4)
            for origin in list(_origins.values()):
                origin.sweep()

    def forget(self) -> None:
        """In a forked child: thread and connections are the parent's. Closing says nothing on the wire."""
        self._thread = None
        for origin in list(_origins.values()):
            _close_all(origin.idle)


_sweeper = _Sweeper()


@dataclass(frozen=True, slots=True)
class Target:
    """An upstream's address. Targets of the same host and certificates share their connections."""

    url: str
    #: The path before every path that is asked there, without a slash at its end.
    base: str
    #: What the address holds behind a "?".
    query: str
    #: The Host header: host, and port unless it is the scheme's own.
    authority: str
    origin: _Origin = field(repr=False, compare=False)

    @staticmethod
    def of(url: str, authority_pem: str = "", client_certificate_pem: str = "") -> Target:
        """Raises ValueError with a word: address, authority or client-certificate. Not for the call path."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            name = host if ":" in host else host.encode("idna").decode("ascii")
        except ValueError:
            raise ValueError("address") from None
        base, query = parts.path.rstrip("/"), parts.query
        said = _PATH.fullmatch(f"{base or '/'}?{query}") and not _CONTROL.search(url) and " " not in url
        if parts.scheme not in ("http", "https") or not name or "@" in parts.netloc or "%" in host or not said:
            raise ValueError("address")
        context = tls_context(authority_pem, client_certificate_pem) if parts.scheme == "https" else None
        usual = 443 if context else 80
        key = (parts.scheme, name, port or usual, authority_pem, client_certificate_pem)
        origin = _origins.get(key)
        if origin is None:
            origin = _origins.setdefault(key, _Origin(name, port or usual, context))
        shown = f"[{name}]" if ":" in name else name
        authority = shown if port in (None, usual) else f"{shown}:{port}"
        return Target(url, base, query, authority, origin)
