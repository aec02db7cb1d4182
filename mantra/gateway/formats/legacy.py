"""The three response formats of MANTRA 1.99y, as PHP wrote them (no line break at the end): JSON and PHP byte for byte.

1.99y changed the white space of its XML, also in values. Here a value keeps its own.

``{"response": {"status": 1, "code": 200, "message": "OK", "data": {"<operation>": rows}}}``: in the operation's key
a space, ``.``, ``-`` and ``:`` become ``_``; every value of a row is a string or null. Text is written as the source
wrote it, whatever its column's type. Of other values, booleans are "1" and "0", and a date and its time have a space
between them. Bytes are unchanged in serialize(); in JSON and XML they are the text if they are UTF-8, else null.

A fault has status 0, a code, a message and data "". The response of a writing operation is one row with the column
``affected``. A document that has the envelope already is written unchanged, any other becomes ``data``. These formats
cannot express ``truncated``. A result without rows is a fault on this wire, which the protocol handler raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from mantra.gateway.formats.markup import attribute, escape, escape_column, is_tag, utf8
from mantra.gateway.formats.php import MAX_INTEGER, MIN_INTEGER, float_text, serialize
from mantra.gateway.formats.php import STYLE as PHP_STYLE
from mantra.gateway.formats.php_serialize import RowSerializer, spooled
from mantra.gateway.formats.values import (
    Style,
    Values,
    batches_ahead,
    canonical,
    clean,
    columns_of,
    text_column,
    text_of,
    unique_names,
    weave,
)
from registry import faults, results
from registry.results import Affected, Column, Document, Row, Rows

STYLE = Style(true="1", false="0", separator=" ", clock=True)
MEDIA_TYPE = "text/plain;charset=UTF-8"
_KEY = str.maketrans(" .-:", "____")


@lru_cache(4096)
def operation_key(name: str) -> str:
    """Return the key of an operation's rows in the envelope."""
    return clean(name).translate(_KEY)


def _envelope(status: int, code: int, message: str, data: Any) -> dict[str, Any]:
    return {"response": {"status": status, "code": code, "message": message, "data": data}}


_TEXTUAL = {str, type(None)}
_BYTES = {bytes, bytearray, memoryview}


def written_column(values: Values, kind: str | None, style: Style) -> Values:
    """Return the texts of a column's values. None stays None, bytes stay bytes."""
    types = set(map(type, values))
    if types <= _TEXTUAL:
        return values
    if types.isdisjoint(_BYTES) and str not in types:
        return text_column(values, kind, style)
    return [_written(value, kind, style) for value in values]


def _written(value: Any, kind: str | None, style: Style) -> Any:
    if value is None or isinstance(value, str):
        return value
    return bytes(value) if type(value) in _BYTES else text_of(canonical(value, kind, style), style)


def _text_column(values: Values, kind: str | None) -> Values:
    """Return the texts of a column's values for a format without bytes. None stays None."""
    texts = written_column(values, kind, STYLE)
    if bytes not in set(map(type, texts)):
        return texts
    return [_utf8_or_none(text) if isinstance(text, bytes) else text for text in texts]


