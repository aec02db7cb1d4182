"""TLS to upstreams: contexts, the handshake, and the reasons of its failures."""

from __future__ import annotations

import functools
import socket
import ssl
import tempfile
import time

from proxyservices.transport.errors import UpstreamError

#: OpenSSL's code for a refused certificate (X509_V_ERR_…) → the reason in one of the bus's words.
_VERIFY_REASONS = {9: "not-yet-valid", 10: "expired", 23: "revoked", 62: "wrong-name", 64: "wrong-name"}
#: Alerts by which a server refuses the bus's certificate, or the lack of one (RFC 8446, 6.2).
_CLIENT_CERTIFICATE_REASONS = (
    "CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE", "ALERT_DECRYPT_ERROR",
    "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_ACCESS_DENIED",
)  # fmt: skip


@functools.lru_cache(maxsize=256)
def tls_context(ca_pem: str, client_certificate_pem: str) -> ssl.SSLContext:
    """Return a TLS context that always verifies: by the system's authorities, or by ``ca_pem`` alone if it is not "".

    Raises ValueError: "ca-certificate" or "client-certificate".
    """
    try:
        context = ssl.create_default_context(cadata=ca_pem or None)
    except (ssl.SSLError, ValueError):
        raise ValueError("ca-certificate") from None
    if ca_pem:
        # ca_pem may also be an intermediate authority, or the server's certificate itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # An end without close_notify may be a truncated response (RFC 8446, 6.1).
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.set_alpn_protocols(["http/1.1"])
    if client_certificate_pem:
        _load(context, client_certificate_pem)
    return context


def _load(context: ssl.SSLContext, pem: str) -> None:
    # The ssl module reads a client's certificate from a file only. Only their owner can read mkstemp's files.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        try:
            # Without this password OpenSSL would prompt for one on the terminal.
            context.load_cert_chain(file.name, password=lambda: "")
        except (OSError, ValueError):
            raise ValueError("client-certificate") from None


def secure(link: socket.socket, context: ssl.SSLContext, host: str, until: float) -> ssl.SSLSocket:
    """Return ``link`` with TLS on it. ``until``: monotonic seconds. Raises UpstreamError and closes ``link`` then."""
    try:
        link.settimeout(max(0.001, until - time.monotonic()))
        return context.wrap_socket(link, server_hostname=host, suppress_ragged_eofs=False)
    except (OSError, ValueError) as error:
        link.close()
        raise tls_failure(error, sent=False) from None


def certificate_end(link: ssl.SSLSocket) -> float | None:
    """Return when the certificate ends that the other side has shown (time.time()), None if it does not say so."""
    end = (link.getpeercert() or {}).get("notAfter")
    return float(ssl.cert_time_to_seconds(end)) if isinstance(end, str) else None


def tls_failure(error: Exception, sent: bool) -> UpstreamError:
    """Return an exception of the ssl module as an UpstreamError of phase "tls"."""
    if isinstance(error, TimeoutError):
        return UpstreamError("tls", "slow", sent=sent, slow=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return UpstreamError("tls", _VERIFY_REASONS.get(error.verify_code, "untrusted"), sent=sent)
    alert = error.reason or "" if isinstance(error, ssl.SSLError) else ""
    if any(word in alert for word in _CLIENT_CERTIFICATE_REASONS):
        return UpstreamError("tls", "client-certificate", sent=sent)
    if "HANDSHAKE_FAILURE" in alert:
        # Up to TLS 1.2 a missing client certificate is one of several causes.
        return UpstreamError("tls", "handshake", sent=sent)
    return UpstreamError("tls", "broken", sent=sent)
