"""The limits of every decoder, and the error that all of them raise."""

from __future__ import annotations

import zlib

#: Bytes, levels and parts of a document. memory.py has the limit of all documents together.
MAX_BYTES = 32 * 1024 * 1024
MAX_LEVELS = 100
MAX_PARTS = 1_200_000


class DecodeError(ValueError):
    """A body is not in its stated format, or exceeds a limit.

    Its text is the reason in one of the bus's words. ``text``: the body as text, if that may be returned instead.
    """

    def __init__(self, reason: str, text: str | None = None) -> None:
        super().__init__(reason)
        self.text = text


def inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return a body without its Content-Encoding (lower case), of at most ``max_bytes``.

    Raises DecodeError: "encoding" for an unknown one, "damaged", or "size".
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise DecodeError("encoding")
    decompressor = zlib.decompressobj(47)  # detects gzip and zlib by their headers
    try:
        plain = decompressor.decompress(body, max_bytes + 1)
    except zlib.error:
        raise DecodeError("damaged") from None
    if len(plain) > max_bytes:
        raise DecodeError("size")
    if not decompressor.eof:
        raise DecodeError("damaged")
    return plain


def check_size(body: bytes, *separators: bytes) -> None:
    """Raise DecodeError for a body of too many bytes, or of too many parts by its separators."""
    if len(body) > MAX_BYTES or sum(map(body.count, separators)) > MAX_PARTS:
        raise DecodeError("size")
