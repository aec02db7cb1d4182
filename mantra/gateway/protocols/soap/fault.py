"""A fault in a SOAP envelope: with the fault codes of its SOAP version, and a detail that the WSDL declares."""

from __future__ import annotations

from mantra.gateway import http, xml_names
from mantra.gateway.formats.markup import attribute, escape, utf8
from mantra.gateway.formats.soap import opening
from registry import faults
from registry.results import Fault

#: Faults for which both SOAP versions have a code.
_CODES = {faults.SOAP_VERSION.code: "VersionMismatch", faults.SOAP_NOT_UNDERSTOOD.code: "MustUnderstand"}
#: SOAP version → (code if the caller must act, code if not).
_PARTIES = {"1.1": ("Client", "Server"), "1.2": ("Sender", "Receiver")}
#: Statuses that concern the HTTP request, before any SOAP processing.
_HTTP_STATUSES = frozenset((405, 408, 415))


def code_of(fault: Fault, version: str) -> str:
    """Return the SOAP fault code, without its prefix."""
    return _CODES.get(fault.code) or _PARTIES[version][0 if fault.kind.party == "caller" else 1]


def status_of(fault: Fault, version: str, posted: bool) -> int:
    """Return the HTTP status: 500 in SOAP 1.1, 400 or 500 in 1.2. Without a POST it is the fault's own."""
    if not posted or (version == "1.2" and fault.status in _HTTP_STATUSES):
        return fault.status
    return 400 if version == "1.2" and code_of(fault, version) == "Sender" else 500


def render(fault: Fault, version: str, namespace: str, request_id: str, language: str, request_url: str = "") -> bytes:
    """Return the envelope of a fault. ``request_url``: the page on which to request access, where that helps."""
    members = http.problem_members(fault, request_id, language)
    message = escape(str(members["detail"]))
    inner = "".join(
        f"<m:{name}>{escape(str(value))}</m:{name}>"
        for name, value in (
            ("code", fault.code),
            ("title", members["title"]),
            ("status", fault.status),
            ("party", members["party"]),
            ("message", members["detail"]),
            ("request_id", request_id),
            *((("retry_after", fault.retry_after),) if fault.retry_after is not None else ()),
            *((("request_url", request_url),) if request_url else ()),
        )
    )
    detail = f'<m:{xml_names.FAULT} xmlns:m="{attribute(namespace)}">{inner}</m:{xml_names.FAULT}>'
    code = f"soap:{code_of(fault, version)}"
    if version == "1.1":
        body = f"<faultcode>{code}</faultcode><faultstring>{message}</faultstring><detail>{detail}</detail>"
    else:
        body = (
            f"<soap:Code><soap:Value>{code}</soap:Value></soap:Code>"
            f'<soap:Reason><soap:Text xml:lang="{language}">{message}</soap:Text></soap:Reason>'
            f"<soap:Detail>{detail}</soap:Detail>"
        )
    header = _header(fault) if version == "1.2" else ""
    return utf8(f"{opening(version)}{header}<soap:Body><soap:Fault>{body}</soap:Fault></soap:Body></soap:Envelope>")


def _header(fault: Fault) -> str:
    """Return the header block that SOAP 1.2 defines for two of its faults, "" for other faults."""
    if fault.code == faults.SOAP_VERSION.code:
        blocks = "".join(
            f'<soap:SupportedEnvelope qname="v:Envelope" xmlns:v="{version}"/>'
            for version in (xml_names.ENVELOPE_12, xml_names.ENVELOPE_11)
        )
        return f"<soap:Header><soap:Upgrade>{blocks}</soap:Upgrade></soap:Header>"
    if fault.code == faults.SOAP_NOT_UNDERSTOOD.code:
        blocks = "".join(
            f'<soap:NotUnderstood qname="q:{name}" xmlns:q="{attribute(namespace)}"/>'
            if namespace
            else f'<soap:NotUnderstood qname="{name}"/>'
            for namespace, name in fault.details["headers"]
        )
        return f"<soap:Header>{blocks}</soap:Header>"
    return ""
