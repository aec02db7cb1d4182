"""Pages for signing in, for a forgotten password, an invitation, and for changing the password."""

from __future__ import annotations

import time
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from allauth.account.views import LoginView, PasswordChangeView, PasswordResetFromKeyView, PasswordResetView
from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from mantra.people import frames
from mantra.people.forms import InvitationForm
from registry.notifications import smtp
from registry.people import invitations

#: Seconds that each request for a reset takes at least: writing an e-mail must not tell that there is an account.
RESET_SECONDS = 0.3


class SignIn(frames.Framed, LoginView):  # type: ignore[misc]
    template_name = "people/sign_in.html"
    title = _("Sign in")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "single_sign_on": settings.OIDC_URL and _name_of_sso()}


def _name_of_sso() -> str:
    return str(settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["name"])


def _sends_links() -> bool:
    """Return True if a stranger's request may send a secret link: its host must not be that of the request."""
    return smtp.is_configured() and bool(settings.BASE_URL)


class AskReset(frames.Framed, PasswordResetView):  # type: ignore[misc]
    template_name = "people/ask_reset.html"
    title = _("Forgotten password")
    success_url = reverse_lazy("account_login")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "mail": _sends_links()}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not _sends_links():
            return redirect("account_reset_password")
        until = time.monotonic() + RESET_SECONDS
        response: HttpResponse = super().post(request, *args, **kwargs)
        time.sleep(max(0.0, until - time.monotonic()))
        return response

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        if response.status_code == 302:
            text = _("If this is the address of a user, an e-mail with a link is on its way to it.")
            messages.info(self.request, text)
        return response


class Reset(frames.Framed, PasswordResetFromKeyView):  # type: ignore[misc]
    template_name = "people/new_password.html"
    title = _("New password")
    success_url = reverse_lazy("account_login")


class ChangePassword(frames.Framed, PasswordChangeView):  # type: ignore[misc]
    template_name = "people/change_password.html"
    title = _("Change password")

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        messages.success(self.request, _("The password is changed. Your other sessions have ended."))
        return response


@never_cache
@sensitive_post_parameters("password1", "password2")
def accept_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Let a user who was invited set a password, and sign the user in."""
    limited = ratelimit.consume_or_429(request, action="reset_password_from_key")
    if limited:
        return limited  # type: ignore[no-any-return]
    found = invitations.find(token)
    form = InvitationForm(found.user, request.POST or None) if found else None
    if found and form and form.is_valid() and invitations.accept(found, form.cleaned_data["password1"]):
        return _enter(request, found.user)
    context = {**frames.context(request, _("Invitation")), "form": form, "invited": found and found.user}
    status = 200 if found else 404
    return TemplateResponse(request, "people/invitation.html", context, status=status)


def _enter(request: HttpRequest, user: Any) -> HttpResponse:
    """Sign in a user who has just set a password; a second factor is still required where the rules require one."""
    if request.user.is_authenticated:
        request.session.flush()
        return redirect("account_login")
    record_authentication(request, user, method="password", username=user.username)
    return perform_login(request, user, email_verification="none")  # type: ignore[no-any-return]


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return the page of a request that a rate limit refused."""
    context = frames.context(request, _("Too many attempts"))
    return TemplateResponse(request, "people/too_many.html", context, status=429).render()
