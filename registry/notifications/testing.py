"""A test e-mail, sent at once, with a diagnosis."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import get_language, gettext

from registry.notifications.composing import letter
from registry.notifications.problems import MailError, sentence
from registry.notifications.smtp import Session
from registry.notifications.templates import Rendered


@dataclass(frozen=True, slots=True)
class MailOutcome:
    ok: bool
    text: str


def send_test(address: str) -> MailOutcome:
    """Send a test e-mail to an address, and say what came of it and what to do."""
    began = time.monotonic()
    try:
        _send(address)
    except MailError as error:
        code = gettext(" (status %(code)d)") % {"code": error.code} if error.code else ""
        return MailOutcome(False, sentence(error.key) + code)
    words = {"milliseconds": round((time.monotonic() - began) * 1000)}
    text = gettext("The mail server has taken the e-mail in %(milliseconds)d ms. See whether it arrives.")
    return MailOutcome(True, text % words)


def _send(address: str) -> None:
    try:
        validate_email(address)
        address.encode("ascii")
    except (ValidationError, UnicodeEncodeError):
        raise MailError("address") from None
    text = Rendered(
        gettext("MANTRA: a test"), gettext("This e-mail shows that the bus can send e-mail. You need not do anything.")
    )
    with Session() as session:
        session.send(letter(text, address, get_language() or ""), address)
