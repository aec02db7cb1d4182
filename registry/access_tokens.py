"""Access tokens (OAuth2): what an application gets for its access key, for a short time.

A token names its key and is signed: every worker process knows it without asking anybody. It is good only while its key
is. What must end sooner is in the snapshot (RevokedToken).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from django.conf import settings

from registry.secrets import authenticate

#: Tokens are told from access keys by it; secret scanners recognise it.
MARK = "mta_"
#: The most characters of a token. Longer texts are not looked at.
MAX_LENGTH = 8_000
_SIGNATURE = 64


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a token says. Times are seconds since the epoch."""

    id: str
    #: The digest of the key that it was issued for, as the database has it.
    digest: str
    issued: int
    expires: int
    #: The aliases of the operations that it opens; empty: all that the application is granted.
    scope: tuple[str, ...] = ()
    #: SHA-256 of the certificate that its bearer must show, in hex; "" for none.
    thumbprint: str = ""


def new(digest: str, now: float, seconds: int, scope: tuple[str, ...] = (), thumbprint: str = "") -> AccessToken:
    """Return a new token for the key with a digest."""
    return AccessToken(secrets.token_hex(12), digest, int(now), int(now) + seconds, scope, thumbprint)


def write(token: AccessToken) -> str:
    """Return a token as its bearer sends it."""
    body: list[Any] = [token.id, token.digest, token.issued, token.expires, token.scope, token.thumbprint]
    text = base64.urlsafe_b64encode(orjson.dumps(body)).decode().rstrip("=")
    return f"{MARK}{text}.{authenticate(_keys(tuple(settings.FIELD_KEYS))[0], text.encode())}"


def read(text: str) -> AccessToken | None:
    """Return the token that write() made; None for any other text. Whether it has expired, its reader checks."""
    body, dot, signature = text[len(MARK) : MAX_LENGTH].rpartition(".")
    if not text.startswith(MARK) or not dot or len(signature) != _SIGNATURE or not text.isascii():
        return None
    if not any(
        hmac.compare_digest(signature, authenticate(key, body.encode())) for key in _keys(tuple(settings.FIELD_KEYS))
    ):
        return None
    try:
        id, digest, issued, expires, scope, thumbprint = orjson.loads(base64.urlsafe_b64decode(body + "=" * 2))
    except (ValueError, binascii.Error):
        return None
    return AccessToken(id, digest, issued, expires, tuple(scope), thumbprint)


@lru_cache(maxsize=4)
def _keys(field_keys: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return the keys that sign tokens, the newest first: a token outlives a change of settings.FIELD_KEYS."""
    return tuple(hmac.digest(key.encode(), b"mantra access token", "sha256") for key in field_keys)
