"""Finds keys in what people paste: a key alone, or a text in which a scanner has found one. Nothing of it is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from registry import notifications, secrets, tenancy
from registry.models import AccessKey, Event, User
from registry.notifications.recipients import members

#: The right without which nobody looks for a leaked key.
RIGHT = "registry.view_accesskey"
#: The characters of a text that people may paste, and the keys of it that are looked for.
LENGTH, MOST = 20_000, 20
#: A key of this version within a text; and what a key of MANTRA 1.99x has at most, which is looked for as a whole.
_KEY = re.compile(rf"{secrets.KEY_MARK}[0-9A-Za-z]{{8}}_[0-9A-Za-z]{{36}}")
_OLD_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Found:
    """The keys of a text that a user may see. ``others``: those of other agencies, of which the user is not told."""

    own: tuple[AccessKey, ...]
    others: tuple[AccessKey, ...]


def may_look(user: Any) -> bool:
    """Return True if a user may look for leaked keys."""
    return isinstance(user, User) and bool(user.has_perm(RIGHT))


def candidates(text: str) -> list[str]:
    """Return what may be keys in a text."""
    text = text.strip()
    found = list(dict.fromkeys(_KEY.findall(text)))[:MOST]
    if not found and 0 < len(text) <= _OLD_LENGTH and not any(sign.isspace() for sign in text):
        found = [text]
    return found


def find(user: User, text: str) -> Found:
    """Return the keys in a text."""
    digests = [digest for key in candidates(text) for digest in secrets.key_digests(key)]
    rows = AccessKey.objects.filter(digest__in=digests)
    own = tuple(seen(user, rows))
    shown = {key.pk for key in own}
    others = rows.exclude(pk__in=shown).select_related("application__agency")
    return Found(own, tuple(others))


def seen(user: User, rows: Any) -> Any:
    """Return those of the keys that a user may see."""
    return tenancy.visible(rows.select_related("application__agency", "operation__service__agency"), user)


@transaction.atomic
def report(keys: tuple[AccessKey, ...], now: datetime | None = None) -> None:
    """Notify the agencies of keys that somebody has found elsewhere, of each key once a day."""
    day = timezone.localdate(now or timezone.now())
    for key in keys:
        if key.is_active and notifications.first_time(f"{Event.KEY_LEAKED}:{key.pk}:{day}"):
            notifications.notify(
                Event.KEY_LEAKED,
                members(key.application.agency, "registry.change_application"),
                about=key,
                application=str(key.application),
                key=key.public,
            )
