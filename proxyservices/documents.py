"""Reads what upstreams answer: JSON, XML, PHP's serialize(), CSV, JSON lines. Bounded, and never more than data."""

from __future__ import annotations

import csv
import json
import math
import re
import zlib
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from typing import Any

from lxml import etree

#: Bytes of a document that is parsed, its levels, and its parts: what is parsed takes many times its size.
MOST_BYTES = 32 * 1024 * 1024
MOST_LEVELS = 100
MOST_PARTS = 2_000_000
#: Cells of a table that is made of records: those that share no name would make one as wide as it is long.
MOST_CELLS = 5_000_000

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


class Unreadable(ValueError):
    """It is not what it says it is, or is out of bounds."""


class Table:
    """Rows as CSV or JSON lines bring them."""

    __slots__ = ("names", "rows")

    def __init__(self, names: list[str], rows: list[tuple[Any, ...]]) -> None:
        self.names = names
        self.rows = rows


def inflate(body: bytes, encoding: str, most: int) -> bytes:
    """The body without its Content-Encoding, of at most ``most`` bytes. Raises Unreadable."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Unreadable("encoding")
    worker = zlib.decompressobj(47)  # gzip or zlib, whichever it is
    try:
        plain = worker.decompress(body, most + 1)
    except zlib.error:
        raise Unreadable("encoding") from None
    if len(plain) > most or not worker.eof:
        raise Unreadable("encoding")
    return plain


def _bounded(body: bytes, *marks: bytes) -> None:
    if len(body) > MOST_BYTES or sum(map(body.count, marks)) > MOST_PARTS:
        raise Unreadable("size")


# --------------------------------------------------------------------------------------------- JSON


def from_json(body: bytes) -> Any:
    """Decimals keep their digits. Raises Unreadable."""
    _bounded(body, b",", b"[", b"{")
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_float=_decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Unreadable("json") from None
    _shallow(value)
    return value


def _decimal(text: str) -> Any:
    if "e" not in text and "E" not in text:
        return Decimal(text)
    value = float(text)  # written out, a few digits of exponent would be megabytes of zeros
    if not math.isfinite(value):
        raise Unreadable("json")
    return value


def _no_constant(text: str) -> Any:
    raise Unreadable("json")


def _shallow(value: Any) -> None:
    """Refuse what nests too deep for those who walk through it."""
    level = [value]
    for _depth in range(MOST_LEVELS):
        level = [
            each
            for outer in level
            for each in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(each, (dict, list))
        ]
        if not level:
            return
    raise Unreadable("depth")


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


# ------------------------------------------------------------------------------------ PHP serialize()

_SCALAR = re.compile(rb"(?:N|b:([01])|i:([+-]?[0-9]{1,20})|d:([^;]{1,400}));")
_SIZED = re.compile(rb"([sa]):([0-9]{1,9}):([\"{])")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def from_php(body: bytes) -> Any:
    """Arrays, texts, numbers, booleans and null; no objects, no references. Raises Unreadable."""
    _bounded(body, b";", b"{")
    value, end = _php(body, 0, MOST_LEVELS)
    if body[end:].strip():
        raise Unreadable("php")
    return value


def _php(body: bytes, at: int, levels: int) -> tuple[Any, int]:
    found = _SCALAR.match(body, at)
    if found is not None:
        boolean, whole, real = found.groups()
        if boolean is not None:
            return boolean == b"1", found.end()
        if whole is not None:
            return int(whole), found.end()
        return (None if real is None else _real(real.decode("latin-1"))), found.end()
    sized = _SIZED.match(body, at)
    if sized is None:
        raise Unreadable("php")
    kind, size, at = sized[1], int(sized[2]), sized.end()
    if kind == b"s":
        return _php_text(body, at, size) if sized[3] == b'"' else _unreadable()
    return _php_array(body, at, size, levels) if sized[3] == b"{" else _unreadable()


def _unreadable() -> Any:
    raise Unreadable("php")


def _php_text(body: bytes, at: int, size: int) -> tuple[str, int]:
    end = at + size
    if body[end : end + 2] != b'";':
        raise Unreadable("php")
    try:
        return body[at:end].decode(), end + 2
    except UnicodeDecodeError:
        raise Unreadable("php") from None


def _php_array(body: bytes, at: int, size: int, levels: int) -> tuple[Any, int]:
    if not levels:
        raise Unreadable("depth")
    found: dict[Any, Any] = {}
    for _place in range(size):
        if body[at : at + 1] not in (b"i", b"s"):
            raise Unreadable("php")
        key, at = _php(body, at, levels)
        found[key], at = _php(body, at, levels - 1)
    if body[at : at + 1] != b"}" or len(found) != size:
        raise Unreadable("php")
    if list(found) == list(range(size)):
        return list(found.values()), at + 1
    return {str(key): value for key, value in found.items()}, at + 1


def _real(text: str) -> Any:
    if text in ("NAN", "INF", "-INF"):
        return {"NAN": "NaN", "INF": "Infinity", "-INF": "-Infinity"}[text]
    if not _FLOAT.fullmatch(text):
        raise Unreadable("php")
    value = float(text)
    return value if math.isfinite(value) else str(value)


# ------------------------------------------------------------------------------------- tables as text


def from_csv(body: bytes) -> Table:
    """A header row, then rows as long as it; an empty field is null, except where it is quoted in vain."""
    _bounded(body, b",", b"\n", b";")
    try:
        text = body.decode("utf-8-sig")
        reader = csv.reader(StringIO(text, newline=""), strict=True)
        names = next(reader, None)
        if not names or len(set(names)) != len(names) or not all(names):
            raise Unreadable("csv")
        rows = []
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise Unreadable("csv")
            rows.append(tuple(value or None for value in row))
    except (ValueError, csv.Error):
        raise Unreadable("csv") from None
    return Table(names, rows)


def from_ndjson(body: bytes) -> Table:
    """One JSON object a line. Raises Unreadable."""
    return table([from_json(line) for line in body.splitlines() if line.strip()])


def table(records: list[Any]) -> Table:
    """Records as a table: its columns are all names, in the order in which they first come. Raises Unreadable."""
    if not all(isinstance(each, dict) for each in records):
        raise Unreadable("rows")
    names = list(dict.fromkeys(name for each in records for name in each))
    if len(names) * len(records) > MOST_CELLS:
        raise Unreadable("size")
    return Table(names, [tuple(each.get(name) for name in names) for each in records])


# -------------------------------------------------------------------------------------- which it is

READERS: dict[str, Callable[[bytes], Any]] = {
    "json": from_json,
    "xml": from_xml,
    "php": from_php,
    "csv": from_csv,
    "ndjson": from_ndjson,
}
_TYPES = {
    "application/json": "json", "text/json": "json", "application/xml": "xml", "text/xml": "xml", "text/csv": "csv",
    "application/csv": "csv", "application/x-ndjson": "ndjson", "application/ndjson": "ndjson",
    "application/jsonl": "ndjson", "application/vnd.php.serialized": "php", "application/x-php-array": "phpa",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}  # fmt: skip
#: Media types that say nothing: the beginning of the body must.
_VAGUE = frozenset(("", "text/plain", "application/octet-stream", "text/html"))


def kind_of(content_type: str) -> str:
    """The format that a Content-Type names; "" for one that names none, "?" for what the bus does not know."""
    media_type = content_type.partition(";")[0].strip().lower()
    found = _TYPES.get(media_type)
    if found is not None:
        return found
    if media_type.endswith("+json"):
        return "json"
    if media_type.endswith("+xml"):
        return "xml"
    return "" if media_type in _VAGUE else "?"


def is_soap(content_type: str) -> bool:
    """Whether an answer may be a SOAP envelope: its faults come under the statuses of failures."""
    return content_type.partition(";")[0].strip().lower() in ("text/xml", "application/soap+xml")


def read(body: bytes, kind: str) -> Any:
    """A document of a kind; "" is told by how it begins. A Table for CSV and JSON lines. Raises Unreadable."""
    if not body.strip():
        return None
    reader = READERS.get(kind) if kind else _sniffed(body.lstrip()[:5])
    if reader is None:
        raise Unreadable("kind")
    return reader(body)


def _sniffed(start: bytes) -> Callable[[bytes], Any] | None:
    if start[:1] in (b"{", b"["):
        return from_json
    if start == b"<?xml":
        return from_xml
    return from_php if start[:2] in (b"a:", b"s:", b"i:", b"d:", b"b:", b"N;") else None


def read_legacy(body: bytes) -> Any:
    """An answer, told apart by how it begins and ends as the stock client of 1.99x does. Raises Unreadable."""
    text = body.strip()
    if text.startswith(b"{") and text.endswith(b"}"):
        return from_json(text)
    if text.startswith(b"<?xml"):
        return from_xml(text, attributes=False)
    return from_php(text)
