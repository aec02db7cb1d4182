"""Agencies, the people who work for them, and their tokens for the management API."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import secrets
from registry.models.base import Definition, code_validator

# ------------------------------------------------------------------------------ agencies, people


class Agency(Definition):
    once = ("code", "")

    #: Addresses know no case: bkn and BKN are one.
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    name = models.CharField(_("name"), max_length=200)
    website = models.URLField(_("website"), blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    parent = models.ForeignKey(
        "self", models.PROTECT, verbose_name=_("parent agency"), null=True, blank=True, related_name="children"
    )

    class Meta:
        verbose_name = _("agency")
        verbose_name_plural = _("agencies")
        ordering = ("code",)
        constraints = [models.UniqueConstraint(Lower("code"), name="agency_code_once")]

    def __str__(self) -> str:
        return self.name or self.code

    def clean(self) -> None:
        super().clean()
        above, seen = self.parent, {self.pk}
        while above is not None:
            if above.pk in seen:
                raise ValidationError({"parent": _("An agency cannot stand above itself.")})
            seen.add(above.pk)
            above = above.parent


class User(AbstractUser):
    """Somebody who signs in to the admin: the agency decides what the user sees, the role what the user may do."""

    agency = models.ForeignKey(
        Agency,
        models.PROTECT,
        verbose_name=_("agency"),
        null=True,
        blank=True,
        related_name="users",
        help_text=_("Only administrators and supervisors may be without an agency."),
    )

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")


class ApiToken(models.Model):
    """A user's token for the management API. Shown once, when it is made; here lies its digest."""

    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("user"), related_name="api_tokens")
    public = models.CharField(_("begins with"), max_length=20, editable=False)
    digest = models.CharField(max_length=80, unique=True, editable=False)
    created_at = models.DateTimeField(_("issued at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return self.public

    @classmethod
    def issue(cls, user: User, expires_at: datetime) -> tuple[ApiToken, str]:
        """Make a new token and return it with its plain text, which is never to be had again."""
        plain = secrets.new_key()
        token = cls.objects.create(
            user=user, public=secrets.public_part(plain), digest=secrets.key_digest(plain), expires_at=expires_at
        )
        return token, plain

    @classmethod
    def owner(cls, plain: str) -> User | None:
        """The active user to whom a token belongs, or None."""
        found = cls.objects.select_related("user").filter(
            digest__in=secrets.key_digests(plain), expires_at__gt=timezone.now(), user__is_active=True
        )
        token = found.first()
        return token.user if token is not None else None
