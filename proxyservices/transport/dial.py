"""How the door out reaches another system: names resolved in time, addresses judged, TLS verified."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from contextlib import suppress

from proxyservices.transport.allowlist import allowed
from proxyservices.transport.errors import Failed

# ------------------------------------------------------------------------------------------------- names

#: How many names may be in the resolver's hands at once. It has no time limit of its own.
_MOST_LOOKUPS = 64


class _Lookup(threading.Thread):
    """One question to the resolver, for all calls that want the same name meanwhile."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="lookup", daemon=True)
        self._question = host, port
        self._answered = threading.Event()
        self._found: list[tuple[int, str]] = []

    def run(self) -> None:
        try:
            # UnicodeError: a label that is empty or too long.
            with suppress(OSError, UnicodeError):
                self._found = _addresses(*self._question)
        finally:
            _lookups.pop(self._question, None)
            self._answered.set()

    def wait(self, until: float) -> list[tuple[int, str]]:
        if not self._answered.wait(max(0.0, until - time.monotonic())):
            raise Failed("dns", "slow", slow=True)
        return self._found


_lookups: dict[tuple[str, int], _Lookup] = {}
os.register_at_fork(after_in_child=_lookups.clear)


def _addresses(host: str, port: int) -> list[tuple[int, str]]:
    """(family, address) of a host, each once, in the resolver's order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((int(entry[0]), str(entry[4][0])) for entry in found))


def resolve(host: str, port: int, until: float) -> list[tuple[int, str]]:
    """The addresses of a host, (family, address). ``until`` is a time.monotonic() value. Raises Failed."""
    with suppress(ValueError):
        literal = ipaddress.ip_address(host)
        return [(socket.AF_INET if literal.version == 4 else socket.AF_INET6, host)]
    if len(_lookups) >= _MOST_LOOKUPS:
        raise Failed("dns", "busy")
    mine = _Lookup(host, port)
    lookup = _lookups.setdefault((host, port), mine)
    if lookup is mine:
        mine.start()
    found = lookup.wait(until)
    if not found:
        raise Failed("dns", "unknown")
    return found


# ------------------------------------------------------------------------------------------- connections


def connect(host: str, port: int, until: float) -> socket.socket:
    """A TCP connection to one of the host's addresses: those very ones that were judged. Raises Failed."""
    found = resolve(host, port, until)
    judged = [(family, address) for family, address in found if allowed(address)]
    if not judged:
        raise Failed("address", "forbidden")
    failure = Failed("connect", "slow", slow=True)
    for position, (family, address) in enumerate(judged):
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            # What is left is shared out, so that a dead address leaves time for the next one.
            return _dial(family, address, port, left / (len(judged) - position))
        except Failed as error:
            failure = error
    raise failure


def _dial(family: int, address: str, port: int, seconds: float) -> socket.socket:
    try:
        link = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        raise Failed("connect", "unreachable") from None
    try:
        link.settimeout(seconds)
        link.connect((address, port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        link.close()
        if isinstance(error, TimeoutError):
            raise Failed("connect", "slow", slow=True) from None
        raise Failed("connect", "refused" if isinstance(error, ConnectionRefusedError) else "unreachable") from None
    return link
