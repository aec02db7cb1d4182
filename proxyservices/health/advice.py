"""Sentences about a failure: its meaning, and the next step."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

#: A phase of transport.errors.PHASES → its name in the admin.
PHASE_NAMES: dict[str, Any] = {
    "address": _("address"),
    "dns": _("DNS"),
    "connect": _("connect"),
    "tls": _("TLS"),
    "write": _("write"),
    "first-byte": _("first byte"),
    "body": _("body"),
    "parse": _("parse"),
}

#: (phase, reason) → its meaning and the next step; (phase, "") for all other reasons.
ADVICE: dict[tuple[str, str], Any] = {
    ("address", "forbidden"): _(
        "The operator does not allow calls to this address. If it is correct, ask the operator to add its network to "
        "MANTRA_UPSTREAM_NETWORKS."
    ),
    ("address", "client-certificate"): _(
        "The client certificate cannot be used. Enter the private key without a password and its certificate, both "
        "as PEM."
    ),
    ("address", "ca-certificate"): _("The CA certificate cannot be read. Enter it as PEM."),
    ("address", "credential"): _(
        "The credential contains a character that a header cannot carry. Enter it again without spaces or line "
        "breaks around it."
    ),
    ("address", ""): _("The address cannot be called. Check it for typing errors."),
    ("dns", "slow"): _("DNS did not respond in time. Try again, or ask the operator to check DNS."),
    ("dns", "busy"): _("Too many DNS lookups are in progress. Try again."),
    ("dns", ""): _("The host name was not found in DNS. Check the address for typing errors, or enter an IP address."),
    ("connect", "refused"): _(
        "The host is reachable, but nothing is listening on this port. Check the port, and that the service is running."
    ),
    ("connect", ""): _(
        "The host does not respond. Check the address, and ask your network administrator to allow the bus to reach "
        "this port."
    ),
    ("tls", "expired"): _("The upstream's certificate has expired. Ask its team to renew it."),
    ("tls", "not-yet-valid"): _(
        "The upstream's certificate is not valid yet. Ask its team to check it, and the operator to check the "
        "server's clock."
    ),
    ("tls", "revoked"): _("The upstream's certificate is revoked. Ask its team to replace it."),
    ("tls", "wrong-name"): _(
        "The upstream's certificate is for another name. Use the certificate's name in the address."
    ),
    ("tls", "untrusted"): _(
        "The upstream's certificate is from an unknown authority. If the agency has its own authority, enter its "
        "certificate in the field “CA certificate”."
    ),
    ("tls", "client-certificate"): _(
        "The upstream requires a client certificate, or rejects the one you entered. Ask its team for one."
    ),
    ("tls", "slow"): _("The TLS connection took too long. Check that the port uses https."),
    ("tls", ""): _("The TLS connection failed. Check that the port uses https, not plain http."),
    ("write", ""): _(
        "The upstream closed the connection during the request. Check that the port uses http, and read the "
        "upstream's log."
    ),
    ("first-byte", "slow"): _(
        "The upstream received the request but did not respond in time. Check its load and its log, or increase the "
        "time limit."
    ),
    ("first-byte", ""): _(
        "The upstream received the request and closed the connection without a response. Read its log."
    ),
    ("body", "slow"): _(
        "The response started but did not end in time. Check the upstream's load and the network, or increase the "
        "time limit."
    ),
    ("body", "too-large"): _("The response exceeds the size limit. Increase the limit, or request less data."),
    ("body", "refused"): _(
        "The token server rejects the client or its secret. Check both and the scope with the team that runs that "
        "server."
    ),
    ("body", "text"): _("The response does not contain the healthy text."),
    ("body", ""): _("The response was aborted before its end. Read the upstream's log."),
    ("parse", "token"): _("The token server's response is not a token. Check the token URL."),
    ("parse", "json"): _(
        "The response is typed as JSON, but its body is not valid JSON. Ask the upstream's team to correct it."
    ),
    ("parse", "xml"): _(
        "The response is typed as XML, but its body is not well-formed or contains a DOCTYPE. Ask the upstream's "
        "team to correct it."
    ),
    ("parse", ""): _("The response is not valid HTTP. Check that the port belongs to a web service."),
}  # fmt: skip

#: Statuses with which an upstream responds although calls to it will fail.
STATUS_ADVICE: dict[int, Any] = {
    401: _("The upstream rejects the credential. Check it with the upstream's team."),
    403: _("The upstream accepts the credential but denies access to this path. Ask its team to grant access."),
    404: _("The upstream responds, but there is nothing at this path. That may be correct for the base address."),
    405: _("The upstream responds, but not to this method. That may be correct for the base address."),
    407: _("A proxy on the way requires a password. Ask your network administrator."),
}
MOVED = _("The upstream redirects to another address. The bus does not follow redirects: enter the new address here.")
FAILING = _("The upstream responds with an error. Read its log.")


def advise(phase: str, reason: str) -> str:
    """Return the meaning of a failure, and the next step."""
    return str(ADVICE.get((phase, reason)) or ADVICE.get((phase, "")) or ADVICE["address", ""])


def phase_name(phase: str) -> str:
    """Return the name of a phase in the admin."""
    return str(PHASE_NAMES.get(phase, phase))


def failure_name(phase: str, reason: str) -> str:
    """Return a failure in a few words, "" for none."""
    return ": ".join(part for part in (phase_name(phase) if phase else "", reason) if part)
