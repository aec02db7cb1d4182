"""Whether an upstream can be reached, and if not, in which phase it failed and what its keeper can do about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from lxml import etree

from proxyservices import client, probes
from proxyservices.client import Failed
from proxyservices.models import ProxyOperation, Upstream
from proxyservices.plan import address, recipe_of

#: How long a test may take at most, in seconds, whatever the operation allows, and how much of an answer it takes.
SECONDS, SIZE = 15.0, 10_000_000

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


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How a test went. ``phase`` is where it failed, "" where an answer came whole."""

    fine: bool
    phase: str
    text: str


def diagnose(upstream: Upstream) -> Diagnosis:
    """Ask an upstream as its probe does, or for its bare address, and look at what comes."""
    began = time.monotonic()
    try:
        status, size = _ask(upstream, began)
    except ValueError as error:
        return _failed("address", str(error))
    except Failed as failure:
        return _failed(failure.phase, failure.reason)
    words = {"status": status, "milliseconds": round((time.monotonic() - began) * 1000), "size": size}
    text = gettext("Answered in %(milliseconds)d ms with status %(status)d and %(size)d bytes.") % words
    advice = STATUS_ADVICE.get(status) or (FAILING if status >= 500 else MOVED if 300 <= status < 400 else "")
    fine = status < 300 or status in (304, 404, 405)
    return Diagnosis(fine, "", f"{text} {advice}".strip())


#: A word with which plan.recipe_of refuses an operation → what its author can do.
BROKEN: dict[str, Any] = {
    "path": _(
        "It cannot be called yet: a place in the path has no value, a mapping names a place that the path does not "
        "have, or the path is not one that this style takes."
    ),
    "parameter": _("It cannot be called yet: a mapping names a parameter that is not declared."),
    "form and JSON": _(
        "It cannot be called yet: mappings write into a form and into a JSON body. Take one of the two."
    ),
    "header": _("It cannot be called yet: a mapping names a header that the bus sets by itself."),
}


def wrong(operation: ProxyOperation) -> str:
    """Why nobody can call the operation as it is saved, or an empty text."""
    names = operation.parameters.order_by("position", "id").values_list("name", flat=True)
    try:
        recipe_of(operation, list(operation.mappings.all()), list(names))
    except ValueError as error:
        return str(BROKEN.get(str(error), BROKEN["path"]))
    if not operation.upstreams.filter(active=True).exists():
        return gettext("It cannot be called yet: it has no address that is in use.")
    return ""


def _failed(phase: str, reason: str) -> Diagnosis:
    text = gettext("It failed in the phase “%(phase)s”. %(advice)s")
    return Diagnosis(False, phase, text % {"phase": phase_name(phase), "advice": advise(phase, reason)})


def _ask(upstream: Upstream, began: float) -> tuple[int, int]:
    """The answer's status and size. Raises Failed, or ValueError with a word."""
    made = address(upstream)
    operation = upstream.operation
    total = min(SECONDS, operation.time_cap_ms / 1000)
    limits = client.Limits(
        min(total, operation.connect_cap_ms / 1000), min(total, operation.read_cap_ms / 1000), total,
        min(SIZE, operation.size_cap),
    )  # fmt: skip
    headers = made.credential.headers(began + total)
    if not any(name.lower() == "user-agent" for name, _value in headers):
        headers = [*headers, ("User-Agent", "MANTRA")]
    path = probes.path_of(made.target, upstream.probe_path)
    reply = client.ask(
        made.target, client.Question(upstream.probe_method, path, headers, None, 0), limits, began + total
    )
    try:
        body = reply.read()
    finally:
        reply.close()
    if 200 <= reply.status < 300 and body and not reply.header("Content-Encoding"):
        _parse(reply.header("Content-Type"), body)
    return reply.status, len(body)


def _parse(media_type: str, body: bytes) -> None:
    """Raises Failed where an answer is not what it says it is."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")):
        try:
            orjson.loads(body)
        except ValueError:
            raise Failed("parse", "json", sent=True) from None
    elif kind.endswith(("/xml", "+xml")) and "html" not in kind:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            doctype = etree.fromstring(body, parser).getroottree().docinfo.doctype
        except (etree.XMLSyntaxError, ValueError):
            raise Failed("parse", "xml", sent=True) from None
        if doctype:
            raise Failed("parse", "xml", sent=True)
