"""The one place that decides a client's address."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from django.conf import settings


def client_ip(environ: Mapping[str, Any]) -> str:
    """The address of who called, as text; "" when there is none (a unix socket).

    With settings.TRUSTED_PROXIES = n the n-th entry from the right of X-Forwarded-For counts: what the
    outermost of our own proxies saw. Entries further left were written by the caller.
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
