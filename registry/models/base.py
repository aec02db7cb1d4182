"""The bases of the registry's models: definitions, the snapshot's version, and validators."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, ClassVar

import limits
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

code_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,62}$",
    _("Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias."),
)
#: Names of operations that were imported from 1.99x may contain a space, a dot or a colon.
operation_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_\-.: ]{0,126}$",
    _("Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias."),
)
column_validator = RegexValidator(
    r"^[A-Za-z_][A-Za-z0-9_]{0,62}$",
    _("Use letters, digits and _ only, starting with a letter: it is the :name in the SQL and the name in the URL."),
)


def networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the networks in ``text``, separated by commas, spaces or lines. Raises ValueError."""
    return [ipaddress.ip_network(part, strict=False) for part in re.split(r"[\s,;]+", text) if part]


def names(text: str) -> list[str]:
    """Return the names in ``text``, separated by commas, spaces or lines."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def validate_networks(text: str) -> None:
    try:
        networks(text)
    except ValueError:
        raise ValidationError(_("Enter networks like 10.1.0.0/16 or addresses like 10.1.2.3, one per line.")) from None


def validate_quota(text: str) -> None:
    try:
        limits.parse_many(text)
    except ValueError:
        raise ValidationError(_("Enter a quota like 1000/day, or several: 10/second; 1000/day.")) from None


class RegistryQuerySet(models.QuerySet[Any]):
    """Changes without save() must cause a new snapshot too."""

    def update_without_bump(self, **kwargs: Any) -> int:
        """Update columns that are not in the snapshot."""
        return super().update(**kwargs)

    def update(self, **kwargs: Any) -> int:
        changed = super().update(**kwargs)
        SnapshotVersion.bump()
        return changed

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        rows = super().bulk_create(*args, **kwargs)
        SnapshotVersion.bump()
        return rows

    def delete(self) -> tuple[int, dict[str, int]]:
        deleted = super().delete()
        SnapshotVersion.bump()
        return deleted


class RegistryModel(models.Model):
    """The base of the models in the snapshot: saving or deleting a row raises the snapshot's version."""

    objects = RegistryQuerySet.as_manager()
    #: (field, the foreign key within which it is unique or ""). Aliases are case-insensitive, and so is this rule.
    unique_within: ClassVar[tuple[str, str] | None] = None

    class Meta:
        abstract = True

    def clean(self) -> None:
        """Report a duplicate at its field. A constraint enforces the same rule for rows that are not validated."""
        super().clean()
        if self.unique_within is None:
            return
        name, within = self.unique_within
        value, scope = getattr(self, name), getattr(self, f"{within}_id", None) if within else None
        if not value or (within and scope is None):
            return
        model = type(self)._meta.get_field(name).model
        duplicates = model._default_manager.filter(**{f"{name}__iexact": value}).exclude(pk=self.pk)
        if (duplicates.filter(**{within: scope}) if within else duplicates).exists():
            raise ValidationError({name: _("This name is already in use. Capital letters make no difference.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        SnapshotVersion.bump()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        SnapshotVersion.bump()
        return deleted


class SnapshotVersion(models.Model):
    """One row with a number that every change of a definition raises. Worker processes poll it."""

    version = models.BigIntegerField(default=1)

    class Meta:
        verbose_name = "snapshot version"

    def __str__(self) -> str:
        return str(self.version)

    @classmethod
    def bump(cls) -> None:
        if not cls.objects.filter(pk=1).update(version=models.F("version") + 1):
            cls.objects.get_or_create(pk=1)
