"""The one safe XML parser, and elements as values."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from proxyservices.decoders.limits import MOST_LEVELS, Unreadable, _bounded

#: Attributes of one element.
MOST_ATTRIBUTES = 500
_ENCODING = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_ENCODINGS = frozenset((
    b"utf-8", b"utf8", b"utf-16", b"utf-16le", b"utf-16be", b"us-ascii", b"ascii", b"iso-8859-1", b"iso-8859-15",
    b"latin1", b"windows-1252",
))  # fmt: skip
_QUOTED = re.compile(rb"""\"[^"]*\"|'[^']*'""")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_XMLNS_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


# ---------------------------------------------------------------------------------------------- XML


def from_xml(body: bytes, attributes: bool = True) -> dict[str, Any]:
    """``{root: value}``, the root's value as element() has it. Raises Unreadable."""
    root = xml_root(body)
    return {etree.QName(root).localname: element(root, attributes)}


def element(root: Any, attributes: bool = True) -> Any:
    """An element is its text, or a dict of its children; a name that repeats is a list.

    With ``attributes`` they stand under "@name", the text beside them under "#text". Raises Unreadable.
    """
    return _element(root, attributes, MOST_LEVELS)


def check_xml(body: bytes) -> None:
    """Refuse what would take libxml2 minutes, or hide its marks in a strange encoding. Raises Unreadable.

    Each attribute is compared with those before it in its element: 100,000 of them are five thousand million steps.
    """
    start = body[:400].lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start.startswith((b"<", b"\xff\xfe", b"\xfe\xff", b"\0<")):
        raise Unreadable("xml")
    encoding = _ENCODING.match(start)
    if encoding is not None and encoding[1].lower() not in _ENCODINGS:
        raise Unreadable("encoding")
    if body.count(b"=") <= MOST_ATTRIBUTES:
        return
    for part in body.split(b"<"):
        if (
            part.count(b"=") > MOST_ATTRIBUTES
            and _QUOTED.sub(b"", part).partition(b">")[0].count(b"=") > MOST_ATTRIBUTES
        ):
            raise Unreadable("attributes")


def xml_root(body: bytes) -> Any:
    """The document's root, parsed without fetching or expanding anything. Raises Unreadable."""
    _bounded(body, b"<", b"=")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    if b"<!DOCTYPE" in body:
        raise Unreadable("doctype")
    check_xml(body)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Unreadable("xml") from None
    if root.getroottree().docinfo.doctype:  # in an encoding that hid it
        raise Unreadable("doctype")
    return root


def _element(element: Any, attributes: bool, levels: int) -> Any:
    if not levels:
        raise Unreadable("depth")
    found: dict[str, Any] = {}
    if attributes and element.attrib:
        if element.get(_NIL) in ("true", "1"):
            return None
        found = {
            "@" + etree.QName(name).localname: value
            for name, value in element.attrib.items()
            if not name.startswith(_XMLNS_XSI)
        }
    if not len(element):
        if not found:
            return element.text or None
        if element.text:
            found["#text"] = element.text
        return found
    many: set[str] = set()
    for child in element:
        if not isinstance(child.tag, str):
            raise Unreadable("xml")  # an entity that nothing declares
        name, value = etree.QName(child).localname, _element(child, attributes, levels - 1)
        if name in many:
            found[name].append(value)
        elif name in found:
            found[name] = [found[name], value]
            many.add(name)
        else:
            found[name] = value
    return found
