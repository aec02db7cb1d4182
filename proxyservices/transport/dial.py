"""TCP connections to other systems: names resolved within a deadline, addresses checked at connect."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from proxyservices.transport.allowlist import is_permitted
from proxyservices.transport.errors import UpstreamError

#: Lookups that the resolver may have in progress at once: it has no timeout of its own.
MAX_LOOKUPS = 64


class _Lookup(threading.Thread):
    """One lookup of a name, shared by all calls that need the same name meanwhile."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="lookup", daemon=True)
        self._wanted = host, port
        self._finished = threading.Event()
        self._addresses: list[tuple[int, str]] = []

    def run(self) -> None:
        try:
            # UnicodeError: a label that is empty or too long.
            with suppress(OSError, UnicodeError):
                self._addresses = _addresses_of(*self._wanted)
        finally:
            _lookups.pop(self._wanted, None)
            self._finished.set()

    def wait(self, until: float) -> list[tuple[int, str]]:
        if not self._finished.wait(max(0.0, until - time.monotonic())):
            raise UpstreamError("dns", "slow", slow=True)
        return self._addresses


_lookups: dict[tuple[str, int], _Lookup] = {}
os.register_at_fork(after_in_child=_lookups.clear)


def _addresses_of(host: str, port: int) -> list[tuple[int, str]]:
    """Return (family, address) of a host, each once, in the resolver's order."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((int(entry[0]), str(entry[4][0])) for entry in entries))


def resolve(host: str, port: int, until: float) -> list[tuple[int, str]]:
    """Return the addresses of a host as (family, address). ``until``: monotonic seconds. Raises UpstreamError."""
    with suppress(ValueError):
        literal = ipaddress.ip_address(host)
        return [(socket.AF_INET if literal.version == 4 else socket.AF_INET6, host)]
    if len(_lookups) >= MAX_LOOKUPS:
        raise UpstreamError("dns", "busy")
    own = _Lookup(host, port)
    lookup = _lookups.setdefault((host, port), own)
    if lookup is own:
        try:
            own.start()
        except RuntimeError:  # no more threads to be had
            _lookups.pop((host, port), None)
            raise UpstreamError("dns", "unknown") from None
    addresses = lookup.wait(until)
    if not addresses:
        raise UpstreamError("dns", "unknown")
    return addresses


def connect(host: str, port: int, until: float, permits: Callable[[str], bool] = is_permitted) -> socket.socket:
    """Return a TCP connection to one of the addresses of the host that ``permits`` allows. Raises UpstreamError.

    It connects to the very address that was checked: no second lookup could lead elsewhere.
    """
    permitted = [(family, address) for family, address in resolve(host, port, until) if permits(address)]
    if not permitted:
        raise UpstreamError("address", "forbidden")
    last_error = UpstreamError("connect", "slow", slow=True)
    for position, (family, address) in enumerate(permitted):
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            # The addresses share the time that is left, so that a dead one still gives the next a chance.
            return _dial(family, address, port, left / (len(permitted) - position))
        except UpstreamError as error:
            last_error = error
    raise last_error


def _dial(family: int, address: str, port: int, seconds: float) -> socket.socket:
    try:
        link = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        raise UpstreamError("connect", "unreachable") from None
    try:
        link.settimeout(seconds)
        link.connect((address, port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        link.close()
        if isinstance(error, TimeoutError):
            raise UpstreamError("connect", "slow", slow=True) from None
        raise UpstreamError(
            "connect", "refused" if isinstance(error, ConnectionRefusedError) else "unreachable"
        ) from None
    return link
