"""The XML schema of a service: the request and response of each operation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from mantra.gateway import patterns, xml_names
from mantra.gateway.formats.markup import attribute, escape
from mantra.gateway.formats.soap import XSD_TYPES
from mantra.gateway.parameters import paging
from registry.parameter_values import MAX_TEXT, InvalidValue
from registry.personal_data.masks import DROPPED
from registry.results import DELETED
from registry.snapshot.types import Field, Operation, Parameter

SCHEMA = "http://www.w3.org/2001/XMLSchema"

_PARAMETER_TYPES = {
    "text": "xs:string", "integer": "xs:integer", "decimal": "xs:decimal", "boolean": "xs:boolean",
    "date": "xs:date", "datetime": "xs:dateTime", "choice": "xs:string", "nik": "xs:string", "npwp": "xs:string",
}  # fmt: skip
_NOTES = {"nik": "NIK, 16 angka.", "npwp": "NPWP, 15 atau 16 angka."}


def tag(name: str, /, *children: str, **attributes: str | None) -> str:
    """Return an element. In an attribute's name __ becomes a colon and a last _ is dropped. None omits an attribute."""
    written = "".join(
        f' {key.replace("__", ":").rstrip("_")}="{attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(children)
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def annotation(*sentences: str) -> str:
    """Return the documentation of an element, "" if there is none."""
    text = " ".join(sentence.strip() for sentence in sentences if sentence.strip())
    return tag("xs:annotation", tag("xs:documentation", escape(text))) if text else ""


def schema(namespace: str, operations: Iterable[Operation]) -> str:
    """Return the schema element of a service."""
    return tag(
        "xs:schema",
        _key(),
        _fault(),
        *(_elements(operation) for operation in operations),
        xmlns__xs=SCHEMA,
        xmlns__tns=namespace,
        targetNamespace=namespace,
        elementFormDefault="qualified",
    )


def _key() -> str:
    return tag(
        "xs:element",
        annotation(
            "Kunci akses, sebagai header SOAP. Boleh juga sebagai header HTTP AccessKey. Permintaan yang "
            "ditandatangani (RFC 9421) tidak memerlukannya."
        ),
        tag("xs:simpleType", tag("xs:restriction", base="xs:string")),
        name=xml_names.KEY,
    )


def _fault() -> str:
    parties = (tag("xs:enumeration", value=party) for party in ("caller", "provider", "bus"))
    party = tag("xs:simpleType", tag("xs:restriction", *parties, base="xs:string"))
    return _wrapped(
        xml_names.FAULT,
        _plain("code", "xs:int"),
        _plain("title", "xs:string"),
        _plain("status", "xs:int"),
        tag("xs:element", party, name="party"),
        _plain("message", "xs:string"),
        _plain("request_id", "xs:string"),
        _plain("retry_after", "xs:int", minOccurs="0"),
        _plain("request_url", "xs:anyURI", minOccurs="0"),
    )


def _plain(name: str, type_: str, **attributes: str) -> str:
    return tag("xs:element", name=name, type_=type_, **attributes)


def _wrapped(name: str, *children: str) -> str:
    """Return a global element with a sequence of others."""
    return tag("xs:element", tag("xs:complexType", tag("xs:sequence", *children)), name=name)


# ------------------------------------------------------------------------------------ operations


def _elements(operation: Operation) -> str:
    """Return the elements of a request and its response, and the type of a row."""
    row = f"{xml_names.operation(operation.code)}Row"
    request = [_parameter(parameter) for parameter in operation.parameters]
    pages = operation.plan.page_size if operation.plan is not None else 0
    if pages:
        request += [_plain(name, "xs:positiveInteger", minOccurs="0", nillable="true") for name in paging(pages)]
    changes = operation.plan.change_size if operation.plan is not None else 0
    if changes:
        request += _changes_request()
    response = [_plain("status", "xs:int"), _plain("code", "xs:int"), _plain("message", "xs:string")]
    types = ""
    if operation.kind == "proxy":  # its upstream decides the content
        response.append(_plain("data", "xs:anyType", nillable="true"))
    else:
        writes = operation.plan is not None and "GET" not in operation.plan.methods
        type_ = f"tns:{row}" if operation.fields else "xs:anyType"
        response += _table(type_, bool(pages or changes), writes, bool(changes))
        if operation.fields:
            columns = [_field(field) for field in operation.fields if field.mask != DROPPED]
            if operation.plan is not None and operation.plan.marks_deletions:
                columns.append(_deleted())
            types = tag("xs:complexType", tag("xs:sequence", *columns), name=row)
    return (
        types
        + _wrapped(xml_names.operation(operation.code), *request)
        + _wrapped(xml_names.response(operation.code), *response)
    )


def _changes_request() -> list[str]:
    """Return the elements by which callers ask for changes."""
    notes = annotation(
        "Kursor dari respons sebelumnya: hanya baris yang berubah sesudahnya. Kosong: mulai dari awal. "
        "Tanpa elemen ini: seluruh data."
    )
    since = tag("xs:element", notes, name="since", type_="xs:string", minOccurs="0", nillable="true")
    return [since, _plain("per_page", "xs:positiveInteger", minOccurs="0", nillable="true")]


def _table(row: str, pages: bool, writes: bool, changes: bool = False) -> list[str]:
    """Return the elements after the message in a data operation's response: rows, or if it writes rows or a count."""
    min_occurs = "0" if writes else None
    rows = tag("xs:element", name="row", type_=row, minOccurs="0", maxOccurs="unbounded")
    elements = [
        tag("xs:element", tag("xs:complexType", tag("xs:sequence", rows)), name="data", minOccurs=min_occurs),
        tag("xs:element", name="count", type_="xs:int", minOccurs=min_occurs),
        tag("xs:element", name="truncated", type_="xs:boolean", minOccurs=min_occurs),
    ]
    if pages:
        elements.append(tag("xs:element", name="has_next", type_="xs:boolean", minOccurs=min_occurs))
    if changes:
        notes = annotation("Kursor untuk elemen since pada permintaan berikutnya.")
        elements.append(tag("xs:element", notes, name="cursor", type_="xs:string", minOccurs="0"))
    if writes:
        elements.append(tag("xs:element", name="affected", type_="xs:integer", minOccurs="0", nillable="true"))
    return elements


def _field(field: Field) -> str:
    """Return the element of a column. A grant may exclude it, and it may be NULL."""
    return tag(
        "xs:element",
        annotation(field.description),
        name=xml_names.element(field.name),
        type_=XSD_TYPES[field.sent_type],
        minOccurs="0",
        nillable="true",
    )


def _deleted() -> str:
    """Return the element that says whether a row is deleted, in a page of changes."""
    notes = annotation("true: baris ini dihapus di sumbernya. Hanya pada permintaan dengan elemen since.")
    name = xml_names.element(DELETED.name)
    return tag("xs:element", notes, name=name, type_="xs:boolean", minOccurs="0", nillable="true")


def _parameter(parameter: Parameter) -> str:
    default = "" if parameter.default is None else f"Nilai baku: {_written(parameter.default)}."
    notes = annotation(parameter.description, _NOTES.get(parameter.type, ""), default)
    base = _PARAMETER_TYPES[parameter.type]
    facets = _facets(parameter)
    restricted = tag("xs:simpleType", tag("xs:restriction", *facets, base=base)) if facets else ""
    return tag(
        "xs:element",
        *(child for child in (notes, restricted) if child),
        name=xml_names.element(parameter.name),
        type_=None if facets else base,
        minOccurs=None if parameter.must_be_given else "0",
        nillable=None if parameter.must_be_given else "true",
    )


# ---------------------------------------------------------------------------------------- facets


def _facets(parameter: Parameter) -> list[str]:
    """Return the facets that restrict a parameter's type, as far as XSD can express them. The bus checks all rules."""
    parser, kind = parameter.parse, parameter.type
    if kind == "boolean":
        return []
    facets = []
    pattern = None
    if parser.pattern is not None and kind not in ("nik", "npwp"):
        pattern = patterns.translated(parser.pattern, patterns.XSD)
    if pattern is not None:
        facets.append(tag("xs:pattern", value=pattern))
    facets += [tag("xs:enumeration", value=value) for value in _choices(parameter)]
    if kind in ("text", "choice"):
        longest = parser.longest
        if parser.min is not None and 0 <= parser.min <= longest:
            facets.append(tag("xs:minLength", value=str(parser.min)))
        if longest < MAX_TEXT:
            facets.append(tag("xs:maxLength", value=str(longest)))
    elif _in_order(parser.min, parser.max):
        facets += [tag("xs:minInclusive", value=_written(parser.min))] if parser.min is not None else []
        facets += [tag("xs:maxInclusive", value=_written(parser.max))] if parser.max is not None else []
    return facets


def _in_order(minimum: Any, maximum: Any) -> bool:
    """Return True if a range can be declared: contradictory bounds make a schema invalid."""
    try:
        return minimum is None or maximum is None or bool(minimum <= maximum)
    except TypeError:  # one time with a zone, one without
        return False


def _choices(parameter: Parameter) -> list[str]:
    """Return the choices as XSD writes them, none if one of them is not a value of the type."""
    try:
        values = (parameter.parse.convert(choice) for choice in parameter.parse.choices)
        return sorted({_written(value) for value in values})
    except InvalidValue:
        return []


def _written(value: Any) -> str:
    """Return a value as XSD writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
