"""Agencies, their users, and the users' tokens for the management API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import secrets
from registry.models import bounds
from registry.models.base import EXPIRED, AddressPart, code_validator


class Agency(AddressPart):
    snapshot_unit = ("agency", "id")
    counted = ("agencies", "")
    unique_within = ("code", "")

    #: Aliases are case-insensitive: bkn and BKN are the same.
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    name = models.CharField(_("name"), max_length=200)
    website = models.URLField(_("website"), blank=True)
    email = models.EmailField(_("email"), blank=True)
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
        ancestor, visited = self.parent, {self.pk}
        while ancestor is not None:
            if ancestor.pk in visited:
                raise ValidationError({"parent": _("An agency cannot be its own parent.")})
            visited.add(ancestor.pk)
            ancestor = ancestor.parent


class User(AbstractUser):
    """A person who signs in to the admin. The agency decides the rows, the role the rights."""

    agency = models.ForeignKey(
        Agency,
        models.PROTECT,
        verbose_name=_("agency"),
        null=True,
        blank=True,
        related_name="users",
        help_text=_("Choose an agency: only administrators and supervisors work without one."),
    )
    language = models.CharField(
        _("language of e-mail"), max_length=5, choices=settings.LANGUAGES, default=settings.LANGUAGE_CODE
    )
    #: Somebody else knows the password: it must be changed before anything else.
    must_change_password = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def clean(self) -> None:
        super().clean()
        # People sign in and reset passwords by their e-mail address, which must lead to one person.
        others = User.objects.exclude(pk=self.pk)
        if self.email and others.filter(email__iexact=self.email).exists():
            raise ValidationError({"email": _("Another user has this e-mail address.")})

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the user; what records the change (registry/change_journal.py) can refuse it."""
        super().save(*args, **kwargs)


def max_token_age() -> timedelta:
    """Return how long a token is valid at most."""
    return timedelta(days=settings.MAX_TOKEN_DAYS)


class ApiToken(models.Model):
    """A user's token for the management API. It is shown once, when it is issued; the database has its digest only."""

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
        """Issue a new token. Return it with its plain text, which is not stored. Raises ValidationError."""
        plain = secrets.new_key()
        token = cls(
            user=user, public=secrets.public_part(plain), digest=secrets.key_digest(plain), expires_at=expires_at
        )
        token.full_clean()
        with transaction.atomic():
            token.save()
        return token, plain

    def clean(self) -> None:
        super().clean()
        if not self._state.adding:
            return
        if self.expires_at and self.expires_at <= self.created_at:
            raise ValidationError({"expires_at": EXPIRED})
        if self.expires_at and self.expires_at > self.created_at + max_token_age():
            raise ValidationError(
                {"expires_at": _("A token can be valid for at most %(days)d days.") % {"days": settings.MAX_TOKEN_DAYS}}
            )
        if self.user_id:
            bounds.check_number(ApiToken.objects.filter(user=self.user_id), "tokens")

    @classmethod
    def authenticate(cls, plain: str) -> User | None:
        """Return the active user of a valid token, None for another token."""
        now = timezone.now()
        tokens = cls.objects.select_related("user").filter(
            digest__in=secrets.key_digests(plain),
            expires_at__gt=now,
            # Tokens that were issued before there was a maximum have one too.
            created_at__gt=now - max_token_age(),
            user__is_active=True,
        )
        token = tokens.first()
        return token.user if token is not None else None
