"""The one rule on stored secrets: a secret is sent only to the destinations that it was entered for.

Whoever may change a definition need not know its secrets, and could otherwise have them sent to a server of their
own. A row with secrets names its destinations (``secret_destinations``). Where a change adds one, each stored secret
must be entered again. Rows check this in ``clean``, so that the admin, the management API and bundles agree.

A value that was read from the database is a Secret (registry/secrets.py), one that was just entered is a plain str.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from registry.secrets import EncryptedField, Secret

ENTER_AGAIN = _("You changed the address. Enter the secret again to confirm that it may be sent there.")


class HasSecrets(Protocol):
    def secret_destinations(self) -> frozenset[Hashable]:
        """Return where the row's secrets are sent: values that are equal for equal destinations."""
        ...


def server_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address: two addresses on one server are one destination."""
    try:
        parts = urlsplit(url)
        usual = {"http": 80, "https": 443}.get(parts.scheme)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or usual
    except ValueError:
        return "", url, None


def is_stored(value: Any) -> bool:
    """Return True for a secret that was read from the database and not entered since."""
    return isinstance(value, Secret) and value != ""


def _is_same(secret: Secret, other: Any) -> bool:
    """Return True for equal stored secrets, without decrypting one that no key opens."""
    return secret == other and getattr(secret, "token", None) == getattr(other, "token", None)


def stored_secrets(row: Model) -> list[str]:
    """Return the names of the row's columns whose secrets were stored before and not entered since."""
    columns = [field.attname for field in row._meta.concrete_fields if isinstance(field, EncryptedField)]
    return [name for name in columns if is_stored(getattr(row, name))]


def check(row: Any) -> None:
    """Raise ValidationError for each stored secret of a saved row that would go to a new destination.

    A secret that was replaced since the row was read counts too: it was stored with other destinations.
    """
    names = stored_secrets(row) if row.pk is not None else []
    before = type(row)._default_manager.filter(pk=row.pk).first() if names else None
    if before is None:
        return
    if not row.secret_destinations() - before.secret_destinations():
        names = [name for name in names if not _is_same(getattr(row, name), getattr(before, name))]
    if names:
        raise ValidationError(dict.fromkeys(names, ENTER_AGAIN))
