"""The keys with which the bus signs responses (Ed25519), and how callers get their public halves."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

#: Where the public keys are, below the bus's address.
PATH = ".well-known/mantra/response-keys"


@dataclass(frozen=True, slots=True)
class ResponseKey:
    #: The thumbprint of the public key (RFC 7638, RFC 8037).
    id: str
    #: The public key in base64url.
    x: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key."""
        return {"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": self.x, "use": "sig"}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@lru_cache(maxsize=8)
def _keys(seeds: tuple[bytes, ...]) -> tuple[ResponseKey, ...]:
    found = []
    for seed in seeds:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        x = _base64url(private.public_key().public_bytes_raw())
        members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"), sort_keys=True)
        found.append(ResponseKey(_base64url(hashlib.sha256(members.encode()).digest()), x, private))
    return tuple(found)


def current() -> ResponseKey | None:
    """Return the key that signs; None if the bus signs no responses."""
    keys = _keys(tuple(settings.RESPONSE_KEYS))
    return keys[0] if keys else None


def jwks() -> dict[str, list[dict[str, str]]]:
    """Return all public keys as a JWK Set: the one that signs first, then earlier ones."""
    return {"keys": [key.jwk for key in _keys(tuple(settings.RESPONSE_KEYS))]}
