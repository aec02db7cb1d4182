"""Passwords as MANTRA 1.99x has stored them: bcrypt by PHP, or in old rows base64, which hides nothing."""

from __future__ import annotations

import re
from typing import Any

import bcrypt
from django.contrib.auth.hashers import BCryptPasswordHasher, make_password

#: bcrypt takes so many bytes of a password, and PHP passes over the others.
BYTES = 72
#: A hash by PHP. A hostile dump could otherwise have one that takes days.
_HASH = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./0-9A-Za-z]{53}\Z")
#: The user and the password that every installation of 1.99x began with.
_FIRST_USER, _FIRST_PASSWORD = "admin", b"1234"


def imported(passkey: str, user_name: str) -> str:
    """Return the value of User.password for a passkey of 1.99x.

    It is unusable, so that the user needs an invitation, unless it is a hash, and not of the published password.
    """
    passkey = passkey.strip()
    if not _HASH.match(passkey):
        return make_password(None)
    hashed = f"$2b${passkey[4:]}"
    if user_name.lower() == _FIRST_USER and bcrypt.checkpw(_FIRST_PASSWORD, hashed.encode()):
        return make_password(None)
    return f"{OldPasswordHasher.algorithm}${hashed}"


class OldPasswordHasher(BCryptPasswordHasher):
    """Verifies passwords of users who came from 1.99x. Their first sign-in replaces the hash by one of today."""

    def encode(self, password: str, salt: Any) -> str:
        return f"{self.algorithm}${bcrypt.hashpw(password.encode()[:BYTES], salt).decode()}"

    def verify(self, password: str, encoded: str) -> bool:
        if super().verify(password, encoded):
            return True
        # Without it a wrong password would take less time than that of a name that does not exist.
        make_password(password)
        return False
