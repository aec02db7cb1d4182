"""Validators of the fields of proxy operations."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
#: The most names in a path to records.
MAX_RECORDS_LEVELS = 20
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


def validate_url(text: str) -> None:
    """Raise ValidationError for all but http and https addresses with a host.

    Hosts without a dot are valid: they are common within an agency's network.
    """
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or any(ord(character) <= 32 or ord(character) == 127 for character in text):
        raise ValidationError(_("Enter an address like https://layanan.contoh.go.id/api."))
    if "@" in parts.netloc:
        raise ValidationError(_("Enter the credential in its own field, not in the address."))


def header_names(text: str) -> list[str]:
    """Return the names in a text, separated by commas, semicolons, spaces or lines."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def validate_headers(text: str) -> None:
    """Raise ValidationError for all but names of headers (RFC 9110, 5.1)."""
    if not all(_HEADER.match(name) for name in header_names(text)):
        raise ValidationError(_("Enter header names, one per line."))


def validate_methods(text: str) -> None:
    """Raise ValidationError for all but names in METHODS."""
    if not header_names(text) or any(name not in METHODS for name in header_names(text)):
        raise ValidationError(_("Enter HTTP methods: %(names)s.") % {"names": ", ".join(METHODS)})


def validate_records_path(text: str) -> None:
    """Raise ValidationError for all but a dot, or at most MAX_RECORDS_LEVELS names separated by dots."""
    names = text.split(".")
    valid = all(name and name == name.strip() and name.isprintable() for name in names)
    if text != "." and (not valid or len(names) > MAX_RECORDS_LEVELS):
        raise ValidationError(
            _("Enter at most %(many)d names separated by dots, or a single dot.") % {"many": MAX_RECORDS_LEVELS}
        )
