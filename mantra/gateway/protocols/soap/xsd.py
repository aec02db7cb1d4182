"""The XML schema of a service: what each operation takes and what it answers."""

from __future__ import annotations

import re
import re._parser as regex_parser  # type: ignore[import-not-found]  # the only one that knows how re reads a pattern
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from mantra.gateway import xml_names
from mantra.gateway.formats.markup import attribute, escape
from mantra.gateway.formats.soap import XSD_TYPES
from registry.parameter_values import MAX_TEXT, Unfit
from registry.snapshot.types import Field, Operation, Parameter

SCHEMA = "http://www.w3.org/2001/XMLSchema"

_PARAMETER_TYPES = {
    "text": "xs:string", "integer": "xs:integer", "decimal": "xs:decimal", "boolean": "xs:boolean",
    "date": "xs:date", "datetime": "xs:dateTime", "choice": "xs:string", "nik": "xs:string", "npwp": "xs:string",
}  # fmt: skip
_NOTES = {"nik": "NIK, 16 angka.", "npwp": "NPWP, 15 atau 16 angka."}


def tag(name: str, /, *children: str, **attributes: str | None) -> str:
    """An element. In an attribute's name __ is a colon and a last _ nothing; one that is None is left out."""
    facts = "".join(
        f' {key.replace("__", ":").rstrip("_")}="{attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(children)
    return f"<{name}{facts}>{inner}</{name}>" if inner else f"<{name}{facts}/>"


def annotation(*sentences: str) -> str:
    """What people should know of an element, "" where there is nothing."""
    words = " ".join(sentence.strip() for sentence in sentences if sentence.strip())
    return tag("xs:annotation", tag("xs:documentation", escape(words))) if words else ""


def schema(namespace: str, operations: Iterable[Operation]) -> str:
    """The schema element of a service."""
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
        annotation("Kunci akses, sebagai header SOAP. Boleh juga sebagai header HTTP AccessKey."),
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
    )


def _plain(name: str, type_: str, **attributes: str) -> str:
    return tag("xs:element", name=name, type_=type_, **attributes)


def _wrapped(name: str, *children: str) -> str:
    """A global element that holds others in sequence."""
    return tag("xs:element", tag("xs:complexType", tag("xs:sequence", *children)), name=name)


# ------------------------------------------------------------------------------------ operations


def _elements(operation: Operation) -> str:
    """The elements of a request and of its answer, and the type of a row."""
    row = f"{xml_names.operation(operation.code)}Row"
    given = [_parameter(parameter) for parameter in operation.parameters]
    pages = operation.plan is not None and operation.plan.page_size
    if pages:
        given += [_plain(name, "xs:positiveInteger", minOccurs="0", nillable="true") for name in ("page", "per_page")]
    answer = [_plain("status", "xs:int"), _plain("code", "xs:int"), _plain("message", "xs:string")]
    types = ""
    if operation.kind != "data":  # whatever its upstream answers
        answer.append(_plain("data", "xs:anyType", nillable="true"))
    else:
        writes = operation.plan is not None and "GET" not in operation.plan.methods
        answer += _table(f"tns:{row}" if operation.fields else "xs:anyType", bool(pages), writes)
        if operation.fields:
            columns = (_field(field) for field in operation.fields)
            types = tag("xs:complexType", tag("xs:sequence", *columns), name=row)
    return (
        types
        + _wrapped(xml_names.operation(operation.code), *given)
        + _wrapped(xml_names.response(operation.code), *answer)
    )


def _table(row: str, pages: bool, writes: bool) -> list[str]:
    """What follows the message in the answer of a data operation. One that writes answers rows or a number."""
    least = "0" if writes else None
    rows = tag("xs:element", name="row", type_=row, minOccurs="0", maxOccurs="unbounded")
    found = [
        tag("xs:element", tag("xs:complexType", tag("xs:sequence", rows)), name="data", minOccurs=least),
        tag("xs:element", name="count", type_="xs:int", minOccurs=least),
        tag("xs:element", name="truncated", type_="xs:boolean", minOccurs=least),
    ]
    if pages:
        found.append(tag("xs:element", name="has_next", type_="xs:boolean", minOccurs=least))
    if writes:
        found.append(tag("xs:element", name="affected", type_="xs:integer", minOccurs="0", nillable="true"))
    return found


def _field(field: Field) -> str:
    """A column. A grant may leave it out, and it may be NULL."""
    return tag(
        "xs:element",
        annotation(field.description),
        name=xml_names.element(field.name),
        type_=XSD_TYPES[field.type],
        minOccurs="0",
        nillable="true",
    )


def _parameter(parameter: Parameter) -> str:
    must = parameter.required and parameter.default is None
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
        minOccurs=None if must else "0",
        nillable=None if must else "true",
    )


