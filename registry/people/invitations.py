"""Invitations: a link with which a user sets a password, once, within settings.INVITATION_DAYS."""

from __future__ import annotations

import secrets as random

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, override

from registry import notifications, secrets
from registry.models import Event, Invitation, User
from registry.people import lockout, sessions


@transaction.atomic
def issue(user: User, invited_by: User | None) -> tuple[Invitation, str]:
    """Issue an invitation, in place of an earlier one. Return it with its token, which is not stored."""
    token = random.token_urlsafe(32)
    Invitation.objects.filter(user=user).delete()
    return Invitation.objects.create(user=user, digest=secrets.key_digest(token), invited_by=invited_by), token


def send(user: User, link: str) -> None:
    """Mail a link for setting a password: an invitation, or to a user who had a password one for a new one."""
    if user.has_usable_password():
        notifications.mail(Event.PASSWORD_RESET, user.email, user.language, link=link)
        return
    days = settings.INVITATION_DAYS
    notifications.mail(Event.INVITATION, user.email, user.language, link=link, agency=_workplace(user), days=days)


def _workplace(user: User) -> str:
    """Return for whom a user works, in the user's language."""
    with override(user.language or settings.LANGUAGE_CODE):
        return str(user.agency or gettext("all agencies"))


def find(token: str) -> Invitation | None:
    """Return the invitation of a token that may still be used."""
    rows = Invitation.objects.select_related("user__agency").filter(
        digest__in=secrets.key_digests(token), expires_at__gt=timezone.now(), user__is_active=True
    )
    return rows.first()


@transaction.atomic
def accept(invitation: Invitation, password: str) -> bool:
    """Set the user's password. Return False if somebody else used the invitation meanwhile."""
    used, _rows = Invitation.objects.filter(pk=invitation.pk).delete()
    if not used:
        return False
    set_password(invitation.user, password)
    return True


@transaction.atomic
def set_password(user: User, password: str) -> None:
    """Set a password that only the user knows. Sessions and invitations of before end, and the name is unlocked."""
    known_before = user.has_usable_password()
    user.set_password(password)
    user.must_change_password = False
    user.save(update_fields=["password", "must_change_password"])
    Invitation.objects.filter(user=user).delete()
    sessions.end_all(user)
    lockout.unlock(user)
    if known_before:
        notifications.notify(Event.PASSWORD_CHANGED, [user], url=reverse("own_sessions"))
