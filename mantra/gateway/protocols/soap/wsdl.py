"""The WSDL of a service: one document for all of its published operations, in SOAP 1.1 and 1.2.

It is built from the snapshot on the first request, and stored with the snapshot. Calls never wait for it.
"""

from __future__ import annotations

from urllib.parse import quote

from mantra.gateway import admission, documents, http, xml_names
from mantra.gateway.formats.markup import attribute, escape, utf8
from mantra.gateway.http import Environ, Response
from mantra.gateway.protocols.soap import xsd
from mantra.gateway.protocols.soap.xsd import tag
from registry import faults
from registry.calls import Call
from registry.results import Fault
from registry.snapshot.types import Operation, Service, Snapshot

_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_TRANSPORT = "http://schemas.xmlsoap.org/soap/http"
_BINDINGS = {"soap11": "http://schemas.xmlsoap.org/wsdl/soap/", "soap12": "http://schemas.xmlsoap.org/wsdl/soap12/"}
#: The bindings of a WSDL of one SOAP version only.
_VERSIONS = {"1.1": ("soap11",), "1.2": ("soap12",)}
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
#: Not the name of its element: Axis 1 makes one class for each of them.
_FAULT_MESSAGE = "FaultMessage"
#: A placeholder for the bus's address, so that one stored document serves all its addresses.
_ADDRESS_PLACEHOLDER = "urn:mantra:here"


def requested_document(query: str) -> str:
    """Return the document that a query string requests: "wsdl", "wsdl=1.1", "wsdl=1.2", "xsd" or "".

    .NET requests a WSDL without imports, such as ours, as singleWsdl. Old tools take one SOAP version only.
    """
    word, _equals, version = query.partition("&")[0].partition("=")
    kind = {"wsdl": "wsdl", "singlewsdl": "wsdl", "xsd": "xsd"}.get(word.lower(), "")
    return f"wsdl={version}" if kind == "wsdl" and version in _VERSIONS else kind


def address(path: str) -> tuple[str, str]:
    """Return agency and service of a document's path. Raises Fault."""
    parts = path.strip("/").split("/")[1:]
    if len(parts) != 2:
        raise Fault(faults.ADDRESS_INCOMPLETE)
    return parts[0], parts[1]


def service_of(call: Call) -> Service | None:
    """Return the service of which a document is requested, None without one or without a snapshot."""
    try:
        return admission.snapshot_of(call).services.get((call.agency.lower(), call.service.lower()))
    except Fault:
        return None


def respond(call: Call, environ: Environ) -> Response:
    """Return the response with a service's document. Raises Fault if there is none.

    Callers need no key for it; but operations that the catalogue hides are in it only for a key that may call them.
    """
    snapshot, shown = admission.snapshot_of(call), _hidden_ones(call)
    content = document(snapshot, call.agency.lower(), call.service.lower(), call.format, shown)
    service = service_of(call)
    assert service is not None
    path = f"/soap/{quote(service.agency)}/{quote(service.code)}"
    content = content.replace(_ADDRESS_PLACEHOLDER.encode(), attribute(f"{http.base_url(environ)}{path}").encode())
    headers = {
        "Content-Type": "text/xml; charset=utf-8",
        "Content-Length": str(len(content)),
        "Cache-Control": "no-cache",
        "Vary": http.CALLER_VARY,
    }
    return Response(200, b"" if call.method == "HEAD" else content, headers)


def _hidden_ones(call: Call) -> frozenset[int]:
    """Return the ids of the service's hidden operations that the caller's key may call."""
    snapshot = admission.snapshot_of(call)
    key = snapshot.key(call.access_key) if call.access_key else None
    if key is None:
        return frozenset()
    found = documents.operations_of(snapshot, call.agency, call.service)
    return frozenset(each.id for each in found if each.hidden and admission.may_call(call, key, each))


def document(snapshot: Snapshot, agency: str, service: str, kind: str, shown: frozenset[int] = frozenset()) -> bytes:
    """Return the WSDL or schema of a service, with a placeholder as its address. Raises Fault if there is none.

    ``shown``: the ids of those hidden operations that are in it.
    """
    key = ("soap", agency, service, kind, shown)
    return documents.stored(snapshot, key, lambda: build(snapshot, agency, service, kind, shown))


