"""WSDL documents as draft operations of the style soap."""

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

from proxyservices.decoders import xml
from proxyservices.descriptions.documents import DescriptionError, DocumentSet
from proxyservices.descriptions.zeep import MAX_ELEMENTS, XSD, ZEEP_ERRORS, StoredDocumentsTransport, settings
from proxyservices.importing.drafts import MAX_OPERATIONS, Draft, ImportPreview, NameAllocator, parameter
from proxyservices.models import ProxyOperation, validate_url

#: The levels of a request's elements that are read.
DEPTH = 6
_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_INTEGERS = (
    "Integer",
    "NonPositiveInteger",
    "NegativeInteger",
    "Long",
    "Int",
    "Short",
    "Byte",
    "NonNegativeInteger",
    "UnsignedLong",
    "UnsignedInt",
    "UnsignedShort",
    "UnsignedByte",
    "PositiveInteger",
)
_KINDS = {
    **dict.fromkeys(_INTEGERS, "integer"),
    "Decimal": "decimal",
    "Float": "decimal",
    "Double": "decimal",
    "Boolean": "boolean",
    "Date": "date",
    "DateTime": "datetime",
}
_BINARY = frozenset({"Base64Binary", "HexBinary"})


def read(documents: DocumentSet, main: str) -> ImportPreview:
    """Return the operations of a WSDL. Raises DescriptionError."""
    try:
        wsdl = Document(main, StoredDocumentsTransport(documents), settings=settings())  # type: ignore[arg-type]  # zeep's annotation is wrong: it takes an instance
    except DescriptionError:
        raise
    except ZEEP_ERRORS:
        raise DescriptionError(_("The WSDL cannot be read, or a part of it is missing.")) from None
    preview = ImportPreview("WSDL 1.1", "")
    details = _DocumentDetails(documents)
    names, imported = NameAllocator(), set[str]()
    for service in wsdl.services.values():
        preview.title = preview.title or str(service.name)
        for port in service.ports.values():
            label = f"{service.name}/{port.name}"
            if not isinstance(port.binding, SoapBinding):
                preview.skipped.append((label, _("This port does not use SOAP.")))
                continue
            address = _address(port)
            for operation in port.binding._operations.values():
                _add_draft(preview, details, names, imported, operation, address, label)
    if not preview.drafts and not preview.skipped:
        raise DescriptionError(_("The document contains no operation."))
    return preview


def _address(port: Any) -> str:
    url = str(port.binding_options.get("address") or "").strip()
    try:
        validate_url(url)
    except ValidationError:
        return ""
    return url


def _add_draft(
    preview: ImportPreview,
    details: _DocumentDetails,
    names: NameAllocator,
    imported: set[str],
    operation: Any,
    address: str,
    label: str,
) -> None:
    name = str(operation.name)
    if name in imported:
        preview.skipped.append((f"{label}/{name}", _("An operation with this name is imported from another port.")))
        return
    if len(preview.drafts) >= MAX_OPERATIONS:
        preview.skipped.append(
            (f"{label}/{name}", _("A document can have at most %(most)d operations.") % {"most": MAX_OPERATIONS})
        )
        return
    draft = Draft(code=name, style=ProxyOperation.Style.SOAP, method="POST", path=name, address=address)
    draft.description = details.documentation.get(name, "")
    if not address:
        draft.notes.append(_("The document has no address that can be called. Enter one on its backend's page."))
    try:
        _DraftBuilder(details, draft).declare_request(operation)
    except DescriptionError as error:
        preview.skipped.append((f"{label}/{name}", str(error)))
        return
    imported.add(name)
    draft.code = names.code(name)
    preview.drafts.append(draft)


@dataclass(slots=True)
class Facets:
    """The facets of a simple type (XML Schema, part 2), which zeep ignores."""

    base: str = ""
    choices: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    bounds: dict[str, str] = field(default_factory=dict)
    #: The names of facets that a parameter cannot express.
    others: list[str] = field(default_factory=list)


