"""Which addresses the bus may connect to: MANTRA_UPSTREAM_NETWORKS."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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
