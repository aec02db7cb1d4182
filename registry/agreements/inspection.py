"""What a file is, by its content: a PDF without active content, a JPEG or a PNG. Everything else is refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from django.utils.translation import gettext_lazy as _

from registry.agreements import pdf
from registry.agreements.errors import Refused

_PNG, _JPEG, _PDF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%PDF-"
#: Chunks of a PNG at most.
_MAX_CHUNKS = 10_000


def media_type_of(content: bytes) -> str:
    """Return the media type of a file that is accepted. Raises Refused."""
    for begins, media_type, check in _KINDS:
        if content.startswith(begins):
            check(content)
            return media_type
    raise Refused(_("Only PDF, JPEG and PNG files are accepted. This is another kind of file, whatever its name."))


def _check_jpeg(content: bytes) -> None:
    """Check the segments up to the image data, and its end (ITU-T T.81, B.1)."""
    place = 2
    while content[place : place + 1] == b"\xff" and place + 4 <= len(content):
        marker, length = content[place + 1], struct.unpack_from(">H", content, place + 2)[0]
        if marker == 0xDA:  # start of scan: compressed data until the end
            if content.rstrip(b"\0").endswith(b"\xff\xd9"):
                return
            break
        if length < 2:
            break
        place += 2 + length
    raise Refused(_("This image is damaged. Save it again."))


def _check_png(content: bytes) -> None:
    """Check the chunks and their checksums: IHDR first, IEND last, nothing behind it (PNG 3, section 5)."""
    place, first = len(_PNG), True
    for _number in range(_MAX_CHUNKS):
        if place + 12 > len(content):
            break
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content) or (first and kind != b"IHDR"):
            break
        if zlib.crc32(content[place + 4 : end - 4]) != struct.unpack_from(">I", content, end - 4)[0]:
            break
        if kind == b"IEND":
            if end == len(content):
                return
            break
        place, first = end, False
    raise Refused(_("This image is damaged. Save it again."))


_KINDS: tuple[tuple[bytes, str, Callable[[bytes], None]], ...] = (
    (_PDF, "application/pdf", pdf.check),
    (_JPEG, "image/jpeg", _check_jpeg),
    (_PNG, "image/png", _check_png),
)
