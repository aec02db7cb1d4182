"""E-mail from rows of the outbox: plain text in the recipient's language."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from registry.models import Event, Notification, OutboxMessage
from registry.moments import moment
from registry.notifications import templates
from registry.notifications.kinds import KINDS
from registry.notifications.problems import MailError
from registry.notifications.templates import Rendered

#: The most notifications that a digest lists.
MAX_DIGEST = 50
#: The page on which people choose how they are notified.
CHOICES_PAGE = "notification_choices"


def compose(row: OutboxMessage) -> tuple[EmailMessage, str]:
    """Return the message of a row and the address that it goes to. Raises MailError."""
    address = address_of(row)
    text = _digest(row) if row.event == OutboxMessage.DIGEST else _text(row)
    message = letter(text, address, language_of(row))
    message["Message-ID"] = f"<{row.pk}.{int(row.created_at.timestamp())}@{_domain()}>"
    if row.user_id is not None and settings.BASE_URL:
        message["List-Unsubscribe"] = f"<{settings.BASE_URL}{reverse(CHOICES_PAGE)}>"
    return message, address


def letter(text: Rendered, address: str, language: str) -> EmailMessage:
    """Return an e-mail with what each of ours has."""
    message = EmailMessage()
    name, sender = parseaddr(settings.SMTP_FROM)
    message["From"] = f'"{templates.one_line(name).replace(chr(34), "")}" <{sender}>' if name else sender
    message["To"] = address
    message["Subject"] = text.subject
    message["Date"] = format_datetime(timezone.localtime())
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic responses
    message.set_content(text.body)
    message["Content-Language"] = language
    return message


def address_of(row: OutboxMessage) -> str:
    """Return the address of a row's recipient. Raises MailError if there is none that can be used."""
    if row.user is not None and not row.user.is_active:
        raise MailError("gone")
    address = row.user.email if row.user is not None else row.address
    try:
        validate_email(address)
        address.encode("ascii")
    except (ValidationError, UnicodeEncodeError):
        raise MailError("address") from None
    return address


def language_of(row: OutboxMessage) -> str:
    wanted = row.user.language if row.user is not None else row.language
    return wanted if wanted in templates.languages() else settings.LANGUAGE_CODE


def absolute(path: str) -> str:
    """Return the URL of a page of the admin. Without MANTRA_BASE_URL it is a path."""
    return f"{settings.BASE_URL}{path}" if path else ""


def _text(row: OutboxMessage) -> Rendered:
    try:
        link = str(row.link)
    except ImproperlyConfigured:
        raise MailError("unreadable") from None
    language, event = language_of(row), Event(row.event)
    found = templates.render(templates.in_force(language)[event], language, row.context, link or absolute(row.url))
    if row.user_id is None or KINDS[event].fixed:
        return Rendered(found.subject, found.body)
    return Rendered(found.subject, f"{found.body}\n\n{_footer(language)}")


def _footer(language: str) -> str:
    with override(language):
        words = _("You can choose which of these e-mails you get:")
        return f"-- \n{words}\n{absolute(reverse(CHOICES_PAGE))}"


def _digest(row: OutboxMessage) -> Rendered:
    """Return the digest of the notifications that a row lists."""
    language = language_of(row)
    found = Notification.objects.filter(pk__in=row.context.get("notifications", ())).order_by("created_at", "pk")
    known = templates.in_force(language)
    with override(language):
        lines = [_line(each, known[Event(each.event)], language) for each in found[:MAX_DIGEST]]
        if more := row.context.get("more", 0):
            lines.append(_("and %(number)d more") % {"number": more})
        head = _("What happened since your last digest:")
        all_of_them = f"{_('All notifications:')}\n{absolute(reverse('notifications'))}"
        body = "\n\n".join([head, *lines, all_of_them, _footer(language)])
        return Rendered(_("MANTRA: your daily digest"), body)


def _line(each: Notification, template: Rendered, language: str) -> str:
    subject = templates.render(template, language, each.context, "").subject
    return "\n".join(part for part in (f"{moment(each.created_at)}  {subject}", absolute(each.url)) if part)


def preview(event: Event, template: Rendered, language: str, context: Mapping[str, Any]) -> Rendered:
    """Return a message as its recipient would get it, with examples of what it is about."""
    return templates.render(template, language, context, absolute(reverse("notifications")))


def _domain() -> str:
    return parseaddr(settings.SMTP_FROM)[1].rpartition("@")[2] or "localhost"
