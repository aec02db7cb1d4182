"""The forms of signing in, in the theme's look and the bus's words."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as account
from allauth.mfa.base import forms as factor
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from registry.admin import theme
from registry.models import User

#: The most characters of a password. Hashing longer ones would cost the bus, and nobody types them.
MAX_PASSWORD = 256
DIFFERENT = _("The two passwords differ. Enter the same one twice.")


def _password(label: Any, autocomplete: str) -> forms.CharField:
    widget = theme.password_input()
    widget.attrs["autocomplete"] = autocomplete
    return forms.CharField(label=label, widget=widget, strip=False, max_length=MAX_PASSWORD)


def _code() -> forms.CharField:
    attrs = {"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": ""}
    return forms.CharField(label=_("Code"), widget=theme.text_input(**attrs), max_length=20)


class _NewPassword(forms.Form):
    """A new password, entered twice. The form has the attribute ``user``."""

    user: User

    def clean_password1(self) -> str:
        password: str = self.cleaned_data["password1"]
        validate_password(password, self.user)
        if self.user.has_usable_password() and self.user.check_password(password):
            raise ValidationError(_("This is the current password. Choose another one."))
        return password

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data  # allauth's own check would say the same in other words
        if {"password1", "password2"} <= cleaned.keys() and cleaned["password1"] != cleaned["password2"]:
            self.add_error("password2", DIFFERENT)
        return cleaned


def _new_password(form: forms.Form) -> None:
    """Replace the fields of a new password by the bus's own."""
    form.fields["password1"] = _password(_("New password"), "new-password")
    form.fields["password1"].help_text = password_validators_help_text_html()
    form.fields["password2"] = _password(_("New password again"), "new-password")


class SignInForm(account.LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        attrs = {"id": "id_username", "autocomplete": "username", "autofocus": "", "autocapitalize": "none"}
        widget = theme.text_input(**attrs)
        self.fields["login"] = forms.CharField(label=_("User name or e-mail address"), widget=widget, max_length=254)
        self.fields["password"] = _password(_("Password"), "current-password")


class InvitationForm(_NewPassword):
    """The password of a user who was invited."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        _new_password(self)


class ResetForm(_NewPassword, account.ResetPasswordKeyForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _new_password(self)


class ChangePasswordForm(_NewPassword, account.ChangePasswordForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["oldpassword"] = _password(_("Current password"), "current-password")
        _new_password(self)


class AskResetForm(account.ResetPasswordForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        widget = theme.text_input(type="email", autocomplete="email", autofocus="")
        self.fields["email"] = forms.EmailField(label=_("E-mail address"), widget=widget, max_length=254)


class ConfirmPasswordForm(account.ReauthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"] = _password(_("Password"), "current-password")


class CodeForm(factor.AuthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"] = _code()


class ConfirmCodeForm(factor.ReauthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"] = _code()


class ActivateForm(totp.ActivateTOTPForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"] = _code()


class AddPasskeyForm(webauthn.AddWebAuthnForm):  # type: ignore[misc]
    """A passkey of which the browser asks the user: it signs in without a password too."""

    passwordless = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        help_text = _("A name by which you will know it, such as that of the telephone.")
        self.fields["name"] = forms.CharField(
            label=_("Name"), required=False, max_length=100, widget=theme.text_input(), help_text=help_text
        )
