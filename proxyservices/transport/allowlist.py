"""The addresses that the bus may connect to: MANTRA_UPSTREAM_NETWORKS."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Addresses at which no upstream is expected: this host, its link (with every cloud's metadata service), multicast
#: groups, and unassigned ranges. An operator permits part of one by an entry that lies within it.
RESERVED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/3",
        # Of IPv6 all but global unicast (2000::/3) and unique local addresses (fc00::/7).
        "::/3", "4000::/2", "8000::/2", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/7",
    )
)  # fmt: skip
#: RFC 6052, 2.1 and RFC 8215.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/96")
#: RFC 4291, 2.5.5.1.
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class Networks:
    """The entries of MANTRA_UPSTREAM_NETWORKS: permitted networks, and denied ones with "!" before them."""

    def __init__(self, entries: Sequence[str]) -> None:
        """Raises ValueError on an entry that is no network."""
        self._denied = [ipaddress.ip_network(text[1:].strip(), False) for text in entries if text.startswith("!")]
        self._allowed = [ipaddress.ip_network(text.strip(), False) for text in entries if not text.startswith("!")]

    def allow(self, text: str) -> bool:
        """Return True if the bus may call an address, written as getaddrinfo does, and each IPv4 address in it."""
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        embedded = embedded_ipv4(address)
        # An address that only wraps IPv4 addresses needs no entry of its own, but a denial of it counts.
        return not self._in(self._denied, address) and all(self._permits(each) for each in embedded or [address])

    def _permits(self, address: Address) -> bool:
        if self._in(self._denied, address):
            return False
        reserved = next((network for network in RESERVED if address in network), None)
        if reserved is not None:
            return self._in([entry for entry in self._allowed if _within(entry, reserved)], address)
        return not self._allowed or self._in(self._allowed, address)

    @staticmethod
    def _in(networks: Sequence[Network], address: Address) -> bool:
        return any(address in network for network in networks)


def _within(entry: Network, reserved: Network) -> bool:
    if isinstance(entry, ipaddress.IPv4Network):
        return isinstance(reserved, ipaddress.IPv4Network) and entry.subnet_of(reserved)
    return isinstance(reserved, ipaddress.IPv6Network) and entry.subnet_of(reserved)


def embedded_ipv4(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address leads to: mapped, translated (NAT64), tunnelled (6to4, Teredo)."""
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


def is_permitted(address: str) -> bool:
    """Return True if the operator's networks permit the bus to call the address."""
    return _networks(tuple(settings.UPSTREAM_NETWORKS)).allow(address)
