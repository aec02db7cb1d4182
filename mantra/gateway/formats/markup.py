"""The common part of the XML formats: names as tags, well-formed text, columns escaped at once."""

from __future__ import annotations

import re

from mantra.gateway.formats.values import Values

_START = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
#: A Name of XML 1.0, fifth edition, without the colon, which is reserved for namespaces.
_TAG = re.compile(f"[{_START}][{_START}\\-.0-9\xb7\u0300-\u036f\u203f-\u2040]*")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r")


def is_tag(name: str) -> bool:
    """Return True if a name can be a tag."""
    return _TAG.fullmatch(name) is not None


def escape(text: str) -> str:
    """Return text as character data. A carriage return becomes a reference: a parser would read it as a line feed."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def attribute(text: str) -> str:
    """Return text as the content of a double-quoted attribute."""
    return escape(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def escape_column(values: Values) -> Values:
    """Return the escaped texts of a column of str."""
    joined = "\0".join(values)
    escaped = escape(joined)
    if len(escaped) == len(joined):
        return values
    parts = escaped.split("\0")
    return parts if len(parts) == len(values) else [escape(value) for value in values]


def utf8(text: str) -> bytes:
    """Return finished XML in UTF-8. Characters that XML 1.0 does not allow become U+FFFD."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return _ILLEGAL.sub("\ufffd", text).encode()
    if len(encoded.translate(None, _CONTROLS)) == len(encoded) and b"\xef\xbf" not in encoded:
        return encoded
    return _ILLEGAL.sub("\ufffd", text).encode()
