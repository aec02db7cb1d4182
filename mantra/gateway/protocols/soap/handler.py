"""The protocol handler of SOAP: POST an envelope to /soap/{agency}/{service}, GET its WSDL at ?wsdl or ?xsd."""

from __future__ import annotations

import base64
import binascii
from functools import partial

from mantra.gateway import admission, http, xml_names
from mantra.gateway.fast_lane import wire
from mantra.gateway.formats.soap import Writer
from mantra.gateway.http import Environ, Response
from mantra.gateway.parameters import printable
from mantra.gateway.protocols.asking import request_url
from mantra.gateway.protocols.responding import FaultResponse, describe_to, respond_to
from mantra.gateway.protocols.soap import fault as soap_faults
from mantra.gateway.protocols.soap import request, wsdl
from mantra.gateway.protocols.soap.rendering import chunks
from mantra.gateway.protocols.soap.request import Envelope, EnvelopeReader
from mantra.gateway.recording import RecordedResult
from mantra.gateway.signatures import exchange as signatures
from registry import faults
from registry.calls import Call, Trial, request_id
from registry.client_ip import client_ip
from registry.results import Fault
from registry.snapshot.types import Operation

MEDIA_TYPES = {"soap1.1": "text/xml; charset=utf-8", "soap1.2": "application/soap+xml; charset=utf-8"}
_SOAP_12 = "application/soap+xml"
_XOP = "application/xop+xml"
_READ = ("GET", "HEAD")


def handle(environ: Environ, trial: Trial | None = None) -> Response:
    """Return the response to a SOAP request, or to a request for a service's WSDL or schema."""
    wire.read(environ)
    kind = wsdl.requested_document(environ.get("QUERY_STRING", "")) if environ["REQUEST_METHOD"] in _READ else ""
    if kind:
        call = _document_call(environ, kind)
        service = wsdl.service_of(call)
        write = partial(_write_document_fault, environ=environ)
        return describe_to(call, lambda call: wsdl.respond(call, environ), write, service)
    response = respond_to(read(environ), respond, lambda fault, call: write_fault(fault, call, environ), trial)
    response.headers["Cache-Control"] = "no-store"
    return response


def _document_call(environ: Environ, kind: str) -> Call:
    """Return a request for a service's WSDL or schema as a Call. If its address cannot be read, that is its error."""
    call = Call(
        protocol="soap",
        method=environ["REQUEST_METHOD"],
        client_ip=client_ip(environ),
        request_id=request_id(),
        format=kind,
        read_input=lambda call: [],
        access_key=http.key_of(environ) or _basic(environ.get("HTTP_AUTHORIZATION", "")),
        certificate=environ.get(wire.CERTIFICATE, ""),
    )
    try:
        call.agency, call.service = wsdl.address(http.path(environ))
    except Fault as fault:
        call.error = fault.without_traceback()
    return call


def read(environ: Environ) -> Call:
    """Return the request as a Call. If a part cannot be read, the fault is its error."""
    content_type = environ.get("CONTENT_TYPE", "")
    envelope = Envelope("1.2" if _SOAP_12 in content_type.lower() else "1.1")
    call = Call(
        protocol="soap",
        method=environ["REQUEST_METHOD"],
        client_ip=client_ip(environ),
        request_id=request_id(),
        format=f"soap{envelope.version}",
        read_input=lambda call: request.read_parameters(call, envelope),
        access_key=http.key_of(environ) or _basic(environ.get("HTTP_AUTHORIZATION", "")),
        certificate=environ.get(wire.CERTIFICATE, ""),
        signature=signatures.read(environ),
        hops=http.hops_of(environ),
        trace_context=http.trace_context_of(environ),
    )
    try:
        call.agency, call.service = address(http.path(environ))
        if call.method != "POST":
            raise Fault(faults.METHOD_NOT_ALLOWED, method=printable(call.method), allowed="POST")
        envelope = _envelope(call, http.body(environ), content_type, envelope.version)
        call.access_key = call.access_key or envelope.access_key
        _find_operation(call, envelope)
    except Fault as error:
        call.error = error.without_traceback()
    return call


