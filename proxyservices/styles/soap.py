"""The styles "soap" and "legacy-soap": an operation of an upstream's WSDL, asked with declared parameters.

zeep writes the envelope and reads the answer by the types of the WSDL. The documents are those stored with the
operation; where none are, they are fetched once through the one door out, and kept in memory for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from lxml import etree
from zeep.helpers import serialize_object
from zeep.wsdl.bindings.soap import Soap11Binding, Soap12Binding, SoapBinding
from zeep.xsd import AnyObject

from proxyservices.decoders import xml
from proxyservices.decoders.limits import Unreadable
from proxyservices.descriptions.documents import Stored, Unusable
from proxyservices.descriptions.services import services
from proxyservices.descriptions.zeep import ZEEP_ERRORS
from proxyservices.models import Mapping as Placed
from proxyservices.models import ProxyOperation
from proxyservices.styles.base import READS, Asked, Source, Task, header_value, nested, not_convertible, text_of
from registry import faults
from registry.results import Fault

_ENVELOPES = {
    "{http://schemas.xmlsoap.org/soap/envelope/}Envelope": "{http://schemas.xmlsoap.org/soap/envelope/}",
    "{http://www.w3.org/2003/05/soap-envelope}Envelope": "{http://www.w3.org/2003/05/soap-envelope}",
}


# -------------------------------------------------------------------------------------------- the recipe


class Soap:
    """Makes a SOAP envelope of the declared parameters, and reads the answer's."""

    passes = False
    #: 1.99x's own rules are for the answers of its other styles; SOAP's have no envelope of that kind.
    legacy = False
    methods = READS

    def __init__(self, operation: ProxyOperation, mappings: Sequence[Placed], parameters: Sequence[str]) -> None:
        #: Whether failures are told by 1.99x's own codes, and no answer is one of them.
        self.told_as_1_99 = operation.style == ProxyOperation.Style.LEGACY_SOAP
        self.name, self._depth, self._block = _parts(operation.path, self.told_as_1_99)
        declared = {name.lower(): name for name in parameters}
        self._headers: list[Source] = []
        self._values: list[Source] = []
        for mapping in mappings:
            parameter = declared.pop(mapping.parameter.lower(), "") if mapping.parameter else ""
            if mapping.parameter and not parameter:
                raise ValueError("parameter")
            source = Source(mapping.name, parameter, str(mapping.value or ""))
            (self._headers if mapping.place == Placed.Place.HEADER else self._values).append(source)
        self._values += [Source(name, name) for name in declared.values()]
        #: Set once the operation's other rows are known.
        self.contract: Stored | None = None
        self.wsdl = ""

    def make(self, task: Task) -> Asked:
        given = {name: None if value is None else text_of(value) for name, value in task.arguments.items()}
        binding, operation = self._operation()
        content = self._wrapped(operation, nested(self._values, given))
        try:
            envelope = operation.create(**content).content
            body = etree.tostring(envelope, encoding="utf-8", xml_declaration=True)
        except ZEEP_ERRORS:
            raise not_convertible(
                "parameter tidak sesuai dengan WSDL sistem sumber", "the parameters do not fit the upstream's WSDL"
            ) from None
        told = [("User-Agent", "MANTRA"), *_described(binding, str(operation.soapaction or ""))]
        told += [
            (each.name, header_value(value, each.name))
            for each in self._headers
            if (value := each.of(given)) is not None
        ]
        return Asked("POST", "", told, body, len(body))

    def _operation(self) -> tuple[SoapBinding, Any]:
        try:
            service = services.get(self.contract, self.wsdl)
        except Unusable:
            raise self._unusable() from None
        for kind in (Soap11Binding, Soap12Binding):
            for found in service.services.values():
                for port in found.ports.values():
                    if isinstance(port.binding, kind) and self.name in port.binding._operations:
                        return port.binding, port.binding._operations[self.name]
        raise self._unusable()

    def _unusable(self) -> Fault:
        return Fault(faults.SOAP_CONSTRUCTOR if self.told_as_1_99 else faults.SOAP_CONTRACT)

    def _wrapped(self, operation: Any, content: dict[str, Any]) -> dict[str, Any]:
        """1.99x wraps the parameters in depth - 1 arrays: the first is the call's own, each further one an element."""
        names: list[str] = []
        body = operation.input.body
        place = body.type if body is not None else None
        for _level in range(self._depth - 2):
            elements = list(getattr(place, "elements", ()))
            if len(elements) != 1:
                raise self._unusable()
            names.append(elements[0][0])
            place = elements[0][1].type
        for name in reversed(names):
            content = {name: content}
        return content

    def read(self, body: bytes) -> Any:
        """The answer's content. Raises Unreadable for what is no SOAP answer, Fault for a SOAP fault."""
        root = xml.xml_root(body)
        namespace = _ENVELOPES.get(root.tag)
        inside = root.find(f"{namespace}Body") if namespace else None
        if inside is None:
            raise Unreadable("soap")
        first = next((each for each in inside if isinstance(each.tag, str)), None)
        if first is not None and first.tag == f"{namespace}Fault":
            raise Fault(
                faults.SOAP_CLIENT if self.told_as_1_99 else faults.SOAP_FAULT, upstream_code=_fault_code(first)
            )
        value = self._typed(root, first)
        if self._block:
            return value.get(self._block) if isinstance(value, dict) else None
        return value

    def _typed(self, root: Any, first: Any) -> Any:
        """The content by the WSDL's types; where it does not keep to them, as its elements read."""
        _binding, operation = self._operation()
        try:
            return plain(operation.process_reply(root))
        except ZEEP_ERRORS:
            return xml.element(first) if first is not None else None


def _described(binding: SoapBinding, action: str) -> list[tuple[str, str]]:
    """How each version of SOAP names the operation beside the envelope."""
    if isinstance(binding, Soap12Binding):
        return [("Content-Type", f'application/soap+xml; charset=utf-8; action="{action}"')]
    return [("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", f'"{action}"')]


def _parts(path: str, legacy: bool) -> tuple[str, int, str]:
    """The operation's name, how deep its parameters are wrapped, and under which name the result stands."""
    name, *more = path.strip().split("#")
    if not name or (more and not legacy) or len(more) > 2:
        raise ValueError("path")
    depth = more[0] if more else ""
    if depth and not (depth.isascii() and depth.isdigit() and int(depth) <= 10):
        raise ValueError("path")
    return name, int(depth or 1), more[1] if len(more) > 1 else ""


def _fault_code(element: Any) -> str:
    """The fault's code, its own words left out: Client, Server.Authentication, Sender …"""
    for name in ("faultcode", "{http://www.w3.org/2003/05/soap-envelope}Code"):
        found = element.find(name)
        if found is not None:
            text = "".join(found.itertext()).strip().rpartition(":")[2]
            if text.isascii() and text.replace(".", "").isalnum() and len(text) <= 40:
                return str(text)
    return "?"


def plain(value: Any) -> Any:
    """What zeep made of an answer, as a document."""
    return _plain(serialize_object(value, dict))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, AnyObject):
        return plain(value.value)
    if isinstance(value, etree._Element):
        return xml.element(value)
    if value is None or isinstance(value, str | bool | int | float | Decimal | bytes) or hasattr(value, "isoformat"):
        return value
    return str(value)
