"""The only place where an upstream's row becomes an endpoint."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from proxyservices.models import ProxyOperation, Upstream
from proxyservices.models.operations import SOAP_STYLES
from proxyservices.transport.credentials import Credential, OAuth2Credential, TokenRequest, basic
from proxyservices.transport.endpoint import Endpoint, Probe
from proxyservices.transport.pool import Target
from registry.bulkhead import bulkhead_for


def description_url(url: str) -> str:
    """Return where an upstream's WSDL is: at ?wsdl, unless its address has a query of its own."""
    return url if "?" in url else f"{url}?wsdl"


def without_wsdl_query(url: str) -> str:
    """Return an upstream's address without ?wsdl, with which the definitions of 1.99x write it."""
    address, mark, query = url.partition("?")
    return address if mark and query.lower() in ("wsdl", "singlewsdl") else url


def endpoint_of(upstream: Upstream) -> Endpoint:
    """Return an upstream's row, saved or not, as an endpoint.

    Raises ValueError with a word: address, credential, ca-certificate or client-certificate.
    """
    url = upstream.url
    if upstream.operation.style in SOAP_STYLES:
        url = without_wsdl_query(url)
    parts = urlsplit(url)
    return Endpoint(
        id=upstream.pk or 0,
        priority=upstream.priority,
        weight=upstream.weight,
        target=Target.of(url, upstream.ca_certificate, str(upstream.client_certificate or "")),
        credential=credential_of(upstream),
        probe=probe_of(upstream),
        bulkhead=bulkhead_for((parts.scheme, parts.netloc.lower())),
    )


def probe_of(upstream: Upstream) -> Probe | None:
    """Return how an upstream is probed; None where it is not."""
    if not upstream.probe_interval_seconds:
        return None
    return Probe(
        interval_seconds=upstream.probe_interval_seconds,
        method=upstream.probe_method,
        path=probe_path_of(upstream),
        expected_statuses=status_ranges(upstream.probe_expected_statuses),
        expected_text=upstream.probe_expected_text,
    )


def probe_path_of(upstream: Upstream) -> str:
    """Return the path for a probe or a connection test: the configured one, else a SOAP service's description.

    "" stands for the upstream's own address. A SOAP service answers a bare GET with an error, and its description
    with 200.
    """
    if upstream.probe_path or upstream.operation.style not in SOAP_STYLES:
        return upstream.probe_path
    parts = urlsplit(description_url(upstream.url))
    return f"{parts.path or '/'}?{parts.query}"


def status_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Return the ranges in a text like "200-299, 401". Raises ValueError."""
    parts = [part.partition("-") for part in re.split(r"[,\s]+", text) if part]
    return tuple((int(first), int(last or first)) for first, _, last in parts)


def credential_of(upstream: Upstream) -> Credential:
    """Return what an upstream is shown. Raises ValueError with a word, as endpoint_of does."""
    kinds, name, secret = Upstream.Credential, upstream.credential_name, str(upstream.credential or "")
    match upstream.credential_kind:
        case kinds.ACCESS_KEY:
            # 1.99x sends a SOAP service no key, even if its definition has one.
            sends_key = secret and upstream.operation.style != ProxyOperation.Style.LEGACY_SOAP
            return Credential([("User-Agent", "MANTRA"), *([("AccessKey", secret)] if sends_key else [])])
        case kinds.HEADER:
            return Credential([(name, secret)])
        case kinds.BASIC:
            return Credential([("Authorization", basic(name, secret))])
        case kinds.BEARER:
            return Credential([("Authorization", f"Bearer {secret}")])
        case kinds.OAUTH2:
            return OAuth2Credential.of(
                TokenRequest(
                    url=upstream.token_url,
                    client=name,
                    secret=secret,
                    scope=upstream.scope,
                    ca_pem=upstream.ca_certificate,
                    certificate_pem=str(upstream.client_certificate or ""),
                )
            )
    return Credential()
