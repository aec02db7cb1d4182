"""WSDL documents as draft operations of the style SOAP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from lxml import etree
from zeep import xsd
from zeep.wsdl import Document
from zeep.wsdl.bindings.soap import SoapBinding
from zeep.xsd.elements.indicators import Indicator

from proxyservices.descriptions.documents import Documents, Unusable
from proxyservices.descriptions.zeep import _XS, STEPS, ZEEP_ERRORS, Door, settings
from proxyservices.importing.drafts import MOST, Draft, Found, Names, parameter
from proxyservices.models import ProxyOperation, validate_address

#: How deep a request's elements are followed.
DEPTH = 6
_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_INTEGERS = (
    "Integer", "NonPositiveInteger", "NegativeInteger", "Long", "Int", "Short", "Byte", "NonNegativeInteger",
    "UnsignedLong", "UnsignedInt", "UnsignedShort", "UnsignedByte", "PositiveInteger",
)  # fmt: skip
_KINDS = {
    **dict.fromkeys(_INTEGERS, "integer"), "Decimal": "decimal", "Float": "decimal", "Double": "decimal",
    "Boolean": "boolean", "Date": "date", "DateTime": "datetime",
}  # fmt: skip
_BINARY = frozenset({"Base64Binary", "HexBinary"})


def read(documents: Documents, main: str) -> Found:
    """The operations of a WSDL. Raises Unusable."""
    try:
        wsdl = Document(main, Door(documents), settings=settings())  # type: ignore[arg-type]  # an instance is what it takes
    except Unusable:
        raise
    except ZEEP_ERRORS:
        raise Unusable(_("This is no WSDL that can be read, or a part of it is missing.")) from None
    found = Found("WSDL 1.1", "")
    reader = _Reader(documents)
    names, met = Names(), set[str]()
    for service in wsdl.services.values():
        found.title = found.title or str(service.name)
        for port in service.ports.values():
            label = f"{service.name}/{port.name}"
            if not isinstance(port.binding, SoapBinding):
                found.left.append((label, _("This port does not speak SOAP.")))
                continue
            address = _address(port)
            for operation in port.binding._operations.values():
                _operation(found, reader, names, met, operation, address, label)
    if not found.drafts and not found.left:
        raise Unusable(_("The document names no operation."))
    return found


def _address(port: Any) -> str:
    url = str(port.binding_options.get("address") or "").strip()
    try:
        validate_address(url)
    except ValidationError:
        return ""
    return url


def _operation(
    found: Found, reader: _Reader, names: Names, met: set[str], operation: Any, address: str, label: str
) -> None:
    name = str(operation.name)
    if name in met:
        found.left.append((f"{label}/{name}", _("An operation of this name is taken over from another port.")))
        return
    if len(found.drafts) >= MOST:
        found.left.append((f"{label}/{name}", _("A document may bring %(most)d operations at most.") % {"most": MOST}))
        return
    draft = Draft(code=name, style=ProxyOperation.Style.SOAP, method="POST", path=name, address=address)
    draft.description = reader.documentation.get(name, "")
    if not address:
        draft.notes.append(_("The document names no address that can be called: enter it."))
    try:
        _Making(reader, draft).request(operation)
    except Unusable as why:
        found.left.append((f"{label}/{name}", str(why)))
        return
    met.add(name)
    draft.code = names.code(name)
    found.drafts.append(draft)


# ------------------------------------------------------------------------------- facets and words


@dataclass(slots=True)
class Facets:
    """The rules of a simple type, by which zeep does not go."""

    base: str = ""
    choices: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    bounds: dict[str, str] = field(default_factory=dict)
    #: What has no counterpart.
    others: list[str] = field(default_factory=list)


class _Reader:
    """What the documents' own text says beside zeep: the rules of simple types, and what people wrote."""

    def __init__(self, documents: Documents) -> None:
        self.facets: dict[str, Facets | None] = {}
        self.documentation: dict[str, str] = {}
        for text in documents.used.values():
            if text.startswith("<"):
                root = etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True))
                for schema in root.iter(f"{_XS}schema"):
                    self._schema(schema)
                for each in root.iter(f"{_WSDL}portType"):
                    self._port_type(each)

    def _port_type(self, node: Any) -> None:
        for operation in node.iter(f"{_WSDL}operation"):
            words = "".join(operation.findtext(f"{_WSDL}documentation") or "").split()
            if words:
                self.documentation.setdefault(operation.get("name", ""), " ".join(words))

    def _schema(self, schema: Any) -> None:
        space = schema.get("targetNamespace", "")
        for node in schema.iter(f"{_XS}simpleType"):
            name = node.get("name") or node.getparent().get("name")
            restriction = node.find(f"{_XS}restriction")
            if not name or restriction is None:
                continue
            key, facets = f"{{{space}}}{name}", _facets(restriction)
            # Two types without a name in elements of one name cannot be told apart.
            self.facets[key] = facets if self.facets.get(key, facets) == facets else None

    def of(self, qname: str) -> Iterator[Facets]:
        """The rules of a type, and of those that it restricts."""
        for _step in range(DEPTH):
            found = self.facets.get(qname)
            if found is None:
                return
            yield found
            qname = found.base