# ---------------------------------------------------------------------------------------- facets


def _facets(parameter: Parameter) -> list[str]:
    """What narrows a parameter's type, as far as XSD can say it; the bus itself judges by all there is."""
    read, kind = parameter.read, parameter.type
    if kind == "boolean":
        return []
    found = []
    pattern = translated(read.pattern) if read.pattern is not None and kind not in ("nik", "npwp") else None
    if pattern is not None:
        found.append(tag("xs:pattern", value=pattern))
    found += [tag("xs:enumeration", value=value) for value in _choices(parameter)]
    if kind in ("text", "choice"):
        longest = min(each for each in (read.max, read.matched or None, MAX_TEXT) if each is not None)
        if read.min is not None and 0 <= read.min <= longest:
            found.append(tag("xs:minLength", value=str(read.min)))
        if longest < MAX_TEXT:
            found.append(tag("xs:maxLength", value=str(max(longest, 0))))
    elif _in_order(read.min, read.max):
        found += [tag("xs:minInclusive", value=_written(read.min))] if read.min is not None else []
        found += [tag("xs:maxInclusive", value=_written(read.max))] if read.max is not None else []
    return found


def _in_order(least: Any, most: Any) -> bool:
    """Whether a range can be declared: a schema whose bounds contradict each other is none."""
    try:
        return least is None or most is None or bool(least <= most)
    except TypeError:  # one moment with a zone, one without
        return False


def _choices(parameter: Parameter) -> list[str]:
    """The choices as XSD writes them; none at all where one is no value of the type."""
    try:
        values = (parameter.read.convert(choice) for choice in parameter.read.choices)
        return sorted({_written(value) for value in values})
    except Unfit:
        return []


def _written(value: Any) -> str:
    """A value as XSD writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


#: What has a meaning of its own in a pattern of XSD, inside brackets or outside.
_SPECIAL = frozenset("\\|.?*+(){}[]^-$")
_CATEGORIES = {"CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D"}


class _Untold(Exception):
    """A pattern that XSD cannot say, or says otherwise."""


def translated(pattern: re.Pattern[str]) -> str | None:
    r"""A pattern in XSD's own language, None where that would not mean quite the same (\w and \s do not)."""
    if pattern.flags & ~re.UNICODE:
        return None
    parsed = list(regex_parser.parse(pattern.pattern))
    # The whole value is matched anyway.
    if parsed and _is_anchor(parsed[0], ("AT_BEGINNING", "AT_BEGINNING_STRING")):
        parsed = parsed[1:]
    if parsed and _is_anchor(parsed[-1], ("AT_END", "AT_END_STRING")):
        parsed = parsed[:-1]
    try:
        return _sequence(parsed)
    except _Untold:
        return None


def _is_anchor(node: Any, which: tuple[str, ...]) -> bool:
    return str(node[0]) == "AT" and str(node[1]) in which


def _sequence(nodes: Iterable[Any]) -> str:
    return "".join(_atom(str(name), value) for name, value in nodes)


def _atom(name: str, value: Any) -> str:
    if name == "LITERAL":
        return _letter(value)
    if name == "NOT_LITERAL":
        return f"[^{_letter(value)}]"
    if name == "ANY":
        return r"[^\n]"
    if name == "IN":
        return _class(value)
    if name == "SUBPATTERN" and not value[1] and not value[2]:
        return f"({_sequence(value[3])})"
    if name == "BRANCH":
        return f"({'|'.join(_sequence(each) for each in value[1])})"
    if name in ("MAX_REPEAT", "MIN_REPEAT"):
        least, most, body = value
        bounds = f"{{{least},}}" if most == regex_parser.MAXREPEAT else f"{{{least},{most}}}"
        return f"({_sequence(body)}){bounds}"
    raise _Untold


def _class(members: list[tuple[Any, Any]]) -> str:
    """A set of letters in brackets."""
    found = ""
    for kind, value in members:
        name = str(kind)
        if name == "NEGATE":
            found += "^"
        elif name == "LITERAL":
            found += _letter(value)
        elif name == "RANGE":
            found += f"{_letter(value[0])}-{_letter(value[1])}"
        elif name == "CATEGORY" and str(value) in _CATEGORIES:
            found += _CATEGORIES[str(value)]
        else:
            raise _Untold
    return f"[{found}]"


def _letter(number: int) -> str:
    letter = chr(number)
    if letter in "\n\r\t":
        return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}[letter]
    if number < 32 or 0xD800 <= number < 0xE000 or number in (0xFFFE, 0xFFFF):
        raise _Untold
    # XSD has no escape for $, which means itself there.
    return f"\\{letter}" if letter in _SPECIAL and letter != "$" else letter
