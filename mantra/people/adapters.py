"""How django-allauth does things here: no sign-up, the bus's own addresses, keys and messages."""

from __future__ import annotations

import time
from typing import Any, NoReturn
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import AuthProcess
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from registry import notifications, secrets
from registry.models import Event, User
from registry.people import invitations, links, lockout, second_factor, sessions

#: Seconds for which somebody who has just signed in need not confirm it with the password.
FRESH = 300
WRONG = gettext_lazy("The name or the password is wrong. Check both, capital letters too.")
SLOW_DOWN = gettext_lazy("Too many attempts. Wait some minutes, then try again.")
WRONG_CODE = gettext_lazy("The code is wrong, expired or already used. Enter the one that is shown now.")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": WRONG,
        "too_many_login_attempts": SLOW_DOWN,
        "rate_limited": SLOW_DOWN,
        "incorrect_password": gettext_lazy("The password is wrong."),
        "enter_current_password": gettext_lazy("The current password is wrong."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return lockout.address_of(request)

    def is_safe_url(self, url: str) -> bool:
        """Return True for addresses of the request's own host, and of no other name of the bus."""
        request: HttpRequest = context.request
        return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        user: User | None = super().authenticate(request, **credentials)
        if user is None and getattr(request, "axes_locked_out", False):
            raise ValidationError(_locked(), code="locked")
        return user

    def set_password(self, user: User, password: str) -> None:
        invitations.set_password(user, password)

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return links.absolute(context.request, path.replace("UID-KEY", quote(key)))

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        # To the stored address: the one that was entered may only look like it.
        notifications.mail(Event.PASSWORD_RESET, user.email, user.language, link=context["password_reset_url"])

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Return what attempts with one name are counted by: those from an address that its user uses count apart.

        Attempts from many addresses so stop one another, and not the person at the usual place.
        """
        name, address = lockout.name_of(request, credentials), lockout.address_of(request)
        used = UserSession.objects.filter(user__username__iexact=name, ip=address)
        return f"{name} {address}" if used.exists() else name

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        request: HttpRequest = context.request
        records = get_authentication_records(request, request.user)
        fresh = bool(records) and time.time() - records[-1]["at"] < FRESH
        return not fresh and bool(super().is_reauthentication_required(app=app, **kwargs))

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        second_factor.note(request.session, user)
        sessions.begin(request.session)
        response: HttpResponse = super().post_login(request, user, **kwargs)
        return response

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        messages.error(request, WRONG)
        return redirect("account_login")

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse(settings.LOGIN_REDIRECT_URL)

    def add_message(self, request: HttpRequest, level: int, *args: Any, **kwargs: Any) -> None:
        """Show messages that have a text. The pages of this package say the rest themselves."""
        if text := kwargs.get("message"):
            messages.add_message(request, level, text)


def _locked() -> str:
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    text = ngettext(
        "Too many wrong passwords for this name from your address. Try again in %(minutes)d minute, or ask an "
        "administrator to unlock it.",
        "Too many wrong passwords for this name from your address. Try again in %(minutes)d minutes, or ask an "
        "administrator to unlock it.",
        minutes,
    )
    return text % {"minutes": minutes}


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = {**DefaultMFAAdapter.error_messages, "incorrect_code": WRONG_CODE}

    def encrypt(self, text: str) -> str:
        return secrets.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return secrets.decrypt(encrypted_text)

    def _get_site_name(self) -> str:
        return str(settings.MFA_TOTP_ISSUER)

    def can_delete_authenticator(self, authenticator: Any) -> bool:
        """Return False for the last second factor of a user who needs one."""
        user = authenticator.user
        others = second_factor.factors(user).exclude(pk=authenticator.pk)
        return others.exists() or not second_factor.required(user)

    def generate_authenticator_name(self, user: User, type: Any) -> str:
        number = second_factor.factors(user).filter(type=type).count() + 1
        return _("Passkey %(number)d") % {"number": number}


class SingleSignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Signs in users whom an administrator has created, by the verified e-mail address. It creates no user."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        if sociallogin.state.get("process") != AuthProcess.LOGIN:
            _refuse(request)
        sociallogin.account.extra_data = {}  # what else the provider says of a person is not kept
        if sociallogin.is_existing:
            sociallogin.account.save(update_fields=["extra_data"])
            return
        # Capital letters make no difference, and for a database the capital of "ı" is that of "i": another person's.
        addresses = [each.email for each in sociallogin.email_addresses if each.verified and each.email.isascii()]
        found = list(User.objects.filter(email__iexact=addresses[0], is_active=True)[:2]) if addresses else []
        if len(found) != 1:
            _refuse(request)
        sociallogin.connect(request, found[0])

    def on_authentication_error(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(request)


def _refuse(request: HttpRequest) -> NoReturn:
    text = _("Single sign-on did not name a user of this bus by a verified e-mail address. Ask an administrator.")
    messages.error(request, text)
    raise ImmediateHttpResponse(redirect("account_login"))
