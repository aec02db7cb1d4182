"""Pages of the second factor: a code when signing in, and setting up and taking off what one has."""

from __future__ import annotations

from typing import Any

from allauth.account.views import ReauthenticateView
from allauth.mfa.base.views import AuthenticateView, IndexView
from allauth.mfa.base.views import ReauthenticateView as ReauthenticateByCodeView
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.internal import auth
from allauth.mfa.webauthn.views import AddWebAuthnView, ReauthenticateWebAuthnView, RemoveWebAuthnView
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from mantra.people import frames
from mantra.people.adapters import SecondFactorAdapter
from registry.people import second_factor, sessions

TITLE = _("Second factor")
LAST = _("Your role needs a second factor. Set up another one before you remove this one.")


class Code(frames.Framed, AuthenticateView):  # type: ignore[misc]
    template_name = "people/code.html"
    title = TITLE


class ConfirmPassword(frames.Framed, ReauthenticateView):  # type: ignore[misc]
    template_name = "people/confirm.html"
    title = _("Confirm that it is you")


class ConfirmCode(frames.Framed, ReauthenticateByCodeView):  # type: ignore[misc]
    template_name = "people/confirm.html"
    title = _("Confirm that it is you")


class ConfirmPasskey(frames.Framed, ReauthenticateWebAuthnView):  # type: ignore[misc]
    template_name = "people/confirm_passkey.html"
    title = _("Confirm that it is you")


class Factors(frames.Framed, IndexView):  # type: ignore[misc]
    template_name = "people/factors.html"
    title = TITLE


def _set_up(request: HttpRequest) -> None:
    """Let the user in who had to do this first. Sessions from before the second factor end."""
    assert request.user.is_authenticated
    second_factor.note(request.session, request.user)
    sessions.end_all(request.user, but=request.session.session_key)


class SetsUp:
    """A page that adds a second factor."""

    request: HttpRequest

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
        _set_up(self.request)
        return response


class Activate(SetsUp, frames.Framed, ActivateTOTPView):  # type: ignore[misc]
    template_name = "people/activate.html"
    title = _("Authenticator app")


class Deactivate(frames.Framed, DeactivateTOTPView):  # type: ignore[misc]
    template_name = "people/remove.html"
    title = _("Remove the authenticator app")

    def form_invalid(self, form: Any) -> HttpResponse:
        return _kept(self.request)


class AddPasskey(SetsUp, frames.Framed, AddWebAuthnView):  # type: ignore[misc]
    template_name = "people/add_passkey.html"
    title = _("Add a passkey")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        # One that is found by the device, and that asks for its owner's finger or PIN: it signs in alone, too.
        context = super().get_context_data(**kwargs)
        options = auth.begin_registration(self.request.user, passwordless=True)
        return {**context, "js_data": {"creation_options": options}}


class RemovePasskey(frames.Framed, RemoveWebAuthnView):  # type: ignore[misc]
    template_name = "people/remove.html"
    title = _("Remove the passkey")
    success_url = reverse_lazy("mfa_index")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        # The admin's frame would link to the list of what "object" is.
        return {**super().get_context_data(**kwargs), "object": None}

    def form_valid(self, form: Any) -> HttpResponse:
        if not SecondFactorAdapter().can_delete_authenticator(self.object):
            return _kept(self.request)
        response: HttpResponse = super().form_valid(form)
        return response


def _kept(request: HttpRequest) -> HttpResponse:
    messages.error(request, LAST)
    return redirect("mfa_index")


class RecoveryCodes(frames.Framed, ViewRecoveryCodesView):  # type: ignore[misc]
    template_name = "people/recovery_codes.html"
    title = _("Recovery codes")


class NewRecoveryCodes(frames.Framed, GenerateRecoveryCodesView):  # type: ignore[misc]
    template_name = "people/new_recovery_codes.html"
    title = _("New recovery codes")