def build(snapshot: Snapshot, agency: str, service: str, kind: str, shown: frozenset[int] = frozenset()) -> bytes:
    """Return a newly written document. Raises Fault if the service has no operation for it."""
    row = snapshot.services.get((agency, service))
    found = documents.operations_of(snapshot, agency, service)
    listed = [each for each in found if _is_declared(each) and (not each.hidden or each.id in shown)]
    if row is None or not listed:
        raise Fault(faults.OPERATION_UNKNOWN)
    namespace = xml_names.namespace(agency, service)
    schema = xsd.schema(namespace, listed)
    if kind == "xsd":
        return utf8(_DECLARATION + schema)
    bindings = _VERSIONS.get(kind.partition("=")[2], tuple(_BINDINGS))
    return utf8(_DECLARATION + _definitions(row, namespace, schema, listed, bindings))


def _is_declared(operation: Operation) -> bool:
    """Return True if a WSDL declares the operation. Pass-through operations have no parameters to declare."""
    return operation.plan is None or not operation.plan.pass_through


# ------------------------------------------------------------------------------------ the WSDL


def _definitions(
    service: Service, namespace: str, schema: str, operations: list[Operation], bindings: tuple[str, ...]
) -> str:
    name = xml_names.element(service.code)
    return tag(
        "wsdl:definitions",
        _documentation(service.title, service.description),
        tag("wsdl:types", schema),
        _message(xml_names.KEY, xml_names.KEY, xml_names.KEY),
        _message(_FAULT_MESSAGE, xml_names.FAULT, xml_names.FAULT),
        *(_messages(operation) for operation in operations),
        tag("wsdl:portType", *(_abstract(operation) for operation in operations), name=f"{name}PortType"),
        *(_binding(name, soap, namespace, operations) for soap in bindings),
        tag("wsdl:service", _documentation(service.title), *(_port(name, soap) for soap in bindings), name=name),
        name=name,
        targetNamespace=namespace,
        xmlns__tns=namespace,
        xmlns__wsdl=_WSDL,
        **{f"xmlns__{soap}": _BINDINGS[soap] for soap in bindings},
    )


def _documentation(*sentences: str) -> str:
    text = "\n".join(sentence.strip() for sentence in sentences if sentence.strip())
    return tag("wsdl:documentation", escape(text)) if text else ""


def _message(name: str, part: str, element: str) -> str:
    return tag("wsdl:message", tag("wsdl:part", name=part, element=f"tns:{element}"), name=name)


def _messages(operation: Operation) -> str:
    name = xml_names.operation(operation.code)
    return _message(f"{name}Request", "parameters", name) + _message(
        f"{name}Response", "parameters", xml_names.response(operation.code)
    )


def _abstract(operation: Operation) -> str:
    name = xml_names.operation(operation.code)
    ending = f"Akan dihentikan pada {operation.sunset.isoformat()}." if operation.sunset else ""
    return tag(
        "wsdl:operation",
        _documentation(operation.title, operation.description, ending),
        tag("wsdl:input", message=f"tns:{name}Request"),
        tag("wsdl:output", message=f"tns:{name}Response"),
        tag("wsdl:fault", name=xml_names.FAULT, message=f"tns:{_FAULT_MESSAGE}"),
        name=name,
    )


def _binding(service: str, soap: str, namespace: str, operations: list[Operation]) -> str:
    body = tag(f"{soap}:body", use="literal")
    key = tag(f"{soap}:header", message=f"tns:{xml_names.KEY}", part=xml_names.KEY, use="literal")
    failed = tag("wsdl:fault", tag(f"{soap}:fault", name=xml_names.FAULT, use="literal"), name=xml_names.FAULT)
    bound = (
        tag(
            "wsdl:operation",
            tag(f"{soap}:operation", soapAction=f"{namespace}#{name}", style="document"),
            tag("wsdl:input", body, key),
            tag("wsdl:output", body),
            failed,
            name=name,
        )
        for name in (xml_names.operation(operation.code) for operation in operations)
    )
    return tag(
        "wsdl:binding",
        tag(f"{soap}:binding", style="document", transport=_TRANSPORT),
        *bound,
        name=_port_name(service, soap),
        type_=f"tns:{service}PortType",
    )


def _port(service: str, soap: str) -> str:
    name = _port_name(service, soap)
    return tag("wsdl:port", tag(f"{soap}:address", location=_ADDRESS_PLACEHOLDER), name=name, binding=f"tns:{name}")


def _port_name(service: str, soap: str) -> str:
    return f"{service}{soap.capitalize()}"
