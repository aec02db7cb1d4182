"""TLS towards upstreams: contexts, the handshake, and what its failures mean."""

from __future__ import annotations

import functools
import socket
import ssl
import tempfile
import time

from proxyservices.transport.errors import Failed

# --------------------------------------------------------------------------------------------------- TLS

#: What OpenSSL says of a certificate that it refuses (X509_V_ERR_…), in words of ours.
_REFUSALS = {9: "not-yet-valid", 10: "expired", 23: "revoked", 62: "wrong-name", 64: "wrong-name"}
#: Alerts by which a server says that our certificate is missing or not good.
_OURS = (
    "CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE", "ALERT_DECRYPT_ERROR",
    "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_ACCESS_DENIED",
)  # fmt: skip


@functools.lru_cache(maxsize=256)
def tls_context(authority_pem: str, client_certificate_pem: str) -> ssl.SSLContext:
    """How to speak TLS: verified always, by the system's authorities or, where one is given, by that alone.

    Raises ValueError: "authority" or "client-certificate".
    """
    try:
        context = ssl.create_default_context(cadata=authority_pem or None)
    except (ssl.SSLError, ValueError):
        raise ValueError("authority") from None
    if authority_pem:
        # Also an authority that is not the last of its chain, or the server's certificate itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # An end without TLS's farewell may be an answer that somebody cut.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.set_alpn_protocols(["http/1.1"])
    if client_certificate_pem:
        _load(context, client_certificate_pem)
    return context


def _load(context: ssl.SSLContext, pem: str) -> None:
    # The ssl module takes a client's certificate from a file only. mkstemp's files are their owner's alone.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        try:
            # Without a password of ours OpenSSL would ask for one on the terminal.
            context.load_cert_chain(file.name, password=lambda: "")
        except (OSError, ValueError):
            raise ValueError("client-certificate") from None


def secure(link: socket.socket, context: ssl.SSLContext, host: str, until: float) -> ssl.SSLSocket:
    """Speak TLS on a connection from now on. Raises Failed, and closes it then."""
    try:
        link.settimeout(max(0.001, until - time.monotonic()))
        return context.wrap_socket(link, server_hostname=host, suppress_ragged_eofs=False)
    except (OSError, ValueError) as error:
        link.close()
        raise tls_failure(error, sent=False) from None


def tls_failure(error: Exception, sent: bool) -> Failed:
    """What TLS met, in a word."""
    if isinstance(error, TimeoutError):
        return Failed("tls", "slow", sent=sent, slow=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed("tls", _REFUSALS.get(error.verify_code, "untrusted"), sent=sent)
    said = error.reason or "" if isinstance(error, ssl.SSLError) else ""
    if any(word in said for word in _OURS):
        return Failed("tls", "client-certificate", sent=sent)
    if "HANDSHAKE_FAILURE" in said:
        # Up to TLS 1.2 a missing certificate of ours is one reason of several.
        return Failed("tls", "handshake", sent=sent)
    return Failed("tls", "broken", sent=sent)
