"""Envelopes that come in parts: MTOM (XOP 1.0) and SOAP with attachments, both multipart/related (RFC 2387)."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from proxyservices.decoders import xml
from proxyservices.decoders.charset import charset_of
from proxyservices.decoders.limits import MAX_BYTES, DecodeError

#: The most parts of a body, and the most bytes of a part's headers.
MAX_PARTS, MAX_HEADERS = 100, 8192
_INCLUDE = "{http://www.w3.org/2004/08/xop/include}Include"
_PARAMETER = r""";\s*{}\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]+))"""
_BOUNDARY = re.compile(_PARAMETER.format("boundary"), re.IGNORECASE)
_START = re.compile(_PARAMETER.format("start"), re.IGNORECASE)
_HEADERS_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class _Part:
    content_id: str
    content_type: str
    content: bytes


def is_multipart(content_type: str) -> bool:
    """Return True if a Content-Type names a multipart/related body."""
    return content_type.partition(";")[0].strip().lower() == "multipart/related"


def parse_envelope(body: bytes, content_type: str) -> Any:
    """Return the root element of a document, the parts of which are in it as base64. Raises DecodeError."""
    if not is_multipart(content_type):
        return xml.parse(body, charset_of(content_type))
    parts = _parts(body, content_type)
    start = _parameter(_START, content_type).strip("<>")
    root_part = next((part for part in parts if start and part.content_id == start), parts[0])
    root = xml.parse(root_part.content, charset_of(root_part.content_type))
    _resolve(root, {part.content_id: part.content for part in parts if part is not root_part})
    return root


def _parameter(pattern: re.Pattern[str], content_type: str) -> str:
    found = pattern.search(content_type)
    return re.sub(r"\\(.)", r"\1", found[1] or found[2] or "") if found is not None else ""


def _parts(body: bytes, content_type: str) -> list[_Part]:
    """Return the parts of a body, at least one. Raises DecodeError."""
    boundary = _parameter(_BOUNDARY, content_type)
    if not boundary or len(boundary) > 70 or not boundary.isascii():
        raise DecodeError("multipart")
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    parts: list[_Part] = []
    begin = -1
    for found in delimiter.finditer(body):
        if begin >= 0:
            parts.append(_part(body[begin : found.start()]))
        if found[1]:
            break
        if len(parts) >= MAX_PARTS:
            raise DecodeError("size")
        begin = found.end()
    else:
        raise DecodeError("multipart")  # its end did not come
    if not parts:
        raise DecodeError("multipart")
    return parts


def _part(raw: bytes) -> _Part:
    # The delimiter's line break is still before the headers, so that a part without any begins with two.
    end = _HEADERS_END.search(raw, 0, MAX_HEADERS)
    if end is None:
        raise DecodeError("multipart")
    headers: dict[str, str] = {}
    for line in re.sub(rb"\r?\n[ \t]+", b" ", raw[: end.start()]).splitlines():
        name, _colon, value = line.decode("latin-1").partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    encoding = headers.get("content-transfer-encoding", "").lower()
    content_id = headers.get("content-id", "").strip("<>")
    return _Part(content_id, headers.get("content-type", ""), _plain(raw[end.end() :], encoding))


def _plain(content: bytes, encoding: str) -> bytes:
    """Return a part's content without its Content-Transfer-Encoding. Raises DecodeError."""
    if encoding in ("", "7bit", "8bit", "binary"):
        return content
    try:
        if encoding == "base64":
            return base64.b64decode(content)
        if encoding == "quoted-printable":
            return quopri.decodestring(content)
    except binascii.Error:
        pass
    raise DecodeError("encoding")


def _resolve(root: Any, contents: dict[str, bytes]) -> None:
    """Replace each reference to a part by its content as base64. Raises DecodeError for a part that is not there.

    All references together may include at most MAX_BYTES: each of them could name the same large part.
    """
    included = 0
    for element in list(root.iter()):
        href = element.get("href", "") if isinstance(element.tag, str) else ""
        if not href.lower().startswith("cid:"):
            continue
        content = contents.get(unquote(href[4:]))
        if content is None:
            raise DecodeError("multipart")
        included += len(content)
        if included > MAX_BYTES:
            raise DecodeError("size")
        if element.tag == _INCLUDE:
            parent = element.getparent()
            if parent is None:
                raise DecodeError("multipart")
            parent.remove(element)
            element = parent
        else:
            del element.attrib["href"]  # SOAP with attachments has the reference at the element itself
        element.text = base64.b64encode(content).decode()
