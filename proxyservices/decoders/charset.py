"""The text of a body: by its byte order mark, else the charset of its Content-Type, else its own declaration."""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases

from proxyservices.decoders.limits import DecodeError

#: The longest by which a longer mark cannot be taken for a shorter one.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf_32_le"), (codecs.BOM_UTF32_BE, "utf_32_be"), (codecs.BOM_UTF8, "utf_8"),
    (codecs.BOM_UTF16_LE, "utf_16_le"), (codecs.BOM_UTF16_BE, "utf_16_be"),
)  # fmt: skip
#: Codecs of Python that are no charset, or whose text another reader could read otherwise (UTF-7).
_NO_CHARSETS = frozenset((
    "base64_codec", "bz2_codec", "hex_codec", "mbcs", "oem", "quopri_codec", "rot_13", "tactis", "utf_7", "uu_codec",
    "zlib_codec",
))  # fmt: skip
#: Further names of IANA, and names that servers in use write, as _normal() writes them.
_MORE = {
    "utf8mb3": "utf_8", "utf8mb4": "utf_8", "unicode11utf8": "utf_8", "unicode20utf8": "utf_8",
    "unicode": "utf_16", "csunicode": "utf_16", "ucs2": "utf_16", "iso10646ucs2": "utf_16", "unicodefffe": "utf_16_be",
    "ucs4": "utf_32", "iso10646ucs4": "utf_32",
    "windows874": "cp874", "dos874": "cp874", "windows31j": "cp932", "windows949": "cp949", "windows936": "gbk",
    "iso88596e": "iso8859_6", "iso88596i": "iso8859_6", "iso88598e": "iso8859_8", "iso88598i": "iso8859_8",
    "csisolatin9": "iso8859_15", "koi8": "koi8_r", "koi8u": "koi8_u", "koi8ru": "koi8_u", "mac": "mac_roman",
    "csgb2312": "gb2312", "cnbig5": "big5", "cseuckr": "euc_kr", "csksc56011987": "euc_kr", "cp720": "cp720",
    "cp737": "cp737",
}  # fmt: skip
_PARAMETER = re.compile(r""";\s*charset\s*=\s*["']?([^"';,\s]{1,60})""", re.IGNORECASE)
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_XML_DECLARATION = re.compile(rb"""\s*<\?xml\s[^>]{0,300}?encoding\s*=\s*["']([^"']{1,60})["']""")
_MAX_DECLARATION = 512


def _normal(name: str) -> str:
    """Return a name without its separators, which servers write at will, and without the prefix x-."""
    return _SEPARATORS.sub("", name.lower()).removeprefix("x")


#: Names of charsets, as _normal() writes them → Python's codecs. A fixed table: codecs.lookup() stores every name that
#: it is asked for, so that an upstream with ever new names would fill the memory.
_CODECS = {
    **{_normal(codec): codec for codec in aliases.values() if codec not in _NO_CHARSETS},
    **{_normal(name): codec for name, codec in aliases.items() if codec not in _NO_CHARSETS},
    **_MORE,
}


def charset_of(content_type: str) -> str:
    """Return the charset parameter of a Content-Type; "" without one."""
    parameter = _PARAMETER.search(content_type)
    return parameter[1] if parameter is not None else ""


def text_of(body: bytes, charset: str, xml: bool = False) -> str:
    """Return a body as text, without its byte order mark. Raises DecodeError.

    A mark comes before the ``charset`` of the Content-Type, and this before an XML declaration (RFC 7303, 3). A body
    with none of them is UTF-8.
    """
    codec, start = _codec(body, charset, xml)
    try:
        return str(body[start:] if start else body, codec)
    except (UnicodeError, LookupError):
        raise DecodeError("encoding") from None


def as_utf8(body: bytes, charset: str, xml: bool = False) -> bytes:
    """Return a body in UTF-8, without its byte order mark: unchanged and unchecked if it is. Raises DecodeError."""
    codec, start = _codec(body, charset, xml)
    if codec in ("utf_8", "ascii"):
        return body[start:] if start else body
    return text_of(body, charset, xml).encode("utf-8", "surrogatepass")


def beginning(body: bytes, charset: str) -> str:
    """Return the first characters of a body, without its mark and blanks, to tell its format. Raises DecodeError."""
    codec, start = _codec(body, charset, xml=True)
    return str(body[start : start + _MAX_DECLARATION], codec, "ignore").lstrip()


def codec_of(charset: str) -> str:
    """Return Python's codec of a charset, UTF-8 without one. Raises DecodeError."""
    codec = _CODECS.get(_normal(charset)) if charset else "utf_8"
    if codec is None:
        raise DecodeError("encoding")
    return codec


def _codec(body: bytes, charset: str, xml: bool) -> tuple[str, int]:
    """Return the codec of a body, and the length of its byte order mark."""
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return codec, len(mark)
    return _with_byte_order(codec_of(charset or (_declared(body) if xml else "")), body), 0


def _declared(body: bytes) -> str:
    """Return the encoding of an XML document by its first bytes and its declaration (XML 1.0, F.1)."""
    start = body[:4]
    if start.startswith(b"\0<") or start == b"<\0?\0":
        return "utf-16"
    declaration = _XML_DECLARATION.match(body[:_MAX_DECLARATION])
    if declaration is None:
        return ""
    name = declaration[1].decode("latin-1")
    # A document whose declaration can be read byte by byte is in no encoding of two bytes, whatever it says.
    return "" if _normal(name).startswith(("utf16", "utf32", "ucs", "iso10646")) else name


def _with_byte_order(codec: str, body: bytes) -> str:
    """Return the codec with the byte order of a body without a mark: big-endian, unless it begins otherwise."""
    if codec not in ("utf_16", "utf_32"):
        return codec
    little = body[:1] != b"\0" and body[1:2] == b"\0"
    return f"{codec}_le" if little else f"{codec}_be"
