"""The envelopes that callers send: which version, which key, which operation, which parameters.

Expat calls back as it reads, so that nothing is built of what an envelope holds beyond those, and it keeps no name
after its parser is gone. A DOCTYPE is refused before expat sees it: a handler that raises does not stop expat.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

from mantra.gateway import xml_names
from mantra.gateway.formats.markup import escape
from mantra.gateway.parameters import shown
from registry import faults
from registry.calls import Call
from registry.results import Fault
from registry.snapshot.types import Operation

VERSIONS = {xml_names.ENVELOPE_11: "1.1", xml_names.ENVELOPE_12: "1.2"}
#: Whom a header may be for: us, or the next in line, who is us as well. Others' headers are none of our business.
_OURS = frozenset((
    "", "http://schemas.xmlsoap.org/soap/actor/next", f"{xml_names.ENVELOPE_12}/role/next",
    f"{xml_names.ENVELOPE_12}/role/ultimateReceiver",
))  # fmt: skip
_TRUE = frozenset(("1", "true"))
_NIL = f"{xml_names.XSI} nil"
_PLAIN = "#PasswordText"  # the end of a Password's Type
#: The encodings that a caller may write in, as expat calls them; SOAP asks for the first two families.
_ENCODINGS = {
    "utf-8": "utf-8", "utf-16": "utf-16", "utf-16-le": "utf-16", "utf-16-be": "utf-16", "ascii": "us-ascii",
    "iso8859-1": "iso-8859-1",
}  # fmt: skip
_DECLARATION = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_DOCTYPE = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:(?:<\?.*?\?>|<!--.*?-->)\s*+)*+<!DOCTYPE", re.S)
#: Elements in elements; an envelope needs five. Elements in all. Signs of equality: there is one in every attribute.
MAX_DEPTH, MAX_ELEMENTS, MAX_EQUALS = 50, 2000, 10_000
MAX_PARAMETERS = 500


@dataclass(slots=True)
class Envelope:
    """What an envelope says."""

    #: 1.1 or 1.2
    version: str
    #: The element in the Body: its namespace and its name.
    namespace: str = ""
    name: str = ""
    #: (the parameter's name, its text or None for nil), as they came.
    parameters: list[tuple[str, str | None]] = field(default_factory=list, repr=False)
    secret: str = field(default="", repr=False)
    #: Headers that must be understood, and are not: (namespace, name).
    strange: list[tuple[str, str]] = field(default_factory=list)


def invalid(id: str, en: str) -> Fault:
    return Fault(faults.SOAP_INVALID, why_id=id, why_en=en)


def charset(content_type: str) -> str | None:
    """The encoding that a Content-Type names, as expat calls it; None without one. Raises Fault."""
    for part in content_type.split(";")[1:]:
        name, _equals, value = part.partition("=")
        if name.strip().lower() == "charset":
            return _encoding(value.strip().strip("\"'"))
    return None


def _encoding(name: str) -> str:
    try:
        return _ENCODINGS[codecs.lookup(name).name]
    except (LookupError, ValueError):
        raise invalid("pengodean tidak didukung; pakai UTF-8", "its encoding is not supported; use UTF-8") from None


def _transcoded(body: bytes, charset: str | None) -> tuple[bytes, str]:
    """The envelope in an encoding that has ASCII's letters as they are, and the name of that. Raises Fault."""
    if charset is None:
        found = _DECLARATION.match(body)
        wide = b"\0" in body[:2] or body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        charset = "utf-16" if wide else _encoding(found[1].decode("latin-1")) if found else "utf-8"
    if charset != "utf-16":
        return body, charset
    codec = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}.get(body[:2], "utf-16")
    try:
        return body.decode(codec).encode(), "utf-8"
    except UnicodeError:
        raise invalid("bukan UTF-16 yang sah", "it is not valid UTF-16") from None


