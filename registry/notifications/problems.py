"""Why an e-mail was not sent: what that means, what to do, and whether it is tried again.

The mail server's own words are shown nowhere: they may contain addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.utils.translation import gettext_lazy as _


class Scope(Enum):
    #: It concerns all e-mail: the outbox waits, and none of its messages counts an attempt.
    SERVER = "server"
    #: It concerns one message, which is sent later.
    LATER = "later"
    #: It concerns one message, which is never sent.
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Problem:
    scope: Scope
    text: Any


PROBLEMS: dict[str, Problem] = {
    "not-configured": Problem(
        Scope.SERVER, _("No mail server is configured. Ask the server's administrator to set MANTRA_SMTP_HOST.")
    ),
    "dns": Problem(Scope.SERVER, _("The mail server's name was not found in DNS. Check MANTRA_SMTP_HOST.")),
    "refused": Problem(
        Scope.SERVER,
        _("The mail server's host is reachable, but nothing is listening on this port. Check MANTRA_SMTP_PORT."),
    ),
    "unreachable": Problem(
        Scope.SERVER,
        _("The mail server's host does not respond. Check the address, and ask your network administrator."),
    ),
    "slow": Problem(Scope.SERVER, _("The mail server did not respond in time. Check its load.")),
    "closed": Problem(Scope.SERVER, _("The mail server closed the connection. Read its log.")),
    "busy": Problem(Scope.SERVER, _("The mail server accepts no messages at present. The bus tries again.")),
    "greeting": Problem(
        Scope.SERVER, _("The mail server rejects connections from the bus. Ask its team to allow the bus's address.")
    ),
    "certificate": Problem(
        Scope.SERVER,
        _(
            "The mail server's certificate has expired, is for another name, or is from an unknown authority. If the "
            "agency has its own authority, set MANTRA_SMTP_CA_FILE."
        ),
    ),
    "ca-file": Problem(Scope.SERVER, _("The file of MANTRA_SMTP_CA_FILE cannot be read as PEM certificates.")),
    "tls": Problem(
        Scope.SERVER,
        _("The TLS connection failed. Check that MANTRA_SMTP_TLS fits the port: starttls for 587, tls for 465."),
    ),
    "no-starttls": Problem(
        Scope.SERVER,
        _("The mail server does not offer STARTTLS on this port. Check MANTRA_SMTP_TLS and MANTRA_SMTP_PORT."),
    ),
    "sign-in": Problem(
        Scope.SERVER,
        _("The mail server rejects the user name or the password. Check MANTRA_SMTP_USER and MANTRA_SMTP_PASSWORD."),
    ),
    "no-sign-in": Problem(
        Scope.SERVER,
        _("The mail server offers no sign-in that the bus knows. Keep MANTRA_SMTP_USER empty, or ask its team."),
    ),
    "sender": Problem(Scope.SERVER, _("The mail server does not accept the sender's address. Check MANTRA_SMTP_FROM.")),
    "recipient-later": Problem(Scope.LATER, _("The mail server accepts nothing for this recipient at present.")),
    "content-later": Problem(Scope.LATER, _("The mail server did not accept this message yet.")),
    "recipient": Problem(
        Scope.FINAL, _("The mail server does not accept the recipient's address. Check it in the user's data.")
    ),
    "content": Problem(
        Scope.FINAL, _("The mail server refuses this message, for example as unwanted. Ask its team why.")
    ),
    "address": Problem(Scope.FINAL, _("The recipient has no valid e-mail address. Correct it in the user's data.")),
    "gone": Problem(Scope.FINAL, _("The recipient's account is not active any more.")),
    "unreadable": Problem(
        Scope.FINAL,
        _("Its link cannot be decrypted: a key is missing in MANTRA_FIELD_KEYS. Repeat what sent it."),
    ),
    "too-old": Problem(
        Scope.FINAL, _("It could not be sent in the time allowed (MANTRA_MAIL_DAYS), and is out of date by now.")
    ),
}


def sentence(key: str) -> str:
    """Return what a problem means and what to do, "" for none."""
    return str(PROBLEMS[key].text) if key in PROBLEMS else ""


class MailError(Exception):
    """A message was not sent, for a reason of PROBLEMS. ``code``: the mail server's status code, 0 without one."""

    def __init__(self, key: str, code: int = 0) -> None:
        super().__init__(key)
        self.key = key
        self.code = code

    @property
    def scope(self) -> Scope:
        return PROBLEMS[self.key].scope
