"""The IP address of the caller: the only place that decides it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from django.conf import settings


def client_ip(environ: Mapping[str, Any]) -> str:
    """Return the caller's IP address as text, "" if there is none (a unix socket).

    With settings.TRUSTED_PROXIES = n it is the n-th entry from the right of X-Forwarded-For: the address that the
    outermost of our own proxies saw. The caller may have written any entry further left.
    """
    depth = settings.TRUSTED_PROXIES
    address: str = environ.get("REMOTE_ADDR", "")
    if depth:
        hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        address = hops[-depth].strip() if len(hops) >= depth else hops[0].strip()
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return str(environ.get("REMOTE_ADDR", ""))
        mapped = getattr(parsed, "ipv4_mapped", None)
        return str(mapped or parsed)
    return address.removeprefix("::ffff:")
