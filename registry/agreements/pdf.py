"""The check of a PDF: no scripts, launch actions, embedded files or multimedia, and nothing hidden by a password.

It trusts no structure: readers differ in what they accept as one, and a file could show each of them another. Names of
what is refused are looked for in all of the file, and in what each stream may contain after its filters. A file in
which such a name could be hidden from this check is refused too (ISO 32000-2: 7.3.5 names, 7.4 filters, 7.5.7 object
streams, 12.6.4 actions).
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from registry.agreements.errors import Refused

#: Bytes that are read and unpacked in all streams together, streams, and layers of compression in one.
MAX_WORK, MAX_STREAMS, MAX_LAYERS = 200_000_000, 20_000, 3
#: Bytes of compressed data that are read at a time.
_PIECE = 16_384
#: Bytes of output for one piece: zlib gives at most 1032 for each.
_MAX_OUTPUT = 17_000_000

_ACTIVE = _("This PDF has scripts, actions, multimedia or embedded files. Print it to a PDF again, or scan it.")
_LOCKED = _("This PDF has a password. Remove it, and upload the file again.")
_UNREADABLE = _("This PDF cannot be checked. Print it to a PDF again, or scan it.")


def _names(*words: bytes) -> re.Pattern[bytes]:
    """Return what finds these names: each ends with a delimiter, white space or the text."""
    return re.compile(rb"/(?:" + b"|".join(words) + rb")(?=[\x00\t\n\f\r ()<>\[\]{}/%]|$)")


_LONG = (b"JavaScript", b"Launch", b"EmbeddedFiles?", rb"RichMedia\w*", b"SubmitForm", b"ImportData", b"Rendition")
#: Names that are refused: in binary data, where few letters occur by chance, and elsewhere.
_REFUSED_ANYWHERE = _names(*_LONG)
_REFUSED = _names(*_LONG, b"JS", b"XFA", b"GoToE", b"GoToR", b"Movie", b"Sound", b"3D", b"Collection")
_PASSWORD = _names(b"Encrypt")
#: Filters that are not undone here. Programs of this century do not write them.
_STRANGE_FILTERS = _names(b"LZWDecode", b"LZW", b"RunLengthDecode", b"RL", b"Crypt")
_INDIRECT_FILTER = re.compile(rb"/Filter[\s\[]*\d+\s+\d+\s+R")
#: An object stream with a predictor, by its type or by the entry that others do not have.
_OBJECTS, _PREDICTOR = re.compile(rb"/ObjStm|/First\s+\d+\s*(?:/|>>)"), re.compile(rb"/Predictor")

_HEX_IN_NAME = re.compile(rb"#([0-9A-Fa-f]{2})")
_STREAM, _END = re.compile(rb"(?<!end)stream\r?\n"), b"endstream"


class _Budget:
    """How much work is left: a small file can hold many gigabytes of zeros, or the same data in many streams."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, size: int) -> None:
        """Take work away. Raises Refused if there is not so much left."""
        self._left -= size
        if self._left < 0:
            raise Refused(_UNREADABLE)


class _Finder:
    """Finds a word from a place on. Places only grow, so that each part of the file is read once."""

    def __init__(self, content: bytes, word: bytes) -> None:
        self._content, self._word, self._found = content, word, -1

    def after(self, place: int) -> int:
        """Return where the word is next, -1 if there is none."""
        if self._found < place:
            self._found = self._content.find(self._word, place)
            self._found = len(self._content) if self._found < 0 else self._found
        return -1 if self._found == len(self._content) else self._found


def check(content: bytes) -> None:
    """Check a PDF. Raises Refused."""
    if b"%%EOF" not in content[-2048:]:
        raise Refused(_UNREADABLE)
    plain = _plain(content)
    _refuse(_REFUSED_ANYWHERE, plain, _ACTIVE)
    streams, budget, before = _Streams(content, plain), _Budget(MAX_WORK), 0
    for number, match in enumerate(_STREAM.finditer(content)):
        _check_structure(content[before : match.start()])
        for text in streams.unpacked(match.end(), budget):
            _refuse(_REFUSED, _plain(text), _ACTIVE)
        before = streams.end(match.end())
        if before < 0 or number > MAX_STREAMS:
            raise Refused(_UNREADABLE)
    _check_structure(content[before:])


