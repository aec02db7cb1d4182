"""The only place where an upstream's row becomes an endpoint."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from proxyservices.models import Upstream
from proxyservices.models.operations import _SOAP
from proxyservices.transport.bulkhead import room_of
from proxyservices.transport.credentials import Credential
from proxyservices.transport.endpoint import Address, Probe
from proxyservices.transport.pool import Target


def wsdl_address(url: str) -> str:
    """Where an endpoint's WSDL is to be had: at ?wsdl, unless the address says otherwise itself."""
    return url if "?" in url else f"{url}?wsdl"


def endpoint(url: str) -> str:
    """An upstream's address without ?wsdl, as 1.99x's definitions have it."""
    address, mark, query = url.partition("?")
    return address if mark and query.lower() in ("wsdl", "singlewsdl") else url


def address(upstream: Upstream) -> Address:
    """An upstream's row, saved or not, as an address. Raises ValueError with a word."""
    url = upstream.url
    if upstream.operation.style in _SOAP:
        url = endpoint(url)
    target = Target.of(url, upstream.authority, str(upstream.client_certificate or ""))
    parts = urlsplit(url)
    return Address(
        id=upstream.pk or 0,
        position=upstream.position,
        weight=upstream.weight,
        target=target,
        credential=Credential.of(upstream),
        probe=probe_of(upstream),
        room=room_of((parts.scheme, parts.netloc.lower())),
    )


def probe_of(row: Upstream) -> Probe | None:
    """How an upstream is probed; None where it is not."""
    if not row.probe_seconds:
        return None
    return Probe(row.probe_seconds, row.probe_method, row.probe_path, statuses(row.probe_statuses), row.probe_text)


def statuses(text: str) -> tuple[tuple[int, int], ...]:
    """The ranges in a text as "200-299, 401". Raises ValueError."""
    parts = [part.partition("-") for part in re.split(r"[,\s]+", text) if part]
    return tuple((int(first), int(last or first)) for first, _, last in parts)
