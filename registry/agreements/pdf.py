"""The check of a PDF: no scripts, launch actions, embedded files or multimedia, and nothing hidden by a password.

It trusts no structure: readers differ in what they accept as one, and a file could show each of them another. Names of
what is refused are looked for in all of the file, in everything that may be an object, and in what each stream contains
after its filters. A file in which such a name could be hidden from this check is refused too (ISO 32000-2: 7.3.5 names,
7.4 filters, 7.5.7 object streams, 12.6.4 actions).
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.utils.translation import gettext_lazy as _

from registry.agreements.budget import UNREADABLE, Budget
from registry.agreements.errors import Refused
from registry.agreements.pdf_objects import STEP, PdfObject, objects, plain

#: Bytes that are read and unpacked in all streams together, and filters of one stream.
MAX_WORK, MAX_FILTERS = 200_000_000, 4
#: Bytes of compressed data that are read at a time, those of zlib's header, and what a try costs.
_PIECE, _HEADER, _TRY = 16_384, 2, 2_000
#: Bytes of output for one piece: zlib gives at most 1032 for each.
_MAX_OUTPUT = 17_000_000

_ACTIVE = _("This PDF has scripts, actions, multimedia or embedded files. Print it to a PDF again, or scan it.")
_LOCKED = _("This PDF has a password. Remove it, and upload the file again.")


def _names(*words: bytes) -> re.Pattern[bytes]:
    """Return what finds these names: each ends with a delimiter, white space or the text."""
    return re.compile(rb"/(?:" + b"|".join(words) + rb")(?=[\x00\t\n\f\r ()<>\[\]{}/%]|$)")


_LONG = (
    b"JavaScript", b"Launch", b"EmbeddedFiles?", rb"RichMedia\w*", b"SubmitForm", b"ImportData", b"Rendition", b"XFA",
    b"GoToE", b"GoToR", b"Movie", b"Sound", b"Collection",
)  # fmt: skip
#: Names that are refused: in binary data, where few letters occur by chance, and elsewhere.
_REFUSED_ANYWHERE = _names(*_LONG)
_REFUSED = _names(*_LONG, b"JS", b"3D")
_PASSWORD = _names(b"Encrypt")

#: Filters that are not undone here. Programs of this century do not write them.
_STRANGE_FILTERS = (b"/LZWDecode", b"/LZW", b"/RunLengthDecode", b"/RL", b"/Crypt")
#: Entries of a stream that say how its data is packed, and those only object streams have of these.
_FILTER, _PARAMETERS, _OBJECT_STREAM = (b"/Filter", b"/F"), (b"/DecodeParms", b"/DP"), b"/First"
_END_OF_HEX, _END_OF_BASE85 = re.compile(rb">"), re.compile(rb"~")
_NUMBERS = re.compile(rb"[\x00\t\n\f\r ]*\d+[\x00\t\n\f\r ]+\d")


def check(content: bytes) -> None:
    """Check a PDF. Raises Refused."""
    if b"%%EOF" not in content[-2048:]:
        raise Refused(UNREADABLE)
    _refuse(_REFUSED_ANYWHERE, plain(content), _ACTIVE)
    _refuse(_PASSWORD, plain(content), _LOCKED)
    budget = Budget(MAX_WORK)
    for each in objects(content, budget):
        _refuse(_REFUSED, b" ".join(each.tokens), _ACTIVE)
        if each.data is not None:
            _check_stream(each, memoryview(content)[each.data :], budget)


def _refuse(pattern: re.Pattern[bytes], names: bytes, message: object) -> None:
    if pattern.search(names):
        raise Refused(message)


def _check_stream(stream: PdfObject, data: memoryview, budget: Budget) -> None:
    """Check a stream: what its filters leave of it, and what is there if it is compressed without saying so."""
    if stream.has(*_STRANGE_FILTERS):
        raise Refused(UNREADABLE)
    filters = [name for entry in _FILTER for name in stream.values_of(entry)]
    if len(filters) > MAX_FILTERS or not all(name.startswith(b"/") for name in filters if name != b"null"):
        raise Refused(UNREADABLE)  # it is said elsewhere
    undeclared = () if filters and filters[0] in _DEFLATED else _inflated(data, budget)
    for text in (*undeclared, *_unpacked(filters, data, budget)):
        _refuse(_REFUSED, plain(text), _ACTIVE)
    if stream.has(_OBJECT_STREAM):
        _check_object_stream(stream, filters, data, budget)


def _check_object_stream(stream: PdfObject, filters: list[bytes], data: memoryview, budget: Budget) -> None:
    """Check that the objects of an object stream were read: they begin with numbers. Raises Refused."""
    if stream.has(*_PARAMETERS) or not all(name in _UNDO for name in filters):
        raise Refused(UNREADABLE)
    *_others, last = (bytes(data[:200]), *_unpacked(filters, data, budget))
    if not _NUMBERS.match(last):
        raise Refused(UNREADABLE)


def _unpacked(filters: list[bytes], data: memoryview, budget: Budget) -> Iterator[bytes]:
    """Yield what each filter leaves of a stream, up to one of pictures. Raises Refused."""
    for name in filters:
        undo = _UNDO.get(name)
        if undo is None:
            return
        text = undo(data, budget)
        yield text
        data = memoryview(text)


def _inflated(data: memoryview, budget: Budget) -> Iterator[bytes]:
    """Yield the output of zlib, if the data begins like its input."""
    if len(data) >= 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0:
        yield _inflate(data, budget)


def _inflate(data: memoryview, budget: Budget) -> bytes:
    """Return the output of zlib, or what there is of it before an error, as readers show it. Raises Refused."""
    inflate, result = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()  # few readers look at the checksum
    for place in range(_HEADER, len(data), _PIECE):
        before, piece = inflate.copy(), data[place : place + _PIECE]
        try:
            output = inflate.decompress(piece, _MAX_OUTPUT)
        except zlib.error:
            budget.spend(_TRY)
            result += b"".join(_before_error(before, piece, budget))
            break
        budget.spend(_TRY + len(piece) - len(inflate.unused_data) + len(output))
        result += output
        if inflate.eof:
            break
    return bytes(result)


def _before_error(inflate: Any, piece: memoryview, budget: Budget) -> Iterator[bytes]:
    """Yield the output up to the byte at which zlib fails."""
    with suppress(zlib.error):
        for place in range(len(piece)):
            budget.spend(STEP)
            yield inflate.decompress(piece[place : place + 1])


def _until(end: re.Pattern[bytes], data: memoryview, budget: Budget) -> bytes:
    """Return the data before its end."""
    found = end.search(data)
    size = found.start() if found else len(data)
    budget.spend(size)
    return bytes(data[:size])


def _from_hex(data: memoryview, budget: Budget) -> bytes:
    """Return the bytes of hexadecimal digits. Readers ignore what is between them."""
    digits = re.sub(rb"[^0-9A-Fa-f]", b"", _until(_END_OF_HEX, data, budget))
    return binascii.unhexlify(digits + b"0" * (len(digits) % 2))


def _from_base85(data: memoryview, budget: Budget) -> bytes:
    """Return the bytes of a text in base 85. Readers differ in what they make of others. Raises Refused."""
    begin = 2 if bytes(data[:2]) == b"<~" else 0
    text = _until(_END_OF_BASE85, data[begin:], budget)
    try:
        return base64.a85decode(text, ignorechars=b" \t\n\r\v\f\0")
    except ValueError:
        raise Refused(UNREADABLE) from None


_DEFLATED = (b"/FlateDecode", b"/Fl")
#: Filter → what undoes it.
_UNDO: dict[bytes, Callable[[memoryview, Budget], bytes]] = {
    **dict.fromkeys(_DEFLATED, _inflate), b"/ASCIIHexDecode": _from_hex, b"/AHx": _from_hex,
    b"/ASCII85Decode": _from_base85, b"/A85": _from_base85,
}  # fmt: skip