def _check_structure(text: bytes) -> None:
    """Check what is between two streams."""
    names = _plain(text)
    _refuse(_PASSWORD, names, _LOCKED)
    _refuse(_STRANGE_FILTERS, names, _UNREADABLE)
    _refuse(_REFUSED, names, _ACTIVE)
    if _INDIRECT_FILTER.search(names) or (_OBJECTS.search(names) and _PREDICTOR.search(names)):
        raise Refused(_UNREADABLE)


def _refuse(pattern: re.Pattern[bytes], names: bytes, message: object) -> None:
    if pattern.search(names):
        raise Refused(message)


def _plain(text: bytes) -> bytes:
    """Return a text with its names as they are read: /J#53 is /JS."""
    return _HEX_IN_NAME.sub(lambda match: bytes((int(match[1], 16),)), text) if b"#" in text else text


@dataclass(frozen=True, slots=True)
class _Wrapper:
    """A filter that writes bytes as letters."""

    name: re.Pattern[bytes]
    end: bytes
    undo: Callable[[bytes], bytes]

    def undone(self, text: bytes) -> bytes:
        """Return the bytes, b"" if the text is not in this form."""
        try:
            return self.undo(text)
        except ValueError:
            return b""


def _from_hex(text: bytes) -> bytes:
    digits = re.sub(rb"\s", b"", text)
    return binascii.unhexlify(digits + b"0" * (len(digits) % 2))


def _from_base85(text: bytes) -> bytes:
    return base64.a85decode(text, ignorechars=b" \t\n\r\v\f\0")


_WRAPPERS = (
    _Wrapper(_names(b"ASCIIHexDecode", b"AHx"), b">", _from_hex),
    _Wrapper(_names(b"ASCII85Decode", b"A85"), b"~>", _from_base85),
)


class _Streams:
    """The streams of a file. Where the data of one ends, readers do not agree: the data itself tells."""

    def __init__(self, content: bytes, plain: bytes) -> None:
        self._content, self._end = content, _Finder(content, _END)
        self._wrappers = [(each, _Finder(content, each.end)) for each in _WRAPPERS if each.name.search(plain)]

    def end(self, begin: int) -> int:
        """Return where the next stream ends, -1 if it does not."""
        return self._end.after(begin)

    def unpacked(self, begin: int, budget: _Budget) -> Iterator[bytes]:
        """Yield what a stream may contain without its filters. Raises Refused."""
        yield from _inflated(memoryview(self._content)[begin:], budget)
        for wrapper, finder in self._wrappers:
            end = finder.after(begin)
            budget.spend(max(end - begin, 0))
            text = wrapper.undone(self._content[begin:end]) if end >= 0 else b""
            yield text
            yield from _inflated(memoryview(text), budget)


def _inflated(data: memoryview, budget: _Budget, layer: int = 1) -> Iterator[bytes]:
    """Yield the output of zlib, if the data begins like its input, and what that is the input of."""
    if len(data) < 2 or data[0] & 0x0F != 8 or (data[0] << 8 | data[1]) % 31:
        return
    if layer > MAX_LAYERS:
        raise Refused(_UNREADABLE)
    text = _inflate(data, budget)
    yield text
    yield from _inflated(memoryview(text), budget, layer + 1)


def _inflate(data: memoryview, budget: _Budget) -> bytes:
    """Return the output of zlib, or what there is of it before an error, as readers show it. Raises Refused."""
    inflate, result = zlib.decompressobj(), bytearray()
    for place in range(0, len(data), _PIECE):
        try:
            piece = inflate.decompress(data[place : place + _PIECE], _MAX_OUTPUT)
        except zlib.error:
            break
        budget.spend(_PIECE + len(piece))
        result += piece
        if inflate.eof:
            break
    return bytes(result)
