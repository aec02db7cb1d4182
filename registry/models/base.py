"""The bases of the registry's models: definitions, the snapshot's version, and validators."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, ClassVar

import limits
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
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
#: A name that MANTRA 1.99x allowed. It is a segment of an address.
legacy_name_validator = RegexValidator(
    r"^[^\x00-\x1f\x7f/]+$", _("Enter the name without slashes, as it is in the addresses of MANTRA 1.99x.")
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


NAME_IN_USE = _("This name is already in use. Capital letters make no difference.")


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
        name, _within = self.unique_within
        if self._siblings().filter(**{f"{name}__iexact": getattr(self, name)}).exists():
            raise ValidationError({name: NAME_IN_USE})

    def _siblings(self) -> models.QuerySet[Any]:
        """Return the other rows among which the name is unique; none if the name or their parent is not set yet."""
        assert self.unique_within is not None
        name, within = self.unique_within
        model = type(self)._meta.get_field(name).model
        scope = getattr(self, f"{within}_id", None) if within else None
        if not getattr(self, name) or (within and scope is None):
            return model._default_manager.none()
        rows = model._default_manager.exclude(pk=self.pk)
        return rows.filter(**{within: scope}) if within else rows

    def kept_because(self) -> Any:
        """Return why the row must not be deleted now, "" if it may be."""
        return ""

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        SnapshotVersion.bump()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        SnapshotVersion.bump()
        return deleted


class AddressPart(RegistryModel):
    """An agency, a service or an operation: a code in aliases, and on the legacy wire a name of 1.99x beside it."""

    legacy_name = models.CharField(
        _("name in MANTRA 1.99x"),
        max_length=128,
        blank=True,
        validators=[legacy_name_validator],
        help_text=_("Only if it differs from the code. Programs for MANTRA 1.99x then use this name in the address."),
    )

    class Meta:
        abstract = True

    def clean(self) -> None:
        """Report a name of 1.99x that is also another row's: an address must name one operation."""
        super().clean()
        taken = Q(legacy_name__iexact=self.code)  # type: ignore[attr-defined]
        if self.legacy_name:
            taken |= Q(code__iexact=self.legacy_name) | Q(legacy_name__iexact=self.legacy_name)
        if self._siblings().filter(taken).exists():
            raise ValidationError({"legacy_name" if self.legacy_name else "code": NAME_IN_USE})


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
