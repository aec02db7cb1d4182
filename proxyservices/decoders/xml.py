"""The only XML parser for documents of others, and elements as values."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from proxyservices.decoders.charset import as_utf8
from proxyservices.decoders.limits import MAX_LEVELS, DecodeError, check_size

#: The most attributes of one element.
MAX_ATTRIBUTES = 500
#: The most entities and attribute lists of a document type, and the most characters that they add to a document.
MAX_ENTITIES, MAX_EXPANDED = 20, 100_000
_MARKUP = re.compile("[<&%]")
_PARAMETER_ENTITY = re.compile(rb"%[A-Za-z_:\x80-\xff][^\s;<>%&]*;")
_ATTRIBUTE_LIST = re.compile(rb"""<!ATTLIST(?:[^>"']++|"[^"]*+"|'[^']*+')*+""")
_QUOTED = re.compile(rb"""\"[^"]*\"|'[^']*'""")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_XMLNS_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


def decode_xml(body: bytes, charset: str = "") -> XmlDocument:
    """Return ``{root: value}``, the value as element_value() returns it. Raises DecodeError."""
    root = parse(body, charset)
    return XmlDocument({etree.QName(root).localname: element_value(root)})


class XmlDocument(dict[str, Any]):
    """The value of an XML document. An element without content, or an absent one, may stand for an empty list."""


def element_value(root: Any) -> Any:
    """Return an element's text, or a dict of its children, in which a repeated name has a list. Raises DecodeError.

    The dict has attributes as "@name", and the text beside them as "#text".
    """
    return _element_value(root, MAX_LEVELS)


def utf8_document(body: bytes, charset: str = "", doctype: bool = False) -> bytes:
    """Return a document in UTF-8 that is safe to parse. Raises DecodeError.

    A document type is refused, or with ``doctype`` permitted as parse() says. An element of very many attributes is
    refused: libxml2 compares each with those before it, and 100,000 of them are 5,000 million steps. No encoding hides
    markup from these checks.
    """
    check_size(body, b"<", b"=")
    document = as_utf8(body, charset, xml=True).lstrip(b" \r\n\t")
    if not document.startswith(b"<"):
        raise DecodeError("xml")
    if b"<!DOCTYPE" in document:
        if not doctype:
            raise DecodeError("doctype")
        _check_declarations(document)
    _check_attributes(document)
    return document


def _check_attributes(document: bytes) -> None:
    if document.count(b"=") <= MAX_ATTRIBUTES:
        return
    for part in document.split(b"<"):
        if part.count(b"=") > MAX_ATTRIBUTES and _QUOTED.sub(b"", part).partition(b">")[0].count(b"=") > MAX_ATTRIBUTES:
            raise DecodeError("attributes")


def parse(body: bytes, charset: str = "", doctype: bool = False) -> Any:
    """Return a document's root, parsed without fetching anything. Raises DecodeError.

    With ``doctype`` a document type with a few short entities is permitted, and these are expanded: schemas have some.
    """
    document = utf8_document(body, charset, doctype)
    root = _parse(document, expand=False)
    if not root.getroottree().docinfo.doctype:
        return root
    _check_entities(document, root.getroottree().docinfo.internalDTD)
    return _parse(document, expand=True)


def _parse(document: bytes, expand: bool) -> Any:
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=expand, no_network=True, load_dtd=False, dtd_validation=False,
        huge_tree=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        return etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise DecodeError("xml") from None


def _check_declarations(body: bytes) -> None:
    """Raise DecodeError for declarations out of entities, and for default attributes that add more than a little."""
    if _PARAMETER_ENTITY.search(body) or body.count(b"<!ATTLIST") > MAX_ENTITIES:
        raise DecodeError("doctype")
    lists = sum(len(match[0]) for match in _ATTRIBUTE_LIST.finditer(body))
    if lists * body.count(b"<") > MAX_EXPANDED:
        raise DecodeError("doctype")


def _check_entities(body: bytes, dtd: Any) -> None:
    """Raise DecodeError unless all entities are texts without markup, and all references to them add only a little."""
    entities = [] if dtd is None else list(dtd.iterentities())
    if any(each.system_url for each in entities):
        raise DecodeError("doctype-file")
    if len(entities) > MAX_ENTITIES or any(_MARKUP.search(each.content or "") for each in entities):
        raise DecodeError("doctype")
    if sum(len(each.content or "") * body.count(f"&{each.name};".encode()) for each in entities) > MAX_EXPANDED:
        raise DecodeError("doctype")


def _element_value(element: Any, levels: int) -> Any:
    if not levels:
        raise DecodeError("depth")
    members: dict[str, Any] = {}
    if element.attrib:
        if element.get(_NIL) in ("true", "1"):
            return None
        members = {
            "@" + etree.QName(name).localname: value
            for name, value in element.attrib.items()
            if not name.startswith(_XMLNS_XSI)
        }
    if not len(element):
        if not members:
            return element.text or None
        if element.text:
            members["#text"] = element.text
        return members
    repeated: set[str] = set()
    for child in element:
        if not isinstance(child.tag, str):
            raise DecodeError("xml")  # an undeclared entity
        name, value = etree.QName(child).localname, _element_value(child, levels - 1)
        if name in repeated:
            members[name].append(value)
        elif name in members:
            members[name] = [members[name], value]
            repeated.add(name)
        else:
            members[name] = value
    return members
