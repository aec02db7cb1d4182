"""What a failure means and what to do about it, in sentences."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

#: A word of client.PHASES → how people call it.
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

#: (phase, reason) → what it means and what to do; (phase, "") where the reason is another.
ADVICE: dict[tuple[str, str], Any] = {
    ("address", "forbidden"): _(
        "The bus's operators do not let it call this address. If it is the right one, ask them to add its network to "
        "MANTRA_UPSTREAM_NETWORKS."
    ),
    ("address", "client-certificate"): _(
        "The client certificate cannot be used. Give the private key, without a password, and the certificate that "
        "belongs to it, both as PEM."
    ),
    ("address", "authority"): _("The certificate authority cannot be read. Give its certificates as PEM."),
    ("address", "credential"): _(
        "The credential holds a letter that no header can carry. Type it again, without spaces or line ends around it."
    ),
    ("address", ""): _("The address cannot be called. Check it for a typing error."),
    ("dns", "slow"): _("The name could not be resolved in time. Try again, or ask the bus's operators about its DNS."),
    ("dns", "busy"): _("Too many names are being resolved at once. Try again."),
    ("dns", ""): _("No machine of this name is known. Check the address for a typing error, or give an IP address."),
    ("connect", "refused"): _(
        "The machine answers, but nothing listens on this port. Check the port, and that the service runs."
    ),
    ("connect", ""): _(
        "The machine does not answer. Check the address, and ask your network's keepers to let the bus through the "
        "firewall to this port."
    ),
    ("tls", "expired"): _("The upstream's certificate has expired. Its keepers must renew it."),
    ("tls", "not-yet-valid"): _(
        "The upstream's certificate is not valid yet. Its keepers must look at it, and the bus's operators at its "
        "clock."
    ),
    ("tls", "revoked"): _("The upstream's certificate is revoked. Its keepers must replace it."),
    ("tls", "wrong-name"): _(
        "The upstream's certificate is for another name. Write the address with the name that the certificate has."
    ),
    ("tls", "untrusted"): _(
        "The upstream's certificate comes from an authority that the bus does not know. If the agency has its own, put "
        "that authority's certificate into the field for it."
    ),
    ("tls", "client-certificate"): _(
        "The upstream wants a client certificate, or does not take the one that is given. Ask its keepers for one."
    ),
    ("tls", "slow"): _("No secure connection came about in time. Check that the port speaks https."),
    ("tls", ""): _("No secure connection came about. Check that the port speaks https and not plain http."),
    ("write", ""): _(
        "The upstream closed the connection while it was being asked. Check that the port speaks http, and its log."
    ),
    ("first-byte", "slow"): _(
        "The upstream took the question and said nothing in time. Check its load and its log, or allow it more time."
    ),
    ("first-byte", ""): _(
        "The upstream took the question and closed the connection without an answer. Its own log says more."
    ),
    ("body", "slow"): _(
        "The answer began and did not end in time. Check the upstream's load and the network, or allow more time."
    ),
    ("body", "too-large"): _("The answer is larger than the size cap. Raise the cap, or ask for less."),
    ("body", "refused"): _(
        "The token server refuses the client or its secret. Check both, and the scope, with the keepers of that server."
    ),
    ("body", "text"): _("The answer does not hold the healthy text."),
    ("body", ""): _("The answer broke off before its end. The upstream's own log says more."),
    ("parse", "token"): _("What the token server answers is no token. Check the token address."),
    ("parse", "json"): _("The answer calls itself JSON and is not. The upstream's keepers must put it right."),
    ("parse", "xml"): _(
        "The answer calls itself XML and is not well-formed, or has a document type. The upstream's keepers must put "
        "it right."
    ),
    ("parse", ""): _("What came back is no proper HTTP answer. Check that the port belongs to a web service."),
}  # fmt: skip

#: Statuses that are an answer, and still mean that calls will fail.
STATUS_ADVICE: dict[int, Any] = {
    401: _("The upstream does not take the credential. Check it with the upstream's keepers."),
    403: _("The upstream lets the credential in but not to this place. Ask its keepers for the right."),
    404: _("The upstream answers, but has nothing at this place: that may be right for the bare address."),
    405: _("The upstream answers, but not to this method: that may be right for the bare address."),
    407: _("Something in between wants a password of its own. Ask your network's keepers."),
}
MOVED = _("The upstream sends on to another address. The bus follows none: enter the new one here.")
FAILING = _("The upstream answers with an error of its own. Its own log says more.")


def advise(phase: str, reason: str) -> str:
    """What a failure means, and what to do."""
    return str(ADVICE.get((phase, reason)) or ADVICE.get((phase, "")) or ADVICE["address", ""])


def phase_name(phase: str) -> str:
    return str(PHASE_NAMES.get(phase, phase))
