"""Secrets: encrypted in the database, or stored as digests only; and new access keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import zlib
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.validators import MaxLengthValidator
from django.db import models

KEY_MARK = "mtr_"
#: Of the secrets with which applications sign requests.
SIGNING_MARK = "mts_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PUBLIC, _SECRET, _CHECK = 8, 30, 6


@lru_cache(maxsize=1)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(plain: str) -> str:
    """Return the text, encrypted with the first of settings.FIELD_KEYS. The empty string stays empty."""
    return _fernet(tuple(settings.FIELD_KEYS)).encrypt(plain.encode()).decode() if plain else ""


def decrypt(token: str) -> str:
    """Return the text, decrypted with any of settings.FIELD_KEYS. Raises ImproperlyConfigured if none fits."""
    try:
        return _fernet(tuple(settings.FIELD_KEYS)).decrypt(token).decode() if token else ""
    except InvalidToken:
        raise ImproperlyConfigured(
            "A stored secret was encrypted with a key that is not in MANTRA_FIELD_KEYS. Add the old key at the end "
            "of the list, then run manage.py rotate_secrets."
        ) from None


@lru_cache(maxsize=8)
def _derived(keys: tuple[str, ...], purpose: str) -> MultiFernet:
    """Return the keys of a purpose: a token of one purpose is none of another, and no stored secret."""
    made = [hmac.digest(key.encode(), f"mantra {purpose}".encode(), "sha256") for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in made])


def seal(plain: str, purpose: str) -> str:
    """Return a token with the text, encrypted and authenticated, that callers may hold."""
    return _derived(tuple(settings.FIELD_KEYS), purpose).encrypt(plain.encode()).decode().rstrip("=")


def unseal(token: str, purpose: str) -> str | None:
    """Return the text of a token that seal() made for the same purpose; None for any other text."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        # The decoder passes over other characters, and over bits at the end: a token has one spelling only.
        if base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)) != padded:
            return None
        return _derived(tuple(settings.FIELD_KEYS), purpose).decrypt(padded).decode()
    except (InvalidToken, ValueError):
        return None


class Secret(str):
    """A secret in plain text that repr() does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Sealed(Secret):
    """A stored secret that none of settings.FIELD_KEYS can decrypt. It is true, as a secret that is set.

    Reading it with str() raises ImproperlyConfigured. Its row can still be listed, and saved without a change of the
    secret, and other rows of a query are not affected.
    """

    __slots__ = ("token",)
    token: str

    @classmethod
    def of(cls, token: str) -> Sealed:
        sealed = cls("?")
        sealed.token = token
        return sealed

    def __str__(self) -> str:
        return decrypt(self.token)  # raises, unless the key has been restored

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return str(self).encode(encoding, errors)


def readable(value: str | None) -> str:
    """Return a secret in plain text, "" if it cannot be decrypted."""
    try:
        return str(value or "")
    except ImproperlyConfigured:
        return ""


class EncryptedField(models.TextField):  # type: ignore[type-arg]
    """Text that is encrypted in the database. Its value is a Secret, or Sealed if it cannot be decrypted.

    ``max_length`` is that of the text; migrations of before have none.
    """

    def __init__(self, verbose_name: Any = None, *, max_length: int | None = None, **kwargs: Any) -> None:
        super().__init__(verbose_name, max_length=max_length, **kwargs)
        if max_length is not None:
            self.validators.append(MaxLengthValidator(max_length))

    def formfield(self, **kwargs: Any) -> Any:
        # Browsers cut text that is pasted into an input with a maximum length, without a word.
        return super().formfield(**{"max_length": None, **kwargs})

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
        # Each encryption of a text differs: a comparison in the database is never true.
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None


_BLOCK = 64  # of SHA-256, in bytes


@lru_cache(maxsize=1024)
def _keyed(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Return the states of the inner and the outer digest of HMAC with a key (RFC 2104)."""
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in block)), hashlib.sha256(bytes(byte ^ 0x5C for byte in block))


def authenticate(key: bytes, message: bytes) -> str:
    """Return the HMAC-SHA256 of a message, in hex.

    The keyed states are copied, which takes two thirds of the time of the module hmac. hmac.digest() derives them each
    time, and releases the interpreter's lock, which takes more time than the digest if many threads wait.
    """
    inner, outer = _keyed(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer.hexdigest()


# ---------------------------------------------------------------------------------- access keys


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, remainder = divmod(number, 62)
        digits = _ALPHABET[remainder] + digits
    return digits


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def new_key(mark: str = KEY_MARK) -> str:
    """Return a new access key: mark, public part, secret part, checksum. Secret scanners recognise it."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_PUBLIC + _SECRET))
    return mark + body[:_PUBLIC] + "_" + body[_PUBLIC:] + _checksum(body)


def public_part(key: str) -> str:
    """Return the part of a key that may be shown and logged, to identify it."""
    return key[: len(KEY_MARK) + _PUBLIC] if key.startswith((KEY_MARK, SIGNING_MARK)) else key[:2] + "…"


def well_formed(key: str) -> bool:
    """Return True if a key has the bus's mark and a correct checksum."""
    if not key.startswith((KEY_MARK, SIGNING_MARK)) or len(key) != len(KEY_MARK) + _PUBLIC + 1 + _SECRET + _CHECK:
        return False
    body = key[len(KEY_MARK) : -_CHECK].replace("_", "", 1)
    return hmac.compare_digest(_checksum(body), key[-_CHECK:])


def mask_key(reader: str) -> bytes:
    """Return the key of the hashes that an agency gets in place of masked values: two agencies cannot compare theirs.

    It is made of MANTRA_MASK_KEY, without which it changes with the first of settings.FIELD_KEYS.
    """
    key = settings.MASK_KEY or settings.FIELD_KEYS[0].encode()
    return hmac.digest(hmac.digest(key, b"mantra mask", "sha256"), reader.lower().encode(), "sha256")


def key_digest(key: str) -> str:
    """Return the digest that the database stores: HMAC-SHA256 of a key with the newest pepper, as "number:hex"."""
    number, pepper = settings.KEY_PEPPERS[0]
    return f"{number}:{authenticate(pepper, key.encode())}"


def key_digests(key: str) -> list[str]:
    """Return the digests of a key with every pepper that is in use, newest first."""
    raw = key.encode("utf-8", "surrogateescape")
    return [f"{number}:{authenticate(pepper, raw)}" for number, pepper in settings.KEY_PEPPERS]