class _DocumentDetails:
    """The parts of the documents that zeep does not offer: facets of simple types, and documentation."""

    def __init__(self, documents: DocumentSet) -> None:
        self.facets: dict[str, Facets | None] = {}
        self.documentation: dict[str, str] = {}
        for text in documents.used.values():
            if text.startswith("<"):
                root = xml.parse(text.encode())
                for schema in root.iter(f"{XSD}schema"):
                    self._read_schema(schema)
                for port_type in root.iter(f"{_WSDL}portType"):
                    self._read_port_type(port_type)

    def _read_port_type(self, port_type: Any) -> None:
        for operation in port_type.iter(f"{_WSDL}operation"):
            words = "".join(operation.findtext(f"{_WSDL}documentation") or "").split()
            if words:
                self.documentation.setdefault(operation.get("name", ""), " ".join(words))

    def _read_schema(self, schema: Any) -> None:
        space = schema.get("targetNamespace", "")
        for node in schema.iter(f"{XSD}simpleType"):
            name = node.get("name") or node.getparent().get("name")
            restriction = node.find(f"{XSD}restriction")
            if not name or restriction is None:
                continue
            key, facets = f"{{{space}}}{name}", _facets(restriction)
            # None: two elements of the same name with types without a name. Their facets cannot be distinguished.
            self.facets[key] = facets if self.facets.get(key, facets) == facets else None

    def facets_of(self, qname: str) -> Iterator[Facets]:
        """Return the facets of a type, and of the types that it restricts."""
        for _step in range(DEPTH):
            facets = self.facets.get(qname)
            if facets is None:
                return
            yield facets
            qname = facets.base


def _facets(restriction: Any) -> Facets:
    facets = Facets()
    prefix, _colon, local = restriction.get("base", "").rpartition(":")
    facets.base = f"{{{restriction.nsmap.get(prefix or None, '')}}}{local}"
    for node in restriction:
        value, name = node.get("value", ""), etree.QName(node).localname if isinstance(node.tag, str) else ""
        if name == "enumeration":
            facets.choices.append(value)
        elif name == "pattern":
            facets.patterns.append(value)
        elif name in ("minLength", "minInclusive"):
            facets.bounds["min"] = value
        elif name in ("maxLength", "maxInclusive"):
            facets.bounds["max"] = value
        elif name == "length":
            facets.bounds |= {"min": value, "max": value}
        elif name in ("minExclusive", "maxExclusive", "totalDigits", "fractionDigits"):
            facets.others.append(name)
    return facets


