"""The styles soap and legacy-soap: an operation of an upstream's WSDL, called with declared parameters.

zeep writes the envelope and reads the response by the types of the WSDL. The documents are those stored with the
operation. If there are none, the outbound client fetches them, and descriptions/services.py stores them in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from lxml import etree
from zeep.helpers import serialize_object
from zeep.wsdl.bindings.soap import Soap11Binding, Soap12Binding, SoapBinding
from zeep.xsd import AnyObject

from proxyservices import decoders
from proxyservices.decoders import xml
from proxyservices.decoders.limits import DecodeError
from proxyservices.decoders.multipart import parse_envelope
from proxyservices.descriptions.documents import DescriptionError, StoredDescription
from proxyservices.descriptions.services import services
from proxyservices.descriptions.zeep import ZEEP_ERRORS
from proxyservices.models import ParameterMapping, ProxyOperation
from proxyservices.styles.base import (
    READ_METHODS,
    RequestContext,
    UpstreamRequest,
    ValueSource,
    header_value,
    nested_object,
    not_convertible,
    plain_body,
    source_of,
    text_of,
)
from proxyservices.transport.response import UpstreamResponse
from registry import faults
from registry.results import Fault

_ENVELOPES = {
    "{http://schemas.xmlsoap.org/soap/envelope/}Envelope": "{http://schemas.xmlsoap.org/soap/envelope/}",
    "{http://www.w3.org/2003/05/soap-envelope}Envelope": "{http://www.w3.org/2003/05/soap-envelope}",
}


class Soap:
    """Builds a SOAP envelope from the declared parameters, and decodes the response's envelope."""

    pass_through = False
    #: 1.99x's envelope belongs to its other styles: a SOAP response has none of that kind.
    legacy = False
    result_name = ""
    has_envelope = True
    methods = READ_METHODS

    def __init__(
        self, operation: ProxyOperation, mappings: Sequence[ParameterMapping], parameters: Sequence[str]
    ) -> None:
        #: True if failures have 1.99x's own codes, of which an empty response is one.
        self.legacy_faults = operation.style == ProxyOperation.Style.LEGACY_SOAP
        self.name, self._depth, self._block = _parse_path(operation.path, self.legacy_faults)
        declared = {name.lower(): name for name in parameters}
        self._headers: list[ValueSource] = []
        self._values: list[ValueSource] = []
        for mapping in mappings:
            source = source_of(mapping, declared.pop(mapping.parameter.lower(), ""))
            (self._headers if mapping.location == ParameterMapping.Location.HEADER else self._values).append(source)
        self._values += [ValueSource(name, name) for name in declared.values()]
        #: Set by the plan.
        self.description: StoredDescription | None = None
        self.wsdl_url = ""

    @property
    def may_fetch(self) -> bool:
        """True if the description is not stored with the operation."""
        return self.description is None

    def build_request(self, context: RequestContext) -> UpstreamRequest:
        """Return the envelope of the declared parameters. Raises Fault."""
        arguments = {name: None if value is None else text_of(value) for name, value in context.arguments.items()}
        binding, operation = self._operation()
        content = self._wrapped(operation, nested_object(self._values, arguments))
        try:
            envelope = operation.create(**content).content
            body = etree.tostring(envelope, encoding="utf-8", xml_declaration=True)
        except ZEEP_ERRORS:
            raise not_convertible(
                "parameter tidak sesuai dengan WSDL layanan tujuan", "the parameters do not fit the upstream's WSDL"
            ) from None
        headers = [("User-Agent", "MANTRA"), *_soap_headers(binding, str(operation.soapaction or ""))]
        headers += [
            (each.name, header_value(value, each.name))
            for each in self._headers
            if (value := each.value_from(arguments)) is not None
        ]
        return UpstreamRequest("POST", "", headers, body, len(body))

    def _operation(self) -> tuple[SoapBinding, Any]:
        """Return zeep's operation and its binding, SOAP 1.1 if there is a choice. Raises Fault."""
        try:
            document = services.get(self.description, self.wsdl_url)
        except DescriptionError:
            raise Fault(faults.SOAP_CONSTRUCTOR if self.legacy_faults else faults.SOAP_CONTRACT) from None
        for version in (Soap11Binding, Soap12Binding):
            for service in document.services.values():
                for port in service.ports.values():
                    if isinstance(port.binding, version) and self.name in port.binding._operations:
                        return port.binding, port.binding._operations[self.name]
        raise Fault(faults.SOAP_OPERATION if self.legacy_faults else faults.SOAP_CONTRACT)

    def _wrapped(self, operation: Any, content: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters in the elements in which 1.99x wraps them.

        It wraps them in depth - 1 elements without names of their own. The WSDL has the names, and the last word: where
        it has no such element, the parameters are at the right depth already.
        """
        names: list[str] = []
        body = operation.input.body
        element_type = body.type if body is not None else None
        for _level in range(self._depth - 1):
            elements = list(getattr(element_type, "elements", ()))
            if len(elements) != 1 or not getattr(elements[0][1].type, "elements", ()):
                break
            names.append(elements[0][0])
            element_type = elements[0][1].type
        for name in reversed(names):
            content = {name: content}
        return content

    def decode(self, context: RequestContext, response: UpstreamResponse) -> Any:
        """Return an envelope's content; SOAP faults have a status of their own. Raises Fault, DecodeError."""
        if response.status != 200 and not decoders.is_soap(response.fields.get("content-type", "")):
            response.close()
            raise Fault(faults.UPSTREAM_STATUS, upstream_status=response.status)
        value = self.content_of(plain_body(context, response), response.fields.get("content-type", ""))
        if context.format.startswith("legacy_"):
            value = _with_decimal_texts(value)
        if not self.legacy_faults:
            return value
        if _is_empty(value):
            raise Fault(faults.SOAP_EMPTY, operation=context.operation_name)
        # 1.99x puts the whole result under the block's name, and looks nothing up in it.
        return {self._block or self.name: value}

    def content_of(self, body: bytes, content_type: str) -> Any:
        """Return an envelope's content. Raises DecodeError if it is no envelope, Fault for a SOAP fault."""
        root = parse_envelope(body, content_type)
        namespace = _ENVELOPES.get(root.tag)
        soap_body = root.find(f"{namespace}Body") if namespace else None
        if soap_body is None:
            raise DecodeError("soap")
        first = next((each for each in soap_body if isinstance(each.tag, str)), None)
        if first is not None and first.tag == f"{namespace}Fault":
            raise Fault(
                faults.SOAP_CLIENT if self.legacy_faults else faults.SOAP_FAULT, upstream_code=_fault_code(first)
            )
        return self._typed(root, first)

    def _typed(self, root: Any, first: Any) -> Any:
        """Return the content by the WSDL's types; if it does not conform to them, by its elements."""
        _binding, operation = self._operation()
        try:
            return plain_value(operation.process_reply(root))
        except ZEEP_ERRORS:
            value = xml.element_value(first) if first is not None else None
            return xml.XmlDocument(value) if isinstance(value, dict) else value


def _soap_headers(binding: SoapBinding, action: str) -> list[tuple[str, str]]:
    """Return the headers that name the operation (SOAP 1.1, 6.1.1; RFC 3902)."""
    if isinstance(binding, Soap12Binding):
        return [("Content-Type", f'application/soap+xml; charset=utf-8; action="{action}"')]
    return [("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", f'"{action}"')]


def _parse_path(path: str, legacy: bool) -> tuple[str, int, str]:
    """Return the operation's name, the depth of its parameters, and the name for its result.

    Raises ValueError("path").
    """
    name, *more = path.strip().split("#")
    if not name or (more and not legacy) or len(more) > 2:
        raise ValueError("path")
    depth = more[0] if more else ""
    if depth and not (depth.isascii() and depth.isdigit() and int(depth) <= 10):
        raise ValueError("path")
    return name, int(depth or 1), more[1] if len(more) > 1 else ""


def _fault_code(element: Any) -> str:
    """Return a SOAP fault's code without its text: Client, Server.Authentication, Sender …; "?" for another."""
    for name in ("faultcode", "{http://www.w3.org/2003/05/soap-envelope}Code"):
        code = element.find(name)
        if code is not None:
            text = "".join(code.itertext()).strip().rpartition(":")[2]
            if text.isascii() and text.replace(".", "").isalnum() and len(text) <= 40:
                return str(text)
    return "?"


def _with_decimal_texts(value: Any) -> Any:
    """Return a document with its decimals as texts: 1.99x's SOAP client reads no types from a WSDL."""
    if isinstance(value, dict):
        return {name: _with_decimal_texts(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_decimal_texts(item) for item in value]
    return format(value, "f") if isinstance(value, Decimal) else value


def _is_empty(value: Any) -> bool:
    """Return True for a result without content: by the WSDL's types it may have members, all of them absent."""
    if isinstance(value, dict):
        return all(map(_is_empty, value.values()))
    return value in (None, "", [])


def plain_value(value: Any) -> Any:
    """Return zeep's objects as a document of plain values."""
    return _plain(serialize_object(value, dict))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, AnyObject):
        return plain_value(value.value)
    if isinstance(value, etree._Element):
        return xml.element_value(value)
    if value is None or isinstance(value, str | bool | int | float | Decimal | bytes) or hasattr(value, "isoformat"):
        return value
    return str(value)
