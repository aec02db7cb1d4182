"""The only place where a server's row becomes an endpoint."""

from __future__ import annotations

import re
from collections.abc import Hashable
from urllib.parse import urlsplit

from proxyservices.models import BackendServer, ProxyOperation, ServerSettings
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


def endpoint_of(server: BackendServer, style: str = "") -> Endpoint:
    """Return a server's row, saved or not, as an endpoint for calls of a style; without one, for probes and tests.

    Raises ValueError with a word: address, credential, ca-certificate or client-certificate.
    """
    settings = server.settings
    url = without_wsdl_query(server.url) if style in SOAP_STYLES else server.url
    parts = urlsplit(url)
    return Endpoint(
        id=server.pk or 0,
        address=server.url,
        priority=server.priority,
        weight=server.weight,
        target=Target.of(url, settings.ca_certificate, str(settings.client_certificate or "")),
        credential=credential_of(settings, style),
        probe=probe_of(settings),
        bulkhead=bulkhead_for((parts.scheme, parts.netloc.lower())),
    )


def source_of(server: BackendServer) -> Hashable:
    """Return what decides whose response a server gives: its address, and as whom the bus calls it."""
    settings = server.settings
    return (
        server.url,
        settings.credential_kind,
        settings.credential_name,
        str(settings.credential or ""),
        settings.scope,
    )


def probe_of(settings: ServerSettings) -> Probe | None:
    """Return how servers with these settings are probed; None where they are not."""
    if not settings.probe_interval_seconds:
        return None
    return Probe(
        interval_seconds=settings.probe_interval_seconds,
        method=settings.probe_method,
        path=settings.probe_path,
        expected_statuses=status_ranges(settings.probe_expected_statuses),
        expected_text=settings.probe_expected_text,
    )


def status_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Return the ranges in a text like "200-299, 401". Raises ValueError."""
    parts = [part.partition("-") for part in re.split(r"[,\s]+", text) if part]
    return tuple((int(first), int(last or first)) for first, _, last in parts)


def credential_of(settings: ServerSettings, style: str = "") -> Credential:
    """Return what a server is shown. Raises ValueError with a word, as endpoint_of does."""
    kinds, name, secret = ServerSettings.Credential, settings.credential_name, str(settings.credential or "")
    match settings.credential_kind:
        case kinds.ACCESS_KEY:
            # 1.99x sends a SOAP service no key, even if its definition has one.
            sends_key = secret and style != ProxyOperation.Style.LEGACY_SOAP
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
                    url=settings.token_url,
                    client=name,
                    secret=secret,
                    scope=settings.scope,
                    ca_pem=settings.ca_certificate,
                    certificate_pem=str(settings.client_certificate or ""),
                )
            )
    return Credential()
