"""Addresses in the headers of pass-through responses: those of the upstream become addresses below the alias.

Without this a redirect would lead callers away from the bus, to an address that may exist in an inner network only. A
relative one would lead to the bus's own root.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from proxyservices.descriptions.rewrite import below_alias
from proxyservices.styles.base import leaves_base

#: A quoted parameter of Link, or its target.
_LINK = re.compile(r'"(?:[^"\\]|\\.)*"|<([^<>]*)>')


def has_addresses(name: str) -> bool:
    """Return True if a header has addresses, or a path and a domain. ``name`` is in lower case."""
    return name in ("location", "link", "set-cookie") or name.endswith("-location")


def alias_path(agency: str, service: str, code: str) -> str:
    """Return the path of an operation's alias on the bus."""
    return f"/rest/{quote(agency)}/{quote(service)}/{quote(code)}"


@dataclass(frozen=True, slots=True)
class AddressMap:
    """The upstreams' addresses of one call, and the alias in their place."""

    #: The alias's path, and the bus's own address before it, "" if it is not configured.
    alias: str
    bus: str
    #: Of each endpoint, with the operation's path and without a query.
    bases: Sequence[str]
    #: The caller's path after the alias.
    suffix: str

    def header(self, name: str, value: str) -> str | None:
        """Return a header's value for the caller; None if it must not go out. ``name`` is in lower case."""
        if name == "location" or name.endswith("-location"):
            return self.address(value)
        if name == "link":
            return _LINK.sub(lambda found: found[0] if found[1] is None else f"<{self.address(found[1])}>", value)
        return self.cookie(value) if name == "set-cookie" else value

    def address(self, reference: str) -> str:
        """Return an address or a relative reference below the alias.

        One at the upstream but not below its path becomes absolute, because it has no address on the bus. One of
        another host stays.
        """
        try:
            for base in self.bases:
                absolute, sign, fragment = urljoin(base + self.suffix, reference).partition("#")
                below = below_alias(absolute, self.bus + self.alias, (base,))
                if below and not leaves_base(urlsplit(absolute).path):
                    return below + sign + fragment
            return urljoin(self.bases[0] + self.suffix, reference)
        except (ValueError, IndexError):
            return reference

    def cookie(self, value: str) -> str | None:
        """Return a Set-Cookie with the path below the alias, and without the upstream's domain.

        Return None for a cookie of another path of the upstream: below the bus's root it would be another system's.
        """
        pair, *attributes = (part.strip() for part in value.split(";"))
        kept, path = [pair], ""
        for attribute in attributes:
            name, _equals, text = attribute.partition("=")
            match name.strip().lower():
                case "path":
                    path = text.strip()
                case "domain" if self._is_own_domain(text.strip()):
                    pass
                case _:
                    kept.append(attribute)
        moved = self._cookie_path(path)
        return "; ".join([*kept, f"Path={moved}"]) if moved else None

    def _is_own_domain(self, domain: str) -> bool:
        domain = domain.lower().lstrip(".")
        hosts = [urlsplit(base).hostname or "" for base in self.bases]
        return any(host == domain or host.endswith(f".{domain}") for host in hosts)

    def _cookie_path(self, path: str) -> str:
        """Return a cookie's path on the bus; "" if its upstream's path does not contain the alias or is not below it.

        Without a path it is the folder of the request (RFC 6265, 5.1.4).
        """
        for base in self.bases:
            own = urlsplit(base).path.rstrip("/")
            stated = path if path.startswith("/") else (own + self.suffix).rpartition("/")[0] or "/"
            if stated.rstrip("/") == own or f"{own}/".startswith(f"{stated.rstrip('/')}/"):
                return self.alias
            if stated.startswith(f"{own}/"):
                return self.alias + stated[len(own) :]
        return ""
