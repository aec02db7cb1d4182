"""Unpacks bodies in a Content-Encoding, a piece at a time and in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli
from backports import zstd

#: Unpacked bytes that any body may have, and how many times as many as packed ones beyond them.
FREE_BYTES, MOST_TIMES = 32 * 1024 * 1024, 100
#: Bytes that are unpacked at once.
_PIECE = 64 * 1024
#: The window of zstd that receivers of HTTP must have (RFC 9659), as a power of two; a larger one is not unpacked.
_ZSTD_WINDOW = 23


class Unreadable(Exception):
    """A body cannot be read: its encoding is unknown or damaged, or it is larger than it may be."""


class Unpacker(Protocol):
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield a chunk's content, some bytes at a time. Raises Unreadable."""
        ...

    def end(self) -> None:
        """Raises Unreadable if the content is incomplete."""
        ...


class Plain:
    """What unpacks nothing."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def end(self) -> None:
        pass


class _Stream(Protocol):
    """One packed stream. A body may have several, one after the other."""

    #: True when nothing more comes without further input.
    is_hungry: bool
    has_ended: bool
    #: The input behind its end.
    rest: bytes

    def take(self, content: bytes) -> bytes:
        """Return about _PIECE bytes of what is unpacked at most. Raises Unreadable.

        Until it is hungry, it is to be called with b"".
        """
        ...


class _Deflate:
    """gzip, or deflate with or without a head: some servers send it without."""

    def __init__(self) -> None:
        self.is_hungry, self.has_ended, self.rest = True, False, b""
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._began = False

    def take(self, content: bytes) -> bytes:
        content = content or self._inflate.unconsumed_tail
        try:
            found = self._inflate.decompress(content, _PIECE)
        except zlib.error:
            if self._began:
                raise Unreadable("damaged") from None
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                found = self._inflate.decompress(content, _PIECE)
            except zlib.error:
                raise Unreadable("damaged") from None
        self._began = True
        self.has_ended, self.rest = self._inflate.eof, self._inflate.unused_data
        self.is_hungry = not self._inflate.unconsumed_tail and len(found) < _PIECE
        return found


class _Brotli:
    def __init__(self) -> None:
        self.is_hungry, self.has_ended, self.rest = True, False, b""
        self._decompressor = brotli.Decompressor()

    def take(self, content: bytes) -> bytes:
        try:
            found: bytes = self._decompressor.process(content, output_buffer_limit=_PIECE)
        except brotli.error:
            raise Unreadable("damaged") from None
        self.has_ended = self._decompressor.is_finished()
        # It also accepts more while a full piece has left something behind.
        self.is_hungry = self._decompressor.can_accept_more_data() and len(found) < _PIECE
        return found


class _Zstd:
    def __init__(self) -> None:
        self.is_hungry, self.has_ended, self.rest = True, False, b""
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW}
        self._decompressor = zstd.ZstdDecompressor(options=options)

    def take(self, content: bytes) -> bytes:
        try:
            found: bytes = self._decompressor.decompress(content, max_length=_PIECE)
        except zstd.ZstdError:
            raise Unreadable("damaged") from None
        self.has_ended, self.is_hungry = self._decompressor.eof, self._decompressor.needs_input
        self.rest = self._decompressor.unused_data if self.has_ended else b""
        return found


#: The encodings of bodies that are unpacked → what unpacks one stream.
ENCODINGS: dict[str, Callable[[], _Stream]] = {
    "gzip": _Deflate,
    "x-gzip": _Deflate,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


class _Unpacking:
    """Unpacks one stream after the other, and no more than a bounded number of times what came."""

    def __init__(self, new: Callable[[], _Stream]) -> None:
        self._new = new
        self._stream = new()
        self._came = self._given = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        self._came += len(chunk)
        content, is_next = chunk, bool(chunk)
        while is_next:
            if self._stream.has_ended:
                self._stream = self._new()
            found = self._stream.take(content)
            self._given += len(found)
            if self._given > max(FREE_BYTES, self._came * MOST_TIMES):
                raise Unreadable("size")
            if found:
                yield found
            content = self._stream.rest
            is_next = bool(content) if self._stream.has_ended else not self._stream.is_hungry

    def end(self) -> None:
        if self._came and not self._stream.has_ended:
            raise Unreadable("incomplete")


def unpacker(encoding: str) -> Unpacker:
    """Return what unpacks a Content-Encoding. Raises Unreadable for one that nobody here knows."""
    names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    names = [name for name in names if name != "identity"]
    if not names:
        return Plain()
    if len(names) > 1 or names[0] not in ENCODINGS:
        raise Unreadable("encoding")
    return _Unpacking(ENCODINGS[names[0]])
