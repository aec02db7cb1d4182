"""The wrapping of MANTRA 1.99x (APP_ENC): a body as base64, backwards. It hides nothing from anybody.

The first byte of a wrapped body depends on the last one of the body. What is large waits on the disk.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO

#: The bytes of a body that wait in memory.
SPOOL = 4 * 1024 * 1024
#: The bytes that are encoded at a time: a multiple of three, so that base64 has padding at its end only.
PIECE = 96 * 1024


def wrap(body: bytes) -> bytes:
    """Return a body as enc64data() of 1.99x returns it."""
    return b64encode(body)[::-1]


def wrapped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a wrapped body in pieces, after all chunks of it."""
    with SpooledTemporaryFile(SPOOL) as spool:
        for chunk in chunks:
            spool.write(chunk)
        yield from _backwards(spool, spool.tell())


def _backwards(body: IO[bytes], size: int) -> Iterator[bytes]:
    for start in range((size - 1) // PIECE * PIECE, -1, -PIECE):
        body.seek(start)
        yield wrap(body.read(PIECE))
