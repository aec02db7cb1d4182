"""A fault in an envelope: the version's own fault codes, and a detail that the WSDL declares."""

from __future__ import annotations

from mantra.gateway import http, xml_names
from mantra.gateway.formats.markup import attribute, escape, utf8
from mantra.gateway.formats.soap import opening
from registry import faults
from registry.results import Fault

#: Faults for which both versions have a code of their own.
_CODES = {faults.SOAP_VERSION.code: "VersionMismatch", faults.SOAP_NOT_UNDERSTOOD.code: "MustUnderstand"}
#: By whether the caller has to act.
_PARTIES = {"1.1": ("Client", "Server"), "1.2": ("Sender", "Receiver")}
#: What a server says of a request before it has anything to do with SOAP.
_OF_HTTP = frozenset((405, 415))


def code_of(fault: Fault, version: str) -> str:
    """The fault code, without its prefix."""
    own = _CODES.get(fault.code)
    return own or _PARTIES[version][0 if fault.kind.party == "caller" else 1]


def status_of(fault: Fault, version: str, posted: bool) -> int:
    """The HTTP status: 500 for all of SOAP 1.1, 400 or 500 for 1.2. A GET has nothing to do with either."""
    if not posted or (version == "1.2" and fault.status in _OF_HTTP):
        return fault.status
    return 400 if version == "1.2" and code_of(fault, version) == "Sender" else 500


def written(fault: Fault, version: str, namespace: str, request_id: str, language: str) -> bytes:
    """The envelope of a fault."""
    members = http.members(fault, request_id, language)
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
    """The header by which SOAP 1.2 says more of its own two faults."""
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