def _facets(restriction: Any) -> Facets:
    found = Facets()
    prefix, _colon, local = restriction.get("base", "").rpartition(":")
    found.base = f"{{{restriction.nsmap.get(prefix or None, '')}}}{local}"
    for node in restriction:
        value, name = node.get("value", ""), etree.QName(node).localname if isinstance(node.tag, str) else ""
        if name == "enumeration":
            found.choices.append(value)
        elif name == "pattern":
            found.patterns.append(value)
        elif name in ("minLength", "minInclusive"):
            found.bounds["min"] = value
        elif name in ("maxLength", "maxInclusive"):
            found.bounds["max"] = value
        elif name == "length":
            found.bounds |= {"min": value, "max": value}
        elif name in ("minExclusive", "maxExclusive", "totalDigits", "fractionDigits"):
            found.others.append(name)
    return found


# ----------------------------------------------------------------------------------------- requests


class _Making:
    """One operation on its way."""

    def __init__(self, reader: _Reader, draft: Draft) -> None:
        self.reader, self.draft, self.names = reader, draft, Names()
        self.steps = 0
        #: The types that lie above an element.
        self.trail: list[Any] = []

    def request(self, operation: Any) -> None:
        """Declare what the request holds. Raises Unusable."""
        message = operation.input
        if message is None or not hasattr(message, "body"):
            raise Unusable(_("It has no request that can be made."))
        header = getattr(message, "header", None)
        if header is not None and list(header.type.elements):
            self.draft.notes.append(_("Its SOAP headers are left out."))
        body = message.body
        if body is None:
            return
        if not isinstance(body.type, xsd.ComplexType):
            raise Unusable(_("Its request is a single value without a name."))
        self.members(body.type, (), True)

    def members(self, kind: Any, way: tuple[str, ...], required: bool) -> None:
        """Declare the plain values below an element. Raises Unusable."""
        for name, _attribute in () if kind.attributes is None else kind.attributes:
            self.draft.notes.append(".".join((*way, str(name))) + ": " + _("an attribute is left out"))
        for element, choice in _elements(kind):
            if isinstance(element, xsd.Any):
                self.draft.notes.append((".".join(way) or self.draft.path) + ": " + _("free elements are left out"))
                continue
            inner = (*way, str(element.name))
            wanted = required and not choice and not element.is_optional
            if choice:
                text = _("%(name)s is one of several that exclude each other; the bus does not check that.")
                self.draft.notes.append(text % {"name": ".".join(inner)})
            try:
                self.element(element, inner, wanted)
            except Unusable as why:
                if wanted:
                    raise Unusable(f"{'.'.join(inner)}: {why}") from None
                self.draft.notes.append(f"{'.'.join(inner)}: {why}")

    def element(self, element: Any, way: tuple[str, ...], required: bool) -> None:
        self.steps += 1
        if self.steps > STEPS:
            raise Unusable(_("The document is too large, or its references never end."))
        if element.accepts_multiple:
            raise Unusable(_("a list cannot be a parameter"))
        kind = element.type
        if isinstance(kind, xsd.ComplexType):
            if len(way) > DEPTH:
                raise Unusable(_("it lies too deep"))
            if any(str(name).startswith("_value_") for name, _inner in kind.elements):
                raise Unusable(_("a value with attributes cannot be taken over"))
            if kind in self.trail:
                raise Unusable(_("it holds itself"))
            self.trail.append(kind)
            try:
                self.members(kind, way, required)
            finally:
                self.trail.pop()
            return
        if any("." in part for part in way):
            raise Unusable(_("a name with a dot cannot be told from a level"))
        self.leaf(element, kind, way, required)

    def leaf(self, element: Any, kind: Any, way: tuple[str, ...], required: bool) -> None:
        self.draft.room()
        classes = [each.__name__ for each in type(kind).__mro__]
        notes: list[str] = []
        label = ".".join(way)
        values: dict[str, Any] = {"type": next((_KINDS[name] for name in classes if name in _KINDS), "text")}
        if _BINARY & set(classes):
            notes.append(_("%(label)s: bytes are given in Base64 or as hexadecimal digits.") % {"label": label})
        if "ListType" in classes:
            raise Unusable(_("a list cannot be a parameter"))
        if "UnionType" in classes or not isinstance(kind, xsd.AnySimpleType):
            raise Unusable(_("its type is not known"))
        self._rules(values, str(kind.qname or ""), label, notes)
        if isinstance(getattr(element, "default", None), str):
            values["default"] = element.default
        name = self.names.parameter(*way)
        values |= {"name": name, "required": required and not values.get("default")}
        self.draft.parameters.append(parameter(values, label, notes))
        self.draft.notes += notes
        if label != name:
            self.draft.mappings.append({"place": "json", "name": label, "parameter": name})

    def _rules(self, values: dict[str, Any], qname: str, label: str, notes: list[str]) -> None:
        patterns: list[str] = []
        for facets in self.reader.of(qname):
            if facets.choices and "choices" not in values:
                values["choices"] = "\n".join(facets.choices)
                if values["type"] == "text":
                    values["type"] = "choice"
            patterns += [each for each in ["|".join(facets.patterns)] if each]
            for name, bound in facets.bounds.items():
                values.setdefault(name, bound)
            notes += [_("%(label)s: %(what)s is left out.") % {"label": label, "what": name} for name in facets.others]
        if values["type"] == "choice":
            values.pop("min", None)
            values.pop("max", None)
        elif len(patterns) == 1:
            values["pattern"] = translated(patterns[0])
        elif patterns:
            notes.append(_("%(label)s: %(what)s is left out.") % {"label": label, "what": "pattern"})


def translated(pattern: str) -> str:
    """An XML Schema pattern in Python's own words: \\i, \\c and the names of blocks are the ones that differ."""
    return re.sub(r"\\i", "[A-Za-z_:]", re.sub(r"\\c", r"[-.0-9:A-Z_a-z]", pattern))


def _elements(kind: Any) -> Iterator[tuple[Any, bool]]:
    """The elements right below a type, and whether each is one of several that exclude each other."""
    for _name, nested in kind.elements_nested:
        yield from _within(nested, False)


def _within(node: Any, choice: bool) -> Iterator[tuple[Any, bool]]:
    if isinstance(node, Indicator) and node.accepts_multiple:
        raise Unusable(_("a list cannot be a parameter"))
    if isinstance(node, xsd.Group):
        yield from _within(node.child, choice)
    elif isinstance(node, Indicator):
        for inner in node:  # type: ignore[attr-defined]  # every one but Group is a list
            yield from _within(inner, choice or isinstance(node, xsd.Choice))
    else:
        yield node, choice
