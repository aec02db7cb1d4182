"""Checks of what people write into the fields of proxy operations."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


def validate_address(text: str) -> None:
    """An http or https address with a host. Names without a dot are common inside an agency's network."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or any(ord(letter) <= 32 or ord(letter) == 127 for letter in text):
        raise ValidationError(_("Write an address like https://layanan.contoh.go.id/api."))
    if "@" in parts.netloc:
        raise ValidationError(_("Put the credential into its own field, not into the address."))


def header_names(text: str) -> list[str]:
    """The names of headers written in ``text``, parted by commas, spaces or lines."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def validate_headers(text: str) -> None:
    if not all(_HEADER.match(name) for name in header_names(text)):
        raise ValidationError(_("Write names of headers, one on a line."))


def validate_methods(text: str) -> None:
    if not header_names(text) or any(name not in METHODS for name in header_names(text)):
        raise ValidationError(_("Write HTTP methods: %(names)s.") % {"names": ", ".join(METHODS)})
