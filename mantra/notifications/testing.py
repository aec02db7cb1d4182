"""The page that sends a test e-mail."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from mantra.notifications.own import page
from registry import tenancy
from registry.admin.theme import text_input
from registry.notifications import mail_is_configured
from registry.notifications.testing import MailOutcome, send_test


class TestForm(forms.Form):
    address = forms.EmailField(label=_("Send it to"), widget=text_input(type="email", autocomplete="email"))


def test_mail(request: HttpRequest) -> HttpResponse:
    """Send a test e-mail, and say what the mail server made of it."""
    if not tenancy.is_administrator(request.user):
        raise PermissionDenied
    posted = request.POST if request.method == "POST" else None
    form = TestForm(posted, initial={"address": getattr(request.user, "email", "")})
    outcome: MailOutcome | None = None
    if posted is not None and form.is_valid():
        outcome = send_test(form.cleaned_data["address"])
    return page(
        request, "test", _("Test e-mail"), form=form, outcome=outcome, settings=_settings(), mail=mail_is_configured()
    )


def _settings() -> list[tuple[str, Any]]:
    """Return the settings as they are, without the password."""
    return [
        ("MANTRA_SMTP_HOST", settings.SMTP_HOST),
        ("MANTRA_SMTP_PORT", settings.SMTP_PORT),
        ("MANTRA_SMTP_TLS", settings.SMTP_TLS),
        ("MANTRA_SMTP_USER", settings.SMTP_USER),
        ("MANTRA_SMTP_FROM", settings.SMTP_FROM),
        ("MANTRA_BASE_URL", settings.BASE_URL),
    ]
