"""All secrets that the database stores, by whichever key they were encrypted or hashed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.utils import timezone

from registry.models import AccessKey, ApiToken, OperationVersion
from registry.secrets import EncryptedField
from registry.versions.definition import secrets_of

#: The members of a second factor's data that are encrypted.
FACTOR_SECRETS = ("secret", "seed")


def encrypted_fields() -> list[tuple[type[models.Model], EncryptedField]]:
    """Return each column with secrets once: a model that extends another one has only its own columns."""
    return [
        (model, field)
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
        for field in model._meta.local_concrete_fields
        if isinstance(field, EncryptedField)
    ]


def tokens() -> Iterator[tuple[str, str]]:
    """Yield every encrypted secret, as it is stored, with the name of its table."""
    quote = connection.ops.quote_name
    for model, column in encrypted_fields():
        name, table = quote(str(column.column)), quote(model._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {name} FROM {table} WHERE {name} <> ''")  # noqa: S608 (names of our models)
            yield from ((model._meta.db_table, token) for (token,) in cursor.fetchall())
    for definition in OperationVersion.objects.values_list("definition", flat=True).iterator(100):
        yield from ((OperationVersion._meta.db_table, value["secret"]) for value in secrets_of(definition))
    for data in Authenticator.objects.values_list("data", flat=True).iterator(100):
        yield from ((Authenticator._meta.db_table, data[name]) for name in FACTOR_SECRETS if name in data)


@dataclass(slots=True)
class Opened:
    """What MANTRA_FIELD_KEYS open: the keys that some secret needs, and the secrets of each table that none opens."""

    keys: set[str] = field(default_factory=set)
    sealed: Counter[str] = field(default_factory=Counter)


def opened() -> Opened:
    """Try the keys at every stored secret."""
    found = Opened()
    keys = [(key, Fernet(key)) for key in settings.FIELD_KEYS]
    for table, token in tokens():
        key = next((name for name, each in keys if _opens(each, token)), None)
        if key is None:
            found.sealed[table] += 1
        else:
            found.keys.add(key)
    return found


def _opens(key: Fernet, token: str) -> bool:
    try:
        key.decrypt(token)
    except InvalidToken:
        return False
    return True


def peppers() -> Counter[int]:
    """Return the numbers of the peppers that live access keys and API tokens need, with how many need each."""
    # A signing key is found by its public part.
    live = [
        AccessKey.active().filter(kind=AccessKey.Kind.ACCESS),
        ApiToken.objects.filter(expires_at__gt=timezone.now()),
    ]
    digests = (digest for rows in live for digest in rows.values_list("digest", flat=True).iterator(1000))
    return Counter(int(digest.partition(":")[0]) for digest in digests)
