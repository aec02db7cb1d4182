"""Templates of messages: text with placeholders of a fixed list. They execute nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from registry.models import Event, HarvestRule, MessageTemplate
from registry.models.notifications import SUBJECT
from registry.moments import day, month
from registry.notifications.kinds import KINDS
from registry.notifications.texts import TEXTS

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
#: What stands for a value that an event does not have, and the placeholder of the page to open.
ABSENT, LINK = "–", "link"
#: Decision → its word: messages are translated when they are made.
OUTCOMES: dict[str, Any] = {
    "approved": gettext_lazy("approved"),
    "rejected": gettext_lazy("rejected"),
    "done": gettext_lazy("done"),
    "failed": gettext_lazy("failed"),
}
#: Area of the server's own health → its words.
AREAS: dict[str, Any] = {
    "disk": gettext_lazy("a disk is nearly full"),
    "journal": gettext_lazy("the call history is behind the journal"),
    "worker": gettext_lazy("the worker does not work"),
    "mail": gettext_lazy("e-mail is not sent"),
    "certificates": gettext_lazy("a certificate ends"),
}


#: Kind of alarm rule → its words.
RULES: dict[str, Any] = dict(HarvestRule.Kind.choices)


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    body: str


def placeholders(event: Event) -> list[str]:
    """Return the names that the text of an event's messages may contain; a subject may contain all but the link."""
    return [*sorted(KINDS[event].keys), LINK]


def check(event: Event, subject: str, body: str) -> None:
    """Check a template. Raises ValidationError, by field."""
    errors: dict[str, Any] = {}
    if "\n" in subject or "\r" in subject:
        errors["subject"] = _("Write the subject in one line.")
    for name, text, known in (
        ("subject", subject, placeholders(event)[:-1]),
        ("body", body, placeholders(event)),
    ):
        if problem := _problem_of(text, known):
            errors[name] = problem
    if KINDS[event].needs_link and "{link}" not in body:
        errors.setdefault("body", _("Keep {link}: without it, the recipient cannot continue."))
    if errors:
        raise ValidationError(errors)


def _problem_of(text: str, known: list[str]) -> str:
    """Return what is wrong with the placeholders of a text, "" if nothing is."""
    unknown = [name for name in _PLACEHOLDER.findall(text) if name not in known]
    if unknown:
        words = {"names": ", ".join(f"{{{name}}}" for name in dict.fromkeys(unknown)), "known": _braced(known)}
        return _("These placeholders are unknown here: %(names)s. There are: %(known)s.") % words
    if re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
        return _("Use braces for placeholders only: %(known)s.") % {"known": _braced(known)}
    return ""


def _braced(names: list[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def shipped(event: Event, language: str) -> Rendered:
    """Return the template that the bus comes with."""
    with override(language):
        return Rendered(str(TEXTS[event].subject), str(TEXTS[event].body))


def in_force(language: str) -> dict[Event, Rendered]:
    """Return the template of each event in a language: the administrators' or the shipped one. One query."""
    own = {row.event: Rendered(row.subject, row.body) for row in MessageTemplate.objects.filter(language=language)}
    return {event: own.get(event) or shipped(event, language) for event in TEXTS}


def render(template: Rendered, language: str, context: Mapping[str, Any], link: str) -> Rendered:
    """Return a message: its subject in one line of at most SUBJECT characters, and its text."""
    with override(language):
        known = {
            **context,
            "outcome": OUTCOMES.get(context.get("outcome", ""), ABSENT),
            "area": AREAS.get(context.get("area", ""), ABSENT),
            "rule": RULES.get(context.get("rule", ""), ABSENT),
        }
        subject = _fill(template.subject, {key: _in_words(value, ", ") for key, value in known.items()})
        lines = {key: _in_words(value, "\n- ", "- ") for key, value in known.items()}
        return Rendered(one_line(subject)[:SUBJECT], _fill(template.body, {**lines, LINK: link or ABSENT}))


def one_line(text: str) -> str:
    """Return a text without line breaks and control characters, which must not get into a header."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _fill(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its placeholders replaced, each once: a value's own braces stay as they are."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], ABSENT), text)


def _in_words(value: Any, between: str, before: str = "") -> str:
    if isinstance(value, dict) and "month" in value:
        return month(date.fromisoformat(f"{value['month']}-01"))
    if isinstance(value, dict):
        return day(date.fromisoformat(value["date"]))
    if isinstance(value, list):
        return before + between.join(one_line(str(item)) for item in value)
    return one_line(str(value))


def languages() -> list[str]:
    return [code for code, _name in settings.LANGUAGES]
