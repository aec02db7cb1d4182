"""The only XML parser for documents of others, and elements as values."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from proxyservices.decoders.limits import MAX_LEVELS, DecodeError, check_size

#: The most attributes of one element.
MAX_ATTRIBUTES = 500
#: The most entities and attribute lists of a document type, and the most characters that they add to a document.
MAX_ENTITIES, MAX_EXPANDED = 20, 100_000
_MARKUP = re.compile("[<&%]")
_PARAMETER_ENTITY = re.compile(rb"%[A-Za-z_:\x80-\xff][^\s;<>%&]*;")
_ATTRIBUTE_LIST = re.compile(rb"""<!ATTLIST(?:[^>"']|"[^"]*"|'[^']*')*""")
_ENCODING = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_ENCODINGS = frozenset((
    b"utf-8", b"utf8", b"utf-16", b"utf-16le", b"utf-16be", b"us-ascii", b"ascii", b"iso-8859-1", b"iso-8859-15",
    b"latin1", b"windows-1252",
))  # fmt: skip
_QUOTED = re.compile(rb"""\"[^"]*\"|'[^']*'""")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_XMLNS_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


def decode_xml(body: bytes, attributes: bool = True) -> dict[str, Any]:
    """Return ``{root: value}``, the value as element_value() returns it. Raises DecodeError."""
    root = parse(body)
    return {etree.QName(root).localname: element_value(root, attributes)}


def element_value(root: Any, attributes: bool = True) -> Any:
    """Return an element's text, or a dict of its children, in which a repeated name has a list. Raises DecodeError.

    With ``attributes`` the dict has them as "@name", and the text beside them as "#text".
    """
    return _element_value(root, attributes, MAX_LEVELS)


def check(body: bytes) -> None:
    """Raise DecodeError for a document that would take libxml2 minutes, or that could hide its markup by its encoding.

    libxml2 compares each attribute with those before it in its element: 100,000 of them are 5,000 million steps.
    """
    start = body[:400].lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start.startswith((b"<", b"\xff\xfe", b"\xfe\xff", b"\0<")):
        raise DecodeError("xml")
    encoding = _ENCODING.match(start)
    if encoding is not None and encoding[1].lower() not in _ENCODINGS:
        raise DecodeError("encoding")
    if body.count(b"=") <= MAX_ATTRIBUTES:
        return
    for part in body.split(b"<"):
        if part.count(b"=") > MAX_ATTRIBUTES and _QUOTED.sub(b"", part).partition(b">")[0].count(b"=") > MAX_ATTRIBUTES:
            raise DecodeError("attributes")


def parse(body: bytes, doctype: bool = False) -> Any:
    """Return a document's root, parsed without fetching anything. Raises DecodeError.

    With ``doctype`` a document type with a few short entities is permitted, and these are expanded: schemas have some.
    """
    check_size(body, b"<", b"=")
    declared = b"<!DOCTYPE" in body
    if declared and not doctype:
        raise DecodeError("doctype")
    check(body)
    if declared:
        _check_declarations(body)
    root = _parse(body, expand=False)
    if not root.getroottree().docinfo.doctype:
        return root
    if not declared:  # its encoding hid it from the check above
        raise DecodeError("doctype")
    _check_entities(body, root.getroottree().docinfo.internalDTD)
    return _parse(body, expand=True)


def _parse(body: bytes, expand: bool) -> Any:
    parser = etree.XMLParser(
        resolve_entities=expand, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        return etree.fromstring(body, parser)
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
    if len(entities) > MAX_ENTITIES or any(each.system_url or _MARKUP.search(each.content or "") for each in entities):
        raise DecodeError("doctype")
    if sum(len(each.content or "") * body.count(f"&{each.name};".encode()) for each in entities) > MAX_EXPANDED:
        raise DecodeError("doctype")


def _element_value(element: Any, attributes: bool, levels: int) -> Any:
    if not levels:
        raise DecodeError("depth")
    members: dict[str, Any] = {}
    if attributes and element.attrib:
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
        name, value = etree.QName(child).localname, _element_value(child, attributes, levels - 1)
        if name in repeated:
            members[name].append(value)
        elif name in members:
            members[name] = [members[name], value]
            repeated.add(name)
        else:
            members[name] = value
    return members
