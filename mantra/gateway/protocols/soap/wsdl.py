"""The WSDL of a service: one document for all of its published operations, in SOAP 1.1 and 1.2.

Built from the snapshot when it is asked for, and kept until the next one. Calls never wait for it.
"""

from __future__ import annotations

import threading
from urllib.parse import quote

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from mantra.gateway import admission, http, xml_names
from mantra.gateway.formats.markup import attribute, escape, utf8
from mantra.gateway.http import Environ, Response
from mantra.gateway.protocols.soap import xsd
from mantra.gateway.protocols.soap.xsd import tag
from registry import faults
from registry.results import Fault
from registry.snapshot.types import Operation, Service, Snapshot

_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_TRANSPORT = "http://schemas.xmlsoap.org/soap/http"
_BINDINGS = {"soap11": "http://schemas.xmlsoap.org/wsdl/soap/", "soap12": "http://schemas.xmlsoap.org/wsdl/soap12/"}
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
#: Stands where the address goes, so that one document does for all addresses by which the bus is reached.
_HERE = "urn:mantra:here"
_SHOWN = frozenset(("published", "deprecated"))
#: Documents kept with a snapshot. One of 200 operations has about 400 KB.
KEPT = 64

_keeping = threading.Lock()


def asked(query: str) -> str:
    """wsdl, xsd or "": what a query string asks for. .NET says singleWsdl for a WSDL without imports; ours is one."""
    word = query.partition("&")[0].partition("=")[0].lower()
    return {"wsdl": "wsdl", "singlewsdl": "wsdl", "xsd": "xsd"}.get(word, "")


def respond(environ: Environ, asked: str) -> Response:
    """The document at an address, open to everybody as a catalogue is. Raises Fault where there is none."""
    parts = http.path(environ).strip("/").split("/")[1:]
    if len(parts) != 2:
        raise Fault(faults.ADDRESS_INCOMPLETE)
    content = document(admission.picture(), parts[0].lower(), parts[1].lower(), asked)
    service = admission.picture().services.get((parts[0].lower(), parts[1].lower()))
    assert service is not None
    path = f"/soap/{quote(service.agency)}/{quote(service.code)}"
    content = content.replace(_HERE.encode(), attribute(f"{base(environ)}{path}").encode())
    headers = {
        "Content-Type": "text/xml; charset=utf-8",
        "Content-Length": str(len(content)),
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(200, b"" if environ["REQUEST_METHOD"] == "HEAD" else content, headers)


def base(environ: Environ) -> str:
    """The address by which callers reach the bus, without a path."""
    if settings.BASE_URL:
        return str(settings.BASE_URL)
    scheme = environ["wsgi.url_scheme"]
    if settings.TRUSTED_PROXIES and environ.get("HTTP_X_FORWARDED_PROTO") == "https":
        scheme = "https"
    host = environ.get("HTTP_HOST", "")
    domain, _port = split_domain_port(host)
    # Who asks may write anything there, and a WSDL is passed on to others.
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{scheme}://{host}"


def document(book: Snapshot, agency: str, service: str, kind: str) -> bytes:
    """The WSDL or schema of a service, with _HERE for its address. Raises Fault where nothing is published."""
    key, kept = ("soap", agency, service, kind), book.written
    with _keeping:
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
    content = build(book, agency, service, kind)
    with _keeping:
        kept[key] = content
        while len(kept) > KEPT:
            kept.popitem(last=False)
    return content


def build(book: Snapshot, agency: str, service: str, kind: str) -> bytes:
    """Write a document. Raises Fault where the service has no operation that callers may know of."""
    found = book.services.get((agency, service))
    offered = sorted(
        (each for place, each in book.operations.items() if place[:2] == (agency, service) and _offered(each)),
        key=lambda operation: operation.code,
    )
    if found is None or not offered:
        raise Fault(faults.OPERATION_UNKNOWN)
    namespace = xml_names.namespace(agency, service)
    schema = xsd.schema(namespace, offered)
    return utf8(_DECLARATION + (schema if kind == "xsd" else _definitions(found, namespace, schema, offered)))


def _offered(operation: Operation) -> bool:
    """Whether it can be called by an envelope: what hands requests on as they come has no parameters to declare."""
    return operation.state in _SHOWN and (operation.plan is None or not operation.plan.passes)


# ------------------------------------------------------------------------------------ the WSDL


def _definitions(service: Service, namespace: str, schema: str, operations: list[Operation]) -> str:
    name = xml_names.element(service.code)
    return tag(
        "wsdl:definitions",
        _documentation(service.title, service.description),
        tag("wsdl:types", schema),
        _message(xml_names.KEY, xml_names.KEY, xml_names.KEY),
        _message(xml_names.FAULT, xml_names.FAULT, xml_names.FAULT),
        *(_messages(operation) for operation in operations),
        tag("wsdl:portType", *(_abstract(operation) for operation in operations), name=f"{name}PortType"),
        *(_binding(name, soap, namespace, operations) for soap in _BINDINGS),
        tag("wsdl:service", _documentation(service.title), *(_port(name, soap) for soap in _BINDINGS), name=name),
        name=name,
        targetNamespace=namespace,
        xmlns__tns=namespace,
        xmlns__wsdl=_WSDL,
        xmlns__soap11=_BINDINGS["soap11"],
        xmlns__soap12=_BINDINGS["soap12"],
    )


def _documentation(*sentences: str) -> str:
    words = "\n".join(sentence.strip() for sentence in sentences if sentence.strip())
    return tag("wsdl:documentation", escape(words)) if words else ""


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
        tag("wsdl:fault", name=xml_names.FAULT, message=f"tns:{xml_names.FAULT}"),
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
    return tag("wsdl:port", tag(f"{soap}:address", location=_HERE), name=name, binding=f"tns:{name}")


def _port_name(service: str, soap: str) -> str:
    return f"{service}{soap.capitalize()}"
