"""The SOAP face: POST an envelope to /soap/{agency}/{service}, GET its description at ?wsdl or ?xsd."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from mantra.gateway import admission, http, xml_names
from mantra.gateway.client_ip import client_ip
from mantra.gateway.formats.soap import Writer
from mantra.gateway.http import Environ, Response
from mantra.gateway.parameters import shown
from mantra.gateway.protocols.soap import fault, request, wsdl
from mantra.gateway.protocols.soap.rendering import chunks
from mantra.gateway.protocols.soap.request import Envelope, Reading
from mantra.gateway.recording import Answer, unforeseen
from mantra.gateway.serve import serve
from registry import faults
from registry.calls import Call
from registry.results import Fault

MEDIA_TYPES = {"soap1.1": "text/xml; charset=utf-8", "soap1.2": "application/soap+xml; charset=utf-8"}
_SOAP_12 = "application/soap+xml"
_XOP = "application/xop+xml"
_READ = ("GET", "HEAD")


def face(environ: Environ) -> Response:
    """Answer one request of the SOAP face."""
    asked = wsdl.asked(environ.get("QUERY_STRING", "")) if environ["REQUEST_METHOD"] in _READ else ""
    if asked:
        try:
            return wsdl.respond(environ, asked)
        except Fault as missing:
            return _bare(environ, missing)
    call = read(environ)
    answer = serve(call)
    try:
        found = respond(answer)
    except Exception as error:  # a format that met what it did not foresee is no reason to leave no record
        answer.fail(error if isinstance(error, Fault) else unforeseen(answer.call))
        found = failure(answer, environ)
    found.headers["X-Request-Id"] = call.request_id
    found.headers["X-Content-Type-Options"] = "nosniff"
    found.headers["Cache-Control"] = "no-store"
    return found


def read(environ: Environ) -> Call:
    """The request as a Call. What cannot be made sense of is its flaw."""
    content_type = environ.get("CONTENT_TYPE", "")
    said = Envelope("1.2" if _SOAP_12 in content_type.lower() else "1.1")
    call = Call(
        face="soap",
        method=environ["REQUEST_METHOD"],
        address=client_ip(environ),
        request_id=http.request_id(),
        format=f"soap{said.version}",
        supply=lambda call: request.supplied(call, said),
        secret=http.key_of(environ) or _basic(environ.get("HTTP_AUTHORIZATION", "")),
        hops=http.hops_of(environ),
    )
    try:
        call.agency, call.service = address(http.path(environ))
        if call.method != "POST":
            raise Fault(faults.METHOD_REFUSED, method=shown(call.method), allowed="POST")
        said = _envelope(call, http.body(environ), content_type, said.version)
        call.secret = call.secret or said.secret
        _aim(call, said)
    except Fault as flaw:
        call.flaw = flaw.bare()
    return call


def _envelope(call: Call, body: bytes, content_type: str, version: str) -> Envelope:
    """What the body says. Raises Fault, and says the envelope's version all the same."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("multipart/") or media_type == _XOP:
        raise Fault(faults.SOAP_ATTACHMENTS)
    reading = Reading(version)
    try:
        return reading.read(body, request.charset(content_type))
    finally:
        call.format = f"soap{reading.found.version}"


def _aim(call: Call, said: Envelope) -> None:
    """Which operation the envelope is for. Raises Fault."""
    if said.strange:
        header = shown(said.strange[0][1])
        raise Fault(faults.SOAP_NOT_UNDERSTOOD, header=header, headers=said.strange)
    expected = xml_names.namespace(call.agency, call.service)
    if said.namespace != expected and (call.agency.lower(), call.service.lower()) in admission.picture().services:
        raise request.invalid(
            f"operasi harus berada di namespace {expected}", f"the operation must be in the namespace {expected}"
        )
    call.code = xml_names.plain(said.name)
    found = admission.picture().operation(call.agency, call.service, call.code)
    if found is not None and found.plan is not None and "POST" not in found.plan.methods:
        # Every SOAP call is a POST, whatever the operation is asked by elsewhere.
        call.method = next((name for name in found.plan.methods if name != "HEAD"), "POST")


def address(path: str) -> tuple[str, str]:
    """Agency and service. Raises Fault."""
    parts = path.strip("/").split("/")[1:]
    if len(parts) < 2 or not all(parts):
        raise Fault(faults.ADDRESS_INCOMPLETE)
    if len(parts) > 2:
        raise Fault(faults.OPERATION_UNKNOWN)
    return parts[0], parts[1]


def _basic(header: str) -> str:
    """The key in HTTP's basic authentication: the password, whatever the user is called; "" without one."""
    scheme, _space, token = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(token.strip(), validate=True).decode().partition(":")[2].strip()
    except (binascii.Error, ValueError):
        return ""


# --------------------------------------------------------------------------------------- answers


def respond(answer: Answer) -> Response:
    """The response to a call that went well. Raises Fault, also where writing the result fails."""
    call, result = answer.call, answer.result
    if isinstance(result, Fault):
        raise result
    operation = call.operation
    assert operation is not None
    writer = Writer(operation, call.format.removeprefix("soap"))
    found = http.response(answer, chunks(writer, result), 200, MEDIA_TYPES[call.format])
    http.describe(found, call, result, operation)
    return found


def failure(answer: Answer, environ: Environ) -> Response:
    """Answer a call with the fault that it came to."""
    call = answer.call
    version = call.format.removeprefix("soap")
    posted = environ["REQUEST_METHOD"] == "POST"
    for _attempt in (1, 2):
        met = answer.result
        assert isinstance(met, Fault)
        content = fault.written(met, version, _namespace(call), call.request_id, http.language(environ))
        status = fault.status_of(met, version, posted)
        try:
            return _headers(http.response(answer, iter((content,)), status, MEDIA_TYPES[call.format]), met)
        except Fault as journal_down:  # without a record there is no answer but this
            answer.fail(journal_down)
    raise AssertionError


def _namespace(call: Call) -> str:
    """The namespace of a fault's detail: the service's, where there is one."""
    try:
        known = (call.agency.lower(), call.service.lower()) in admission.picture().services
    except Fault:
        known = False
    return xml_names.namespace(call.agency, call.service) if known else xml_names.NOWHERE


def _headers(found: Response, met: Fault) -> Response:
    if found.status == 405:
        found.headers["Allow"] = "POST"
    if met.retry_after is not None:
        found.headers["Retry-After"] = str(met.retry_after)
    return found


def _bare(environ: Environ, met: Fault) -> Response:
    """The answer to who asks for the description of a service that is not here."""
    identifier = http.request_id()
    content = fault.written(met, "1.1", xml_names.NOWHERE, identifier, http.language(environ))
    found = Response(met.status, b"" if environ["REQUEST_METHOD"] == "HEAD" else content)
    headers: dict[str, Any] = {"Content-Type": MEDIA_TYPES["soap1.1"], "Content-Length": str(len(content))}
    found.headers |= headers | {
        "X-Request-Id": identifier,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return _headers(found, met)
