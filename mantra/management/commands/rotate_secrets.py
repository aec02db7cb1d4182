"""Encrypt every stored secret anew with the first of MANTRA_FIELD_KEYS."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, models, transaction

from mantra.stored_secrets import FACTOR_SECRETS, encrypted_fields
from registry import secrets
from registry.models import OperationVersion, SnapshotVersion
from registry.secrets import EncryptedField
from registry.versions.definition import secrets_of


class Command(BaseCommand):
    help = "Encrypt every stored secret again with the first key of MANTRA_FIELD_KEYS. You can then remove the others."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                count = sum(_rotate(model, field) for model, field in encrypted_fields())
                count += sum(_rotate_version(version) for version in OperationVersion.objects.iterator(100))
                count += sum(_rotate_factor(factor) for factor in Authenticator.objects.iterator(100))
                SnapshotVersion.bump()
        except ImproperlyConfigured as error:
            raise CommandError(f"{error} Nothing was changed.") from None
        self.stdout.write(
            f"{count} secrets are encrypted with the first of MANTRA_FIELD_KEYS. The other keys may be removed."
        )


def _rotate(model: type[models.Model], field: EncryptedField) -> int:
    """Encrypt one column again, without the models: that is no change of the definition. Return the number of rows."""
    quote = connection.ops.quote_name
    table, column, pk = (quote(str(name)) for name in (model._meta.db_table, field.column, model._meta.pk.column))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {pk}, {column} FROM {table} WHERE {column} <> ''")  # noqa: S608 (names of our models)
        rows = cursor.fetchall()
        for row_id, token in rows:
            encrypted = secrets.encrypt(secrets.decrypt(token))
            cursor.execute(f"UPDATE {table} SET {column} = %s WHERE {pk} = %s", [encrypted, row_id])  # noqa: S608
    return len(rows)


def _rotate_factor(factor: Authenticator) -> int:
    """Encrypt the secrets of a second factor again. Return their number."""
    names = [name for name in FACTOR_SECRETS if name in factor.data]
    for name in names:
        factor.data[name] = secrets.encrypt(secrets.decrypt(factor.data[name]))
    if names:
        factor.save(update_fields=["data"])
    return len(names)


def _rotate_version(version: OperationVersion) -> int:
    """Encrypt the secrets in a version's definition again. Return their number."""
    found = list(secrets_of(version.definition))
    for value in found:
        value["secret"] = secrets.encrypt(secrets.decrypt(value["secret"]))
    if found:
        version.save(update_fields=["definition"])
    return len(found)
