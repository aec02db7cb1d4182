"""Bases of the registry's models: definitions, the snapshot's version, and checks of what people write."""

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
    _("Use letters, digits, - and _ only, beginning with a letter or a digit: it becomes part of an address."),
)
#: Operations imported from 1.99x may hold a space, a dot or a colon in their names.
operation_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_\-.: ]{0,126}$",
    _("Use letters, digits, - and _ only, beginning with a letter or a digit: it becomes part of an address."),
)
column_validator = RegexValidator(
    r"^[A-Za-z_][A-Za-z0-9_]{0,62}$",
    _("Use letters, digits and _ only, beginning with a letter: it is the :name in the SQL and in the address."),
)


def networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks written in ``text``, parted by commas, spaces or lines. Raises ValueError."""
    return [ipaddress.ip_network(part, strict=False) for part in re.split(r"[\s,;]+", text) if part]


def names(text: str) -> list[str]:
    """The names written in ``text``, parted by commas, spaces or lines."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def validate_networks(text: str) -> None:
    try:
        networks(text)
    except ValueError:
        raise ValidationError(
            _("Write networks like 10.1.0.0/16 or single addresses like 10.1.2.3, one on a line.")
        ) from None


def validate_quota(text: str) -> None:
    try:
        limits.parse_many(text)
    except ValueError:
        raise ValidationError(_("Write a quota like 1000/day, or several: 10/second; 1000/day.")) from None


class DefinitionQuerySet(models.QuerySet[Any]):
    """A change that goes past save() must reach the workers too."""

    def quietly(self, **kwargs: Any) -> int:
        """Update what no worker holds in memory."""
        return super().update(**kwargs)

    def update(self, **kwargs: Any) -> int:
        changed = super().update(**kwargs)
        SnapshotVersion.bump()
        return changed

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        made = super().bulk_create(*args, **kwargs)
        SnapshotVersion.bump()
        return made

    def delete(self) -> tuple[int, dict[str, int]]:
        gone = super().delete()
        SnapshotVersion.bump()
        return gone


class Definition(models.Model):
    """Base of all that the workers hold in memory: saving or deleting it moves the version row on."""

    objects = DefinitionQuerySet.as_manager()
    #: (field, the foreign key within which it names one row only). Addresses know no case, so neither does this.
    once: ClassVar[tuple[str, str] | None] = None

    class Meta:
        abstract = True

    def clean(self) -> None:
        """The constraint says the same to whoever comes past this; here it is said at the field."""
        super().clean()
        if self.once is None:
            return
        name, within = self.once
        value, scope = getattr(self, name), getattr(self, f"{within}_id", None) if within else None
        if not value or (within and scope is None):
            return
        model = type(self)._meta.get_field(name).model
        twins = model._default_manager.filter(**{f"{name}__iexact": value}).exclude(pk=self.pk)
        if (twins.filter(**{within: scope}) if within else twins).exists():
            raise ValidationError({name: _("There is one of this name already; capital letters make no difference.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        SnapshotVersion.bump()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        gone = super().delete(*args, **kwargs)
        SnapshotVersion.bump()
        return gone


class SnapshotVersion(models.Model):
    """One row, raised by every change of a definition; the workers poll it."""

    version = models.BigIntegerField(default=1)

    class Meta:
        verbose_name = "snapshot version"

    def __str__(self) -> str:
        return str(self.version)

    @classmethod
    def bump(cls) -> None:
        if not cls.objects.filter(pk=1).update(version=models.F("version") + 1):
            cls.objects.get_or_create(pk=1)