class _DraftBuilder:
    """A draft in progress."""

    def __init__(self, details: _DocumentDetails, draft: Draft) -> None:
        self.details, self.draft, self.names = details, draft, NameAllocator()
        self.steps = 0
        #: The types above the element that is read: a type may contain itself.
        self.above: list[Any] = []

    def declare_request(self, operation: Any) -> None:
        """Declare the values of an operation's request. Raises DescriptionError."""
        message = operation.input
        if message is None or not hasattr(message, "body"):
            raise DescriptionError(_("Its request cannot be built."))
        header = getattr(message, "header", None)
        if header is not None and list(header.type.elements):
            self.draft.notes.append(_("Its SOAP headers are not imported."))
        body = message.body
        if body is None:
            return
        if not isinstance(body.type, xsd.ComplexType):
            raise DescriptionError(_("Its request is a single value without a name."))
        self.declare_members(body.type, (), True)

    def declare_members(self, kind: Any, parts: tuple[str, ...], required: bool) -> None:
        """Declare the plain values below an element. Raises DescriptionError."""
        for name, _attribute in () if kind.attributes is None else kind.attributes:
            self.draft.notes.append(".".join((*parts, str(name))) + ": " + _("an attribute is not imported"))
        for element, choice in _elements(kind):
            if isinstance(element, xsd.Any):
                self.draft.notes.append(
                    (".".join(parts) or self.draft.path) + ": " + _("free elements are not imported")
                )
                continue
            inner_parts = (*parts, str(element.name))
            is_required = required and not choice and not element.is_optional
            if choice:
                text = _("%(name)s is one of several that exclude each other; the bus does not check that.")
                self.draft.notes.append(text % {"name": ".".join(inner_parts)})
            try:
                self.declare_element(element, inner_parts, is_required)
            except DescriptionError as error:
                if is_required:
                    raise DescriptionError(f"{'.'.join(inner_parts)}: {error}") from None
                self.draft.notes.append(f"{'.'.join(inner_parts)}: {error}")

    def declare_element(self, element: Any, parts: tuple[str, ...], required: bool) -> None:
        self.steps += 1
        if self.steps > MAX_ELEMENTS:
            raise DescriptionError(_("The document is too large, or its references are endless."))
        if element.accepts_multiple:
            raise DescriptionError(_("a list cannot be a parameter"))
        kind = element.type
        if isinstance(kind, xsd.ComplexType):
            if len(parts) > DEPTH:
                raise DescriptionError(_("it is nested too deeply"))
            if any(str(name).startswith("_value_") for name, _inner in kind.elements):
                raise DescriptionError(_("a value with attributes cannot be imported"))
            if kind in self.above:
                raise DescriptionError(_("it contains itself"))
            self.above.append(kind)
            try:
                self.declare_members(kind, parts, required)
            finally:
                self.above.pop()
            return
        if any("." in part for part in parts):
            raise DescriptionError(_("a dot in the name would be read as a nested level"))
        self.declare_value(element, kind, parts, required)

    def declare_value(self, element: Any, kind: Any, parts: tuple[str, ...], required: bool) -> None:
        self.draft.check_parameter_limit()
        classes = [each.__name__ for each in type(kind).__mro__]
        notes: list[str] = []
        label = ".".join(parts)
        values: dict[str, Any] = {"type": next((_KINDS[name] for name in classes if name in _KINDS), "text")}
        if _BINARY & set(classes):
            notes.append(_("%(label)s: enter bytes in Base64 or as hexadecimal digits.") % {"label": label})
        if "ListType" in classes:
            raise DescriptionError(_("a list cannot be a parameter"))
        if "UnionType" in classes or not isinstance(kind, xsd.AnySimpleType):
            raise DescriptionError(_("its type is unknown"))
        self._add_facets(values, str(kind.qname or ""), label, notes)
        if isinstance(getattr(element, "default", None), str):
            values["default"] = element.default
        name = self.names.parameter(*parts)
        values |= {"name": name, "required": required and not values.get("default")}
        self.draft.parameters.append(parameter(values, label, notes))
        self.draft.notes += notes
        if label != name:
            self.draft.mappings.append({"location": "json", "name": label, "parameter": name})

    def _add_facets(self, values: dict[str, Any], qname: str, label: str, notes: list[str]) -> None:
        patterns: list[str] = []
        for facets in self.details.facets_of(qname):
            if facets.choices and "choices" not in values:
                values["choices"] = "\n".join(facets.choices)
                if values["type"] == "text":
                    values["type"] = "choice"
            patterns += [each for each in ["|".join(facets.patterns)] if each]
            for name, bound in facets.bounds.items():
                values.setdefault(name, bound)
            notes += [
                _("%(label)s: %(what)s is not imported.") % {"label": label, "what": name} for name in facets.others
            ]
        if values["type"] == "choice":
            values.pop("min", None)
            values.pop("max", None)
        elif len(patterns) == 1:
            values["pattern"] = translated(patterns[0])
        elif patterns:
            notes.append(_("%(label)s: %(what)s is not imported.") % {"label": label, "what": "pattern"})


def translated(pattern: str) -> str:
    """Return an XML Schema pattern as a Python one: \\i and \\c differ (XML Schema, part 2, appendix F)."""
    return re.sub(r"\\i", "[A-Za-z_:]", re.sub(r"\\c", r"[-.0-9:A-Z_a-z]", pattern))


def _elements(kind: Any) -> Iterator[tuple[Any, bool]]:
    """Return the elements directly below a type, with True for one of several that exclude each other."""
    for _name, nested in kind.elements_nested:
        yield from _within(nested, False)


def _within(node: Any, choice: bool) -> Iterator[tuple[Any, bool]]:
    if isinstance(node, Indicator) and node.accepts_multiple:
        raise DescriptionError(_("a list cannot be a parameter"))
    if isinstance(node, xsd.Group):
        yield from _within(node.child, choice)
    elif isinstance(node, Indicator):
        for inner in node:  # type: ignore[attr-defined]  # all indicators but Group are lists
            yield from _within(inner, choice or isinstance(node, xsd.Choice))
    else:
        yield node, choice
