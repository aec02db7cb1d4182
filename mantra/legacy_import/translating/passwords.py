"""The ``passkey`` of 1.99x: a hash of bcrypt, or in old rows base64 of the password itself."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from enum import StrEnum

#: Written by PHP's password_hash(). The cost is bounded: each sign-in would take seconds with more.
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$([./A-Za-z0-9]{53})")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
#: The password that the manual of 1.99x names for its first user.
PUBLISHED = "1234"
#: Characters of a password.
MAX_PASSWORD = 128


class PasswordKind(StrEnum):
    """BCRYPT: goes on working. PLAIN: must be changed after signing in. UNUSABLE: must be reset."""

    BCRYPT = "bcrypt"
    PLAIN = "plain"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class OldPassword:
    """``encoded`` is what Django stores of a BCRYPT one; ``plain`` is a PLAIN one, to be hashed."""

    kind: PasswordKind
    encoded: str = field(default="", repr=False)
    plain: str = field(default="", repr=False)


def password_of(passkey: str) -> OldPassword:
    """Return what a ``passkey`` holds. The published password is UNUSABLE, as everybody knows it."""
    text = passkey.strip()
    if match := _BCRYPT.fullmatch(text):
        # PHP's $2y$ is the algorithm that others write as $2b$.
        return OldPassword(PasswordKind.BCRYPT, encoded=f"bcrypt$$2b${match[1]}${match[2]}")
    plain = _from_base64(text)
    if plain and plain != PUBLISHED:
        return OldPassword(PasswordKind.PLAIN, plain=plain)
    return OldPassword(PasswordKind.UNUSABLE)


def _from_base64(text: str) -> str:
    """Return the text in base64; "" if it is none, or no text that somebody can have typed."""
    if not text or not _BASE64.fullmatch(text):
        return ""
    try:
        plain = base64.b64decode(text, validate=True).decode().strip()
    except (binascii.Error, UnicodeError):
        return ""
    return plain if plain.isprintable() and len(plain) <= MAX_PASSWORD else ""
