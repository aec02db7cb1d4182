"""Bounds that every decoder keeps, and the error that all of them raise."""

from __future__ import annotations

import zlib

#: Bytes of a document that is parsed, its levels, and its parts: what is parsed takes many times its size.
MOST_BYTES = 32 * 1024 * 1024
MOST_LEVELS = 100
MOST_PARTS = 2_000_000


class Unreadable(ValueError):
    """It is not what it says it is, or is out of bounds."""


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
