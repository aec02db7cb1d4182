"""Passwords of users who came from MANTRA 1.99x, where PHP hashed them with bcrypt."""

from __future__ import annotations

from typing import Any

import bcrypt
from django.contrib.auth.hashers import BCryptPasswordHasher, make_password

#: bcrypt takes so many bytes of a password, and PHP passes over the others.
BYTES = 72
#: The password that every installation of 1.99x began with. It lets nobody in.
PUBLISHED = "1234"


class OldPasswordHasher(BCryptPasswordHasher):
    """Verifies a hash by PHP, with ``$2b$`` for its ``$2y$``. The first sign-in replaces it by a hash of today."""

    def encode(self, password: str, salt: Any) -> str:
        return f"{self.algorithm}${bcrypt.hashpw(password.encode()[:BYTES], salt).decode()}"

    def verify(self, password: str, encoded: str) -> bool:
        if super().verify(password, encoded) and password != PUBLISHED:
            return True
        # Without it a wrong password would take less time than that of a name that does not exist.
        make_password(password)
        return False
