"""How people get an account, and what is asked of them when they sign in."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import roles
from registry.models.agencies import User


def end_of_invitation() -> datetime:
    """Return when an invitation of now expires."""
    return timezone.now() + timedelta(days=settings.INVITATION_DAYS)


class Invitation(models.Model):
    """A link by which a user sets a password, once. The database has its digest only."""

    user = models.OneToOneField(User, models.CASCADE, verbose_name=_("user"), related_name="invitation")
    digest = models.CharField(max_length=80, unique=True, editable=False)
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", editable=False)
    created_at = models.DateTimeField(_("issued at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"), default=end_of_invitation, editable=False)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.user)


class RoleRule(models.Model):
    """What is asked of the users of a role when they sign in."""

    role = models.CharField(_("role"), max_length=150, unique=True, editable=False)
    second_factor = models.BooleanField(
        _("second factor required"),
        default=False,
        help_text=_("Users without one are led to set it up when they sign in, and reach nothing else."),
    )

    class Meta:
        verbose_name = _("rule for signing in")
        verbose_name_plural = _("rules for signing in")
        default_permissions = ("view", "change")
        ordering = ("pk",)

    def __str__(self) -> str:
        return str(roles.label(self.role))
