"""The envelopes of callers: SOAP version, access key, operation and parameters.

expat calls handlers as it parses, so that nothing else of an envelope takes memory, and it frees all names with its
parser. A DOCTYPE is refused before expat sees it: an exception in a handler does not stop expat.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

from mantra.gateway import xml_names
from mantra.gateway.formats.markup import escape
from mantra.gateway.parameters import printable
from registry import faults
from registry.calls import Call
from registry.results import Fault
from registry.snapshot.types import Operation

VERSIONS = {xml_names.ENVELOPE_11: "1.1", xml_names.ENVELOPE_12: "1.2"}
#: Actors and roles whose headers the bus has to understand: the next node and the last, both of which are the bus.
_OUR_ROLES = frozenset(
    (
        "",
        "http://schemas.xmlsoap.org/soap/actor/next",
        f"{xml_names.ENVELOPE_12}/role/next",
        f"{xml_names.ENVELOPE_12}/role/ultimateReceiver",
    )
)
_TRUE = frozenset(("1", "true"))
_NIL = f"{xml_names.XSI} nil"
_PLAIN = "#PasswordText"  # the end of a Password's Type
#: Supported encodings: Python's codec → expat's name. SOAP requires UTF-8 and UTF-16.
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16",
    "utf-16-be": "utf-16",
    "ascii": "us-ascii",
    "iso8859-1": "iso-8859-1",
}
_DECLARATION = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_DOCTYPE = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:(?:<\?.*?\?>|<!--.*?-->)\s*+)*+<!DOCTYPE", re.S)
#: The depth of elements (an envelope needs five), their number, and equality signs (each attribute has one).
MAX_DEPTH, MAX_ELEMENTS, MAX_EQUALS = 50, 2000, 10_000
MAX_PARAMETERS = 500


@dataclass(slots=True)
class Envelope:
    """The parts of an envelope that a call needs."""

    #: 1.1 or 1.2
    version: str
    #: The element in the Body: its namespace and its name.
    namespace: str = ""
    name: str = ""
    #: (the element's name, its text or None for nil), in the order of the envelope.
    parameters: list[tuple[str, str | None]] = field(default_factory=list, repr=False)
    access_key: str = field(default="", repr=False)
    #: Headers with mustUnderstand that the bus does not understand: (namespace, name).
    not_understood: list[tuple[str, str]] = field(default_factory=list)


def invalid(id: str, en: str) -> Fault:
    """Return the fault of an invalid envelope, with the reason in Indonesian and English."""
    return Fault(faults.SOAP_INVALID, reason_id=id, reason_en=en)


def charset(content_type: str) -> str | None:
    """Return expat's name for the encoding in a Content-Type, None if it has none. Raises Fault."""
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
    """Return (envelope, encoding), in an encoding in which ASCII's letters have their ASCII bytes. Raises Fault."""
    if charset is None:
        match = _DECLARATION.match(body)
        wide = b"\0" in body[:2] or body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        charset = "utf-16" if wide else _encoding(match[1].decode("latin-1")) if match else "utf-8"
    if charset != "utf-16":
        return body, charset
    codec = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}.get(body[:2], "utf-16")
    try:
        return body.decode(codec).encode(), "utf-8"
    except UnicodeError:
        raise invalid("bukan UTF-16 yang sah", "it is not valid UTF-16") from None


