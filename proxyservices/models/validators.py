"""Validators of the fields of proxy operations."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from proxyservices import server_url

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
#: The most names in a path to records.
MAX_RECORDS_LEVELS = 20
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


def validate_url(text: str) -> None:
    """Raise ValidationError for all addresses that cannot be called (server_url), each with what to do."""
    try:
        server_url.split(text)
    except ValueError:
        if "@" in text.partition("//")[2].partition("/")[0]:
            raise ValidationError(_("Enter the credential in its own field, not in the address.")) from None
        raise ValidationError(_("Enter an address like https://layanan.contoh.go.id/api.")) from None


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
