"""Responses as MANTRA 1.99x reads those of its own upstreams.

A body's beginning and end decide: ``<?xml`` (or ``<ows:``, which has no declaration) is XML, ``{…}`` is JSON, then
comes PHP's serialize(). A body that is none of them is a text, because a writing upstream that responds "OK", or with
nothing, has done its work.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from proxyservices.decoders.charset import beginning, charset_of, text_of
from proxyservices.decoders.json import decode_json
from proxyservices.decoders.limits import MAX_LEVELS, DecodeError
from proxyservices.decoders.php import decode_php
from proxyservices.decoders.xml import XmlDocument, utf8_document


def decode_legacy(body: bytes, content_type: str = "") -> Any:
    """Return a body's content, a body in no known format as text, or as bytes if it is no text. Raises DecodeError.

    A DecodeError is the error of a format that the body begins with.
    """
    charset = charset_of(content_type)
    if beginning(body, charset).startswith(("<?xml", "<ows:")):
        return decode_legacy_xml(body, charset)
    # A line break behind the brace makes it a text, as in the stock client.
    if body.startswith(b"{") and body.endswith(b"}"):
        return decode_json(body, charset)
    try:
        value = decode_php(body, charset)
    except DecodeError:
        value = False
    # PHP's unserialize() reports a failure by false, so that "b:0;" counts as one.
    return _text(body, charset) if value is False else value


def _text(body: bytes, charset: str) -> str | bytes:
    try:
        return text_of(body, charset)
    except DecodeError:
        return body


def decode_legacy_xml(body: bytes, charset: str = "") -> XmlDocument:
    """Return ``{root: value}`` with the names as they are written, prefixes included. Raises DecodeError.

    An element is its trimmed text, "" without content, or a dict of its children, in which a repeated name has a list.
    The dict has attributes as "@attributes" by their local names, the text beside them as "@value", and the content of
    CDATA sections as "@cdata".
    """
    return _Reader().read(utf8_document(body, charset))


class _Reader:
    """Builds the value from expat's events: lxml tells neither CDATA from text, nor reads undeclared prefixes."""

    def __init__(self) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartCdataSectionHandler = self._start_cdata
        parser.EndCdataSectionHandler = self._end_cdata
        self._parser = parser
        #: The open elements: members, texts, texts of CDATA sections. The first holds the root.
        self._open: list[tuple[dict[str, Any], list[str], list[str]]] = [({}, [], [])]
        self._in_cdata = False

    def read(self, document: bytes) -> XmlDocument:
        try:
            self._parser.Parse(document, True)
        except expat.ExpatError:
            raise DecodeError("xml") from None
        finally:
            self._parser.StartElementHandler = self._parser.EndElementHandler = None  # else they keep it in memory
            self._parser.CharacterDataHandler = None
            self._parser.StartCdataSectionHandler = self._parser.EndCdataSectionHandler = None
        return XmlDocument(self._open[0][0])

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > MAX_LEVELS:
            raise DecodeError("depth")
        listed = {
            key.rpartition(":")[2]: value
            for key, value in attributes.items()
            if key != "xmlns" and not key.startswith("xmlns:")
        }
        members: dict[str, Any] = {"@attributes": listed} if listed else {}
        self._open.append((members, [], []))

    def _end(self, name: str) -> None:
        members, texts, sections = self._open.pop()
        attributes = members.pop("@attributes", None)
        text = "".join(texts).strip()
        if sections:
            members["@cdata"] = "".join(sections).strip()
        if text and (members or attributes):
            members["@value"] = text
        elif attributes and not members:
            members["@value"] = ""
        if attributes:
            members["@attributes"] = attributes
        _add(self._open[-1][0], name, members or text)

    def _characters(self, text: str) -> None:
        _members, texts, sections = self._open[-1]
        (sections if self._in_cdata else texts).append(text)

    def _start_cdata(self) -> None:
        self._in_cdata = True

    def _end_cdata(self) -> None:
        self._in_cdata = False


def _add(members: dict[str, Any], name: str, value: dict[str, Any] | str) -> None:
    """Add a child to the members of its parent; the second of a name makes a list of both."""
    if name not in members:
        members[name] = value
        return
    present = members[name]
    if isinstance(present, list):
        present.append(value)
    else:
        members[name] = [present, value]