class EnvelopeReader:
    """Reads one envelope. ``envelope`` has the parts read so far, also if the envelope is invalid."""

    def __init__(self, version: str) -> None:
        self.envelope = Envelope(version)
        self._version_namespace = ""
        self._path: list[str] = []
        self._elements = 0
        self._parts: list[str] = []  # Header and Body, in the order of the envelope
        self._section = ""  # header | body
        self._block = ("", "")
        self._required = False
        self._texts: list[str] | None = None
        self._nil = False

    def read(self, body: bytes, charset: str | None) -> Envelope:
        """Read the whole envelope. Raises Fault."""
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
            reason = expat.ErrorString(error.code)
            raise invalid(
                f"baris {error.lineno}, kolom {error.offset + 1}: {reason}",
                f"line {error.lineno}, column {error.offset + 1}: {reason}",
            ) from None
        if "Body" not in self._parts:
            raise invalid("tidak ada Body", "the Body is missing")
        if not self.envelope.name:
            raise invalid("Body kosong", "the Body is empty")
        return self.envelope

    # Handlers that expat calls.

    def _doctype(self, *_arguments: Any) -> NoReturn:
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
        elif self._section == "header":
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
        if self._section == "body" and depth == 3:
            # An empty element is the empty text; nil is an absent parameter.
            text = None if self._nil else "".join(self._texts)
            self.envelope.parameters.append((name.rpartition(" ")[2], text))
        elif self._section == "header":
            self.envelope.access_key = self.envelope.access_key or "".join(self._texts).strip()
        self._texts = None

    def _text(self, data: str) -> None:
        if self._texts is not None:
            self._texts.append(data)
        elif self._section != "header" and not data.isspace():
            raise invalid("ada teks di antara elemen", "there is text between the elements")

    # Elements by their depth.

    def _root(self, namespace: str, local: str) -> None:
        if local != "Envelope":
            raise invalid("elemen terluar harus Envelope", "the outermost element must be Envelope")
        if namespace not in VERSIONS:
            raise Fault(faults.SOAP_VERSION)
        self._version_namespace = namespace
        self.envelope.version = VERSIONS[namespace]

    def _part(self, namespace: str, local: str) -> None:
        parts = self._parts
        if namespace != self._version_namespace or local not in ("Header", "Body"):
            raise invalid(
                "dalam Envelope hanya boleh ada Header dan Body", "an Envelope may contain only a Header and a Body"
            )
        if local in parts or "Body" in parts:
            raise invalid("Header atau Body lebih dari satu", "there is more than one Header or Body")
        parts.append(local)
        self._section = local.lower()

    def _header(self, depth: int, namespace: str, local: str, attributes: dict[str, str]) -> None:
        if depth == 2:
            self._block = (namespace, local)
            self._required = _must_understand(self._version_namespace, attributes)
            if namespace == xml_names.SECURITY and local == "Security":
                return
            if local == xml_names.KEY and (not namespace or namespace.startswith(xml_names.ROOT_NAMESPACE)):
                self._texts = []
            elif self._required:
                self.envelope.not_understood.append(self._block)
        elif self._block == (xml_names.SECURITY, "Security"):
            self._security(depth, local, attributes)

    def _security(self, depth: int, local: str, attributes: dict[str, str]) -> None:
        """Read an element of WS-Security: a plain-text password is an access key. Others are not understood."""
        if depth == 3 and local not in ("UsernameToken", "Timestamp") and self._required:
            if self._block not in self.envelope.not_understood:
                self.envelope.not_understood.append(self._block)
        elif depth == 4 and self._path[3] == "UsernameToken" and local == "Password":
            if not attributes.get("Type", _PLAIN).endswith(_PLAIN):
                raise invalid(
                    "Password WS-Security harus PasswordText", "the password of WS-Security must be PasswordText"
                )
            self._texts = []

    def _body(self, depth: int, namespace: str, local: str, attributes: dict[str, str]) -> None:
        if depth == 2:
            if self.envelope.name:
                raise invalid("Body memuat lebih dari satu operasi", "the Body contains more than one operation")
            self.envelope.namespace, self.envelope.name = namespace, local
        elif depth == 3:
            if namespace and namespace != self.envelope.namespace:
                raise invalid(
                    f"parameter {printable(local)} berada di namespace lain",
                    f"the parameter {printable(local)} is in another namespace",
                )
            if len(self.envelope.parameters) >= MAX_PARAMETERS:
                raise invalid("terlalu banyak parameter", "there are too many parameters")
            self._texts = []
            self._nil = attributes.get(_NIL, "").strip() in _TRUE
        else:
            name = printable(self._path[3])
            raise invalid(f"parameter {name} harus teks saja", f"the parameter {name} must contain only text")


def _must_understand(namespace: str, attributes: dict[str, str]) -> bool:
    """Return True if a header is addressed to the bus and must be understood."""
    actor = attributes.get(f"{namespace} actor", "") or attributes.get(f"{namespace} role", "")
    return attributes.get(f"{namespace} mustUnderstand", "").strip() in _TRUE and actor in _OUR_ROLES


# ------------------------------------------------------------------------------------ parameters


def read_parameters(call: Call, envelope: Envelope) -> list[tuple[str, Any]]:
    """Return the (name, value) pairs of the parameters: without nil, and in the bus's notation instead of XSD's."""
    operation = call.operation
    assert operation is not None
    pairs: list[tuple[str, Any]] = []
    for element, text in envelope.parameters:
        if text is None:
            continue
        name = xml_names.plain(element)
        parameter = operation.by_name.get(name.lower())
        if parameter is None or parameter.type not in ("text", "choice"):
            text = text.strip()
        if parameter is not None and parameter.type == "date":
            text = _without_zone(text)
        pairs.append((name, text))
    return pairs


def _without_zone(text: str) -> str:
    """Return an XSD date without its time zone, which clients in Java and .NET write. The day stays as written."""
    if text.endswith("Z"):
        return text[:-1]
    return text[:-6] if len(text) == 16 and text[10] in "+-" and text[13] == ":" else text


def sample_envelope(
    operation: Operation, pairs: list[tuple[str, str]], version_namespace: str = xml_names.ENVELOPE_11
) -> str:
    """Return an envelope that calls the operation with the given parameters, indented for reading."""
    order = {parameter.lower: index for index, parameter in enumerate(operation.parameters)}
    pairs = sorted(pairs, key=lambda pair: order.get(pair[0].lower(), len(order)))
    name = xml_names.operation(operation.code)
    lines = [
        f"      <m:{xml_names.element(parameter)}>{escape(value)}</m:{xml_names.element(parameter)}>"
        for parameter, value in pairs
    ]
    return "\n".join(
        (
            f'<soap:Envelope xmlns:soap="{version_namespace}">',
            "  <soap:Body>",
            f'    <m:{name} xmlns:m="{xml_names.namespace(operation.agency, operation.service)}">',
            *lines,
            f"    </m:{name}>",
            "  </soap:Body>",
            "</soap:Envelope>",
        )
    )
