"""Bytes as a page shows them: as text where they are text, else in hexadecimal."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

#: The most bytes that are shown in hexadecimal: a line has 16 of them.
MAX_HEX = 4096
_TEXT = ("text/", "application/json", "application/xml", "application/problem", "application/soap", "application/x-")
_UNPRINTABLE = dict.fromkeys((*range(9), 11, 12, *range(14, 32)), "\N{REPLACEMENT CHARACTER}")


@dataclass(frozen=True, slots=True)
class Dump:
    """Some bytes for reading. ``text`` is None for those that are no text."""

    text: str | None
    hex: str
    #: The bytes that ``hex`` has.
    hex_size: int


def dump(content: bytes, media_type: str = "text/plain") -> Dump:
    """Return bytes as a page shows them."""
    return Dump(_text(content, media_type), hexdump(content[:MAX_HEX]), min(len(content), MAX_HEX))


def _text(content: bytes, media_type: str) -> str | None:
    if b"\0" in content:
        return None
    try:
        # The shown bytes may end within a letter.
        text = codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        if not media_type.startswith(_TEXT):
            return None
        text = content.decode("latin-1")
    return text.translate(_UNPRINTABLE)


def hexdump(content: bytes) -> str:
    """Return bytes in hexadecimal: offset, sixteen bytes and their ASCII letters in each line."""
    return "\n".join(_line(offset, content[offset : offset + 16]) for offset in range(0, len(content), 16))


def _line(offset: int, part: bytes) -> str:
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{offset:08x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  |{letters}|"


def masked(content: bytes, secret: str) -> bytes:
    """Return bytes with an asterisk for each byte of a secret, also of its beginning at their end."""
    wanted = secret.encode()
    if not wanted:
        return content
    content = content.replace(wanted, b"*" * len(wanted))
    for length in range(min(len(wanted) - 1, len(content)), 3, -1):
        if content.endswith(wanted[:length]):
            return content[:-length] + b"*" * length
    return content
