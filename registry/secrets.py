"""Secrets: those that are kept encrypted, those that are kept as digests only, and their making."""

from __future__ import annotations

import hmac
import secrets
import zlib
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

KEY_MARK = "mtr_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PUBLIC, _SECRET, _CHECK = 8, 30, 6


@lru_cache(maxsize=1)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(plain: str) -> str:
    """Encrypt with the first of settings.FIELD_KEYS. The empty string stays empty."""
    return _fernet(tuple(settings.FIELD_KEYS)).encrypt(plain.encode()).decode() if plain else ""


def decrypt(token: str) -> str:
    """Decrypt with any of settings.FIELD_KEYS. Raises ImproperlyConfigured when none fits."""
    try:
        return _fernet(tuple(settings.FIELD_KEYS)).decrypt(token).decode() if token else ""
    except InvalidToken:
        raise ImproperlyConfigured(
            "A stored secret was encrypted with a key that MANTRA_FIELD_KEYS does not hold. Put the old key back "
            "as the last of the list, then run manage.py rotate_secrets."
        ) from None


class Secret(str):
    """A plain secret in memory that no log or repr shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Sealed(Secret):
    """A stored secret that no key opens: true as one that is there, and whoever reads it is told why he can't.

    So a row can be listed, and saved with the same secret as before, though one of its secrets is lost; and the
    other rows of a query do not suffer for it.
    """

    __slots__ = ("token",)
    token: str

    @classmethod
    def of(cls, token: str) -> Sealed:
        found = cls("?")
        found.token = token
        return found

    def __str__(self) -> str:
        return decrypt(self.token)  # which raises, unless the key is back

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return str(self).encode(encoding, errors)


def readable(value: str | None) -> str:
    """A secret in plain text; "" for one that no key opens."""
    try:
        return str(value or "")
    except ImproperlyConfigured:
        return ""


class EncryptedField(models.TextField):  # type: ignore[type-arg]
    """Text that lies encrypted in the database and comes back as a Secret; Sealed where no key opens it."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret | None:
        if value is None:
            return None
        try:
            return Secret(decrypt(value))
        except ImproperlyConfigured:
            return Sealed.of(value)

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Sealed):
            return value.token
        return None if value is None else encrypt(str(value))

    def get_lookup(self, lookup_name: str) -> Any:
        # Each encryption differs, so that a comparison in the database could never be right.
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None


@lru_cache(maxsize=16)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def authenticate(key: bytes, message: bytes) -> str:
    """The HMAC-SHA256 of a message, in hex.

    A copy of the keyed state: hmac.digest() keys anew each time, and lets go of the interpreter's lock, which
    with many threads waiting costs more than the digest.
    """
    code = _keyed(key).copy()
    code.update(message)
    return code.hexdigest()


# ---------------------------------------------------------------------------------- access keys


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, remainder = divmod(number, 62)
        digits = _ALPHABET[remainder] + digits
    return digits


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def new_key() -> str:
    """A new access key: mark, public part, secret part, checksum. Secret scanners can tell it."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_PUBLIC + _SECRET))
    return KEY_MARK + body[:_PUBLIC] + "_" + body[_PUBLIC:] + _checksum(body)


def public_part(key: str) -> str:
    """What may be shown and written down of a key, to tell it from others."""
    return key[: len(KEY_MARK) + _PUBLIC] if key.startswith(KEY_MARK) else key[:2] + "…"


def well_formed(key: str) -> bool:
    """Whether a key carries this system's mark and its checksum fits."""
    if not key.startswith(KEY_MARK) or len(key) != len(KEY_MARK) + _PUBLIC + 1 + _SECRET + _CHECK:
        return False
    body = key[len(KEY_MARK) : -_CHECK].replace("_", "", 1)
    return hmac.compare_digest(_checksum(body), key[-_CHECK:])


def key_digest(key: str) -> str:
    """The HMAC-SHA256 of a key under the newest pepper, as "number:hex". What the database keeps."""
    number, pepper = settings.KEY_PEPPERS[0]
    return f"{number}:{authenticate(pepper, key.encode())}"


def key_digests(key: str) -> list[str]:
    """The digests of a key under every pepper that is still in use, newest first."""
    raw = key.encode("utf-8", "surrogateescape")
    return [f"{number}:{authenticate(pepper, raw)}" for number, pepper in settings.KEY_PEPPERS]
