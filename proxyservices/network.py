"""How the door out reaches another system: names resolved in time, addresses judged, TLS verified."""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from django.conf import settings

#: Where a call to another system can fail, in the order in which it gets there.
PHASES = ("address", "dns", "connect", "tls", "write", "first-byte", "body", "parse")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Failed(Exception):
    """A call to another system that came to nothing.

    ``phase`` is one of PHASES, ``reason`` a word of ours, never a driver's text. ``sent``: a byte of the request
    went out, so the other side may have acted on it. ``slow``: a time limit was met.
    """

    def __init__(self, phase: str, reason: str, *, sent: bool = False, slow: bool = False) -> None:
        super().__init__(phase, reason)
        self.phase = phase
        self.reason = reason
        self.sent = sent
        self.slow = slow


# ------------------------------------------------------------------------------------ the operator's networks

#: Addresses that no upstream has by right: this host, its link (with every cloud's metadata service), groups, and
#: what nobody was given. An operator who means one of them says so by an entry that lies within.
_SPECIAL: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/3",
        # Of IPv6 all but global unicast (2000::/3) and unique local addresses (fc00::/7).
        "::/3", "4000::/2", "8000::/2", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/7",
    )
)  # fmt: skip
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class Networks:
    """Which addresses the bus may call, as MANTRA_UPSTREAM_NETWORKS says it: networks, those with "!" denied."""

    def __init__(self, entries: Sequence[str]) -> None:
        """Raises ValueError on an entry that is no network."""
        self._denied = [ipaddress.ip_network(text[1:].strip(), False) for text in entries if text.startswith("!")]
        self._allowed = [ipaddress.ip_network(text.strip(), False) for text in entries if not text.startswith("!")]

    def allow(self, text: str) -> bool:
        """Whether the address, as getaddrinfo writes it, may be called; so may every address hidden in it."""
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        hidden = _hidden(address)
        # A wrapping says nothing of its own: only a denial can be meant for it.
        return not self._in(self._denied, address) and all(self._fine(each) for each in hidden or [address])

    def _fine(self, address: Address) -> bool:
        if self._in(self._denied, address):
            return False
        special = next((network for network in _SPECIAL if address in network), None)
        if special is not None:
            return self._in([entry for entry in self._allowed if _within(entry, special)], address)
        return not self._allowed or self._in(self._allowed, address)

    @staticmethod
    def _in(networks: Sequence[Network], address: Address) -> bool:
        return any(address in network for network in networks)


def _within(entry: Network, special: Network) -> bool:
    if isinstance(entry, ipaddress.IPv4Network):
        return isinstance(special, ipaddress.IPv4Network) and entry.subnet_of(special)
    return isinstance(special, ipaddress.IPv6Network) and entry.subnet_of(special)


def _hidden(address: Address) -> list[Address]:
    """The IPv4 addresses that an IPv6 address leads to: mapped, translated (NAT64) or tunnelled (6to4, Teredo)."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    low = int(address) & 0xFFFF_FFFF
    if any(address in network for network in _NAT64) or (address in _COMPATIBLE and low > 1):
        return [ipaddress.IPv4Address(low)]
    return []


@functools.lru_cache(maxsize=16)
def _networks(entries: tuple[str, ...]) -> Networks:
    return Networks(entries)


def allowed(address: str) -> bool:
    """Whether the operator's networks let the bus call the address."""
    return _networks(tuple(settings.UPSTREAM_NETWORKS)).allow(address)


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


# --------------------------------------------------------------------------------------------------- TLS

#: What OpenSSL says of a certificate that it refuses (X509_V_ERR_…), in words of ours.
_REFUSALS = {9: "not-yet-valid", 10: "expired", 23: "revoked", 62: "wrong-name", 64: "wrong-name"}
#: Alerts by which a server says that our certificate is missing or not good.
_OURS = (
    "CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE", "ALERT_DECRYPT_ERROR",
    "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_ACCESS_DENIED",
)  # fmt: skip


@functools.lru_cache(maxsize=256)
def tls_context(authority_pem: str, client_certificate_pem: str) -> ssl.SSLContext:
    """How to speak TLS: verified always, by the system's authorities or, where one is given, by that alone.

    Raises ValueError: "authority" or "client-certificate".
    """
    try:
        context = ssl.create_default_context(cadata=authority_pem or None)
    except (ssl.SSLError, ValueError):
        raise ValueError("authority") from None
    if authority_pem:
        # Also an authority that is not the last of its chain, or the server's certificate itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # An end without TLS's farewell may be an answer that somebody cut.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.set_alpn_protocols(["http/1.1"])
    if client_certificate_pem:
        _load(context, client_certificate_pem)
    return context


def _load(context: ssl.SSLContext, pem: str) -> None:
    # The ssl module takes a client's certificate from a file only. mkstemp's files are their owner's alone.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        try:
            # Without a password of ours OpenSSL would ask for one on the terminal.
            context.load_cert_chain(file.name, password=lambda: "")
        except (OSError, ValueError):
            raise ValueError("client-certificate") from None


def secure(link: socket.socket, context: ssl.SSLContext, host: str, until: float) -> ssl.SSLSocket:
    """Speak TLS on a connection from now on. Raises Failed, and closes it then."""
    try:
        link.settimeout(max(0.001, until - time.monotonic()))
        return context.wrap_socket(link, server_hostname=host, suppress_ragged_eofs=False)
    except (OSError, ValueError) as error:
        link.close()
        raise tls_failure(error, sent=False) from None


def tls_failure(error: Exception, sent: bool) -> Failed:
    """What TLS met, in a word."""
    if isinstance(error, TimeoutError):
        return Failed("tls", "slow", sent=sent, slow=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed("tls", _REFUSALS.get(error.verify_code, "untrusted"), sent=sent)
    said = error.reason or "" if isinstance(error, ssl.SSLError) else ""
    if any(word in said for word in _OURS):
        return Failed("tls", "client-certificate", sent=sent)
    if "HANDSHAKE_FAILURE" in said:
        # Up to TLS 1.2 a missing certificate of ours is one reason of several.
        return Failed("tls", "handshake", sent=sent)
    return Failed("tls", "broken", sent=sent)
