"""Content-Digest (RFC 9530): of bodies that callers send and get."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from mantra.gateway.http import Environ
from mantra.gateway.signatures.fields import Item, Unreadable, dictionary
from registry import faults
from registry.results import Fault

HEADER = "HTTP_CONTENT_DIGEST"
_ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
_PIECE = 64 * 1024


def of(pieces: Iterable[bytes]) -> str:
    """Return the Content-Digest of a body in pieces."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"


def has_body(environ: Environ) -> bool:
    """Return True if a request has a body."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ


def mismatch() -> Fault:
    return Fault(
        faults.SIGNATURE_INVALID,
        reason_id="isi permintaan tidak cocok dengan header Content-Digest",
        reason_en="the body does not fit the header Content-Digest",
    )


class DigestedBody:
    """A request's body, compared with its Content-Digest while it is read. Of one that differs nobody sees the end.

    Of a body whose length was stated, the last piece is handed on only once the whole is right.
    """

    def __init__(self, environ: Environ) -> None:
        """Raises Fault if the header names no digest that the bus knows."""
        try:
            members = dictionary(environ[HEADER])
        except Unreadable:
            raise mismatch() from None
        self._wanted = {
            name: member.value
            for name, member in members.items()
            if name in _ALGORITHMS and isinstance(member, Item) and isinstance(member.value, bytes)
        }
        if not self._wanted:
            raise Fault(
                faults.SIGNATURE_INVALID,
                reason_id="Content-Digest harus berisi sha-256 atau sha-512",
                reason_en="Content-Digest must have sha-256 or sha-512",
            )
        self._hashes = {name: _ALGORITHMS[name]() for name in self._wanted}
        self._stream = environ["wsgi.input"]
        length = environ.get("CONTENT_LENGTH") or ""
        #: The bytes that are still to come; None if the caller sends chunks.
        self._left = int(length) if length.isascii() and length.isdigit() else None
        if self._left is None and "HTTP_TRANSFER_ENCODING" not in environ:
            self._left = 0
        self._ready = b""
        self._ended = self._differs = False

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes, b"" at the end. Raises Fault if the digest differs, errors of the server."""
        pieces, wanted = [], size
        while wanted and (piece := self._piece(wanted)):
            pieces.append(piece)
            wanted -= len(piece) if size >= 0 else 0
        return b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        """Return some bytes; b"" at the end."""
        while not self._ready and not self._ended:
            self._ready = self._receive()
        if self._differs:
            raise mismatch()
        if size < 0:
            size = len(self._ready)
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece

    def _receive(self) -> bytes:
        """Return the next bytes from the caller. In chunks, only what follows says that they were the last."""
        left = self._left
        size = _PIECE if left is None else min(_PIECE, left)
        piece: bytes = self._stream.read(size) if size else b""
        for hash in self._hashes.values():
            hash.update(piece)
        if left is not None:
            self._left = left = left - len(piece)
        if not piece or left == 0:
            self._ended = True
            # A body that ended too soon is short: whoever reads it sees that by its length.
            self._differs = not left and any(hash.digest() != self._wanted[name] for name, hash in self._hashes.items())
        return piece

    def hold(self, most: int) -> None:
        """Read all of the body, so that nobody gets a byte of one that differs. Raises Fault, also if it is longer."""
        if (self._left or 0) > most:
            raise Fault(faults.BODY_TOO_LARGE, limit=most)
        try:
            held = self.read(most + 1)
        except TimeoutError:
            raise Fault(faults.REQUEST_TOO_SLOW) from None
        except OSError:
            raise Fault(
                faults.BODY_INVALID, reason_id="koneksi terputus", reason_en="the connection was lost"
            ) from None
        if len(held) > most:
            raise Fault(faults.BODY_TOO_LARGE, limit=most)
        self._ready = held
