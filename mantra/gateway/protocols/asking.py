"""The page on which a caller's agency asks for what a call was refused for: the address that such faults name."""

from __future__ import annotations

from urllib.parse import quote

from mantra.gateway.http import Environ, base_url
from registry import faults
from registry.calls import Call
from registry.results import Fault

#: Faults that an access request remedies: no grant, one that has ended or has not begun, and other networks.
_REMEDIED = frozenset(
    kind.code for kind in (faults.GRANT_MISSING, faults.GRANT_EXPIRED, faults.GRANT_NOT_YET_VALID, faults.GRANT_NETWORK)
)


def request_url(fault: Fault, call: Call, environ: Environ) -> str:
    """Return the address of the page on which to request access to the call's operation, "" for other faults."""
    operation = call.operation
    if fault.code not in _REMEDIED or operation is None:
        return ""
    parts = (quote(part, safe="") for part in (operation.agency, operation.service, operation.code))
    return f"{base_url(environ)}/catalog/{'/'.join(parts)}/request"