def _utf8_or_none(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _affected(affected: Affected, operation_name: str) -> dict[str, Any]:
    row = {"affected": str(affected.count) if affected.count >= 0 else None}
    return _envelope(1, 200, "OK", {operation_key(operation_name): [row]})


def _enveloped(document: Document) -> Any:
    value = _with_lists(canonical(_php_numbers(document.value), None, PHP_STYLE))
    return value if document.enveloped else _envelope(1, 200, "OK", value)


def _php_numbers(value: Any) -> Any:
    """Return the value with its numbers as PHP reads them: a decimal, or an integer beyond 64 bits, is a float."""
    if isinstance(value, Mapping):
        return {name: _php_numbers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_php_numbers(item) for item in value]
    if isinstance(value, Decimal) or (isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER):
        number = float(value)
        return number if math.isfinite(number) else str(value)
    return value


def _with_lists(value: Any) -> Any:
    """Return the value with each dict with the keys "0", "1", … as the list that PHP would read."""
    if isinstance(value, dict):
        items = [_with_lists(member) for member in value.values()]
        if value and list(value) == [str(index) for index in range(len(value))]:
            return items
        return dict(zip(value, items, strict=True))
    return [_with_lists(item) for item in value] if isinstance(value, list) else value


# JSON


def json_string(text: str) -> str:
    """Return a JSON string as PHP's json_encode() writes it: ASCII, with ``/`` escaped, but U+007F unescaped."""
    if "\x7f" in text:
        return '"' + "\x7f".join(json_string(part)[1:-1] for part in text.split("\x7f")) + '"'
    return encode_basestring_ascii(clean(text)).replace("/", "\\/")


_name = lru_cache(4096)(json_string)


def _json_value(value: Any, indent: str) -> str:
    if isinstance(value, str):
        return json_string(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return float_text(value).replace("E", "e")
    pairs = enumerate(value) if isinstance(value, list) else value.items()
    deeper = indent + "    "
    lines = [f"\n{deeper}{json_string(str(name))}: {_json_value(member, deeper)}" for name, member in pairs]
    return "{" + ",".join(lines) + f"\n{indent}}}" if lines else "{}"


def _json_strings(values: Values) -> Sequence[str]:
    joined = "\0".join(values)
    if "\x7f" not in joined:
        parts = encode_basestring_ascii(clean(joined))[1:-1].replace("/", "\\/").split("\\u0000")
        if len(parts) == len(values):
            return [f'"{part}"' for part in parts]
    return [json_string(value) for value in values]


_ROW = " " * 16
_CELL = " " * 20


class JsonRows:
    """Writes batches of rows as ``"0": {…},\\n"1": {…}``, numbered over all batches."""

    __slots__ = ("count", "kinds", "names")

    def __init__(self, columns: Sequence[Column]) -> None:
        self.kinds = [column.type for column in columns]
        self.names = [_name(name) for name in unique_names(columns)]
        self.count = 0

    def write(self, batch: list[Row]) -> str:
        if not batch:
            return ""
        numbers = [str(number) for number in range(self.count, self.count + len(batch))]
        pieces = [f',\n{_ROW}"', '": {']
        cells: list[Sequence[str]] = [numbers]
        comma = "\n"
        for values, kind, name in zip(columns_of(batch), self.kinds, self.names, strict=True):
            pieces[-1] += f"{comma}{_CELL}{name}: "
            pieces.append("")
            cells.append(self._cells(values, kind))
            comma = ",\n"
        pieces[-1] += f"\n{_ROW}}}"
        text = weave(pieces, cells, len(batch))
        first, self.count = not self.count, self.count + len(batch)
        return text[1:] if first else text

    def _cells(self, values: Values, kind: str | None) -> Sequence[str]:
        texts = _text_column(values, kind)
        if None in texts:
            return ["null" if text is None else json_string(text) for text in texts]
        return _json_strings(texts)


@lru_cache(4096)
def _json_frame(operation: str) -> tuple[str, str]:
    """Return the texts before and after the braces of the rows."""
    before, _, after = _json_value(_envelope(1, 200, "OK", {operation: {}}), "").rpartition("{}")
    return before, after


class LegacyJson:
    name = "legacy_json"
    media_type = MEDIA_TYPE
    suffix = ""

    def render(self, rows: Rows, operation_name: str) -> Iterator[bytes]:
        writer = JsonRows(rows.columns)
        before, after = _json_frame(operation_key(operation_name))
        lead = before + "{"
        for batch, last in batches_ahead(rows.batches):
            text = lead + writer.write(batch)
            lead = ""
            if last:
                text += f"\n{' ' * 12}}}{after}" if writer.count else "}" + after
            yield text.encode()

    def render_fault(self, code: int, message: str) -> bytes:
        return _json_value(_envelope(0, code, message, ""), "").encode()

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        return _json_value(_affected(affected, operation_name), "").encode()

    def render_document(self, document: Document) -> bytes:
        return _json_value(_enveloped(document), "").encode()


# XML


@lru_cache(4096)
def tag(name: str) -> str:
    """Return the name of a column or member as a tag. Raises Fault if it cannot be one."""
    tag_name = name.replace(" ", "_")
    if not is_tag(tag_name):
        raise results.Fault(faults.TAG_IMPOSSIBLE, column=clean(name))
    return tag_name


def _member_tag(name: str) -> str:
    """Return the name of a document's member as a tag: what was read from XML may have a prefix. Raises Fault."""
    prefix, colon, local = name.partition(":")
    return f"{tag(prefix)}:{tag(local)}" if colon else tag(name)


def _xml_lines(name: str, value: Any, indent: str, lines: list[str]) -> None:
    tag_name = _member_tag(name)
    if isinstance(value, list) and value:
        for item in value:
            # A list in a list has no name but its parent's.
            _xml_lines(name, {name: item} if isinstance(item, list) else item, indent, lines)
        return
    start = tag_name
    if isinstance(value, dict):
        attributes, text, value = _xml_parts(value)
        start += attributes
    else:
        text, value = escape(_xml_text(value)), {}
    if not value:
        lines.append(f"{indent}<{start}>{text}</{tag_name}>")
        return
    lines.append(f"{indent}<{start}>{text}")
    for member_name, member in value.items():
        _xml_lines(member_name, member, indent + "  ", lines)
    lines.append(f"{indent}</{tag_name}>")


def _xml_parts(members: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Return an element's attributes and text as XML, and its children: 1.99x writes back what it read from XML."""
    if not any(name.startswith("@") for name in members):
        return "", "", members
    children = dict(members)
    listed, text, section = (children.pop(name, None) for name in ("@attributes", "@value", "@cdata"))
    pairs = listed.items() if isinstance(listed, dict) else ()
    attributes = "".join(f' {_member_tag(name)}="{attribute(_xml_text(value))}"' for name, value in pairs)
    written = escape(_xml_text(text))
    if section is not None:
        written += f"<![CDATA[{_xml_text(section).replace(']]>', ']]]]><![CDATA[>')}]]>"
    return attributes, written, children


def _xml_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    return str(value) if isinstance(value, (str, int)) else ""


_XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


def _xml(envelope: dict[str, Any]) -> bytes:
    lines: list[str] = []
    _xml_lines("response", envelope["response"], "", lines)
    return utf8(_XML_HEAD + "\n".join(lines))


class XmlRows:
    """Writes batches of rows as elements named after the operation."""

    __slots__ = ("columns", "element", "tags")

    def __init__(self, columns: Sequence[Column], operation_name: str) -> None:
        self.columns = columns
        self.element = tag(operation_key(operation_name))
        self.tags = [tag(name) for name in unique_names(columns)]

    def write(self, batch: list[Row]) -> str:
        if not batch:
            return ""
        pieces = [f"    <{self.element}>\n"]
        cells: list[Sequence[str]] = []
        for values, column, name in zip(columns_of(batch), self.columns, self.tags, strict=True):
            texts = _text_column(values, column.type)
            pieces[-1] += f"      <{name}>"
            pieces.append(f"</{name}>\n")
            cells.append(escape_column(["" if text is None else text for text in texts] if None in texts else texts))
        pieces[-1] += f"    </{self.element}>\n"
        return weave(pieces, cells, len(batch))


_XML_BEFORE = _xml(_envelope(1, 200, "OK", "")).decode().removesuffix("</data>\n</response>") + "\n"


class LegacyXml:
    name = "legacy_xml"
    media_type = MEDIA_TYPE
    suffix = ""

    def render(self, rows: Rows, operation_name: str) -> Iterator[bytes]:
        writer = XmlRows(rows.columns, operation_name)
        lead = _XML_BEFORE
        for batch, last in batches_ahead(rows.batches):
            text = lead + (writer.write(batch) or f"    <{writer.element}></{writer.element}>\n")
            lead = ""
            yield utf8(text + "  </data>\n</response>" if last else text)

    def render_fault(self, code: int, message: str) -> bytes:
        return _xml(_envelope(0, code, message, ""))

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        return _xml(_affected(affected, operation_name))

    def render_document(self, document: Document) -> bytes:
        return _xml(_enveloped(document))


# PHP serialize()


@lru_cache(4096)
def _php_frame(operation: str) -> tuple[bytes, bytes]:
    before, _, after = serialize(_envelope(1, 200, "OK", {operation: None})).rpartition("N;")
    return before.encode(), after.encode()


class LegacyPhp:
    name = "legacy_php"
    media_type = MEDIA_TYPE
    suffix = ""

    def render(self, rows: Rows, operation_name: str) -> Iterator[bytes]:
        writer = RowSerializer(rows.columns, STYLE, written_column)
        before, after = _php_frame(operation_key(operation_name))
        return spooled(rows, writer, before, lambda: after)

    def render_fault(self, code: int, message: str) -> bytes:
        return serialize(_envelope(0, code, message, "")).encode()

    def render_affected(self, affected: Affected, operation_name: str = "") -> bytes:
        return serialize(_affected(affected, operation_name)).encode()

    def render_document(self, document: Document) -> bytes:
        return serialize(_enveloped(document)).encode()


JSON = LegacyJson()
XML = LegacyXml()
PHP = LegacyPhp()