def _envelope(call: Call, body: bytes, content_type: str, version: str) -> Envelope:
    """Return the envelope in the body. Sets call.format to its SOAP version, also if it raises Fault."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("multipart/") or media_type == _XOP:
        raise Fault(faults.SOAP_ATTACHMENTS)
    reader = EnvelopeReader(version)
    try:
        return reader.read(body, request.charset(content_type))
    finally:
        call.format = f"soap{reader.envelope.version}"


def _find_operation(call: Call, envelope: Envelope) -> None:
    """Set call.code to the operation in the envelope. Raises Fault."""
    if envelope.not_understood:
        header = printable(envelope.not_understood[0][1])
        raise Fault(faults.SOAP_NOT_UNDERSTOOD, header=header, headers=envelope.not_understood)
    expected = xml_names.namespace(call.agency, call.service)
    if (
        envelope.namespace not in (expected, *xml_names.DEFAULT_NAMESPACES)
        and (call.agency.lower(), call.service.lower()) in admission.snapshot_of(call).services
    ):
        raise request.invalid(
            f"operasi harus berada di namespace {expected}", f"the operation must be in the namespace {expected}"
        )
    call.code = xml_names.plain(envelope.name)
    operation = admission.snapshot_of(call).operation(call.agency, call.service, call.code)
    if operation is not None and operation.plan is not None and "POST" not in operation.plan.methods:
        # Every SOAP request is a POST: the call gets a method that the operation has in REST.
        call.method = next((name for name in operation.plan.methods if name != "HEAD"), "POST")


def address(path: str) -> tuple[str, str]:
    """Return agency and service of a path. Raises Fault."""
    parts = path.strip("/").split("/")[1:]
    if len(parts) < 2 or not all(parts):
        raise Fault(faults.ADDRESS_INCOMPLETE)
    if len(parts) > 2:
        raise Fault(faults.OPERATION_UNKNOWN)
    return parts[0], parts[1]


def _basic(header: str) -> str:
    """Return the key in an Authorization header (Basic): the password, with any user name. "" without one."""
    scheme, _space, token = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(token.strip(), validate=True).decode().partition(":")[2].strip()
    except (binascii.Error, ValueError):
        return ""


# --------------------------------------------------------------------------------------- responses


def respond(recorded: RecordedResult, operation: Operation) -> Response:
    """Return the response to a successful call. Raises Fault, also if the result cannot be encoded."""
    call, result = recorded.call, recorded.result
    writer = Writer(operation, call.format.removeprefix("soap"))
    response = http.response(recorded, chunks(writer, result), 200, MEDIA_TYPES[call.format])
    http.set_result_headers(response, call, result, operation)
    return response


def write_fault(fault: Fault, call: Call, environ: Environ) -> FaultResponse:
    """Return a fault as an envelope of the caller's SOAP version."""
    version = call.format.removeprefix("soap")
    url = request_url(fault, call, environ)
    content = soap_faults.render(fault, version, _namespace(call), call.request_id, http.language(environ), url)
    status = soap_faults.status_of(fault, version, environ["REQUEST_METHOD"] == "POST")
    return FaultResponse(content, MEDIA_TYPES[call.format], status, _headers(fault, status))


def _namespace(call: Call) -> str:
    """Return the namespace of a fault's detail: the service's, if the service exists."""
    try:
        known = (call.agency.lower(), call.service.lower()) in admission.snapshot_of(call).services
    except Fault:
        known = False
    return xml_names.namespace(call.agency, call.service) if known else xml_names.ROOT_NAMESPACE


def _headers(fault: Fault, status: int) -> dict[str, str]:
    headers = {"Allow": "POST"} if status == 405 else {}
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    return headers


def _write_document_fault(fault: Fault, call: Call, environ: Environ) -> FaultResponse:
    """Return the fault with which a request for a WSDL or schema ended."""
    content = soap_faults.render(fault, "1.1", xml_names.ROOT_NAMESPACE, call.request_id, http.language(environ))
    headers = {"Cache-Control": "no-store", **_headers(fault, fault.status)}
    return FaultResponse(content, MEDIA_TYPES["soap1.1"], fault.status, headers)