class Reading:
    """Reads one envelope. ``found`` is what it has said so far, also where it turned out to be none."""

    def __init__(self, version: str) -> None:
        self.found = Envelope(version)
        self._envelope = ""  # the version's namespace
        self._path: list[str] = []
        self._elements = 0
        self._parts: list[str] = []  # Header and Body, as they came
        self._inside = ""  # header | body
        self._block = ("", "")
        self._must = False
        self._texts: list[str] | None = None
        self._nil = False

    def read(self, body: bytes, charset: str | None) -> Envelope:
        """Take in the whole envelope. Raises Fault."""
        body, encoding = _transcoded(body, charset)
        if _DOCTYPE.match(body):
            raise Fault(faults.SOAP_DOCTYPE)
        if body.count(b"=") > MAX_EQUALS:
            raise invalid("terlalu banyak atribut", "there are too many attributes")
        parser = expat.ParserCreate(encoding, " ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            why = expat.ErrorString(error.code)
            raise invalid(
                f"baris {error.lineno}, kolom {error.offset + 1}: {why}",
                f"line {error.lineno}, column {error.offset + 1}: {why}",
            ) from None
        if "Body" not in self._parts:
            raise invalid("tidak ada Body", "there is no Body")
        if not self.found.name:
            raise invalid("Body kosong", "the Body is empty")
        return self.found

    # What expat calls.

    def _doctype(self, *_facts: Any) -> NoReturn:
        raise Fault(faults.SOAP_DOCTYPE)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _space, local = name.rpartition(" ")
        path = self._path
        depth = len(path)
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise invalid("terlalu banyak elemen", "there are too many elements")
        if depth == 0:
            self._root(namespace, local)
        elif depth == 1:
            self._part(namespace, local)
        elif depth >= MAX_DEPTH:
            raise invalid("terlalu banyak elemen bersarang", "elements are nested too deeply")
        elif self._inside == "header":
            self._header(depth, namespace, local, attributes)
        else:
            self._body(depth, namespace, local, attributes)
        path.append(local)

    def _end(self, name: str) -> None:
        path = self._path
        path.pop()
        if self._texts is None:
            return
        depth = len(path)
        if self._inside == "body" and depth == 3:
            # Written without a value it is the empty text; nil is not given at all.
            text = None if self._nil else "".join(self._texts)
            self.found.parameters.append((name.rpartition(" ")[2], text))
        elif self._inside == "header":
            self.found.secret = self.found.secret or "".join(self._texts).strip()
        self._texts = None

    def _text(self, data: str) -> None:
        if self._texts is not None:
            self._texts.append(data)
        elif self._inside != "header" and not data.isspace():
            raise invalid("ada teks di antara elemen", "there is text between the elements")

    # Where they lead.

    def _root(self, namespace: str, local: str) -> None:
        if local != "Envelope":
            raise invalid("elemen terluar harus Envelope", "the outermost element must be Envelope")
        if namespace not in VERSIONS:
            raise Fault(faults.SOAP_VERSION)
        self._envelope = namespace
        self.found.version = VERSIONS[namespace]

    def _part(self, namespace: str, local: str) -> None:
        parts = self._parts
        if namespace != self._envelope or local not in ("Header", "Body"):
            raise invalid(
                "dalam Envelope hanya boleh ada Header dan Body", "an Envelope may hold a Header and a Body only"
            )
        if local in parts or "Body" in parts:
            raise invalid("Header atau Body lebih dari satu", "there is more than one Header or Body")
        parts.append(local)
        self._inside = local.lower()

    def _header(self, depth: int, namespace: str, local: str, attributes: dict[str, str]) -> None:
        if depth == 2:
            self._block = (namespace, local)
            self._must = _must(self._envelope, attributes)
            if namespace == xml_names.SECURITY and local == "Security":
                return
            if local == xml_names.KEY and (not namespace or namespace.startswith(xml_names.NOWHERE)):
                self._texts = []
            elif self._must:
                self.found.strange.append(self._block)
        elif self._block == (xml_names.SECURITY, "Security"):
            self._security(depth, local, attributes)

    def _security(self, depth: int, local: str, attributes: dict[str, str]) -> None:
        """WS-Security: a password in plain text is a key. Signatures and encryption are not understood."""
        if depth == 3 and local not in ("UsernameToken", "Timestamp") and self._must:
            if self._block not in self.found.strange:
                self.found.strange.append(self._block)
        elif depth == 4 and self._path[3] == "UsernameToken" and local == "Password":
            if not attributes.get("Type", _PLAIN).endswith(_PLAIN):
                raise invalid(
                    "Password WS-Security harus PasswordText", "the password of WS-Security must be PasswordText"
                )
            self._texts = []

    def _body(self, depth: int, namespace: str, local: str, attributes: dict[str, str]) -> None:
        if depth == 2:
            if self.found.name:
                raise invalid("Body memuat lebih dari satu operasi", "the Body holds more than one operation")
            self.found.namespace, self.found.name = namespace, local
        elif depth == 3:
            if namespace and namespace != self.found.namespace:
                raise invalid(
                    f"parameter {shown(local)} berada di namespace lain",
                    f"the parameter {shown(local)} is in another namespace",
                )
            if len(self.found.parameters) >= MAX_PARAMETERS:
                raise invalid("terlalu banyak parameter", "there are too many parameters")
            self._texts = []
            self._nil = attributes.get(_NIL, "").strip() in _TRUE
        else:
            name = shown(self._path[3])
            raise invalid(f"parameter {name} harus teks saja", f"the parameter {name} may hold text only")


def _must(envelope: str, attributes: dict[str, str]) -> bool:
    """Whether a header is for us and must be understood."""
    actor = attributes.get(f"{envelope} actor", "") or attributes.get(f"{envelope} role", "")
    return attributes.get(f"{envelope} mustUnderstand", "").strip() in _TRUE and actor in _OURS


# ------------------------------------------------------------------------------------ parameters


def supplied(call: Call, envelope: Envelope) -> list[tuple[str, Any]]:
    """The parameters as their readers take them: without nil, and without what only XSD writes."""
    operation = call.operation
    assert operation is not None
    found: list[tuple[str, Any]] = []
    for element, text in envelope.parameters:
        if text is None:
            continue
        name = xml_names.plain(element)
        parameter = operation.by_name.get(name.lower())
        if parameter is None or parameter.type not in ("text", "choice"):
            text = text.strip()
        if parameter is not None and parameter.type == "date":
            text = _day(text)
        found.append((name, text))
    return found


def _day(text: str) -> str:
    """A date of XSD may say its zone, and those of Java and .NET do: the day is the one that is written."""
    if text.endswith("Z"):
        return text[:-1]
    return text[:-6] if len(text) == 16 and text[10] in "+-" and text[13] == ":" else text


def sample(operation: Operation, pairs: list[tuple[str, str]]) -> str:
    """An envelope of SOAP 1.1 that asks for what the pairs say, as a person reads it."""
    order = {parameter.lower: place for place, parameter in enumerate(operation.parameters)}
    pairs = sorted(pairs, key=lambda pair: order.get(pair[0].lower(), len(order)))
    name = xml_names.operation(operation.code)
    lines = [
        f"      <m:{xml_names.element(each)}>{escape(value)}</m:{xml_names.element(each)}>" for each, value in pairs
    ]
    return "\n".join(
        (
            f'<soap:Envelope xmlns:soap="{xml_names.ENVELOPE_11}">',
            "  <soap:Body>",
            f'    <m:{name} xmlns:m="{xml_names.namespace(operation.agency, operation.service)}">',
            *lines,
            f"    </m:{name}>",
            "  </soap:Body>",
            "</soap:Envelope>",
        )
    )
