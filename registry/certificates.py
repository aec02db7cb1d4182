"""Certificates of callers: what the bus's own nginx says of the one with which a connection was opened.

nginx has checked that the caller holds the private key. Which certificates an application may show, the registry says
(ClientCertificate), by their SHA-256: who has signed them does not matter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

#: The most characters of a certificate, percent-encoded: nginx's header buffers take no more.
MAX_LENGTH = 24_000


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: its SHA-256 in hex, its subject for people, and its end."""

    thumbprint: str
    subject: str
    not_after: datetime


def load(pem: str) -> Certificate | None:
    """Return the first certificate of a text in PEM; None if it has none that can be read."""
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
        thumbprint = hashlib.sha256(found.public_bytes(Encoding.DER)).hexdigest()
        return Certificate(thumbprint, found.subject.rfc4514_string()[:200], found.not_valid_after_utc)
    except (ValueError, x509.InvalidVersion):
        return None


@lru_cache(maxsize=512)
def thumbprint(header: str) -> str:
    """Return the SHA-256, in hex, of the certificate that nginx states percent-encoded; "" if it states none."""
    if not header or len(header) > MAX_LENGTH:
        return ""
    found = load(unquote(header))
    return found.thumbprint if found is not None else ""
